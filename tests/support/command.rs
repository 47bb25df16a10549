//! The `longsight` command under a time limit.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far above what any of these runs takes, so that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(120);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit code; `None` after a signal, or when the limit was reached
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command with nothing on stdin.
pub(crate) fn longsight<A: AsRef<OsStr>>(args: &[A]) -> Outcome {
    longsight_fed(args, Stdio::null())
}

/// Runs the command with `stdin`.
pub(crate) fn longsight_fed<A: AsRef<OsStr>>(args: &[A], stdin: Stdio) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_longsight"))
        .args(args)
        // What tests leave in the cache is no user's, and what users have in theirs no test's.
        .env("LONGSIGHT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || drain(&mut stdout));
    let err = std::thread::spawn(move || drain(&mut stderr));
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Outcome { code, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

fn drain(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
