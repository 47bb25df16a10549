//! Packets as they are, from a key frame on.

use super::CutError;
use super::muxer::{Muxer, clock, copied, ticks};
use super::output::Sink;
use super::source::{Container, Source};
use longsight_models::Span;

/// Two times closer than this are the same.
const EPSILON_S: f64 = 1e-6;
/// How far behind the last picture's packets sound is still waited for: more than containers keep streams apart.
const APART_S: f64 = 5.0;
/// How far back a first key frame is looked for before what comes first is taken.
const MAX_BACK_S: f64 = 600.0;

/// Copies what covers `span` and says what that is.
pub(super) fn copy<'a>(
    source: &mut Source,
    sounds: &[usize],
    span: Span,
    container: Container,
    sink: &'a mut Sink<'a>,
) -> Result<Span, CutError> {
    let video = source.info.stream;
    let streams: Vec<usize> = [video].into_iter().chain(sounds.iter().copied()).collect();
    let parameters: Option<Vec<_>> = streams.iter().map(|&stream| copied(source, stream, container)).collect();
    let nothing = CutError::Nothing { path: source.path.clone(), span };
    let (Some(parameters), Some(Start { pts, seek })) = (parameters, start(source, span)?) else { return Err(nothing) };
    let first = source.seconds(video, pts);
    for &sound in sounds {
        source.demuxer.keep(sound);
    }
    let mut muxer = Muxer::create(&source.path, container, &parameters, sink)?;
    // It went there before, when the key frame was found.
    let _ = source.demuxer.seek(video, seek);
    let (mut begun, mut end) = (false, first);
    let mut waiting: Vec<usize> = sounds.to_vec();
    let mut packet = source.packet()?;
    while source.next(&mut packet)?.is_some() {
        let stream = packet.stream();
        let Some(index) = streams.iter().position(|&kept| kept == stream) else { continue };
        let at = |ticks: Option<i64>| ticks.map(|ticks| source.seconds(stream, ticks));
        let (shown, decoded) = (at(packet.pts().or(packet.dts())), at(packet.dts().or(packet.pts())));
        let (Some(shown), Some(decoded)) = (shown, decoded) else { continue };
        if stream == video {
            begun |= packet.is_key() && packet.pts().or(packet.dts()) == Some(pts);
            if decoded >= span.end - EPSILON_S {
                if waiting.is_empty() || decoded > span.end + APART_S {
                    break;
                }
                continue;
            }
            // Pictures shown before the key frame are built from what is not copied.
            if !begun || shown < first - EPSILON_S {
                continue;
            }
            end = end.max(shown + source.seconds(stream, packet.duration()));
        } else {
            if shown >= span.end - EPSILON_S {
                waiting.retain(|&sound| sound != stream);
                continue;
            }
            if shown < first - EPSILON_S {
                continue;
            }
        }
        let shared = packet.share().map_err(|code| CutError::refused(&source.path, code))?;
        muxer.write(shared, index, ticks(first, clock(source, stream)))?;
    }
    muxer.finish()?;
    // The last key frame of a file lies before every span behind its end.
    if begun && end > span.start { Ok(Span { start: first, end }) } else { Err(nothing) }
}

/// Where a copy begins.
struct Start {
    /// The key frame's time in ticks
    pts: i64,
    /// Where to go so that it is read
    seek: i64,
}

/// The last key frame at or before the span, or the first of the file if there is none before.
fn start(source: &mut Source, span: Span) -> Result<Option<Start>, CutError> {
    let video = source.info.stream;
    let video_clock = clock(source, video);
    let earliest = source.info.start_s.unwrap_or(0.0);
    let mut back = 0.0;
    loop {
        let from = span.start - back;
        let seek = ticks(from, video_clock);
        let is_last_try = from <= earliest || back > MAX_BACK_S;
        // A seek before the first key frame may fail, and leaves the reader where it was: at the start, at first.
        let _ = source.demuxer.seek(video, seek);
        let found = last_key(source, span, is_last_try)?;
        if found.is_some() || is_last_try {
            return Ok(found.map(|pts| Start { pts, seek }));
        }
        back = if back == 0.0 { 1.0 } else { back * 4.0 };
    }
}

/// Of the packets from here on, the last key frame at or before the span; with `any`, else the first one inside it.
fn last_key(source: &mut Source, span: Span, any: bool) -> Result<Option<i64>, CutError> {
    let video = source.info.stream;
    let mut packet = source.packet()?;
    let mut found = None;
    while source.next(&mut packet)?.is_some() {
        if packet.stream() != video {
            continue;
        }
        let Some(pts) = packet.pts().or(packet.dts()) else { continue };
        let shown = source.seconds(video, pts);
        let decoded = packet.dts().map_or(shown, |dts| source.seconds(video, dts));
        let before = shown <= span.start + EPSILON_S;
        if packet.is_key() && (before || (any && found.is_none() && shown < span.end)) {
            found = Some(pts);
        }
        if decoded > span.start + EPSILON_S && (found.is_some() || !any) || decoded >= span.end {
            break;
        }
    }
    Ok(found)
}
