//! `longsight model`: what can be run here, what a checkpoint is, and whether it computes what it should.

use super::dtype::Dtype;
use super::failure::{Failure, Kind, Result};
use super::model_dir::{self, BUNDLED};
use super::{Context, output, wait};
use crate::verify::{self, LogitDifference, PixelDifference, Report, TensorDifference, VerifyError};
use clap::Subcommand;
use longsight_models::{Card, Checkpoint, ModelError, family_of};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `longsight model`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  longsight model list
  longsight model info Qwen/Qwen3-VL-2B-Instruct
  longsight model verify tests/fixtures/goldens/qwen3_vl-a --json")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the bundled model and those in the Hugging Face cache
    List,
    /// Show what a checkpoint is: family, sizes, dtype, context
    Info {
        /// Checkpoint folder, hub id in the local cache, or longsight-tiny
        #[arg(default_value = BUNDLED)]
        model: String,
    },
    /// Replay a reference that lies beside a checkpoint, and compare
    Verify {
        /// Checkpoint folder that also holds frames.safetensors, golden.safetensors and golden.json
        dir: PathBuf,
        /// Number format of the computation
        #[arg(long, value_enum, default_value_t)]
        dtype: Dtype,
    },
    /// Say how to download a model: this build has no network code
    Pull {
        /// Hub id
        id: String,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result {
    match &args.action {
        Action::List => list(context),
        Action::Info { model } => info(model, context),
        Action::Verify { dir, dtype } => {
            let (dir, dtype, context) = (dir.clone(), *dtype, context.clone());
            wait::at_once(move || check(&dir, dtype, &context))
        }
        Action::Pull { id } => Err(Failure::new(Kind::Model, format!("{id}: this build has no network code"))
            .hint(format!("{}, then use --model {id}", model_dir::download_hint(id)))),
    }
}

/// `longsight.models/1`
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Listing {
    schema: &'static str,
    models: Vec<Entry>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Entry {
    id: String,
    path: PathBuf,
    source: &'static str,
    /// `None` if no family here can run it
    family: Option<&'static str>,
    parameters: Option<u64>,
    /// Why it cannot be run
    problem: Option<String>,
}

fn list(context: &Context) -> Result {
    let entry = |found: model_dir::Found| {
        let card = card(&found.path);
        let (family, parameters) =
            card.as_ref().map_or((None, None), |card| (Some(card.family), Some(card.parameters)));
        let problem = card.err().map(|error| error.to_string());
        Entry { id: found.id, path: found.path, source: found.source, family, parameters, problem }
    };
    let models: Vec<Entry> = model_dir::installed().into_iter().map(entry).collect();
    if context.json {
        return output::json(&Listing { schema: "longsight.models/1", models });
    }
    for model in &models {
        let what = match (model.family, model.parameters) {
            (Some(family), Some(parameters)) => format!("{family}, {} parameters", short(parameters)),
            _ => "not supported".to_owned(),
        };
        output::text(&format!("{:<40} {what:<32} {}", model.id, model.path.display()));
    }
    if models.is_empty() {
        output::note(context, "no models found; give a checkpoint folder with --model DIR");
    }
    Ok(())
}

/// `longsight.model/1`
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Info<'a> {
    schema: &'static str,
    id: &'a str,
    path: &'a Path,
    #[serde(flatten)]
    card: &'a Card,
    kv_bytes_per_token: usize,
}

fn info(model: &str, context: &Context) -> Result {
    let path = model_dir::resolve(model)?;
    let card = card(&path).map_err(|error| refused(&error))?;
    let kv_bytes_per_token = card.kv_bytes_per_token(size_of::<f32>());
    if context.json {
        return output::json(&Info {
            schema: "longsight.model/1",
            id: model,
            path: &path,
            card: &card,
            kv_bytes_per_token,
        });
    }
    let Card { layers, hidden, heads, kv_heads, head_dim, .. } = card;
    for (name, value) in [
        ("path", path.display().to_string()),
        ("family", card.family.to_owned()),
        ("parameters", format!("{} ({} bytes, {:?})", short(card.parameters), card.weight_bytes, card.dtype)),
        (
            "language",
            format!(
                "{layers} layers of {hidden}, {heads} heads of {head_dim} over {kv_heads}, vocabulary {}",
                card.vocabulary
            ),
        ),
        (
            "vision",
            format!(
                "{} layers of {}, patches of {} px, {merge} x {merge} to a token",
                card.vision_layers,
                card.vision_hidden,
                card.patch,
                merge = card.merge
            ),
        ),
        (
            "video",
            format!(
                "{} frames per second, {} to {} frames, {} to a token",
                card.fps, card.frames.0, card.frames.1, card.temporal_patch
            ),
        ),
        ("context", format!("{} tokens, {kv_bytes_per_token} bytes of keys and values each in f32", card.context)),
    ] {
        output::text(&format!("{name:<11} {value}"));
    }
    Ok(())
}

fn check(dir: &Path, dtype: Dtype, context: &Context) -> Result {
    if !dir.is_dir() {
        return Err(Failure::new(Kind::Model, format!("{}: no such folder", dir.display())));
    }
    let report = verify::verify(dir, dtype.into()).map_err(|error| match error {
        VerifyError::Model(error) => refused(&error),
        VerifyError::Reference { .. } => Failure::new(Kind::Input, error)
            .hint("tests/fixtures/make_goldens.py writes a reference beside a checkpoint"),
        VerifyError::Prompt(error) => Failure::new(Kind::Model, error),
        VerifyError::Tensor(error) => Failure::new(Kind::Internal, error),
    })?;
    if context.json {
        output::json(&report)?;
    } else {
        table(&report).iter().for_each(|line| output::text(line));
    }
    if report.pass {
        return Ok(());
    }
    Err(Failure::new(Kind::Internal, format!("{}: differs from its reference", dir.display())))
}

fn card(path: &Path) -> std::result::Result<Card, ModelError> {
    let checkpoint = Checkpoint::open(path)?;
    family_of(&checkpoint)?.card(&checkpoint)
}

/// A model that cannot be used, as the user is told.
pub(super) fn refused(error: &ModelError) -> Failure {
    let hint = match error {
        ModelError::Pickle { .. } | ModelError::NoWeights { .. } => {
            "use a checkpoint with *.safetensors, or convert it with transformers' save_pretrained"
        }
        ModelError::UnknownArchitecture { .. } => "`longsight model list` shows what can be run here",
        _ => "",
    };
    Failure::new(Kind::Model, error).hint(hint)
}

fn table(report: &Report) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or("other shape".to_owned(), |value| format!("{value:.3e}"));
    let tensor =
        |TensorDifference { max_abs, rel }: TensorDifference| format!("max {}  rel {}", number(max_abs), number(rel));
    let logits = |LogitDifference { tensor: difference, argmax_agreement }: LogitDifference| {
        format!("{}  same best token {:.2} %", tensor(difference), argmax_agreement * 100.0)
    };
    let PixelDifference { tensor: pixels, max_grey_levels, differing } = report.pixel_values;
    let levels = max_grey_levels.map_or("?".to_owned(), |levels| format!("{levels:.2}"));
    let equal = |equal: bool| if equal { "equal" } else { "DIFFERENT" }.to_owned();
    let mut rows = vec![
        ("family".to_owned(), format!("{} in {}", report.family, report.dtype)),
        ("input_ids".to_owned(), equal(report.input_ids.equal)),
        ("position_ids".to_owned(), equal(report.position_ids.equal)),
        ("pixel_values".to_owned(), format!("{}  {levels} grey levels in {:.2} %", tensor(pixels), differing * 100.0)),
        ("vision_embeds".to_owned(), tensor(report.vision_embeds)),
    ];
    for (level, difference) in report.deepstack_embeds.iter().enumerate() {
        rows.push((format!("deepstack_embeds.{level}"), tensor(*difference)));
    }
    rows.push(("logits".to_owned(), logits(report.logits)));
    rows.push(("logits_end_to_end".to_owned(), logits(report.logits_end_to_end)));
    rows.push(("generated_ids".to_owned(), equal(report.generated_ids.equal)));
    rows.push(("verdict".to_owned(), if report.pass { "pass" } else { "FAIL" }.to_owned()));
    rows.into_iter().map(|(name, value)| format!("{name:<20} {value}")).collect()
}

/// `2.1 B`, `11.4 M`.
fn short(count: u64) -> String {
    let count = count as f64;
    match count {
        _ if count >= 1e9 => format!("{:.1} B", count / 1e9),
        _ if count >= 1e6 => format!("{:.1} M", count / 1e6),
        _ => format!("{:.0} K", count / 1e3),
    }
}
