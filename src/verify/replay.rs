//! Runs a model on a reference's input.

use super::compare::{Equal, LogitDifference, PixelDifference, TensorDifference};
use super::reference::Reference;
use super::{Report, Tolerance, VerifyError};
use crate::generate::PREFILL_ROWS;
use crate::prompt::Prompter;
use candle_core::{D, DType, Tensor};
use longsight_models::{
    Checkpoint, ComputeDtype, Dense, GrowingCache, LoadOptions, Medium, ModelError, Patches, Sequence, Size,
    VisualTokens, Vlm, Want, family_of,
};
use std::path::Path;

/// Loads the checkpoint in `folder` and replays the reference beside it, computing in `compute`.
///
/// # Errors
/// When either cannot be read. Differences are no error: they are in the report.
pub fn verify(folder: &Path, compute: ComputeDtype) -> Result<Report, VerifyError> {
    let checkpoint = Checkpoint::open(folder)?;
    let family = family_of(&checkpoint)?;
    let reference = Reference::open(folder)?;
    let prompter = Prompter::open(&checkpoint)?;
    let model = family.load(&checkpoint, &LoadOptions { compute, ..LoadOptions::default() })?;
    let model = &*model;

    let own = own_patches(model, &reference)?;
    let expected_pixels = reference.tensor("pixel_values_videos")?;
    let pixel_values = PixelDifference::of(own.pixels(), expected_pixels, model.card().grey_level)?;

    // The grid is the reference's, so that the network can be compared even where the sizes are not the same.
    let grid = reference.grid()?;
    let times = if own.grid().t == grid.t { own.times().to_vec() } else { Vec::new() };
    let given = Patches::new(expected_pixels.to_dtype(DType::F32)?, grid, times, Medium::Video)?;
    let media = [model.encode(&given)?];
    let vision_embeds = TensorDifference::of(media[0].embeddings(), reference.tensor("vision_embeds")?)?;
    let deepstack_embeds = deepstack(&media[0], &reference)?;

    let seconds = Some(reference.seconds_per_patch(model.card().temporal_patch));
    let expected_ids = reference.ids("input_ids")?;
    let ids = prompter.tokenizer().encode(&model.processor().expand(&reference.golden.prompt, &media)?)?;
    let sequence = model.processor().layout(&expected_ids, &media, seconds)?;
    let position_ids = Equal { equal: sequence.positions().concat() == reference.ids("position_ids")? };

    let expected_logits = reference.tensor("logits")?;
    let logits = LogitDifference::of(&all_logits(model, &sequence, &media)?, expected_logits)?;
    let generated = reference.ids("generated_ids")?;
    let generated_ids = Equal { equal: greedy(model, sequence, &media, generated.len())? == generated };

    let own_media = [model.encode(&own)?];
    let logits_end_to_end = match model.processor().layout(&expected_ids, &own_media, seconds) {
        Ok(sequence) => LogitDifference::of(&all_logits(model, &sequence, &own_media)?, expected_logits)?,
        // Frames of another size than the reference's leave another number of tokens: there is nothing to compare.
        Err(ModelError::Placeholders { .. }) => {
            LogitDifference { tensor: TensorDifference { max_abs: None, rel: None }, argmax_agreement: 0.0 }
        }
        Err(error) => return Err(error.into()),
    };

    let mut report = Report {
        schema: "longsight.verify/1",
        family: family.name(),
        dtype: compute.name(),
        input_ids: Equal { equal: ids == expected_ids },
        position_ids,
        pixel_values,
        vision_embeds,
        deepstack_embeds,
        logits,
        logits_end_to_end,
        generated_ids,
        pass: false,
    };
    report.pass = passes(&report, Tolerance::of(compute));
    Ok(report)
}

fn passes(report: &Report, tolerance: Tolerance) -> bool {
    report.input_ids.equal
        && report.position_ids.equal
        && (report.generated_ids.equal || !tolerance.generated)
        && report.pixel_values.is_rounding()
        && report.vision_embeds.within(tolerance.network)
        && report.deepstack_embeds.iter().all(|level| level.within(tolerance.network))
        && report.logits.tensor.within(tolerance.network)
        && report.logits_end_to_end.tensor.within(tolerance.end_to_end)
}

/// The frames through this program's own resizing and patching.
fn own_patches(model: &dyn Vlm, reference: &Reference) -> Result<Patches, VerifyError> {
    let image = &reference.frames[0].image;
    let source = Size { width: image.width(), height: image.height() };
    let size = model.processor().frame_size(source, reference.frames.len(), None)?;
    Ok(model.processor().patch(&reference.frames, size)?)
}

fn deepstack(tokens: &VisualTokens, reference: &Reference) -> Result<Vec<TensorDifference>, VerifyError> {
    let expected = reference.deepstack();
    if expected.len() != tokens.deepstack().len() {
        let message = format!("{} DeepStack levels, the model has {}", expected.len(), tokens.deepstack().len());
        return Err(reference.wrong(message));
    }
    let pairs = tokens.deepstack().iter().zip(expected);
    Ok(pairs.map(|(found, expected)| TensorDifference::of(found, expected)).collect::<Result<_, _>>()?)
}

/// Scores after every token, run in the chunks that generation uses.
fn all_logits(model: &dyn Vlm, sequence: &Sequence, media: &[VisualTokens]) -> Result<Tensor, VerifyError> {
    let mut kv = GrowingCache::new();
    let mut parts = Vec::new();
    for start in (0..sequence.len()).step_by(PREFILL_ROWS) {
        let end = sequence.len().min(start + PREFILL_ROWS);
        let logits = model.forward(sequence, start..end, media, &mut Dense, &mut kv, Want::All)?;
        parts.push(logits.tensor().clone());
    }
    Ok(Tensor::cat(&parts, 0)?)
}

/// Up to `most` tokens, each the most likely, with a KV cache.
fn greedy(
    model: &dyn Vlm,
    mut sequence: Sequence,
    media: &[VisualTokens],
    most: usize,
) -> Result<Vec<u32>, VerifyError> {
    let mut kv = GrowingCache::new();
    let (mut ids, mut start) = (Vec::new(), 0);
    while ids.len() < most {
        let logits = model.forward(&sequence, start..sequence.len(), media, &mut Dense, &mut kv, Want::Last)?;
        let id = logits.last()?.argmax(D::Minus1)?.to_scalar::<u32>()?;
        ids.push(id);
        if model.card().eos.contains(&id) {
            break;
        }
        start = sequence.len();
        sequence.push(id);
    }
    Ok(ids)
}
