//! `longsight ask` (being built)

use super::{Context, failure::Result};

/// Arguments of `longsight ask`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, _context: &Context) -> Result {
    Ok(())
}
