//! `longsight plan`: what a run would do and take, before it does it.

use super::ask::{ModelArgs, PipelineArgs};
use super::failure::Result;
use super::time::format_time;
use super::video::Input;
use super::{Context, output, rates, wait};
use crate::recipe::Options;
use crate::run::{self, Forecast, Foreseen, Prospect, Question};
use std::path::PathBuf;

const EXAMPLES: &str = r#"Examples:
  longsight plan film.mp4
  longsight plan film.mp4 "When does it rain?" --memory 4G --budget 60s
  longsight plan film.mp4 "Who speaks after 2:00?" "When is the demo shown?"
  longsight plan film.mp4 --pipeline hour --json
  longsight plan film.mp4 --model Qwen/Qwen3-VL-8B-Instruct --dtype q8_0 --max-tokens 32000"#;

/// Arguments of `longsight plan`.
#[derive(Debug, Clone, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct Args {
    /// The video; `-` reads a pipe
    video: PathBuf,
    /// What would be asked: one or more questions, which share one reading of the video
    questions: Vec<String>,
    /// The answers to choose from, for multiple choice
    #[arg(long, num_args = 1.., value_name = "CHOICE")]
    choices: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    let (args, context) = (args.clone(), context.clone());
    wait::at_once(move || foretell(&args, &context))
}

fn foretell(args: &Args, context: &Context) -> Result {
    let questions = args.questions.iter().map(|text| Question::read(text, &args.choices));
    let questions = questions.collect::<std::result::Result<Vec<_>, _>>()?;
    let input = Input::open(&args.video, &context.decoder.limits())?;
    let options = args.pipeline.options()?;
    let forecast = forecast(&input, &args.model, &args.pipeline, &options, &questions, context)?;
    if context.json {
        return output::json(&forecast);
    }
    output::bytes(table(&forecast, context).as_bytes());
    output::delivered()
}

/// Plans a run of a video that is open.
///
/// # Errors
/// With exit code 6 when nothing fits, and those of the model and the video.
pub(super) fn forecast(
    input: &Input,
    model: &ModelArgs,
    pipeline: &PipelineArgs,
    options: &Options,
    questions: &[Question],
    context: &Context,
) -> Result<Forecast> {
    let facts = input.facts()?;
    let outline = model.outline()?;
    let machine = rates::of_machine(outline.facts(), context, || rates::measure(&model.load()?, context))?;
    let rates = rates::of_video(&machine, input, options, outline.fps())?;
    let info = input.video.info();
    let prospect = Prospect { facts: &facts, info, pipeline: &pipeline.reading.pipeline, options, questions };
    Ok(run::forecast(&outline, &prospect, &rates)?)
}

/// The plan for people; its warnings are told at once.
pub(super) fn table(forecast: &Forecast, context: &Context) -> String {
    let (plan, seen) = (&forecast.plan, &forecast.coverage);
    let mut table = String::new();
    let mut line = |name: &str, text: &str| table.push_str(&format!("{name:<16} {text}\n"));
    line("pipeline", &plan.pipeline);
    line("looks at", &format!("{} to {}", format_time(seen.from), format_time(seen.to)));
    let fps = plan.decode.effective_fps.map_or_else(|| "every frame".to_owned(), |fps| format!("{fps:.3} a second"));
    line("frames", &format!("{} of {}x{}, {fps}", seen.frames_seen, plan.vision.width, plan.vision.height));
    line("largest gap", &format!("{:.2} s: shorter events can be missed", seen.max_gap_s));
    let compress = match plan.compress.method.as_str() {
        "none" => String::new(),
        method => format!(", {} after {method}", plan.compress.tokens),
    };
    line("visual tokens", &format!("{}{compress}", plan.vision.tokens));
    let prompts = match forecast.questions.len() {
        0 | 1 => String::new(),
        questions => format!(" for {questions} questions"),
    };
    line("prompt", &format!("{} tokens{prompts}, {} prefill", forecast.prompt_tokens, word(&plan.prefill.mode)));
    for one in &forecast.questions {
        let Foreseen { question, reading, parts, coverage, prompt_tokens } = one;
        let (from, to) = (format_time(coverage.from), format_time(coverage.to));
        let parts = if *parts > 1 { format!(" in {parts} parts") } else { String::new() };
        let asked =
            if reading.asked == *question { String::new() } else { format!(", asked as \"{}\"", reading.asked) };
        line("asked", &format!("\"{question}\": {from} to {to}{parts}, {prompt_tokens} tokens{asked}"));
    }
    let megabytes = |bytes: u64| format!("{} MB", bytes >> 20);
    line(
        "peak memory",
        &format!("{}, of it {} keys and values", megabytes(forecast.memory_bytes), megabytes(forecast.kv_bytes)),
    );
    let t = &forecast.timing_s;
    line(
        "time",
        &format!(
            "{:.1} s: decoding {:.1}, vision {:.1}, prefill {:.1}, answer {:.1}, closer looks {:.1}",
            forecast.estimated_s, t.decode, t.vision, t.prefill, t.generate, t.check
        ),
    );
    for warning in &forecast.warnings {
        output::note(context, &format!("warning: {warning}"));
    }
    table
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}
