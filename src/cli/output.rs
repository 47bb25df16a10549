//! stdout and stderr, in one place: results, errors, the log.
#![expect(clippy::print_stderr, reason = "the one place that prints")]

use super::{Context, Failure, Kind};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Prints `value` as one line of JSON.
///
/// # Errors
/// When the value cannot be serialised. A closed pipe is no error.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::new(Kind::Internal, error))?;
    text(&line);
    Ok(())
}

/// Prints a line of the result; a reader that went away is no error.
pub(super) fn text(line: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe (`| head`) means that the reader has seen enough.
    let _ = writeln!(out, "{line}");
}

/// Prints bytes of the result as they are.
pub(super) fn bytes(data: &[u8]) {
    let _ = std::io::stdout().lock().write_all(data);
}

/// Tells the user something on stderr unless `--quiet`.
pub(super) fn note(context: &Context, line: &str) {
    if !context.quiet {
        eprintln!("{line}");
    }
}

/// Prints a usage error or help text and gives clap's exit code (0 for help, 2 for usage).
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args().any(|arg| arg == "--json");
    if error.use_stderr() && wants_json {
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        eprintln!("{}", error_object(&Failure::new(Kind::Usage, first).hint("see --help")));
    } else {
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints a failure on stderr, as a line, or with `--json` as an object, and gives its exit code.
pub(super) fn fail(failure: &Failure, context: &Context) -> ExitCode {
    if context.json {
        eprintln!("{}", error_object(failure));
    } else {
        eprintln!("longsight: {}", failure.message);
        if !failure.hint.is_empty() {
            eprintln!("  {}", failure.hint);
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
