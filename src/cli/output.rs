//! stdout and stderr, in one place: results, errors, the log.
#![expect(clippy::print_stderr, reason = "the one place that prints")]

use super::{Context, Failure, Kind};
use crate::render::one_line;
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why stdout did not take the result, the first time that it did not.
static LOST: OnceLock<io::Error> = OnceLock::new();
/// Whether stdout is a place where everything is lost without an error.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// What is printed from now on is lost: stdout was closed when the process began.
pub(super) fn close() {
    CLOSED.store(true, Ordering::Relaxed);
}

/// Prints `value` as one line of JSON.
///
/// # Errors
/// When the value cannot be serialised, or stdout does not take what is printed. A closed pipe is no error.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    bytes(line(value)?.as_bytes());
    delivered()
}

/// `value` as one line of JSON, its end included.
///
/// # Errors
/// When `value` cannot be serialised, which would be a defect.
pub(super) fn line<T: Serialize>(value: &T) -> Result<String, Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::new(Kind::Internal, error))?;
    Ok(line + "\n")
}

/// Prints a line of the result; [`delivered`] says whether it got out.
pub(super) fn text(line: &str) {
    bytes(format!("{line}\n").as_bytes());
}

/// Prints bytes of the result as they are; [`delivered`] says whether they got out.
pub(super) fn bytes(data: &[u8]) {
    let mut out = io::stdout().lock();
    keep(open().and_then(|()| out.write_all(data)).and_then(|()| out.flush()));
}

/// An error where stdout was closed.
fn open() -> io::Result<()> {
    if CLOSED.load(Ordering::Relaxed) { Err(io::Error::other("it is closed")) } else { Ok(()) }
}

/// Remembers that stdout did not take something. A closed pipe (`| head`) means that the reader has seen enough.
fn keep(written: io::Result<()>) {
    if let Some(error) = written.err().filter(|error| error.kind() != ErrorKind::BrokenPipe) {
        // The first reason is the one that is told.
        let _ = LOST.set(error);
    }
}

/// Whether everything that was printed so far got out.
///
/// # Errors
/// When it did not, as on a full disk.
pub(super) fn delivered() -> Result<(), Failure> {
    match LOST.get() {
        None => Ok(()),
        Some(error) => Err(Failure::new(Kind::Internal, format!("stdout: the result cannot be written: {error}"))
            .hint("make room where it goes, or send it elsewhere")),
    }
}

/// Tells the user something on stderr unless `--quiet`.
pub(super) fn note(context: &Context, line: &str) {
    if !context.quiet {
        eprintln!("{}", one_line(line));
    }
}

/// Prints a usage error or help text and gives clap's exit code (0 for help, 2 for usage).
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|arg| arg == "--json");
    if error.use_stderr() {
        if wants_json {
            eprintln!("{}", error_object(&misuse(&error.to_string())));
        } else {
            let _ = error.print();
        }
    } else {
        keep(open().and_then(|()| error.print()).and_then(|()| io::stdout().flush()));
        if let Err(failure) = delivered() {
            return say(&failure, wants_json);
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What the parser of the arguments says, in one line and a next step. It writes paragraphs: what is wrong, with a list of what is
/// missing or possible in lines of its own below; then tips and the usage.
fn misuse(text: &str) -> Failure {
    let mut paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let mut lines = paragraphs.next().unwrap_or_default().lines().map(str::trim);
    let fact = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let (possible, named): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('['));
    let message = if named.is_empty() { fact.to_owned() } else { format!("{fact} {}", named.join(", ")) };
    let possible = possible.into_iter().map(|line| line.trim_matches(['[', ']']).to_owned());
    let more = paragraphs.flat_map(str::lines).map(str::trim).filter_map(|line| {
        let tip = line.strip_prefix("tip: ").or_else(|| Some(line).filter(|line| line.starts_with("Usage: ")));
        tip.map(|tip| tip.replacen("Usage: ", "usage: ", 1))
    });
    let hints: Vec<String> = possible.chain(more).collect();
    let hint = if hints.is_empty() { "see --help".to_owned() } else { hints.join("; ") };
    Failure::new(Kind::Usage, message).hint(hint)
}

/// Prints a failure on stderr, as a line, or with `--json` as an object, and gives its exit code.
pub(super) fn fail(failure: &Failure, context: &Context) -> ExitCode {
    say(failure, context.json)
}

fn say(failure: &Failure, json: bool) -> ExitCode {
    if json {
        eprintln!("{}", error_object(failure));
    } else {
        // Names of files are what somebody else wrote.
        eprintln!("longsight: {}", one_line(&failure.message));
        if !failure.hint.is_empty() {
            eprintln!("  {}", one_line(&failure.hint));
        }
    }
    ExitCode::from(failure.kind.exit_code())
}

/// What stands on stderr after a failed command with `--json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct ErrorObject {
    error: ErrorFacts,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ErrorFacts {
    code: &'static str,
    message: String,
    hint: String,
    retryable: bool,
}

fn error_object(failure: &Failure) -> String {
    let (kind, message, hint) = (failure.kind, failure.message.clone(), failure.hint.clone());
    let error = ErrorFacts { code: kind.code(), message, hint, retryable: kind.retryable() };
    // Strings and a truth value serialise.
    serde_json::to_string(&ErrorObject { error }).unwrap_or_default()
}

/// Sends the library's log to stderr: warnings, with `-v` what is done, with `-vv` every step.
pub(super) fn start_log(context: &Context) {
    let level = match (context.quiet, context.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LONGSIGHT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("longsight={level},longsight_models={level}")));
    let colour = !context.no_color && std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal();
    // A second subscriber (tests in one process) is harmless: the first stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .without_time()
        .with_target(false)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (String, String) {
        let failure = misuse(text);
        (failure.message, failure.hint)
    }

    #[test]
    fn what_the_parser_says_becomes_a_fact_and_a_next_step() {
        let missing = "error: the following required arguments were not provided:\n  <VIDEO>\n  <QUESTIONS>...\n\n\
            Usage: longsight ask <VIDEO> <QUESTIONS>...\n\nFor more information, try '--help'.\n";
        assert_eq!(
            told(missing),
            (
                "the following required arguments were not provided: <VIDEO>, <QUESTIONS>...".to_owned(),
                "usage: longsight ask <VIDEO> <QUESTIONS>...".to_owned()
            )
        );
        let value = "error: invalid value 'f64' for '--dtype <DTYPE>'\n  [possible values: f32, f16]\n\n  \
            tip: a similar value exists: 'f16'\n\nFor more information, try '--help'.\n";
        assert_eq!(
            told(value),
            (
                "invalid value 'f64' for '--dtype <DTYPE>'".to_owned(),
                "possible values: f32, f16; a similar value exists: 'f16'".to_owned()
            )
        );
        assert_eq!(
            told("error: no\n\nFor more information, try '--help'.\n"),
            ("no".to_owned(), "see --help".to_owned())
        );
    }
}
