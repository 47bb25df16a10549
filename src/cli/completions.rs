//! `longsight completions` and `longsight man`: written from the same definitions that parse the arguments.

use super::failure::{Failure, Result};
use super::{Cli, output};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  longsight completions bash > ~/.local/share/bash-completion/completions/longsight
  longsight completions zsh > ~/.zfunc/_longsight
  longsight completions fish > ~/.config/fish/completions/longsight.fish";

/// Arguments of `longsight completions`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Arguments of `longsight man`.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:\n  longsight man --out ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Folder to write the pages to, one for each command; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "longsight", &mut script);
    output::bytes(&script);
}

pub(super) fn man(args: &ManArgs) -> Result {
    let written = std::fs::create_dir_all(&args.out).and_then(|()| clap_mangen::generate_to(Cli::command(), &args.out));
    written.map_err(|error| Failure::unwritable(&args.out, &error, "--out"))
}
