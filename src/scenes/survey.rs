//! A video seen once, cheaply: one [`Row`] for each frame.
//!
//! The video is taken apart at key frames and the pieces are decoded side by side, one decoder a core; each frame is
//! looked at while it is still in the decoder's cache. Where the caller can do without the scores of calm frames,
//! frames that no other refers to are left out as long as what surrounds them is calm; see [`Busy`].

use super::apart;
use super::busy::{Busy, Only, Watch};
use super::glance::Looker;
use super::similarity::{cosine, features};
use crate::decode::{self, DecodeError, Feed, Joint, Limits, Open, Step, Video, VideoInfo, Warning};
use ffmpeg_next::frame;
use longsight_kernels::glance::{Glance, delta};
use longsight_models::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// One frame, as detectors see it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Presentation time
    pub time: Timestamp,
    /// Mean absolute difference to the frame before, averaged over hue, saturation and value: 0 to 255; 0 for the first.
    /// An estimate where it is well below [`Wishes::calm_below`]
    pub change: f64,
    /// Cosine of its features with the frame before's; 1 for the first, and where no detector asked
    pub likeness: f32,
    /// Whether the frame was looked at; a calm one may be left out
    pub seen: bool,
}

/// What the rows of a survey have to hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    /// Scores below this need not be known; 0 asks for every frame's
    pub calm_below: f64,
    /// Whether [`Row::likeness`] is wanted
    pub likeness: bool,
}

/// The rows of a video, and what was wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// What the container says
    pub info: VideoInfo,
    /// One for each frame, in presentation order
    pub rows: Vec<Row>,
    /// Number of the first row's frame, from the video's first on
    pub first_frame: u64,
    /// Where the last frame ends, in ticks
    pub end_pts: i64,
    /// What could not be decoded
    pub warnings: Vec<Warning>,
}

impl Survey {
    /// Average frames per second: the header's, unless it is a clock's rate that was put there.
    #[must_use]
    pub fn frame_rate(&self) -> f64 {
        let counted = match (self.rows.first(), self.rows.last()) {
            (Some(first), Some(last)) if last.time.pts > first.time.pts => {
                (self.rows.len() - 1) as f64 / (last.time.seconds() - first.time.seconds())
            }
            _ => 25.0,
        };
        self.info.frame_rate.filter(|rate| (rate / counted - 1.0).abs() < 0.5).unwrap_or(counted)
    }
}

/// Pieces for each core: enough that an uneven piece does not leave the others waiting, few enough that seeking and
/// starting decoders stays below a hundredth of the work.
const PIECES_PER_CORE: usize = 10;
/// Pieces shorter than this would be mostly seeking.
const MIN_PIECE_S: f64 = 1.0;
/// Frames between two progress reports of a piece.
const REPORT_EVERY: usize = 64;
/// A first look takes every so many rows of a glance: a quarter of the work, and structure in between would have to be
/// lines as thin as a hundredth of the picture.
const ROUGH_ROWS: usize = 4;
/// From this part of the wanted score on, a rough score is not good enough.
const ROUGH_PART: f64 = 0.6;
/// A gap between frames of at least this part of the wanted score is looked at frame by frame.
const GAP_PART: f64 = 0.75;

/// One stretch between two joints.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plan {
    from: Option<Joint>,
    until: Option<i64>,
}

struct Piece {
    rows: Vec<Row>,
    first: Glance,
    last: Glance,
    /// Whether the decoder had to patch the first frame up, which it does from what comes before
    starts_damaged: bool,
    last_length: i64,
    warnings: Vec<Warning>,
}

#[expect(clippy::large_enum_variant, reason = "one a piece of the file: a box would save nothing")]
enum Message {
    Progress { seconds: f64 },
    Done { at: usize, piece: Result<Piece, DecodeError> },
}

/// Looks at every frame of a video, or of the part of it whose times lie in `range`; `progress` is told how many seconds
/// are done.
///
/// # Errors
/// When the file is no video that can be read, or not one frame can be decoded.
pub fn survey(
    feed: &Feed,
    wishes: Wishes,
    range: Option<Span>,
    progress: &mut dyn FnMut(f64),
) -> Result<Survey, DecodeError> {
    match apart::survey(feed, wishes, range, progress)? {
        Some(survey) => Ok(survey),
        None => look(feed.path(), feed.limits(), wishes, range, progress),
    }
}

/// As [`survey`], in this process.
pub(super) fn look(
    path: &Path,
    limits: &Limits,
    wishes: Wishes,
    range: Option<Span>,
    progress: &mut dyn FnMut(f64),
) -> Result<Survey, DecodeError> {
    let mut video = decode::open(path, &limits.with_threads(1))?;
    let info = video.info().clone();
    let lazily = video.seeks_exactly() && wishes.calm_below > 0.0;
    let plans = plan(&mut video, range, limits.cores());
    drop(video);
    let pieces = if plans.len() > 1 { side_by_side(path, limits, &plans, wishes, progress)? } else { None };
    let pieces = match pieces {
        Some(pieces) => pieces,
        None => {
            // After a failure everything is decoded once, in order, without going back.
            let patient = (Plan { from: None, until: plans.last().and_then(|plan| plan.until) }, false);
            let first = if plans.len() == 1 { (plans[0], lazily) } else { patient };
            vec![match in_order(path, limits, first, wishes, progress) {
                Err(error) if first != patient && !matches!(error, DecodeError::Cancelled { .. }) => {
                    in_order(path, limits, patient, wishes, progress)?
                }
                outcome => outcome?,
            }]
        }
    };
    let mut survey = join(info, pieces, wishes);
    if let Some(range) = range {
        keep(&mut survey, range);
        if let Some(first) = survey.rows.first().map(|row| row.time.pts) {
            survey.first_frame = decode::open(path, limits)?.frames_before(first);
        }
    }
    Ok(survey)
}

/// The stretches that are walked side by side; one where there are no key frames to part at.
fn plan(video: &mut Video, range: Option<Span>, cores: usize) -> Vec<Plan> {
    let info = video.info();
    let start = info.start_s.unwrap_or(0.0);
    let whole = Span { start, end: info.end_s().unwrap_or(start) };
    let wanted = range.map_or(whole, |range| Span {
        start: range.start.clamp(whole.start, whole.end),
        end: range.end.clamp(whole.start, whole.end),
    });
    // A header that ends early must not end the walk: the last piece goes on to the range's own end.
    let until = range.map(|range| range.end / info.time_base.seconds().max(1e-9)).map(|ticks| ticks.ceil() as i64);
    let from = if wanted.start > start { video.joint_before(wanted.start) } else { None };
    let parts = if cores > 1 { cores * PIECES_PER_CORE } else { 1 };
    let joints = video.joints(wanted, parts.min((wanted.duration() / MIN_PIECE_S) as usize));
    let starts = std::iter::once(from).chain(joints.iter().copied().map(Some));
    let ends = joints.iter().map(|joint| Some(joint.pts())).chain([until]);
    starts.zip(ends).map(|(from, until)| Plan { from, until }).collect()
}

/// Walks one stretch with all cores.
fn in_order(
    path: &Path,
    limits: &Limits,
    (plan, lazily): (Plan, bool),
    wishes: Wishes,
    progress: &mut dyn FnMut(f64),
) -> Result<Piece, DecodeError> {
    let mut done_s = 0.0;
    let mut report = Reports::new(|seconds| {
        done_s += seconds;
        progress(done_s);
    });
    let video = decode::open(path, &limits.with_threads(limits.cores()))?;
    let wishes = if lazily { wishes } else { Wishes { calm_below: 0.0, ..wishes } };
    walk(video, plan, wishes, &mut report).map(|(piece, _)| piece)
}

/// Keeps the rows of a range; the first of them has no frame before it.
fn keep(survey: &mut Survey, range: Span) {
    let after = survey.rows.iter().find(|row| row.time.seconds() >= range.end).map(|row| row.time.pts);
    survey.end_pts = after.unwrap_or(survey.end_pts);
    survey.rows.retain(|row| range.contains(row.time.seconds()));
    if let Some(first) = survey.rows.first_mut() {
        (first.change, first.likeness) = (0.0, 1.0);
    }
}

/// Walks the stretches on all cores. `None` if one of them does not begin where it should, or fails in
/// a way that a walk from the start may not.
fn side_by_side(
    path: &Path,
    limits: &Limits,
    plans: &[Plan],
    wishes: Wishes,
    progress: &mut dyn FnMut(f64),
) -> Result<Option<Vec<Piece>>, DecodeError> {
    let workers = limits.cores().min(plans.len());
    let limits = limits.with_threads(limits.cores().div_ceil(workers));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, limits) = (sender.clone(), &next, &limits);
            scope.spawn(move || work(path, limits, plans, next, wishes, &sender));
        }
        drop(sender);
        let mut pieces: Vec<Option<Piece>> = plans.iter().map(|_| None).collect();
        let mut done_s = 0.0;
        let mut failed = None;
        for message in receiver {
            match message {
                Message::Progress { seconds } => {
                    done_s += seconds;
                    progress(done_s);
                }
                Message::Done { at, piece: Ok(piece) } => pieces[at] = Some(piece),
                Message::Done { piece: Err(error), .. } => {
                    // No worker begins another piece.
                    next.store(plans.len(), Ordering::Relaxed);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error @ DecodeError::Cancelled { .. }) => return Err(error),
            Some(_) => return Ok(None),
            None => {}
        }
        let pieces: Vec<Piece> = pieces.into_iter().flatten().collect();
        let whole = pieces.len() == plans.len() && pieces.iter().zip(plans).all(|(piece, plan)| fits(piece, *plan));
        Ok(whole.then_some(pieces))
    })
}

/// Whether a piece begins at its joint, ends before the next, and goes forward all the time.
fn fits(piece: &Piece, plan: Plan) -> bool {
    let times = || piece.rows.iter().map(|row| row.time.pts);
    let begins = |joint: Joint| times().next() == Some(joint.pts()) && piece.rows[0].seen && !piece.starts_damaged;
    plan.from.is_none_or(begins) && times().zip(times().skip(1)).all(|(a, b)| a < b)
}

/// One worker: takes pieces until there are none.
fn work(
    path: &Path,
    limits: &Limits,
    plans: &[Plan],
    next: &AtomicUsize,
    wishes: Wishes,
    sender: &mpsc::Sender<Message>,
) {
    let mut kept: Option<Video> = None;
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(&plan) = plans.get(at) else { return };
        let outcome = kept.take().map_or_else(|| decode::open(path, limits), Ok).and_then(|video| {
            let mut report = Reports::new(|seconds| {
                let _ = sender.send(Message::Progress { seconds });
            });
            walk(video, plan, wishes, &mut report)
        });
        let piece = outcome.map(|(piece, video)| {
            kept = Some(video);
            piece
        });
        // The receiver lives until every sender is gone.
        let _ = sender.send(Message::Done { at, piece });
    }
}

/// Tells how many seconds a walk has moved on, now and then.
struct Reports<F> {
    tell: F,
    last: Option<f64>,
    frames: usize,
}

impl<F: FnMut(f64)> Reports<F> {
    fn new(tell: F) -> Self {
        Self { tell, last: None, frames: 0 }
    }

    fn frame(&mut self, seconds: f64) {
        let last = *self.last.get_or_insert(seconds);
        self.frames += 1;
        if self.frames.is_multiple_of(REPORT_EVERY) {
            (self.tell)(seconds - last);
            self.last = Some(seconds);
        }
    }
}

/// One piece: every frame, or where calm ones may be left out, what is not calm.
fn walk<F: FnMut(f64)>(
    video: Video,
    plan: Plan,
    wishes: Wishes,
    report: &mut Reports<F>,
) -> Result<(Piece, Video), DecodeError> {
    let mut eye = Eye::new(wishes);
    if wishes.calm_below <= 0.0 {
        return pass(video, plan, Open, &mut eye, report);
    }
    let gate = Busy::new(video.info().time_base, wishes.calm_below);
    let (mut piece, video) = pass(video, plan, gate, &mut eye, report)?;
    let gaps = gaps(&piece.rows, wishes.calm_below * GAP_PART);
    tracing::debug!(
        frames = piece.rows.len(),
        seen = piece.rows.iter().filter(|row| row.seen).count(),
        gaps = gaps.len()
    );
    let video = close(video, &mut piece.rows, &gaps, &mut eye)?;
    Ok((piece, video))
}

/// Compares each frame with the one before it: first every fourth row, and where that shows a change, all of them.
struct Eye {
    wishes: Wishes,
    rough: Looker,
    rough_before: Glance,
    rough_now: Glance,
    looker: Looker,
    before: Glance,
    now: Glance,
    /// Whether `now` is of the last frame
    current: bool,
    features: Vec<f32>,
}

impl Eye {
    fn new(wishes: Wishes) -> Self {
        Self {
            wishes,
            rough: Looker::new(ROUGH_ROWS),
            rough_before: Glance::default(),
            rough_now: Glance::default(),
            looker: Looker::new(1),
            before: Glance::default(),
            now: Glance::default(),
            current: false,
            features: Vec::new(),
        }
    }

    /// The change and the likeness of a frame to the one before. One of another size, or one whose format cannot be read,
    /// compares as no change.
    fn look(&mut self, frame: &frame::Video, before: Option<&frame::Video>) -> (f64, f32) {
        if self.wishes.calm_below > 0.0 && !self.wishes.likeness {
            std::mem::swap(&mut self.rough_before, &mut self.rough_now);
            if !self.rough.look(frame, &mut self.rough_now) {
                return (0.0, 1.0);
            }
            let estimate = change(&self.rough_before, &self.rough_now);
            if estimate < self.wishes.calm_below * ROUGH_PART {
                self.current = false;
                return (estimate, 1.0);
            }
            if let (false, Some(before)) = (self.current, before) {
                self.looker.look(before, &mut self.now);
            }
        }
        self.look_closely(frame)
    }

    /// As [`Self::look`], with every row, after a frame that was looked at closely too.
    fn look_closely(&mut self, frame: &frame::Video) -> (f64, f32) {
        std::mem::swap(&mut self.before, &mut self.now);
        if !self.looker.look(frame, &mut self.now) {
            std::mem::swap(&mut self.before, &mut self.now);
            return (0.0, 1.0);
        }
        self.current = true;
        let mut likeness = 1.0;
        if self.wishes.likeness {
            let features = features(&self.now);
            if !self.features.is_empty() {
                likeness = cosine(&self.features, &features);
            }
            self.features = features;
        }
        (change(&self.before, &self.now), likeness)
    }

    /// A frame's whole glance.
    fn glance(&mut self, frame: &frame::Video) -> Glance {
        let mut glance = Glance::default();
        self.looker.look(frame, &mut glance);
        glance
    }
}

/// The score of a frame after another: the mean of the three channels' differences, 0 if they cannot be compared.
fn change(before: &Glance, now: &Glance) -> f64 {
    if (before.width, before.height) != (now.width, now.height) {
        return 0.0;
    }
    delta(before, now).iter().sum::<f64>() / 3.0
}

fn pass<G: Watch, F: FnMut(f64)>(
    video: Video,
    plan: Plan,
    gate: G,
    eye: &mut Eye,
    report: &mut Reports<F>,
) -> Result<(Piece, Video), DecodeError> {
    let mut stretch = video.stretch(plan.from, plan.until, gate)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut first = Glance::default();
    let mut starts_damaged = false;
    while let Some(step) = stretch.next()? {
        match step {
            Step::Frame { decoded, before } => {
                if before.is_none() {
                    starts_damaged = decoded.damaged;
                    first = eye.glance(decoded.frame);
                }
                let time = decoded.time;
                let (change, likeness) = eye.look(decoded.frame, before);
                rows.push(Row { time, change, likeness, seen: true });
                report.frame(time.seconds());
                stretch.gate().tell(change);
            }
            Step::Skipped(time) => rows.push(Row { time, change: 0.0, likeness: 1.0, seen: false }),
        }
    }
    let last = stretch.last().map(|frame| eye.glance(frame)).unwrap_or_default();
    let (last_length, warnings) = (stretch.last_length(), stretch.warnings().to_vec());
    Ok((Piece { rows, first, last, starts_damaged, last_length, warnings }, stretch.into_video()))
}

/// Runs of rows that begin and end with a seen frame, with unseen ones between, where the end differs by `least`.
fn gaps(rows: &[Row], least: f64) -> Vec<Range<usize>> {
    let mut seen = 0;
    let mut gaps = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.seen) {
        if at > seen + 1 && row.change >= least {
            gaps.push(seen..at + 1);
        }
        seen = at;
    }
    gaps
}

/// Looks at every frame of the gaps.
fn close(mut video: Video, rows: &mut [Row], gaps: &[Range<usize>], eye: &mut Eye) -> Result<Video, DecodeError> {
    let span = |gap: &Range<usize>, rows: &[Row]| rows[gap.start].time.pts..=rows[gap.end - 1].time.pts;
    let mut left = gaps;
    while let Some(gap) = left.first() {
        let start = rows[gap.start].time.pts;
        let joint = video.joint_at(start).filter(|joint| joint.pts() <= start);
        let Some(joint) = joint else { return Err(video.lost()) };
        // All gaps of the same group of pictures in one walk.
        let group = left
            .iter()
            .take_while(|gap| gap.start == left[0].start || video.joint_at(rows[gap.start].time.pts) == Some(joint));
        let group = group.count();
        let (group, rest) = left.split_at(group);
        left = rest;
        let wanted: Vec<_> = group.iter().map(|gap| span(gap, rows)).collect();
        let until = wanted.last().map(|span| span.end() + 1);
        let mut stretch = video.stretch(Some(joint), until, Only::new(wanted.clone()))?;
        while let Some(step) = stretch.next()? {
            let Step::Frame { decoded, .. } = step else { continue };
            let pts = decoded.time.pts;
            let Some(span) = wanted.iter().find(|span| span.contains(&pts)) else { continue };
            let (change, likeness) = eye.look_closely(decoded.frame);
            if pts != *span.start()
                && let Ok(at) = rows.binary_search_by_key(&pts, |row| row.time.pts)
            {
                rows[at] = Row { time: decoded.time, change, likeness, seen: true };
            }
        }
        video = stretch.into_video();
    }
    Ok(video)
}

/// Puts the pieces together: the first frame of each is compared with the last of the piece before.
fn join(info: VideoInfo, pieces: Vec<Piece>, wishes: Wishes) -> Survey {
    let mut rows: Vec<Row> = Vec::with_capacity(pieces.iter().map(|piece| piece.rows.len()).sum());
    let mut warnings = Vec::new();
    let (mut last, mut last_length) = (Glance::default(), 0);
    for piece in pieces {
        let joined = rows.len();
        rows.extend(piece.rows);
        if joined > 0 && joined < rows.len() {
            rows[joined].change = change(&last, &piece.first);
            if wishes.likeness {
                rows[joined].likeness = cosine(&features(&last), &features(&piece.first));
            }
        }
        (last, last_length) = (piece.last, piece.last_length);
        warnings.extend(piece.warnings);
    }
    let end_pts = rows.last().map_or(0, |row| row.time.pts.saturating_add(length(&info, &rows, last_length)));
    Survey { info, rows, first_frame: 0, end_pts, warnings }
}

/// Ticks that the last frame is shown: what the container says, else as long as the one before, else by the frame rate.
fn length(info: &VideoInfo, rows: &[Row], said: i64) -> i64 {
    let before = rows.windows(2).last().map(|pair| pair[1].time.pts - pair[0].time.pts);
    let by_rate = || (1.0 / (info.frame_rate.unwrap_or(25.0) * info.time_base.seconds().max(1e-9))).round() as i64;
    [Some(said), before].into_iter().flatten().find(|&ticks| ticks > 0).unwrap_or_else(by_rate).max(1)
}
