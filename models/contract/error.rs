//! Why a model cannot be loaded or run.

use std::path::PathBuf;

/// What went wrong with a checkpoint or a forward pass.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the checkpoint cannot be read
    #[error("{}: {source}", path.display())]
    Read {
        /// The file
        path: PathBuf,
        /// Why
        source: std::io::Error,
    },
    /// A JSON file of the checkpoint is not what it should be
    #[error("{}: {message}", path.display())]
    Config {
        /// The file
        path: PathBuf,
        /// Which key, and what is wrong with it
        message: String,
    },
    /// The folder holds no safetensors weights
    #[error("{}: no *.safetensors weights", path.display())]
    NoWeights {
        /// The folder
        path: PathBuf,
    },
    /// The folder holds pickle weights only, which can run code when they are read
    #[error("{}: pickle weights are refused because reading them can run code", path.display())]
    Pickle {
        /// The pickle file
        path: PathBuf,
    },
    /// No family claims the checkpoint's architecture
    #[error("{}: architecture {architecture} is not supported (supported: {supported})", path.display())]
    UnknownArchitecture {
        /// The folder
        path: PathBuf,
        /// What config.json says
        architecture: String,
        /// What would be
        supported: String,
    },
    /// A weight has another shape than the configuration says
    #[error("weight {name}: {source}")]
    Weight {
        /// Its path in the checkpoint
        name: String,
        /// The difference
        source: candle_core::Error,
    },
    /// Tensors or tables that belong together do not fit
    #[error("{what}: expected {expected:?}, found {found:?}")]
    Shape {
        /// Of what
        what: &'static str,
        /// Expected sizes
        expected: Vec<usize>,
        /// Found sizes
        found: Vec<usize>,
    },
    /// A picture's sides are too unequal for the family
    #[error("a picture of {width}x{height} is too narrow for the model (sides may differ by a factor of 200)")]
    AspectRatio {
        /// Pixels
        width: u32,
        /// Pixels
        height: u32,
    },
    /// Nothing to look at
    #[error("no visual tokens")]
    NoVisualTokens,
    /// The prompt's placeholders and the media differ in number or size
    #[error("the prompt has room for {found} visual tokens in {placeholders} places, the media have {expected}")]
    Placeholders {
        /// Visual tokens of the media
        expected: usize,
        /// Placeholder tokens in the prompt
        found: usize,
        /// Runs of placeholder tokens
        placeholders: usize,
    },
    /// The tensor library failed
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
