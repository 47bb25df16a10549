//! What the tests share: generated clips, the command, real media where the machine has some.

pub(crate) mod clip;
pub(crate) mod command;
pub(crate) mod stand_in;

use std::path::{Path, PathBuf};

/// The folder of real videos, named by `LONGSIGHT_TEST_MEDIA`; `None`, with a word, where there is none.
pub(crate) fn media() -> Option<PathBuf> {
    let folder = std::env::var_os("LONGSIGHT_TEST_MEDIA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: LONGSIGHT_TEST_MEDIA names no folder of real videos");
    }
    folder
}

/// Every file below a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}
