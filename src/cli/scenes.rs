//! `longsight scenes`: the shots of a video.

use super::failure::{Failure, Kind, Result};
use super::handover::FormatArgs;
use super::video::Input;
use super::{Context, handover, output, parse_time, wait};
use crate::recipe::{self, Options, SceneDetector, Scenes};
use crate::render;
use crate::scenes::{self, Adaptive, Content, Detector, MIN_SCENE_S, Similarity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longsight_models::Span;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  longsight scenes film.mp4                                     a table of the shots
  longsight scenes film.mp4 --json                              the same, as JSON
  longsight scenes film.mp4 --detector adaptive --format csv    for what reads PySceneDetect's lists
  longsight scenes film.mp4 --format html --out film.html       a page with a timeline
  longsight scenes film.mp4 --from 10:00 --to 12:00 --threshold 20";

/// Arguments of `longsight scenes`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// Video file, or - to read a pipe
    video: PathBuf,
    #[command(flatten)]
    detection: Detection,
    /// A built-in pipeline, or a TOML file: its [scenes], and the stretch of its [decode]
    #[arg(long, value_name = "NAME|FILE", default_value = recipe::DEFAULT, env = "LONGSIGHT_PIPELINE")]
    pipeline: String,
    /// Start here
    #[arg(long, value_name = "T", value_parser = parse_time)]
    from: Option<f64>,
    /// End before here
    #[arg(long, value_name = "T", value_parser = parse_time)]
    to: Option<f64>,
    #[command(flatten)]
    output: FormatArgs,
}

/// How scenes are found.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Detection {
    /// How scenes are found [default: content]: content cuts where the picture changes, adaptive where it changes more than
    /// around, similarity at the frames least like the one before
    #[arg(long, value_enum)]
    detector: Option<SceneDetector>,
    /// Content: change from which on a scene begins, 0 to 255 [default: 27]. Adaptive: times the change around
    /// [default: 3]. Similarity: cosine below which a scene may begin [default: 0.9]
    #[arg(long, value_name = "X", value_parser = parse_threshold)]
    threshold: Option<f64>,
    /// Shortest scene, in seconds [default: 0.6]
    #[arg(long, value_name = "S", value_parser = parse_time)]
    min_scene_len: Option<f64>,
    /// Similarity: cut at no more than this many frames [default: 24]
    #[arg(long, value_name = "N")]
    max_cuts: Option<usize>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::at_once(move || list(&args, &context))
}

fn list(args: &Args, context: &Context) -> Result {
    let pipeline = recipe::load(&args.pipeline).map_err(|error| Failure::new(Kind::Usage, error))?;
    let range = range(args.from.or(pipeline.decode.from), args.to.or(pipeline.decode.to))?;
    let format = args.output.format(context)?;
    let detector = args.detection.detector(&pipeline)?;
    args.output.check(&[&args.video])?;
    let input = Input::open(&args.video, &context.decoder.limits())?;
    let facts = input.facts()?;
    let media = handover::media(&input.video, &input.name, format, &args.output);
    let bar = progress_bar(context, input.video.info().duration_s);
    let mut found = scenes::detect(&input.video, detector.as_ref(), range, &mut |seconds| {
        bar.set_position((seconds * 1000.0) as u64);
    })?;
    bar.finish_and_clear();
    found.path.clone_from(&input.name);
    for warning in &found.warnings {
        output::note(context, &format!("longsight: {}: {warning}", args.video.display()));
    }
    if found.scenes.is_empty() {
        let what = format!("{}: no frame lies between --from and --to", args.video.display());
        return Err(Failure::new(Kind::Usage, what).hint("give times inside the video"));
    }
    args.output.write(&render::scenes(&found, &facts, &media, format))
}

fn range(asked_from: Option<f64>, asked_to: Option<f64>) -> Result<Option<Span>> {
    let (from, to) = (asked_from.unwrap_or(f64::NEG_INFINITY), asked_to.unwrap_or(f64::INFINITY));
    if from >= to {
        return Err(Failure::new(Kind::Usage, format!("--from {from} is not before --to {to}")));
    }
    Ok((asked_from.is_some() || asked_to.is_some()).then_some(Span { start: from, end: to }))
}

impl Detection {
    /// The detector that was asked for, over a pipeline's settings.
    ///
    /// # Errors
    /// With exit code 2 for a setting of another one.
    pub(super) fn detector(&self, pipeline: &Options) -> Result<Box<dyn Detector>> {
        let &Self { detector, threshold, min_scene_len, max_cuts } = self;
        let flags = Options { scenes: Scenes { detector, threshold, min_scene_len, max_cuts }, ..Options::default() };
        let Scenes { detector, threshold, min_scene_len, max_cuts } = pipeline.overridden_by(&flags).scenes;
        let detector = detector.unwrap_or_default();
        if max_cuts.is_some() && detector != SceneDetector::Similarity {
            return Err(Failure::new(Kind::Usage, "--max-cuts is a setting of --detector similarity")
                .hint("choose that detector, or leave --max-cuts, or max_cuts of [scenes], out"));
        }
        // What flags are refused for is refused in a file too.
        for (name, value) in [("threshold", threshold), ("min_scene_len", min_scene_len)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                return Err(Failure::new(
                    Kind::Usage,
                    format!("{name} of [scenes] is {value}, which is not 0 or more"),
                ));
            }
        }
        let min_scene_s = min_scene_len.unwrap_or(MIN_SCENE_S);
        Ok(match detector {
            SceneDetector::Content => {
                let usual = Content::default();
                Box::new(Content { threshold: threshold.unwrap_or(usual.threshold), min_scene_s })
            }
            SceneDetector::Adaptive => {
                let usual = Adaptive::default();
                Box::new(Adaptive { threshold: threshold.unwrap_or(usual.threshold), min_scene_s, ..usual })
            }
            SceneDetector::Similarity => {
                let usual = Similarity::default();
                let threshold = threshold.unwrap_or(usual.threshold);
                Box::new(Similarity { threshold, max_cuts: max_cuts.unwrap_or(usual.max_cuts), min_scene_s })
            }
        })
    }
}

/// A bar on stderr; hidden when that is no terminal, and with `--quiet`.
fn progress_bar(context: &Context, duration_s: Option<f64>) -> ProgressBar {
    let target = if context.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let millis = duration_s.map(|seconds| (seconds * 1000.0) as u64);
    let bar = ProgressBar::with_draw_target(millis, target);
    let style = ProgressStyle::with_template("looking for scenes {wide_bar} {percent}% {eta}");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

fn parse_threshold(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("`{text}` is no threshold; write a number from 0 on")),
    }
}
