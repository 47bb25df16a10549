//! The command line: arguments in, results on stdout, talk on stderr, an exit code out.
//!
//! One file per subcommand: its `Args`, and `run(args, context)`. Only this module prints, reads the
//! environment or decides the exit code.

mod ask;
mod batch;
mod bench;
mod cache;
mod completions;
mod decoder;
mod describe;
mod device;
mod doctor;
mod dtype;
mod environment;
mod failure;
mod find;
mod frames;
mod handover;
mod index;
mod model;
mod model_dir;
mod output;
mod plan;
mod progress;
mod rates;
mod scenes;
mod schemas;
mod time;
mod tune;
mod video;
mod wait;

pub use failure::{Failure, Kind};
pub use model_dir::resolve;
pub use schemas::schemas;
pub use time::parse_time;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Ask questions about hours of video on your own machine; answers come with checked timestamps.
#[derive(Debug, Parser)]
#[command(name = "longsight", version, arg_required_else_help = true, propagate_version = true, after_help = environment::help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    context: Context,
}

/// Flags that every subcommand takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Context {
    /// Print the result as JSON (a contract: schemas/ in the repository)
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr; twice for every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    #[command(flatten)]
    decoder: decoder::DecoderArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer questions about a video, with the spans that the answers rest on
    Ask(ask::Args),
    /// Say what a run would do and what it would take, before it does it
    Plan(plan::Args),
    /// Find where a described moment happens, in videos and folders of them
    Find(find::Args),
    /// Say what happens in a video, scene by scene, and in which chapters
    Describe(describe::Args),
    /// Ask questions about every video of a folder; what was interrupted goes on where it stopped
    Batch(batch::Args),
    /// List the shots of a video
    Scenes(scenes::Args),
    /// Show the frames that a run would look at, with their exact times
    Frames(frames::Args),
    /// Read videos once and keep what later questions need
    Index(index::Args),
    /// Measure: decoding, scenes, answers
    Bench(bench::Args),
    /// Find the attention pattern of every head of a model, for sparse prefill
    Tune(tune::Args),
    /// What models can be run here
    Model(model::Args),
    /// What will work on this machine
    Doctor(doctor::Args),
    /// Write a shell's completion script to stdout
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(completions::ManArgs),
}

/// Reads the arguments and the environment.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let given = command.try_get_matches_from_mut(std::env::args_os())?;
    let mut cli = Cli::from_arg_matches(&given).map_err(|error| error.format(&mut command))?;
    if let (Command::Frames(args), Some((_, given))) = (&mut cli.command, given.subcommand()) {
        args.settle(given).map_err(|error| error.format(&mut command))?;
    }
    Ok(cli)
}

/// Parses the arguments, runs the command and gives its exit code. What is printed is lost where stdout was closed when the process
/// began, whatever stands in its place now.
#[must_use]
pub fn main(stdout_was_closed: bool) -> ExitCode {
    if decoder::is_wanted() {
        return decoder::serve();
    }
    if stdout_was_closed {
        output::close();
    }
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::start_log(&cli.context);
    let context = cli.context;
    environment::check(&context);
    let result = match cli.command {
        Command::Ask(args) => ask::run(&args, &context),
        Command::Plan(args) => plan::run(&args, &context),
        Command::Find(args) => find::run(&args, &context),
        Command::Describe(args) => describe::run(&args, &context),
        Command::Batch(args) => batch::run(&args, &context),
        Command::Scenes(args) => scenes::run(&args, &context),
        Command::Frames(args) => frames::run(&args, &context),
        Command::Index(args) => index::run(&args, &context),
        Command::Bench(args) => bench::run(&args, &context),
        Command::Tune(args) => tune::run(&args, &context),
        Command::Model(args) => model::run(&args, &context),
        Command::Doctor(args) => doctor::run(&args, &context),
        Command::Completions(args) => {
            completions::completions(&args);
            Ok(())
        }
        Command::Man(args) => completions::man(&args),
    };
    match result.and_then(|()| output::delivered()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::fail(&failure, &context),
    }
}
