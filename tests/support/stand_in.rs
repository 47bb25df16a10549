//! Programs that stand in for a decoder, and the decoder itself as a program.

use longsight::decode::Program;
use longsight::decode::apart::ForkServer;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The command that this package builds.
pub(crate) const LONGSIGHT: &str = env!("CARGO_BIN_EXE_longsight");

/// The decoder's process, with so many bytes of memory.
pub(crate) fn decoder(memory: u64) -> Program {
    let linker = std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH".into(), path));
    Program {
        path: LONGSIGHT.into(),
        arguments: vec!["--serve-decoder".into()],
        environment: linker.into_iter().collect(),
        memory,
        fork_server: ForkServer::default(),
    }
}

/// A shell script in place of a decoder; `$real` in it is the decoder.
pub(crate) fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    // Another process writes it: a file that this one has open to write, in whatever child, cannot be executed.
    let mut shell = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("#!/bin/sh\nreal='{LONGSIGHT} --serve-decoder'\n{body}\n");
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    path
}
