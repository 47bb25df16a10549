//! Where the outputs of an input lie: the same path below the output folder as below the input's, and never the same
//! for two inputs.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What is put behind a place to name its file of answers.
pub(super) const ENDING: &str = ".jsonl";
/// Bytes of a path component that leave room for a hash and [`ENDING`] within the 255 of common file systems.
const MAX_COMPONENT: usize = 200;

/// The places of `inputs`, each a path as the user wrote it or relative to its folder, and the absolute path that tells
/// it from others. Root, `.` and `..` are dropped, so that no place leads out of the output folder. Inputs whose places
/// would be equal (also where upper and lower case are the same, or where one would need a file for another's folder)
/// get a hash of their absolute path.
pub(super) fn places(inputs: &[(PathBuf, PathBuf)]) -> Vec<String> {
    let plain: Vec<(String, bool)> = inputs.iter().map(|(relative, _)| plain(relative)).collect();
    let mut count: HashMap<String, usize> = HashMap::new();
    let mut folders: HashSet<String> = HashSet::new();
    for (place, _) in &plain {
        let place = place.to_lowercase();
        folders.extend(place.match_indices('/').map(|(at, _)| place[..at].to_owned()));
        *count.entry(place).or_default() += 1;
    }
    let unique = |place: &str| {
        let place = place.to_lowercase();
        count.get(&place) == Some(&1) && !folders.contains(&(place + ENDING))
    };
    plain
        .into_iter()
        .zip(inputs)
        .map(
            |((place, exact), (_, absolute))| {
                if exact && unique(&place) { place } else { format!("{place}~{}", short_hash(absolute)) }
            },
        )
        .collect()
}

/// The path's ordinary components joined by slashes, and whether nothing had to be replaced or cut.
fn plain(path: &Path) -> (String, bool) {
    let mut exact = true;
    let components: Vec<String> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .map(|name| {
            let text = name.to_string_lossy();
            let mut cut = text.len().min(MAX_COMPONENT);
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            exact &= cut == text.len() && text.as_bytes() == name.as_bytes();
            text[..cut].to_owned()
        })
        .collect();
    (components.join("/"), exact)
}

fn short_hash(path: &Path) -> String {
    blake3::hash(path.as_os_str().as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn of(paths: &[&str]) -> Vec<String> {
        let inputs: Vec<(PathBuf, PathBuf)> =
            paths.iter().map(|path| (PathBuf::from(path), Path::new("/absolute").join(path))).collect();
        places(&inputs)
    }

    #[test]
    fn a_place_mirrors_its_path_and_never_leads_out() {
        assert_eq!(of(&["a/b.mp4", "c/b.mp4"]), ["a/b.mp4", "c/b.mp4"]);
        assert_eq!(of(&["../../etc/passwd", "/x/y.mp4", "./z.mp4"]), ["etc/passwd", "x/y.mp4", "z.mp4"]);
        assert_eq!(of(&["-x \"y\"\n😀.mp4"]), ["-x \"y\"\n😀.mp4"]);
    }

    #[test]
    fn two_inputs_never_share_a_place() {
        for paths in [&["x/a.mp4", "../x/a.mp4"][..], &["A.mp4", "a.mp4"], &["a.mp4", "a.mp4.jsonl/b.mp4"]] {
            let places = of(paths);
            assert!(places.iter().any(|place| place.contains('~')), "{places:?}");
            let files: HashSet<String> = places.iter().map(|place| place.to_lowercase() + ENDING).collect();
            assert_eq!(files.len(), paths.len());
        }
    }

    #[test]
    fn names_that_are_no_text_or_too_long_are_told_apart() {
        let odd = |bytes: &[u8]| (PathBuf::from(OsStr::from_bytes(bytes)), PathBuf::from(OsStr::from_bytes(bytes)));
        let places = places(&[odd(b"\xff.mp4"), odd(b"\xfe.mp4"), odd(&[b'a'; 255])]);
        assert_ne!(places[0], places[1]);
        assert!(places[2].len() + ENDING.len() < 255);
    }
}
