//! JSON schemas of everything that `--json` prints, generated from the types that are printed.

use schemars::{Schema, schema_for};

/// Name (a file in `schemas/`) and schema. `tests/it/schemas.rs` holds the committed files to this.
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![("answer", schema_for!(crate::run::Answer))]
}
