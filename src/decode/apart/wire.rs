//! What the two processes say to each other.
//!
//! ```text
//! to the child     Start  (Ask | Stop)*
//! from the child   Ready | Failed,  then to each Ask:  (Frame | Item | Alive)*  Done | Failed
//! ```
//!
//! A message is a head (two bytes that mark it, the version, the kind, the length) and its content: a frame's numbers
//! and pixels, or what `postcard` makes of a value.

use crate::decode::cut::Piece;
use crate::decode::info::VideoInfo;
use crate::decode::limits::Limits;
use crate::decode::sampling::Sampling;
use crate::decode::{Confinement, Size};
use longsight_models::{TimeBase, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Changes with every message.
const VERSION: u8 = 2;
const MARK: [u8; 2] = *b"ls";
/// Bytes of a head.
pub(super) const HEAD_BYTES: usize = 8;
/// The largest message that holds no picture.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Bytes before a frame's pixels.
pub(super) const FRAME_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// [`Start`]
    Start,
    /// [`Ask`]; they are numbered from 1 on as they come
    Ask,
    /// No more frames are wanted: the number of the ask
    Stop,
    /// [`Ready`]
    Ready,
    /// Something moved
    Alive,
    /// [`FrameHead`] and rows of RGB
    Frame,
    /// A part of what was asked for
    Item,
    /// The rest of it, after the processor time spent since the last
    Done,
    /// A [`DecodeError`](crate::decode::DecodeError), without its path, which the other side knows
    Failed,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Start,
        Self::Ask,
        Self::Stop,
        Self::Ready,
        Self::Alive,
        Self::Frame,
        Self::Item,
        Self::Done,
        Self::Failed,
    ];
}

/// What the child needs to know before it locks itself in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    /// The bytes of the only path that will be read; none to read nothing
    pub(super) path: Option<Vec<u8>>,
    pub(super) limits: Limits,
    /// Bytes of memory
    pub(super) memory: u64,
}

/// The child is locked in and has opened the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) confinement: Confinement,
    pub(super) info: Option<VideoInfo>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Chosen frames
    Frames(Wanted),
    /// Which frames these would be
    List(Wanted),
    /// A piece as a file of its own, whose bytes are the answer
    Cut(Piece),
    /// What a later stage looks for, in its own words
    Stage(Vec<u8>),
    /// To try what must not work; a file that must not come into being
    Trespass(Vec<u8>),
}

/// What travels of a [`Request`](crate::decode::Request).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) sampling: Sampling,
    pub(crate) from: Option<f64>,
    pub(crate) to: Option<f64>,
    pub(crate) size: Size,
}

/// What stands before the pixels of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) index: u64,
    pub(super) time: Timestamp,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl FrameHead {
    pub(super) fn bytes(self) -> [u8; FRAME_BYTES] {
        let TimeBase { num, den } = self.time.base;
        let mut bytes = [0; FRAME_BYTES];
        bytes[..8].copy_from_slice(&self.index.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.time.pts.to_le_bytes());
        for (place, number) in bytes[16..].chunks_exact_mut(4).zip([num, den, self.width, self.height]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(super) fn parse(bytes: [u8; FRAME_BYTES]) -> Self {
        let long = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let short =
            |at: usize| bytes[at..at + 4].iter().rev().fold(0u32, |number, &byte| number << 8 | u32::from(byte));
        let base = TimeBase { num: short(16), den: short(20) };
        let time = Timestamp { pts: long(8).cast_signed(), base };
        Self { index: long(0), time, width: short(24), height: short(28) }
    }

    /// Bytes of its picture; `None` beyond what an address can hold.
    pub(super) fn pixels(self) -> Option<usize> {
        (self.width as usize).checked_mul(self.height as usize)?.checked_mul(3)
    }
}

/// The head of a message with so much content.
pub(super) fn head(kind: Kind, bytes: usize) -> io::Result<[u8; HEAD_BYTES]> {
    let bytes = u32::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let [a, b, c, d] = bytes.to_le_bytes();
    Ok([MARK[0], MARK[1], VERSION, kind as u8, a, b, c, d])
}

/// Kind and length of what follows; `None` if this is no head.
pub(super) fn parse_head(head: [u8; HEAD_BYTES]) -> Option<(Kind, usize)> {
    let [mark_0, mark_1, version, kind, a, b, c, d] = head;
    let kind = Kind::ALL.into_iter().find(|&known| known as u8 == kind)?;
    let bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    let plain = kind == Kind::Frame || bytes <= MAX_BYTES;
    ([mark_0, mark_1] == MARK && version == VERSION && plain).then_some((kind, bytes))
}

/// A value as content. Those that are sent always have a form; one without would be refused as empty by the other side.
pub(crate) fn content<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Content as a value; `None` if it is not all of one.
pub(crate) fn value<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(content).ok()?;
    rest.is_empty().then_some(value)
}

/// Writes a message whose content comes in parts.
pub(super) fn write(out: &mut (impl Write + ?Sized), kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
    out.write_all(&head(kind, parts.iter().map(|part| part.len()).sum())?)?;
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.flush()
}

/// Reads a message that holds no picture; `None` at the end, and at what is none.
pub(super) fn read(input: &mut impl Read) -> Option<(Kind, Vec<u8>)> {
    let mut head = [0; HEAD_BYTES];
    input.read_exact(&mut head).ok()?;
    let (kind, bytes) = parse_head(head).filter(|(kind, _)| *kind != Kind::Frame)?;
    let mut content = vec![0; bytes];
    input.read_exact(&mut content).ok()?;
    Some((kind, content))
}

/// The content of [`Kind::Done`] as what it begins with and the rest.
pub(super) fn split<T: DeserializeOwned>(content: &[u8]) -> Option<(T, Vec<u8>)> {
    let (value, rest) = postcard::take_from_bytes(content).ok()?;
    Some((value, rest.to_vec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::decode::DecodeError;
    use proptest::prelude::*;

    #[test]
    fn messages_come_back_as_they_were() {
        let mut pipe = Vec::new();
        write(&mut pipe, Kind::Item, &[b"ab", b"", b"c"]).unwrap();
        write(&mut pipe, Kind::Alive, &[]).unwrap();
        let mut pipe = pipe.as_slice();
        assert_eq!(read(&mut pipe), Some((Kind::Item, b"abc".to_vec())));
        assert_eq!(read(&mut pipe), Some((Kind::Alive, Vec::new())));
        assert_eq!(read(&mut pipe), None);
    }

    #[test]
    fn numbers_travel_bit_for_bit() {
        let sampling = Sampling::Times(vec![0.1 + 0.2, -0.0, f64::INFINITY, f64::MIN_POSITIVE / 3.0]);
        let wanted = Wanted { sampling, from: Some(f64::NEG_INFINITY), to: None, size: Size::Native };
        let back: Wanted = value(&content(&wanted)).unwrap();
        assert_eq!(format!("{back:?}"), format!("{wanted:?}"));
        let time = Timestamp { pts: i64::MIN + 7, base: TimeBase { num: 1, den: u32::MAX } };
        let head = FrameHead { index: u64::MAX - 1, time, width: 1920, height: 3 };
        assert_eq!(FrameHead::parse(head.bytes()), head);
    }

    #[test]
    fn a_head_that_claims_too_much_is_none() {
        let mut large = head(Kind::Item, 0).unwrap();
        large[4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse_head(large), None);
        let mut other = head(Kind::Item, 0).unwrap();
        other[2] += 1;
        assert_eq!(parse_head(other), None, "another version");
    }

    proptest! {
        #[test]
        fn noise_is_refused_or_a_value_and_never_more_than_it_is_long(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&mut noise.as_slice());
            let _ = value::<Ready>(&noise);
            let _ = value::<DecodeError>(&noise);
            let _ = value::<Ask>(&noise);
        }
    }
}
