//! Who runs what, on which thread. Comes in: a video, questions, a plan. Goes out: answers, and [`Event`]s on the way.
//!
//! ```text
//! decode thread --frames (bounded)--> vision tower, in chunks --> visual tokens --> one prompt per question --> answers
//! ```
//! Around it, [`ask`] reads each question for conditions on time, asks long videos part by part, and looks again, closer,
//! at every span of an answer before it is shown; each of these is a look of its own, on the same way.
//!
//! Decoding runs beside the vision tower; the channel between them bounds the pictures in memory, so memory does not
//! grow with the video's length. Several questions share decoding, vision and the common part of their prompts.

mod answer;
mod ask;
mod calibrate;
mod cancel;
mod candidate;
mod check;
mod choose;
mod cost;
mod describe;
mod event;
mod fit;
mod follow;
mod forecast;
mod inquire;
mod looker;
mod machine;
mod model;
mod moments;
mod plan;
mod presence;
mod question;
mod reading;
mod reflect;
mod scrutiny;
mod search;
mod tune;

pub use answer::{Answer, ModelFacts, Timing, Usage};
pub use ask::{Job, Question, RunError};
pub use calibrate::{DecodingRate, calibrate, decoding_rate};
pub use cancel::Cancel;
pub use cost::{Cost, Rates};
pub use describe::{CAPTIONS_SCHEMA, Caption, Captions, Chapter, describe};
pub use event::{Event, Sink};
pub use follow::{Due, Follower, Growth, Pace, grow};
pub use forecast::{Forecast, Foreseen, Prospect, forecast};
pub use inquire::ask;
pub use machine::memory;
pub use model::{LoadError, Model, Outline};
pub use moments::{MOMENTS_SCHEMA, Moment, Moments, find};
pub use plan::{
    Asks, CompressPlan, DecodePlan, GeneratePlan, Plan, PlanError, PrefillPlan, PromptPlan, SamplePlan, ScenesPlan,
    VisionPlan,
};
pub use question::{MAX_QUESTION_CHARS, QuestionFault};
pub use reading::{Indexed, index};
pub use scrutiny::{EvidencePlan, QuestionPlan};
pub use tune::tune;
