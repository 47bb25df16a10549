//! What a run reports while it goes on: read by the progress display, tests and later a server.

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The model is being loaded
    Loading,
    /// The picture is watched for changes
    Surveying {
        /// Seconds done
        seconds: f64,
        /// Seconds in all; infinite if the file does not say
        of: f64,
    },
    /// Frames were encoded: so many of so many (the last number is a plan until the file ends)
    Encoded {
        /// Frames encoded
        frames: u64,
        /// Frames planned
        of: u64,
    },
    /// A question's prompt is being run
    Asking {
        /// Which question, from 0
        question: usize,
        /// Of how many
        of: usize,
    },
    /// A span of an answer is looked at again
    Checking {
        /// Which span, from 0
        span: usize,
        /// Of how many
        of: usize,
    },
    /// A stretch is described
    Describing {
        /// Which stretch, from 0
        stretch: usize,
        /// Of how many
        of: usize,
    },
    /// Text of the answer came
    Text(String),
}

/// Takes events as they come.
pub type Sink<'a> = dyn FnMut(Event) + 'a;
