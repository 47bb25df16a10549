//! What this machine does with a model: measured once, kept in the user's cache.

use super::failure::{Failure, Kind, Result};
use super::video::Input;
use super::{Context, cache, output};
use crate::run::{self, Model, ModelFacts, Rates};
use longsight_models::Span;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Changes when what is measured, or how, does.
const VERSION: &str = "2";

/// The rates of `facts` on this machine: from the cache, or measured now by `measure` and kept.
///
/// # Errors
/// Those of `measure`.
pub(super) fn of_machine(
    facts: &ModelFacts,
    context: &Context,
    measure: impl FnOnce() -> Result<Rates>,
) -> Result<Rates> {
    let file = file(facts);
    let kept = || file.as_ref().and_then(|file| serde_json::from_slice(&std::fs::read(file).ok()?).ok());
    let here = |rates: Rates| match context.decoder.is_apart() {
        true => rates,
        false => Rates { decoder_bytes: 0, ..rates },
    };
    if let Some(rates) = kept() {
        return Ok(here(rates));
    }
    output::note(context, "measuring this machine once for this model");
    let rates = measure()?;
    // A cache that cannot be written costs another second the next time.
    if let Some(Err(error)) = file.as_ref().map(|file| keep(file, &rates)) {
        tracing::info!("the rates are not kept: {error}");
    }
    // Whoever was first is right, so that what was planned once is planned again.
    Ok(here(kept().unwrap_or(rates)))
}

/// Measures a model on this machine.
///
/// # Errors
/// With exit code 1 when it fails.
pub(super) fn measure(model: &Model, context: &Context) -> Result<Rates> {
    run::calibrate(model, &context.decoder.program()).map_err(|error| Failure::new(Kind::Internal, error))
}

/// The rates of a machine with what decoding the video takes.
///
/// # Errors
/// With exit code 3 when the video cannot be read.
pub(super) fn of_video(rates: &Rates, input: &Input, options: &crate::recipe::Options, fps: f64) -> Result<Rates> {
    let span = input.video.info().clip(Span {
        start: options.decode.from.unwrap_or(f64::NEG_INFINITY),
        end: options.decode.to.unwrap_or(f64::INFINITY),
    });
    if !(span.end.is_finite() && span.start < span.end) {
        return Ok(Rates { start_s: 0.0, decode_s: 0.0, ..rates.clone() });
    }
    let decoding = run::decoding_rate(&input.video, span, options.decode.fps.unwrap_or(fps))?;
    Ok(Rates { start_s: decoding.start_s, decode_s: decoding.per_s, ..rates.clone() })
}

/// One file for each model, number format, number of cores and version of the program, below the user's cache.
fn file(facts: &ModelFacts) -> Option<PathBuf> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plain: String = facts.revision.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("{plain}-{}-{cores}-{}-{VERSION}.json", facts.dtype, env!("CARGO_PKG_VERSION"));
    Some(cache::folder()?.join("rates").join(name))
}

fn keep(file: &Path, rates: &Rates) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(&serde_json::to_vec(rates)?)?;
    match temporary.persist_noclobber(file) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
