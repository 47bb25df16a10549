//! The generated world: videos whose truth is known because they were written before they were filmed.
//!
//! ```text
//! seed -> Script -> pictures -> H.264 -> file, or the sampled frames a model is trained on
//!            `-> questions with exact answers
//! ```
//!
//! In data order: [`dice`] (seed -> choices), [`words`] (what things are called), [`script`] (choices -> what happens when),
//! [`questions`] (script -> questions and answers), [`render`] (script, time, style -> picture), [`media`] (pictures -> H.264 and
//! back), [`clip`] (seed -> finished clip), [`export`] (seeds -> training set), [`samples`] (the demo clips).
//!
//! The library never prints and never reads the clock: equal seeds give equal clips on every platform.

pub mod clip;
pub mod dice;
pub mod export;
pub mod media;
pub mod questions;
pub mod render;
pub mod samples;
pub mod script;
pub mod words;
