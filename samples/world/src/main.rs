//! `world`: clips, training sets and samples of the generated world.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use longsight_world::clip;
use longsight_world::dice;
use longsight_world::export::{ExportOptions, export};
use longsight_world::media::EncodeOptions;
use longsight_world::samples;
use longsight_world::script::{Script, Wishes};

/// Videos with known truth.
#[derive(Parser)]
#[command(name = "world", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write one clip as MP4, and its script and questions beside it as JSON
    Clip(ClipArgs),
    /// Write sampled frames and questions to train on
    Export(ExportArgs),
    /// Write the demo clips and their questions
    Samples {
        /// Folder to write to
        #[arg(long, default_value = "samples")]
        out: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    Train,
    HeldOut,
}

impl From<Split> for dice::Split {
    fn from(split: Split) -> Self {
        match split {
            Split::Train => Self::Train,
            Split::HeldOut => Self::HeldOut,
        }
    }
}

#[derive(Args)]
struct ClipArgs {
    /// Seed of the clip
    #[arg(long)]
    seed: u64,
    /// Which seeds
    #[arg(long, value_enum, default_value = "held-out")]
    split: Split,
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// Shortest and longest length in seconds
    #[arg(long, value_parser = range, default_value = "10..60")]
    seconds: (f64, f64),
    /// Width and height in pixels
    #[arg(long, value_parser = size, default_value = "320x320")]
    size: (u32, u32),
    /// Pictures a second, as a number or a fraction like 30000/1001
    #[arg(long, value_parser = rate, default_value = "12")]
    fps: (u32, u32),
    /// Constant rate factor: 0 to 51, less is better
    #[arg(long, default_value_t = 23)]
    crf: u32,
    /// Preset of x264
    #[arg(long, default_value = "medium")]
    preset: String,
    /// Longest distance of key pictures
    #[arg(long, default_value_t = 120)]
    gop: u32,
    /// Most questions
    #[arg(long, default_value_t = 16)]
    questions: usize,
}

#[derive(Args)]
struct ExportArgs {
    /// Folder to write to
    #[arg(long)]
    out: PathBuf,
    /// Which seeds
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Seed of the first clip
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many clips
    #[arg(long)]
    clips: u64,
    /// Shortest clip in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds_min: f64,
    /// Longest clip in seconds
    #[arg(long, default_value_t = 60.0)]
    seconds_max: f64,
    /// Clips of a second that always have a sign, instead
    #[arg(long, conflicts_with_all = ["seconds_min", "seconds_max"])]
    boards: bool,
    /// Most questions of a clip
    #[arg(long, default_value_t = 16)]
    questions: usize,
    /// Width and height of the frames in pixels
    #[arg(long, value_parser = size, default_value = "96x96")]
    size: (u32, u32),
    /// Widths over heights that clips are filmed at before they become frames, one drawn for each; without, they are squares
    #[arg(long, value_delimiter = ',', value_parser = ratio)]
    ratios: Vec<f64>,
    /// Frames a second
    #[arg(long, default_value_t = 2.0)]
    sample_fps: f64,
    /// Most frames of a clip; longer clips are sampled more thinly
    #[arg(long, default_value_t = 64)]
    max_frames: usize,
    /// Threads
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut chain = error.to_string();
            let mut cause = error.source();
            while let Some(source) = cause {
                chain = format!("{chain}: {source}");
                cause = source.source();
            }
            say(&format!("world: {chain}"));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Clip(args) => {
            let wishes = Wishes { shortest: args.seconds.0, longest: args.seconds.1 };
            let script = Script::write(args.split.into(), args.seed, &wishes);
            let (width, height) = args.size;
            let options =
                EncodeOptions { width, height, rate: args.fps, crf: args.crf, preset: args.preset, gop: args.gop };
            clip::write(&script, &args.out, &options, args.questions)?;
        }
        Command::Samples { out } => samples::write(&out)?,
        Command::Export(args) => {
            let options = ExportOptions {
                split: args.split.into(),
                seed: args.seed,
                clips: args.clips,
                wishes: Wishes { shortest: args.seconds_min, longest: args.seconds_max },
                boards: args.boards,
                questions: args.questions,
                size: args.size,
                ratios: args.ratios,
                sample_fps: args.sample_fps,
                max_frames: args.max_frames,
                jobs: args.jobs,
            };
            let mut next = 0;
            export(&args.out, &options, |written| {
                if written >= next || written == options.clips {
                    say(&format!("{written} of {} clips", options.clips));
                    next = written + 1000;
                }
            })?;
        }
    }
    Ok(())
}

/// Talk goes to stderr; a closed stderr is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| text.parse::<f64>().map_err(|error| format!("{text:?}: {error}"));
    let (low, high) = (number(low)?, number(high)?);
    if 1.0 <= low && low <= high { Ok((low, high)) } else { Err("expected A..B with 1 <= A <= B".to_owned()) }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    two(text, 'x')?.ok_or_else(|| "expected WIDTHxHEIGHT".to_owned())
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().map_err(|error| format!("{text:?}: {error}"))?;
    if (0.2..=5.0).contains(&ratio) { Ok(ratio) } else { Err("expected a ratio from 0.2 to 5".to_owned()) }
}

fn rate(text: &str) -> Result<(u32, u32), String> {
    let rate = match two(text, '/')? {
        Some(rate) => rate,
        None => (text.parse().map_err(|error| format!("{text:?}: {error}"))?, 1),
    };
    if rate.0 > 0 && rate.1 > 0 { Ok(rate) } else { Err("expected a rate above zero".to_owned()) }
}

fn two(text: &str, by: char) -> Result<Option<(u32, u32)>, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text:?}: {error}"));
    text.split_once(by).map(|(one, other)| Ok((number(one)?, number(other)?))).transpose()
}
