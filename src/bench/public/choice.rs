//! Letters in answers, as the multiple-choice scorers find them, and shares by field.

use super::source::{self, text};
use super::{Item, Metric};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a scorer takes away from an answer before it looks for a letter, in its order.
pub(super) type Prefixes = [&'static str];

/// The first letter of `letters` in an answer, capitals only, after the prefixes are taken away wherever they stand: the
/// rule of Video-MME's scorer (`evaluation/eval_your_results.py`, `extract_characters_regex`) and of those made after it.
pub(super) fn letter(answer: &str, prefixes: &Prefixes, letters: &RangeInclusive<char>) -> Option<char> {
    let mut rest = answer.trim().to_owned();
    for prefix in prefixes {
        rest = rest.replace(prefix, "");
    }
    rest.chars().find(|letter| letters.contains(letter))
}

/// The letter of the option that an answer names at its start: `B`, `(B)`, `B. blue`, `b)`.
pub(super) fn named(answer: &str) -> Option<char> {
    let mut letters = answer.trim().trim_start_matches('(').chars();
    let first = letters.next().filter(char::is_ascii_alphabetic)?;
    letters.next().is_none_or(|next| !next.is_alphanumeric()).then(|| first.to_ascii_uppercase())
}

/// Question and options, each with its letter in front, as most benchmarks print them.
pub(super) fn lettered(question: &str, options: &[String]) -> String {
    let lines = options.iter().zip('A'..).map(|(option, letter)| format!("\n{letter}. {option}"));
    std::iter::once(question.to_owned()).chain(lines).collect()
}

/// The letter of an option by its number, from 0.
pub(super) fn letter_of(number: usize) -> Option<String> {
    ('A'..='Z').nth(number).map(String::from)
}

/// The share of right answers, of all and by each value of some fields of the annotation. `judged` says of an item whether
/// it is right, or that it does not count.
pub(super) fn shares(items: &[Item], fields: &[&str], judged: impl Fn(&Item) -> Option<bool>) -> Vec<Metric> {
    let judged: Vec<(&Item, f64)> = items.iter().filter_map(|item| Some((item, f64::from(judged(item)?)))).collect();
    let mut metrics = vec![Metric::mean("accuracy", &judged.iter().map(|&(_, right)| right).collect::<Vec<_>>())];
    for field in fields {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for &(item, right) in &judged {
            for value in list(item, field) {
                values.entry(value).or_default().push(right);
            }
        }
        metrics.extend(values.iter().map(|(value, rights)| Metric::mean(format!("{field}: {value}"), rights)));
    }
    metrics
}

/// The values of a field: one, or those of a list.
fn list(item: &Item, field: &str) -> Vec<String> {
    match &item.row[field] {
        serde_json::Value::Array(_) => source::options(&item.row[field]),
        serde_json::Value::Null => Vec::new(),
        _ => vec![text(&item.row, field)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_named_at_the_start() {
        for (answer, letter) in [
            ("B", Some('B')),
            ("(b) blue", Some('B')),
            ("C. green", Some('C')),
            ("D)", Some('D')),
            ("Dark green", None),
            ("", None),
        ] {
            assert_eq!(named(answer), letter, "{answer}");
        }
    }
}
