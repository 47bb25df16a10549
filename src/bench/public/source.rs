//! Annotation and prediction files: JSON, JSON lines, CSV, TSV, plain text, or a folder of JSON files.

use super::PublicError;
use serde_json::{Map, Value};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Bytes of a file that is read: the largest of the benchmarks' files have some tens of millions.
const MAX_BYTES: u64 = 1 << 30;

/// A file that was read, not yet understood.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    text: String,
    rows: Option<Value>,
}

impl Source {
    /// Reads a file, or every `.json` file of a folder as one list.
    ///
    /// # Errors
    /// When there is none, it is too large, no text, or Parquet.
    pub fn read(path: &Path) -> Result<Self, PublicError> {
        let file = |source| PublicError::File { path: path.to_path_buf(), source };
        if path.extension() == Some(OsStr::new("parquet")) {
            return Err(PublicError::Parquet { path: path.to_path_buf() });
        }
        let facts = std::fs::metadata(path).map_err(file)?;
        if facts.is_dir() {
            return Self::folder(path);
        }
        if facts.len() > MAX_BYTES {
            return Err(file(std::io::Error::other(format!("more than {MAX_BYTES} bytes"))));
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        Ok(Self { path: path.to_path_buf(), text, rows: None })
    }

    /// A file's content that is there already.
    #[must_use]
    pub fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_path_buf(), text, rows: None }
    }

    fn folder(path: &Path) -> Result<Self, PublicError> {
        let file = |source| PublicError::File { path: path.to_path_buf(), source };
        let entries = std::fs::read_dir(path).map_err(file)?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension() == Some(OsStr::new("json")));
        files.sort();
        let mut rows = Vec::new();
        for file in &files {
            match Self::read(file)?.json("a JSON list")? {
                Value::Array(more) => rows.extend(more),
                one => rows.push(one),
            }
        }
        Ok(Self { path: path.to_path_buf(), text: String::new(), rows: Some(Value::Array(rows)) })
    }

    /// The plain text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one JSON value that it is.
    pub(super) fn json(&self, benchmark: &'static str) -> Result<Value, PublicError> {
        match &self.rows {
            Some(rows) => Ok(rows.clone()),
            None => serde_json::from_str(&self.text).map_err(|error| self.wrong(benchmark, error.to_string())),
        }
    }

    /// A list of objects: a JSON list, an object a line, or rows under a heading (`.csv`, `.tsv`), whose cells are strings.
    pub(super) fn rows(&self, benchmark: &'static str) -> Result<Vec<Value>, PublicError> {
        let ending = self.path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let mark = match ending {
            "csv" => Some(','),
            "tsv" => Some('\t'),
            _ => None,
        };
        if let Some(mark) = mark {
            return table(&self.text, mark).map_err(|what| self.wrong(benchmark, what));
        }
        if self.rows.is_none() && !self.text.trim_start().starts_with('[') {
            let lines = self.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let line = |(number, line): (usize, &str)| {
                serde_json::from_str(line)
                    .map_err(|error| self.wrong(benchmark, format!("line {}: {error}", number + 1)))
            };
            return lines.map(line).collect();
        }
        match self.json(benchmark)? {
            Value::Array(rows) => Ok(rows),
            _ => Err(self.wrong(benchmark, "not a list")),
        }
    }

    /// The error that says what is wrong with the file.
    pub(super) fn wrong(&self, benchmark: &'static str, what: impl Into<String>) -> PublicError {
        PublicError::Format { path: self.path.clone(), benchmark, what: what.into() }
    }
}

/// A field as text; numbers are written out, what is missing is empty.
pub(super) fn text(row: &Value, field: &str) -> String {
    match &row[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The first of some fields that the row has.
pub(super) fn first<'a>(row: &Value, fields: &[&'a str]) -> Option<&'a str> {
    fields.iter().copied().find(|field| row.get(field).is_some_and(|value| !value.is_null()))
}

/// Two numbers, as `[start, end]`.
pub(super) fn pair(value: &Value) -> Option<[f64; 2]> {
    Some([value.get(0)?.as_f64()?, value.get(1)?.as_f64()?])
}

/// Options as a list; a cell of a table may hold them as a JSON list, or a line each. An array as Python prints it, which does
/// not say where an option ends, gives none.
pub(super) fn options(value: &Value) -> Vec<String> {
    let strings =
        |list: &Vec<Value>| list.iter().map(|one| one.as_str().map_or(one.to_string(), str::to_owned)).collect();
    match value {
        Value::Array(list) => strings(list),
        Value::String(cell) => match serde_json::from_str(cell) {
            Ok(Value::Array(list)) => strings(&list),
            _ if cell.trim_start().starts_with('[') => Vec::new(),
            _ => cell.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect(),
        },
        _ => Vec::new(),
    }
}

/// Rows under a heading (RFC 4180).
fn table(text: &str, mark: char) -> Result<Vec<Value>, String> {
    let mut rows = cells(text, mark).into_iter();
    let heading = rows.next().ok_or("empty")?;
    let row = |(number, cells): (usize, Vec<String>)| {
        if cells.len() != heading.len() {
            return Err(format!("row {} has {} cells, the heading {}", number + 1, cells.len(), heading.len()));
        }
        Ok(Value::Object(heading.iter().cloned().zip(cells.into_iter().map(Value::String)).collect::<Map<_, _>>()))
    };
    rows.enumerate().map(row).collect()
}

fn cells(text: &str, mark: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\n' | '\r' if !quoted => {
                if letter == '\r' && letters.peek() == Some(&'\n') {
                    continue;
                }
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter if letter == mark && !quoted => row.push(std::mem::take(&mut cell)),
            letter => cell.push(letter),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows.retain(|row| row.len() > 1 || !row[0].is_empty());
    rows
}

/// A cell of a table with tabs, quoted where it must be.
pub(super) fn tab_cell(text: &str) -> String {
    if text.contains(['\t', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn tables_lists_and_lines_are_the_same_rows() {
        let of = |name: &str, text: &str| Source::new(Path::new(name), text.to_owned()).rows("x").unwrap();
        let list = of("a.json", r#"[{"q":"a, \"b\"\nc","n":"1"},{"q":"d","n":"2"}]"#);
        assert_eq!(list, of("a.jsonl", "{\"q\":\"a, \\\"b\\\"\\nc\",\"n\":\"1\"}\n\n{\"q\":\"d\",\"n\":\"2\"}\n"));
        assert_eq!(list, of("a.csv", "q,n\r\n\"a, \"\"b\"\"\nc\",1\r\nd,2\r\n"));
        assert_eq!(list, of("a.tsv", "q\tn\n\"a, \"\"b\"\"\nc\"\t1\nd\t2"));
    }

    #[test]
    fn what_is_wrong_names_file_and_line() {
        let wrong =
            |name: &str, text: &str| Source::new(Path::new(name), text.to_owned()).rows("x").unwrap_err().to_string();
        assert!(wrong("a.jsonl", "{}\n{").contains("line 2"), "{}", wrong("a.jsonl", "{}\n{"));
        assert!(wrong("a.csv", "a,b\n1\n").contains("row 1 has 1 cells"));
        assert!(Source::read(Path::new("a.parquet")).unwrap_err().to_string().contains("Parquet"));
    }
}
