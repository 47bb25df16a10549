//! JSON schemas of what `--json` prints, generated from the types that are printed.

use schemars::{Schema, schema_for};

/// File name in `schemas/` (without its ending) and schema; a test holds the committed files to this.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Schema)> {
    vec![
        ("answer", schema_for!(crate::run::Answer)),
        ("batch", schema_for!(super::batch::Summary<'static>)),
        ("batch_answer", schema_for!(crate::batch::Record)),
        ("batch_failure", schema_for!(crate::batch::FailureRecord)),
        ("batch_plan", schema_for!(super::batch::Planned<'static>)),
        ("captions", schema_for!(crate::run::Captions)),
        ("doctor", schema_for!(super::doctor::Report)),
        ("evidence", schema_for!(crate::render::EvidenceLine<'static>)),
        ("error", schema_for!(super::output::ErrorObject)),
        ("frames", schema_for!(super::frames::Listing)),
        ("index", schema_for!(super::index::Report)),
        ("indexed", schema_for!(super::index::Line)),
        ("model", schema_for!(super::model::Info<'static>)),
        ("models", schema_for!(super::model::Listing)),
        ("plan", schema_for!(crate::run::Forecast)),
        ("moments", schema_for!(crate::run::Moments)),
        ("scenes", schema_for!(crate::render::ScenesDocument<'static>)),
        ("verify", schema_for!(crate::verify::Report)),
    ]
}
