//! `longsight bench questions`.

use super::super::ask::ModelArgs;
use super::super::failure::{Failure, Kind, Result};
use super::super::{Context, output};
use crate::bench::{self, Checked, Expected, Share};
use crate::run::Cancel;
use std::path::{Path, PathBuf};

/// Arguments of `longsight bench questions`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// `[{"clip","kind","question","choices","expected"}]`
    file: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
}

pub(super) fn run(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Kind::Input, format!("{}: {error}", args.file.display()));
    let text = std::fs::read_to_string(&args.file).map_err(|error| wrong(&error))?;
    let expected: Vec<Expected> = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let folder = args.file.parent().unwrap_or(Path::new("."));
    let model = args.model.load()?;
    let mut clip = String::new();
    let mut show = |checked: &Checked| {
        if context.json {
            return;
        }
        if clip != checked.answer.video.path {
            clip.clone_from(&checked.answer.video.path);
            output::text(&clip);
        }
        let verdict = if checked.pass { "pass" } else { "FAIL" };
        let expected = if checked.pass { String::new() } else { format!("   expected: {}", checked.expected) };
        output::text(&format!("  {verdict}  {}  ->  {}{expected}", checked.answer.question, checked.answer.answer));
    };
    let checked = bench::check_questions(&model, folder, &expected, cancel, &mut show)?;
    if context.json {
        return output::json(&checked);
    }
    let passed = Share::new(checked.iter().filter(|checked| checked.pass).count(), checked.len());
    output::text(&format!("{} of {} answers are as expected", passed.hits, passed.of));
    Ok(())
}
