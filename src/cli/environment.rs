//! The `LONGSIGHT_*` variables: which there are, and what is said of one that is not read.

use super::{Cli, Context, output};
use clap::{Command, CommandFactory};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// How all variables of this program begin.
const PREFIX: &str = "LONGSIGHT_";
/// Those that stand for no flag, with what they are for.
const OTHERS: [(&str, &str); 3] = [
    ("LONGSIGHT_CACHE", "where what can be made again is kept (an absolute path)"),
    ("LONGSIGHT_LOG", "what is logged, as `longsight=debug`, in place of -q and -v"),
    ("LONGSIGHT_MODELS", "the folder that holds the bundled model"),
];
/// How those of this project's own tests begin, which hand them on to what they start.
const OF_TESTS: [&str; 2] = ["LONGSIGHT_TEST_", "LONGSIGHT_BLESS"];
/// Names that are less alike (Jaro-Winkler) are not taken for a slip.
const ALIKE: f64 = 0.85;

/// What stands below `longsight --help`.
pub(super) fn help() -> String {
    let lines = OTHERS.map(|(name, what)| format!("  {name:<17} {what}"));
    format!(
        "Environment: every flag that names a variable in its help can be set by it; the flag wins. And\n{}",
        lines.join("\n")
    )
}

/// Says which variables are not read, because there are none of that name or for their value. Flags' values are the parser's to
/// refuse.
pub(super) fn check(context: &Context) {
    for (name, value) in std::env::vars_os() {
        if let Some(wrong) = name.to_str().and_then(|name| wrong(name, &value)) {
            output::note(context, &format!("longsight: {}: {wrong}", name.to_string_lossy()));
        }
    }
}

/// What is wrong with a variable of this program, if anything.
fn wrong(name: &str, value: &OsString) -> Option<String> {
    if !name.starts_with(PREFIX) || OF_TESTS.iter().any(|test| name.starts_with(test)) {
        return None;
    }
    match name {
        "LONGSIGHT_CACHE" => {
            (!Path::new(value).is_absolute()).then(|| "is no absolute path, and is not used".to_owned())
        }
        "LONGSIGHT_MODELS" => (!Path::new(value).is_dir()).then(|| "is no folder, and is not used".to_owned()),
        "LONGSIGHT_LOG" => {
            let fault = match value.to_str().map(EnvFilter::try_new) {
                Some(Ok(_)) => return None,
                Some(Err(error)) => error.to_string(),
                None => "no text".to_owned(),
            };
            Some(format!("is no filter ({fault}), and is not used"))
        }
        _ => {
            let known = known();
            if known.iter().any(|known| known == name) {
                return None;
            }
            // All begin alike: what counts is what follows.
            let own = |name: &str| name.trim_start_matches(PREFIX).to_owned();
            let like = |known: &String| strsim::jaro_winkler(&own(known), &own(name));
            let nearest = known.iter().max_by(|a, b| like(a).total_cmp(&like(b))).filter(|known| like(known) >= ALIKE);
            let hint = nearest.map_or_else(
                || "`longsight help COMMAND` names those that are".to_owned(),
                |nearest| format!("did you mean {nearest}?"),
            );
            Some(format!("is no setting, and is not read; {hint}"))
        }
    }
}

/// The names of all variables.
fn known() -> Vec<String> {
    let mut names: Vec<String> = OTHERS.iter().map(|&(name, _)| name.to_owned()).collect();
    add(&Cli::command(), &mut names);
    names
}

fn add(command: &Command, names: &mut Vec<String>) {
    names.extend(command.get_arguments().filter_map(|flag| flag.get_env().and_then(OsStr::to_str).map(str::to_owned)));
    command.get_subcommands().for_each(|command| add(command, names));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Option<String> {
        wrong(name, &value.into())
    }

    #[test]
    fn what_is_no_setting_is_told_with_the_nearest_one() {
        for known in ["LONGSIGHT_FPS", "LONGSIGHT_INDEX_SIZE", "LONGSIGHT_DECODER_MEMORY", "LONGSIGHT_JOBS"] {
            assert_eq!(told(known, "x"), None, "{known}");
        }
        for other in ["PATH", "LONGSIGHTED", "LONGSIGHT_TEST_MEDIA", "LONGSIGHT_BLESS"] {
            assert_eq!(told(other, ""), None, "{other}");
        }
        let slip = told("LONGSIGHT_MAXFRAMES", "8").unwrap_or_default();
        assert!(slip.ends_with("did you mean LONGSIGHT_MAX_FRAMES?"), "{slip}");
        let other = told("LONGSIGHT_QQ", "8").unwrap_or_default();
        assert!(other.ends_with("names those that are"), "{other}");
    }

    #[test]
    fn a_value_that_is_not_used_is_told() {
        assert!(told("LONGSIGHT_CACHE", "here").is_some() && told("LONGSIGHT_CACHE", "/tmp").is_none());
        assert!(told("LONGSIGHT_MODELS", "/no/such").is_some() && told("LONGSIGHT_MODELS", "/").is_none());
        assert!(
            told("LONGSIGHT_LOG", "longsight=loud").is_some() && told("LONGSIGHT_LOG", "longsight=debug").is_none()
        );
    }
}
