//! What is in the file, and when?
//!
//! Comes in: a path. Goes out: [`VideoInfo`] from the container alone, native frames ([`Reader`]), each with its exact
//! presentation time, chosen ones as RGB pictures ([`stream`]), all of a [`Stretch`] for stages that look at everything,
//! a span as a file of its own ([`cut()`]), and [`Warning`]s about what could not be decoded. A [`Feed`] gives the header
//! and the frames wherever they are decoded: in this process, or in one that is locked in ([`apart`]). Never: a network connection, a second file, tensors, or a time
//! computed from a frame's number.

pub mod apart;
mod convert;
mod cut;
mod error;
mod facts;
mod feed;
mod index;
mod info;
mod library;
pub mod limits;
mod native;
mod open;
mod orientation;
mod planes;
mod reader;
mod report;
mod sampling;
mod scan;
mod source;
mod stream;
mod stretch;
mod walk;

pub use apart::{Confinement, Program};
pub use convert::Size;
pub use cut::{CLIP_ENDINGS, Cut, CutError, How, cut};
pub use error::{DecodeError, Warning, WarningKind};
pub use facts::{VideoFacts, fingerprint};
pub(crate) use feed::Part;
pub use feed::{Feed, Frames};
pub use info::VideoInfo;
pub use library::{Library, decoder_of, library};
pub use limits::Limits;
pub use open::{Video, open};
pub use orientation::Orientation;
pub use planes::rows;
pub use reader::{Decoded, Reader};
pub use report::DecodeReport;
pub use sampling::Sampling;
pub use source::{Spooled, check, spool};
pub use stream::{FRAMES_IN_FLIGHT, FrameFacts, FrameStream, Request, held_bytes, list, stream, stream_opened};
pub use stretch::{Ahead, Gate, Joint, Open, Step, Stretch};
