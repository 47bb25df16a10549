//! A-shape: the first tokens and a window (StreamingLLM; MMInference's Table 4).

use super::pattern::LineChoice;
use serde::{Deserialize, Serialize};

/// Nothing is looked for: the prompt's sinks and a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AShape {
    /// Keys before a row
    pub local: usize,
}

impl AShape {
    pub(super) fn choose(&self) -> LineChoice {
        LineChoice { window: self.local, ..LineChoice::default() }
    }
}
