//! `longsight scenes` (being built)

use super::{Context, failure::Result};

/// Arguments of `longsight scenes`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, _context: &Context) -> Result {
    Ok(())
}
