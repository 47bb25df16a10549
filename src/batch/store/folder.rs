//! Whose folder it is, and who writes to it.

use super::super::journal::TEMPORARY;
use super::{StoreError, line_of};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that makes a folder a batch's. It is locked while a batch runs.
const MARKER: &str = ".longsight-batch";

/// Who writes to an output folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// `longsight.batch-folder/1`
    schema: String,
    /// Process
    pub pid: u32,
    /// Machine
    pub host: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// Whether a folder is a batch's output.
pub(in crate::batch) fn is_store(folder: &Path) -> bool {
    folder.join(MARKER).is_file()
}

/// Refuses a folder that holds something and is not marked as a batch's.
pub(super) fn check_own(folder: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: folder.to_path_buf(), source };
    let empty = std::fs::read_dir(folder).map_err(io)?.next().is_none();
    if empty || is_store(folder) { Ok(()) } else { Err(StoreError::Foreign { folder: folder.to_path_buf() }) }
}

/// Locks the marker and says in it who did. The lock goes with the process, however that ends.
pub(super) fn take(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(MARKER);
    let io = |source| StoreError::Io { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let holder = read.ok().and_then(|_| serde_json::from_str(&text).ok());
            return Err(StoreError::Held { folder: folder.to_path_buf(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    let holder = Holder {
        schema: "longsight.batch-folder/1".to_owned(),
        pid: std::process::id(),
        host: sysinfo::System::host_name().unwrap_or_else(|_| "this machine".to_owned()),
    };
    file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
    file.write_all(&line_of(&holder).unwrap_or_default()).map_err(io)?;
    Ok(file)
}

/// Deletes what a killed run was about to rename, here and below.
pub(super) fn remove_temporary(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // One that stays is in nobody's way.
            let _ = std::fs::remove_file(entry.path());
        } else if kind.is_dir() {
            remove_temporary(&entry.path());
        }
    }
}
