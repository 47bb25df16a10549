//! Placeholders: where in the prompt the media's tokens go.

use crate::{Medium, ModelError, Sequence, VisualRun, VisualTokens};

/// The placeholder texts of the chat templates.
pub(crate) const IMAGE: &str = "<|image_pad|>";
/// See [`IMAGE`].
pub(crate) const VIDEO: &str = "<|video_pad|>";
/// Stands around the visual tokens of an image or of a stretch of video.
pub(crate) const START: &str = "<|vision_start|>";
/// See [`START`].
pub(crate) const END: &str = "<|vision_end|>";

/// Replaces the prompt's placeholders, in order, by the text that `text` makes of each medium. `wrapped` placeholders
/// (between [`START`] and [`END`]) are replaced together with what wraps them where that is asked for.
pub(crate) fn expand(
    prompt: &str,
    media: &[VisualTokens],
    unwrap_video: bool,
    text: impl Fn(&VisualTokens) -> String,
) -> Result<String, ModelError> {
    let mut out = String::with_capacity(prompt.len());
    let (mut rest, mut media_left) = (prompt, media.iter());
    let wrong = || ModelError::Placeholders {
        expected: media.len(),
        found: prompt.matches(IMAGE).count() + prompt.matches(VIDEO).count(),
        placeholders: prompt.matches(START).count(),
    };
    while let Some((at, medium)) = next_placeholder(rest) {
        let tokens = media_left.next().filter(|tokens| tokens.medium() == medium).ok_or_else(wrong)?;
        let mut before = &rest[..at];
        rest = &rest[at + placeholder(medium).len()..];
        if unwrap_video
            && medium == Medium::Video
            && let (Some(kept), Some(after)) = (before.strip_suffix(START), rest.strip_prefix(END))
        {
            (before, rest) = (kept, after);
        }
        out.push_str(before);
        out.push_str(&text(tokens));
    }
    if media_left.next().is_some() {
        return Err(wrong());
    }
    out.push_str(rest);
    Ok(out)
}

/// The placeholder text of a medium.
pub(crate) fn placeholder(medium: Medium) -> &'static str {
    match medium {
        Medium::Image => IMAGE,
        Medium::Video => VIDEO,
    }
}

fn next_placeholder(text: &str) -> Option<(usize, Medium)> {
    let image = text.find(IMAGE).map(|at| (at, Medium::Image));
    let video = text.find(VIDEO).map(|at| (at, Medium::Video));
    image.into_iter().chain(video).min_by_key(|&(at, _)| at)
}

/// Positions while a sequence is being laid out.
pub(crate) struct Positions {
    axes: [Vec<u32>; 3],
    /// The position that the next text token gets
    pub(crate) next: u32,
}

impl Positions {
    pub(crate) fn push(&mut self, position: [u32; 3]) {
        for (axis, value) in self.axes.iter_mut().zip(position) {
            axis.push(value);
        }
    }
}

/// Walks over the ids: text tokens count up, and each run of placeholders is one block of the next medium, whose
/// positions `block` pushes (the medium, its rows in the block; it also sets where text goes on).
///
/// `blocks` gives the number of rows of each block of a medium: a family may wrap a video's temporal patches one by one.
pub(crate) fn lay_out(
    ids: &[u32],
    (image_token, video_token): (u32, u32),
    media: &[VisualTokens],
    blocks: impl Fn(&VisualTokens) -> Vec<usize>,
    mut block: impl FnMut(&mut Positions, &VisualTokens, std::ops::Range<usize>),
) -> Result<Sequence, ModelError> {
    let is_visual = |id: u32| id == image_token || id == video_token;
    let wrong = || ModelError::Placeholders {
        expected: media.iter().map(VisualTokens::len).sum(),
        found: ids.iter().filter(|&&id| is_visual(id)).count(),
        placeholders: ids.windows(2).filter(|pair| !is_visual(pair[0]) && is_visual(pair[1])).count(),
    };
    let all_blocks = media.iter().enumerate().flat_map(|(index, tokens)| {
        let mut first = 0;
        blocks(tokens).into_iter().filter(|&rows| rows > 0).map(move |rows| {
            first += rows;
            (index, first - rows..first)
        })
    });
    let mut all_blocks = all_blocks;
    let mut positions = Positions { axes: Default::default(), next: 0 };
    let mut visual = Vec::new();
    let mut at = 0;
    while let Some(&id) = ids.get(at) {
        if !is_visual(id) {
            positions.push([positions.next; 3]);
            positions.next = positions.next.saturating_add(1);
            at += 1;
            continue;
        }
        let (medium, rows) = all_blocks.next().ok_or_else(wrong)?;
        let tokens = &media[medium];
        let expected = if tokens.medium() == Medium::Image { image_token } else { video_token };
        let here = ids.get(at..at + rows.len()).ok_or_else(wrong)?;
        if here.iter().any(|&id| id != expected) {
            return Err(wrong());
        }
        visual.push(VisualRun { tokens: at..at + rows.len(), medium, first_row: rows.start });
        at += rows.len();
        block(&mut positions, tokens, rows);
    }
    if all_blocks.next().is_some() {
        return Err(wrong());
    }
    Ok(Sequence::new(ids.to_vec(), positions.axes, visual))
}
