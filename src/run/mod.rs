//! Who runs what, on which thread. Comes in: a video, questions, a plan. Goes out: answers, and [`Event`]s on the way.
//!
//! ```text
//! decode thread --frames (bounded)--> vision tower, in chunks --> visual tokens --> one prompt per question --> answers
//! ```
//! Decoding runs beside the vision tower; the channel between them bounds the pictures in memory, so memory does not
//! grow with the video's length. Several questions share decoding, vision and the common part of their prompts.

mod answer;
mod ask;
mod cancel;
mod event;
mod model;
mod moments;
mod plan;
mod tune;

pub use answer::{Answer, ModelFacts, Timing, Usage};
pub use ask::{Job, Question, RunError, ask};
pub use cancel::Cancel;
pub use event::{Event, Sink};
pub use model::{LoadError, Model};
pub use moments::{MOMENTS_SCHEMA, Moment, Moments};
pub use plan::{CompressPlan, DecodePlan, EvidencePlan, GeneratePlan, Plan, PlanError, PrefillPlan, VisionPlan};
pub use tune::tune;
