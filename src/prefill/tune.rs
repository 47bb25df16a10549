//! The search for each head's pattern: every candidate is tried beside dense attention, on real prompts, and heads share a budget.
//!
//! MMInference (its Algorithm 4) takes for each head the pattern nearest to dense attention at one fixed cost. Heads differ in
//! what a cost buys them, so here one price is put on cost for all heads and each takes what is best at that price; the price is
//! the one at which all together keep to the budget.

use super::a_shape::AShape;
use super::clusters::Clusters;
use super::file::TunedHead;
use super::grid::{Grid, Stride};
use super::kept;
use super::layout::Layout;
use super::pattern::{Boundary, HeadPattern, Pattern};
use super::sparse::{Heads, Ledger, Sparse};
use super::vertical_slash::VerticalSlash;
use candle_core::{DType, Tensor};
use longsight_kernels::attention::{Mask, Program};
use longsight_models::{Attention, Call, ModelError};

/// What is tried for every head: not dense attention, whose cost at the length that is tried says nothing of it at ten times that length.
#[must_use]
pub fn candidates() -> Vec<HeadPattern> {
    let a_shape = |local| HeadPattern::from(Pattern::AShape(AShape { local }));
    let mut all: Vec<HeadPattern> = [32, 128, 512, 2048].map(a_shape).to_vec();
    let shapes = [(256, 512, 64), (1024, 1024, 128), (2048, 2048, 512)];
    let vertical_slash = |(vertical, slash, local)| Pattern::VerticalSlash(VerticalSlash { vertical, slash, local });
    let mut dynamic: Vec<Pattern> = shapes.map(vertical_slash).to_vec();
    for local in [32, 128, 512] {
        let grid = |vertical, horizontal, slash| {
            Pattern::Grid(Grid { stride: Stride::Frame, vertical, horizontal, slash, local })
        };
        dynamic.extend([1, 2, 4].map(|vertical| grid(vertical, 0, false)));
        dynamic.extend([grid(0, 1, false), grid(1, 1, false), grid(2, 1, false), grid(2, 2, false)]);
        dynamic.extend([grid(0, 0, true), grid(1, 0, true), grid(1, 1, true)]);
    }
    dynamic.push(Pattern::Grid(Grid { stride: Stride::Free, vertical: 1, horizontal: 0, slash: false, local: 512 }));
    let clusters = |means| HeadPattern::from(Pattern::Clusters(Clusters { means, local: 32 }));
    all.extend([256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192].map(clusters));
    for pattern in dynamic {
        let boundaries = [Boundary::None, Boundary::Query, Boundary::Both];
        all.extend(boundaries.map(|boundary| HeadPattern { pattern, boundary }));
    }
    all
}

/// How a candidate did for a head, summed over prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tried {
    recall: f64,
    density: f64,
    error: f64,
}

/// Dense attention that tries every candidate on the last whole chunk before a prompt's question.
#[derive(Debug)]
pub struct Trial {
    candidates: Vec<HeadPattern>,
    /// By layer, candidate and head
    tried: Vec<Vec<Vec<Tried>>>,
    prompts: usize,
}

impl Trial {
    /// Of these candidates.
    #[must_use]
    pub fn new(candidates: Vec<HeadPattern>) -> Self {
        Self { candidates, tried: Vec::new(), prompts: 0 }
    }

    /// Prompts that were long enough to try something on.
    #[must_use]
    pub fn prompts(&self) -> usize {
        self.prompts
    }

    /// For each layer and head the candidate that costs least in error and price, at the price at which the mean density of all heads is
    /// no more than `budget`. Of the last of the model's `layers` no row but the prompt's last is wanted, so it has no attention to save.
    #[must_use]
    pub fn best(&self, budget: f64, layers: usize) -> Vec<Vec<TunedHead>> {
        let at = |price: f64| -> Vec<Vec<TunedHead>> {
            self.tried.iter().map(|layer| self.of_layer(layer, price)).collect()
        };
        let density = |heads: &[Vec<TunedHead>]| {
            let all: Vec<f64> = heads.iter().flatten().map(|head| head.density).collect();
            all.iter().sum::<f64>() / all.len().max(1) as f64
        };
        let (mut cheap, mut dear) = (1e-6, 1e6);
        for _ in 0..60 {
            let price = f64::sqrt(cheap * dear);
            if density(&at(price)) > budget {
                cheap = price;
            } else {
                dear = price;
            }
        }
        let mut heads = at(dear);
        let spared =
            TunedHead { pattern: Pattern::Dense, boundary: Boundary::None, recall: 1.0, density: 0.0, error: 0.0 };
        let width = heads.first().map_or(0, Vec::len);
        heads.resize(layers, vec![spared; width]);
        heads
    }

    fn of_layer(&self, layer: &[Vec<Tried>], price: f64) -> Vec<TunedHead> {
        let heads = layer.first().map_or(0, Vec::len);
        let share = 1.0 / self.prompts.max(1) as f64;
        let head = |head: usize| {
            let cost = |&candidate: &usize| {
                let tried = layer[candidate][head];
                (tried.error + price * tried.density) * share
            };
            let best = (0..layer.len()).min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
            let (tried, HeadPattern { pattern, boundary }) = (layer[best][head], self.candidates[best]);
            let [recall, density, error] = [tried.recall, tried.density, tried.error].map(|sum| sum * share);
            Some(TunedHead { pattern, boundary, recall, density, error })
        };
        (0..heads).filter_map(head).collect()
    }

    fn compare(&mut self, call: &Call<'_>) -> Result<Tensor, ModelError> {
        let shape = call.shape()?;
        let (dense, whole) = call.program(&Program::of(Mask::Causal { first: call.first }, shape))?;
        let layout = Layout::of(call.sequence);
        let of_heads = |x: &Tensor| x.to_dtype(DType::F32)?.flatten_from(1)?.to_vec2::<f32>();
        let want = of_heads(&dense)?;
        if self.tried.len() <= call.layer {
            let none = vec![vec![Tried::default(); shape.heads]; self.candidates.len()];
            self.tried.resize(call.layer + 1, none);
        }
        if call.layer == 0 {
            self.prompts += 1;
        }
        let scores = shape.rows as f64 * (call.first as f64 + (shape.rows as f64 + 1.0) / 2.0);
        for (candidate, tried) in self.candidates.iter().zip(&mut self.tried[call.layer]) {
            let mut sparse = Sparse::new(Heads::all(*candidate), Ledger::default());
            let program = kept::program(shape, call.first, &sparse.decide(call)?, &layout);
            let costs = program.scores(shape);
            let (out, attended) = call.program(&program)?;
            for (head, (got, want)) in of_heads(&out)?.iter().zip(&want).enumerate() {
                let rows = head * shape.rows..(head + 1) * shape.rows;
                let kept = attended.lse[rows.clone()].iter().zip(&whole.lse[rows]);
                tried[head].recall +=
                    kept.map(|(kept, all)| f64::from((kept - all).exp())).sum::<f64>() / shape.rows as f64;
                tried[head].density += costs[head] as f64 / scores;
                let difference: f64 = got.iter().zip(want).map(|(got, want)| f64::from(got - want).powi(2)).sum();
                let norm: f64 = want.iter().map(|&want| f64::from(want).powi(2)).sum();
                tried[head].error += (difference / norm.max(f64::MIN_POSITIVE)).sqrt();
            }
        }
        Ok(dense)
    }
}

impl Attention for Trial {
    fn attend(&mut self, call: Call<'_>) -> Result<Tensor, ModelError> {
        let shape = call.shape()?;
        let end = call.first + shape.rows;
        let question = Layout::of(call.sequence).end();
        // The last chunk that ends before the question, of which there is one when there are more than two.
        if call.first > 0 && end <= question && end + shape.rows > question {
            return self.compare(&call);
        }
        call.dense()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_share_a_budget_by_what_it_buys_them() {
        let local = |local| Pattern::AShape(AShape { local }).into();
        let mut trial = Trial::new(vec![Pattern::Dense.into(), local(64), local(8)]);
        let tried = |error, density| Tried { recall: 1.0 - error, density, error };
        // The first head loses much by a window, the second nothing.
        trial.tried = vec![vec![
            vec![tried(0.0, 1.0), tried(0.0, 1.0)],
            vec![tried(0.5, 0.1), tried(0.001, 0.1)],
            vec![tried(0.9, 0.01), tried(0.002, 0.01)],
        ]];
        trial.prompts = 1;
        let names = |budget| -> Vec<f64> { trial.best(budget, 1)[0].iter().map(|head| head.density).collect() };
        assert_eq!(names(0.6), [1.0, 0.1]);
        assert_eq!(names(0.52), [1.0, 0.01]);
        assert_eq!(names(0.06), [0.1, 0.01]);
        assert_eq!(names(0.01), [0.01, 0.01]);
    }
}
