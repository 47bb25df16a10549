//! What is asked, and of which part of the video? Comes in: a question in words. Goes out: a [`Reading`]: what to look for,
//! and the [`Constraint`]s on when that were taken out of it. Never: a look at the video, or a guess. What is not
//! understood stays in the question, word for word (after MRAG, arXiv 2412.15540: time is split from the content before
//! anything is looked for).
//!
//! ```text
//! "What does she say in the last ten minutes?"      -> "What does she say?"            Clock(Last(600))
//! "When does the dog jump after the cat appears?"   -> "When does the dog jump?"       Event(After, "the cat appears")
//! "When is the red star visible the second time?"   -> "When is the red star visible?" Ordinal(Nth(2))
//! "What appears after the red star?"                -> itself: it asks what comes next
//! ```

mod claim;
mod clock;
mod derived;
mod event;
mod forms;
mod ordinal;
mod text;

pub use claim::{claim, claims};
pub use clock::Clock;
pub use derived::{Choice, Derived, Found, derived};
pub use event::{Edge, Event, Relation};
pub use forms::{asks_when, existence, mistakable, noun_when, reading, says_no, says_yes, thing, when};
pub use ordinal::Ordinal;

/// A question taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The question without what was understood as a constraint
    pub content: String,
    /// What was taken out of it, in the order in which it is applied
    pub constraints: Vec<Constraint>,
}

/// A condition on when.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// A stretch of the clock: "between 10:00 and 12:00", "in the last ten minutes"
    Clock(Clock),
    /// A stretch that another event bounds: "after the red star appears"
    Event(Event),
    /// One of several times: "the second time"
    Ordinal(Ordinal),
}

impl std::fmt::Display for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clock(clock) => clock.fmt(f),
            Self::Event(event) => event.fmt(f),
            Self::Ordinal(ordinal) => ordinal.fmt(f),
        }
    }
}

/// Clock phrases of one question that are read; more are left where they are.
const MOST_CLOCKS: usize = 4;

/// Takes a question apart.
#[must_use]
pub fn read(question: &str) -> Reading {
    let mut content = text::tidy(question);
    let mut constraints = Vec::new();
    for _ in 0..MOST_CLOCKS {
        let Some((clock, rest)) = clock::take(&content) else { break };
        constraints.push(Constraint::Clock(clock));
        content = rest;
    }
    if let Some((event, rest)) = event::take(&content) {
        constraints.push(Constraint::Event(event));
        content = rest;
    }
    if let Some((ordinal, rest)) = ordinal::take(&content) {
        constraints.push(Constraint::Ordinal(ordinal));
        content = rest;
    }
    if constraints.is_empty() {
        // Not even its spaces change.
        content = question.to_owned();
    }
    Reading { content, constraints }
}

#[cfg(test)]
mod tests;
