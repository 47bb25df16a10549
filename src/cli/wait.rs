//! Waits for the work, Ctrl-C, SIGTERM and the time limit at once.

use super::failure::{Failure, Kind, Result};
use crate::run::Cancel;
use std::time::Duration;

/// How long a cancelled run may take to stop before the process leaves it behind.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `work` on its own thread and gives its result, or, as soon as the process is asked to stop or `limit` is over,
/// cancels it and says why.
///
/// # Errors
/// Those of `work`, and [`Kind::Interrupted`], [`Kind::Terminated`], [`Kind::TimedOut`].
pub(super) fn run<T: Send + 'static>(
    limit: Option<Duration>,
    work: impl FnOnce(Cancel) -> Result<T> + Send + 'static,
) -> Result<T> {
    watch(limit, GRACE, work)
}

/// Runs `work` that looks at no flag and leaves nothing half done: it is left behind as soon as the process is asked to stop.
///
/// # Errors
/// Those of `work`, and [`Kind::Interrupted`], [`Kind::Terminated`].
pub(super) fn at_once<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    watch(None, Duration::ZERO, |_| work())
}

fn watch<T: Send + 'static>(
    limit: Option<Duration>,
    grace: Duration,
    work: impl FnOnce(Cancel) -> Result<T> + Send + 'static,
) -> Result<T> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(Kind::Internal, error);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| internal(&error))?;
    let cancel = Cancel::default();
    let result = runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(|error| internal(&error))?;
        let inner = cancel.clone();
        let mut work = tokio::task::spawn_blocking(move || work(inner));
        let stopped = tokio::select! {
            done = &mut work => return done.map_err(|error| internal(&error))?,
            _ = tokio::signal::ctrl_c() => Failure::new(Kind::Interrupted, "interrupted"),
            _ = terminate.recv() => Failure::new(Kind::Terminated, "terminated"),
            () = after(limit) => Failure::new(Kind::TimedOut, "the time limit is over")
                .hint("raise --timeout, or look at less with --from, --to, --fps or --max-frames"),
        };
        cancel.cancel();
        // The work gets a moment to leave its files in order; a stage that hangs does not keep the user waiting.
        let _ = tokio::time::timeout(grace, work).await;
        Err(stopped)
    });
    runtime.shutdown_background();
    result
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
