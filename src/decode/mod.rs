//! What is in the file, and when?
//!
//! Comes in: a path. Goes out: [`VideoInfo`] from the container alone, native frames ([`Reader`]), each with its exact
//! presentation time, and [`Warning`]s about what could not be decoded. Never: a network connection, a second file,
//! tensors, or a time computed from a frame's number.

mod error;
mod info;
pub mod limits;
mod native;
mod open;
mod orientation;
mod planes;
mod reader;
mod report;
mod source;

pub use error::{DecodeError, Warning, WarningKind};
pub use info::VideoInfo;
pub use limits::Limits;
pub use open::{Video, open};
pub use orientation::Orientation;
pub use reader::{Decoded, Reader};
pub use source::{Spooled, spool};
