//! A folder of videos, some questions, and nobody watching. Comes in: folders, files or a list, questions, a loaded model.
//! Goes out: one answer a line in `answers.jsonl`, the same lines per video in a tree that mirrors the input's, and one
//! line in `failed.jsonl` for each video that could not be answered. Never: an exit code, or a word printed.
//!
//! ```text
//! inputs --gather--> sources --+
//!                              +--> item: fingerprint, open, plan, keys --what is missing--> look --turn--> answer
//! questions -------------------+                                                                             |
//!                                  OUT: answers.jsonl (append, fsync), videos/... and failed.jsonl <--commit-+
//! ```
//! An answer belongs to a *place* (where the video lies below its input) and is known by its *key*, a hash of everything
//! that decides it; a second run does what has no answer with its key. Some items are under way at once, each on a thread
//! of its own; they look at their videos side by side and take turns at the language model. One task watches each item:
//! its time, and whether it still moves. An item that does not react is left behind, and the next one starts.

mod crew;
mod gather;
mod item;
mod journal;
mod key;
mod place;
mod questions;
mod report;
mod run;
mod selector;
mod store;
mod survey;

pub use gather::{GatherError, Gathered, Inputs, Note, Selection, Source, gather, list};
pub use item::{Brief, ItemError, SETTLE, Stage};
pub use key::Job;
pub use questions::{QuestionError, Questions};
pub use report::{Counts, Explained, FailureRecord, JobFacts, Record};
pub use run::{Event, Explain, Orders, Progress, run};
pub use selector::{Selector, SelectorError};
pub use store::{Holder, Store, StoreError};
pub use survey::{Survey, Surveyed, survey};
