//! `longsight tune`: the offline search of every head's attention pattern.

use super::ask::{ModelArgs, ReadingArgs};
use super::bench::minutes;
use super::failure::{Failure, Kind, Result};
use super::video::Input;
use super::{Context, model_dir, output, wait};
use crate::bench::film;
use crate::prefill::tune::{Trial, candidates};
use crate::prefill::{PatternFile, SCHEMA, TunedHead};
use crate::run::{self, Cancel, Job, Question};
use longsight_world::dice::Split;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = r#"Examples:
  longsight tune --model longsight-tiny --out patterns
  longsight tune lecture.mp4 film.mp4 --model ~/models/Qwen3-VL-2B-Instruct --max-frames 256 --density 0.1"#;

/// What is asked of the videos, unless something else is.
const QUESTION: &str = "What happens in the video?";
/// Seeds of the generated videos, of the split that models are trained on.
const SEED: u64 = 3_000_000;

/// Arguments of `longsight tune`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// Videos like those that the model will be asked about; generated ones if there are none
    videos: Vec<PathBuf>,
    /// The most that all heads together may compute, as a share of dense attention
    #[arg(long, default_value_t = 0.3)]
    density: f64,
    /// A question to ask about the videos
    #[arg(long, default_value = QUESTION)]
    question: String,
    /// How many videos to generate where none are given
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    generate: u64,
    /// How many minutes each of them is long
    #[arg(long, default_value_t = 30.0, value_parser = minutes)]
    minutes: f64,
    /// Folder to write the pattern file into; the model's own if it is not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    reading: ReadingArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::run(None, move |cancel| search(&args, &context, &cancel))
}

fn search(args: &Args, context: &Context, cancel: &Cancel) -> Result {
    if !(args.density > 0.0 && args.density <= 1.0) {
        return Err(Failure::new(Kind::Usage, format!("a density of {} is not between 0 and 1", args.density)));
    }
    let model = args.model.load_untuned()?;
    let mut trial = Trial::new(candidates());
    let (mut names, mut tokens) = (Vec::new(), 0);
    let mut on = |path: &Path, name: String, trial: &mut Trial| -> Result<()> {
        let before = trial.prompts();
        let prompt = try_on(&model, path, (args, context), trial, cancel)?;
        let used = trial.prompts() > before;
        output::note(
            context,
            &format!("{name}: {prompt} tokens{}", if used { "" } else { ", too few to try patterns on" }),
        );
        tokens = tokens.max(prompt);
        if used {
            names.push(name);
        }
        Ok(())
    };
    for path in &args.videos {
        on(path, path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(), &mut trial)?;
    }
    if args.videos.is_empty() {
        let failed =
            |error: &dyn std::fmt::Display| Failure::new(Kind::Internal, format!("cannot generate a video: {error}"));
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let path = folder.path().join("haystack.mp4");
        for seed in SEED..SEED + args.generate {
            let depth = (seed - SEED) as f64 / args.generate as f64;
            film(Split::Train, seed, (args.minutes, depth), &path).map_err(|error| failed(&error))?;
            on(&path, format!("generated, seed {seed}, {} minutes", args.minutes), &mut trial)?;
        }
    }
    if trial.prompts() == 0 {
        return Err(Failure::new(
            Kind::Input,
            format!("no prompt was long enough to try patterns on: {tokens} tokens"),
        )
        .hint("give longer videos, or look at more of them with --max-frames"));
    }
    let layers = trial.best(args.density, model.vlm().card().layers);
    let file = PatternFile { schema: SCHEMA.to_owned(), tokens, videos: names, layers };
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => model_dir::resolve(&args.model.model)?,
    };
    std::fs::create_dir_all(&folder).map_err(|error| Failure::unwritable(&folder, &error, "--out"))?;
    let path = file.write(&folder).map_err(|error| {
        Failure::new(Kind::Internal, format!("{}: {error}", folder.display())).hint("choose another folder with --out")
    })?;
    let density = mean(&file, |head| head.density);
    if density > args.density {
        output::note(
            context,
            &format!(
                "warning: no choice of patterns computes as little as {}; the least is {density:.4}",
                args.density
            ),
        );
    }
    if context.json {
        return output::json(&file);
    }
    print(&file);
    output::text(&format!("written to {}", path.display()));
    Ok(())
}

fn try_on(
    model: &run::Model,
    path: &Path,
    (args, context): (&Args, &Context),
    trial: &mut Trial,
    cancel: &Cancel,
) -> Result<usize> {
    let input = Input::open(path, &context.decoder.limits())?;
    let facts = input.facts()?;
    let mut options = args.reading.options()?;
    options.prefill.chunk = options.prefill.chunk.or(Some(CHUNK));
    let questions = [Question::from(args.question.as_str())];
    let job = Job {
        facts: &facts,
        questions: &questions,
        pipeline: "tune",
        options: &options,
        index: None,
        rates: None,
        blind: false,
    };
    Ok(run::tune(model, &input.video, &job, trial, cancel, &mut |_| ())?)
}

/// Rows that every candidate is tried on.
const CHUNK: usize = 2048;

fn print(file: &PatternFile) {
    for (layer, heads) in file.layers.iter().enumerate() {
        for (head, tuned) in heads.iter().enumerate() {
            let TunedHead { pattern, boundary, recall, density, error } = tuned;
            output::text(&format!(
                "layer {layer:>2} head {head:>2}  recall {recall:.4}  density {density:.4}  error {error:.4}  {pattern:?} {boundary:?}"
            ));
        }
    }
    output::text(&format!(
        "{} heads at {} tokens: mean recall {:.4}, density {:.4}, error {:.4}",
        file.layers.iter().map(Vec::len).sum::<usize>(),
        file.tokens,
        mean(file, |head| head.recall),
        mean(file, |head| head.density),
        mean(file, |head| head.error)
    ));
}

/// Of all heads but the last layer's, which has no attention to save.
fn mean(file: &PatternFile, figure: fn(&TunedHead) -> f64) -> f64 {
    let tried: Vec<&TunedHead> = file.layers.iter().flatten().filter(|head| head.density > 0.0).collect();
    tried.iter().map(|head| figure(head)).sum::<f64>() / tried.len().max(1) as f64
}
