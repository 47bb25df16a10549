//! The moments of what was encoded that go on, by the plan's sampler.

use super::{Model, Question, RunError};
use crate::sample::{Moments, Sampler, chosen, relevance};
use candle_core::{DType, Tensor};
use longsight_models::{ModelError, VisualTokens};

/// The chosen share of moments of full patches.
pub(super) fn choose(
    model: &Model,
    sampler: &dyn Sampler,
    keep: f64,
    questions: &[Question],
    tokens: &VisualTokens,
) -> Result<VisualTokens, RunError> {
    let cells = tokens.grid().0 * tokens.grid().1;
    let rows = rows(tokens.embeddings())?;
    let moments: Vec<&[Vec<f32>]> = rows.chunks(cells.max(1)).collect();
    let relevance = if sampler.reads_questions() {
        relevance(&moments, &words(model, questions)?)
    } else {
        vec![0.0; moments.len()]
    };
    let means = moments.iter().map(|tokens| mean(tokens)).collect();
    let count = chosen(moments.len(), keep);
    Ok(tokens.pick(&sampler.choose(&Moments { means, relevance }, count))?)
}

/// The language model's vectors of the questions' tokens.
fn words(model: &Model, questions: &[Question]) -> Result<Vec<Vec<f32>>, RunError> {
    let mut ids = Vec::new();
    for question in questions {
        ids.extend(model.prompter.tokenizer().encode(&question.text)?);
        for choice in &question.choices {
            ids.extend(model.prompter.tokenizer().encode(choice)?);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(rows(&model.vlm().embed(&ids)?)?)
}

fn rows(table: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
    Ok(table.to_dtype(DType::F32)?.to_vec2()?)
}

fn mean(tokens: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; tokens.first().map_or(0, Vec::len)];
    for token in tokens {
        sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value / tokens.len() as f32);
    }
    sum
}
