//! The frames of a span encoded anew, each at its own time; sound is copied, to within a packet.

use super::CutError;
use super::muxer::{Muxer, clock, copied, ticks};
use super::output::Sink;
use super::source::{Container, Source};
use crate::decode::convert::Size;
use crate::decode::native;
use crate::decode::sampling::Sampling;
use crate::decode::stream::{Request, stream};
use ffmpeg_next::{Packet, Rational};
use image::RgbImage;
use longsight_models::Span;
use longsight_world::media::{EncodeOptions, Encoder, MediaError};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// x264's constant rate factor: nothing is seen of it.
const CRF: u32 = 18;
/// Clips are short, and somebody waits for them.
const PRESET: &str = "fast";
/// The smallest side that x264 takes here.
const MIN_SIDE: u32 = 16;

/// Encodes the frames that begin inside `span` and says what that is.
pub(super) fn encode<'a>(
    source: &mut Source,
    sounds: &[usize],
    span: Span,
    container: Container,
    sink: &'a mut Sink<'a>,
    cancel: &Arc<AtomicBool>,
) -> Result<Span, CutError> {
    let nothing = CutError::Nothing { path: source.path.clone(), span };
    let even = |side: u32| (side & !1).max(MIN_SIDE);
    let (width, height) = (even(source.info.width), even(source.info.height));
    let rate = source.info.frame_rate.filter(|rate| (0.01..1000.0).contains(rate)).unwrap_or(25.0);
    let options = EncodeOptions {
        width,
        height,
        rate: ((rate * 1000.0).round() as u32, 1000),
        crf: CRF,
        preset: PRESET.to_owned(),
        gop: 250,
    };
    let request = Request {
        from: Some(span.start),
        to: Some(span.end),
        size: Size::Exact { width, height },
        limits: source.limits.clone(),
        cancel: Some(Arc::clone(cancel)),
        ..Request::new(Sampling::All)
    };
    let path = source.path.clone();
    let refused = |error: MediaError| CutError::refused(&path, error);
    let mut encoder = Encoder::open(&options, true).map_err(refused)?;
    let video_clock = clock(source, source.info.stream);
    let mut streams = vec![(encoder.parameters(), video_clock)];
    streams.extend(sounds.iter().filter_map(|&sound| copied(source, sound, container)));
    let mut muxer = Muxer::create(&path, container, &streams, sink)?;
    let mut frames = stream(&path, &request)?;
    let Some(mut held) = frames.next() else {
        frames.finish()?;
        return Err(nothing);
    };
    let first = held.time;
    let mut sound = Sound::new(source, sounds, Span { start: first.seconds(), end: span.end })?;
    let mut times = vec![first.pts];
    // A frame is encoded when the next is known, so that a packet knows how long it is shown.
    for frame in &mut frames {
        times.push(frame.time.pts);
        push(&mut encoder, &mut muxer, &mut sound, &times, video_clock, &held.image)?;
        held = frame;
    }
    frames.finish()?;
    let end = ticks(span.end, video_clock).max(held.time.pts + 1);
    let shown = times.last().zip(times.iter().rev().nth(1)).map_or(end - held.time.pts, |(last, before)| last - before);
    times.push(held.time.pts + shown.min(end - held.time.pts).max(1));
    push(&mut encoder, &mut muxer, &mut sound, &times, video_clock, &held.image)?;
    let mut trouble = None;
    let finished = encoder.finish(|packet| write(packet, &mut muxer, &mut sound, &times, video_clock, &mut trouble));
    finished.map_err(refused)?;
    trouble.map_or(Ok(()), Err)?;
    sound.write_before(f64::INFINITY, &mut muxer)?;
    muxer.finish()?;
    let last = times.last().copied().unwrap_or(first.pts);
    Ok(Span { start: first.seconds(), end: source.seconds(source.info.stream, last) })
}

fn push(
    encoder: &mut Encoder,
    muxer: &mut Muxer<'_>,
    sound: &mut Sound<'_>,
    times: &[i64],
    clock: Rational,
    picture: &RgbImage,
) -> Result<(), CutError> {
    let mut trouble = None;
    let pushed = encoder.push(picture, |packet| write(packet, muxer, sound, times, clock, &mut trouble));
    pushed.map_err(|error| CutError::refused(&sound.source.path, error))?;
    trouble.map_or(Ok(()), Err)
}

/// Gives a packet, which counts pictures, its times, and writes it behind the sound that comes before it.
fn write(
    packet: &mut Packet,
    muxer: &mut Muxer<'_>,
    sound: &mut Sound<'_>,
    times: &[i64],
    clock: Rational,
    trouble: &mut Option<CutError>,
) -> Result<(), MediaError> {
    let number = packet.pts().unwrap_or(0);
    let time = time(times, number);
    packet.set_duration(self::time(times, number + 1) - time);
    packet.set_dts(packet.dts().map(|number| self::time(times, number)));
    packet.set_pts(Some(time));
    let seconds = time as f64 * f64::from(clock.numerator()) / f64::from(clock.denominator().max(1));
    let written = sound.write_before(seconds, muxer).and_then(|()| muxer.write(packet.clone(), 0, times[0]));
    // The encoder's error type knows nothing of files; the first trouble is told when it returns.
    if let Err(error) = written {
        trouble.get_or_insert(error);
    }
    Ok(())
}

/// Time of picture `number`; before the first and behind the last, the nearest gap goes on.
fn time(times: &[i64], number: i64) -> i64 {
    let last = times.len() - 1;
    let gap = |from: usize| times.get(from + 1).map_or(1, |next| next - times[from]).max(1);
    match usize::try_from(number) {
        Err(_) => times[0] + number * gap(0),
        Ok(number) if number <= last => times[number],
        Ok(number) => times[last] + (number - last) as i64 * gap(last.saturating_sub(1)),
    }
}

/// The source's sound, packet by packet.
struct Sound<'a> {
    source: &'a mut Source,
    /// The source's streams, which are the file's from 1 on, and whether the span's end was seen in each
    streams: Vec<(usize, bool)>,
    span: Span,
    /// Read, not yet written
    next: Option<native::Packet>,
}

impl<'a> Sound<'a> {
    fn new(source: &'a mut Source, streams: &[usize], span: Span) -> Result<Self, CutError> {
        if let Some(&first) = streams.first() {
            source.demuxer.keep_only(first);
            for &stream in streams {
                source.demuxer.keep(stream);
            }
            let start = ticks(span.start, clock(source, first));
            // Where that fails, reading goes on from where it is, and earlier packets are passed over.
            let _ = source.demuxer.seek(first, start);
        }
        Ok(Self { source, streams: streams.iter().map(|&stream| (stream, false)).collect(), span, next: None })
    }

    /// Writes the packets that begin before `seconds`.
    fn write_before(&mut self, seconds: f64, muxer: &mut Muxer<'_>) -> Result<(), CutError> {
        while self.streams.iter().any(|(_, ended)| !ended) {
            let packet = match self.next.take() {
                Some(packet) => packet,
                None => {
                    let mut packet = self.source.packet()?;
                    if self.source.next(&mut packet)?.is_none() {
                        self.streams.iter_mut().for_each(|stream| stream.1 = true);
                        break;
                    }
                    packet
                }
            };
            let stream = packet.stream();
            let place = self.streams.iter().position(|&(kept, _)| kept == stream);
            let (Some(place), Some(pts)) = (place, packet.pts().or(packet.dts())) else { continue };
            let at = self.source.seconds(stream, pts);
            if at >= self.span.end {
                self.streams[place].1 = true;
                continue;
            }
            if at >= seconds {
                self.next = Some(packet);
                break;
            }
            if at >= self.span.start {
                let wrong = |code| CutError::refused(&self.source.path, code);
                let start = ticks(self.span.start, clock(self.source, stream));
                muxer.write(packet.share().map_err(wrong)?, place + 1, start)?;
            }
        }
        Ok(())
    }
}
