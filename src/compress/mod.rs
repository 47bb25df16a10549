//! Which visual tokens are worth their place in the prompt?
//!
//! Comes in: visual tokens of a window of temporal patches, as they leave the vision tower. Goes out: a [`Selection`] of exactly as
//! many as the plan said, so that what fits is known before a frame is decoded. Never: the question, or a look at the rest of the
//! video, so that memory does not grow with its length.
//!
//! Methods are training-free. A token that is left keeps its place in time and picture, and its DeepStack rows.

mod context;
mod evs;
mod pooling;
mod random;
mod salient;
mod stream;
#[cfg(test)]
mod tests;
mod uniform;
mod v_cast;
mod window;

pub use stream::Stream;
pub use window::Window;

use longsight_models::{ModelError, Selection};

/// Temporal patches that are looked at together. At the released 8B model's widths and 300 tokens a patch, a window takes 160 MB.
pub const WINDOW: usize = 32;

/// A way to do with fewer visual tokens.
pub trait Compressor: std::fmt::Debug + Send + Sync {
    /// Tokens that are left of so many temporal patches of `(rows, columns)` tokens each; exactly what `select` gives.
    fn kept(&self, patches: usize, grid: (usize, usize)) -> usize;

    /// What is left of a window.
    ///
    /// # Errors
    /// When the window's numbers cannot be read.
    fn select(&self, window: &Window) -> Result<Selection, ModelError>;

    /// For a method that pools in the vision tower, before its mergers: by how many tokens a side each of a window's temporal patches is
    /// pooled, `None` where nothing of it goes on. What leaves the tower is then all that is kept, and `select` is not asked.
    fn strides(&self, _grid: (usize, usize)) -> Option<Vec<Option<usize>>> {
        None
    }

    /// Whether it draws, so that the seed makes a difference.
    fn draws(&self) -> bool {
        false
    }
}

/// How a method is set up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The share of tokens to keep, above 0 and below 1
    pub keep: f64,
    /// For methods that draw
    pub seed: u64,
}

impl Settings {
    /// Tokens to keep of so many: never none.
    fn budget(&self, tokens: usize) -> usize {
        ((tokens as f64 * self.keep).round() as usize).clamp(1.min(tokens), tokens)
    }
}

/// A method's constructor.
type Build = fn(Settings) -> Box<dyn Compressor>;

/// Every method: its name in pipelines, and how it is made.
const METHODS: &[(&str, Build)] = &[
    ("salient", |settings| Box::new(salient::Salient(settings))),
    ("v-cast", |settings| Box::new(v_cast::VCast(settings))),
    ("evs", |settings| Box::new(evs::Evs(settings))),
    ("context", |settings| Box::new(context::Context(settings))),
    ("pooling", |settings| Box::new(pooling::Pooling::progressive(settings))),
    ("early-pooling", |settings| Box::new(pooling::Early(pooling::Pooling::progressive(settings)))),
    ("slow-fast", |settings| Box::new(pooling::Pooling::slow_fast(settings))),
    ("average", |settings| Box::new(pooling::Pooling::average(settings))),
    ("uniform", |settings| Box::new(uniform::Uniform(settings))),
    ("random", |settings| Box::new(random::Random(settings))),
];

/// The names of all methods.
pub fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|&(name, _)| name)
}

/// The method of that name.
#[must_use]
pub fn method(name: &str, settings: Settings) -> Option<Box<dyn Compressor>> {
    METHODS.iter().find(|(known, _)| *known == name).map(|(_, build)| build(settings))
}

/// What the vision tower is told of a method that pools in it ([`Compressor::strides`]), over and over: a patch of which nothing goes on
/// is pooled to one token. Empty for every other method.
#[must_use]
pub fn strides(compressor: &dyn Compressor, grid: (usize, usize)) -> Vec<usize> {
    let most = grid.0.max(grid.1).max(1);
    let strides = compressor.strides(grid).unwrap_or_default();
    strides.into_iter().map(|stride| stride.unwrap_or(most)).collect()
}

/// Tokens that are left of a whole video, window by window.
#[must_use]
pub fn kept(compressor: &dyn Compressor, patches: usize, grid: (usize, usize)) -> usize {
    let (windows, rest) = (patches / WINDOW, patches % WINDOW);
    let last = if rest > 0 { compressor.kept(rest, grid) } else { 0 };
    windows * compressor.kept(WINDOW, grid) + last
}
