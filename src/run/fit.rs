//! How much can be looked at: frames, their size and their tokens, chosen so that every limit is kept, by the mildest loss that will do.

use super::EvidencePlan;
use super::cost::{self, Cost, Rates, Work};
use super::plan::{self, Asks, CompressPlan, MAX_NEW_TOKENS, PlanError, SamplePlan};
use crate::compress::{self, Settings};
use crate::decode::VideoInfo;
use crate::prefill::PatternFile;
use crate::recipe::{Budget, Options};
use crate::sample;
use longsight_models::{Card, PixelBudget, Processor, Size, Span};

/// Prompt tokens per temporal patch besides its visual ones: its time in words and two brackets.
const STAMP_TOKENS: usize = 12;
/// Prompt tokens kept free for the template and the question.
const QUESTION_TOKENS: usize = 512;
/// What `auto` compresses with: the best on the bundled model's world (`longsight bench compress`).
const METHOD: &str = "salient";
/// The share that a method keeps, unless the user says otherwise.
const KEEP: f64 = 0.25;

/// Shares of visual tokens that are tried, with what each loses, in the measure of [`HALF_THE_FRAMES`].
const KEEPS: [(f64, f64); 4] = [(1.0, 0.0), (0.5, 0.5), (0.25, 1.0), (0.1, 2.5)];
/// Shares of a frame's pixels that are tried, likewise.
const SCALES: [(f64, f64); 3] = [(1.0, 0.0), (0.5, 1.0), (0.25, 2.5)];
/// Visual tokens of the smallest frame that is tried: below that, a picture shows next to nothing.
const LEAST_CELLS: usize = 16;
/// What there is to be had of the memory that no one has set a limit to.
const MACHINE: &str = "a machine with";
/// The limit that every model has.
const CONTEXT: &str = "tokens of the model's context";
/// What is lost with every other frame. Frames go last: what falls between two of them cannot be known.
const HALF_THE_FRAMES: f64 = 3.0;

/// What is known when the choice is made.
pub(super) struct Fitting<'a> {
    pub(super) options: &'a Options,
    pub(super) info: &'a VideoInfo,
    pub(super) processor: &'a dyn Processor,
    pub(super) patterns: Option<&'a PatternFile>,
    pub(super) rates: Option<&'a Rates>,
    /// Bytes of memory that there are
    pub(super) machine: Option<u64>,
    pub(super) span: Span,
    pub(super) evidence: &'a EvidencePlan,
    pub(super) asks: Asks,
}

/// One way to look at the video.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) frames: usize,
    pub(super) size: Size,
    /// Visual tokens before compression
    pub(super) tokens: usize,
    pub(super) sample: SamplePlan,
    pub(super) compress: CompressPlan,
    loss: f64,
}

impl Look {
    /// Tokens of the prompt.
    pub(super) fn prompt(&self) -> usize {
        prompt_tokens(self.sample.moments, self.compress.tokens)
    }
}

/// Tokens of a prompt about so many moments and visual tokens, the question's not counted.
pub(super) fn prompt_tokens(moments: usize, visual: usize) -> usize {
    visual + moments.min(visual) * STAMP_TOKENS
}

/// Rows and columns of visual tokens of a temporal patch.
pub(super) fn grid(size: Size, card: &Card) -> (usize, usize) {
    let side = (card.patch * card.merge) as u32;
    ((size.height / side) as usize, (size.width / side) as usize)
}

/// A limit, and what a look takes of it.
struct Limit {
    name: &'static str,
    flag: &'static str,
    most: f64,
    taken: f64,
    shown: fn(f64) -> String,
}

impl Fitting<'_> {
    /// The look with the least loss, of up to `wished` frames, that keeps every limit.
    pub(super) fn fit(&self, wished: usize) -> Result<Look, PlanError> {
        let mut looks = self.looks(wished)?;
        looks.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let fits = |look: &Look| self.limits(look).iter().all(|limit| limit.taken <= limit.most);
        if let Some(look) = looks.iter().find(|look| fits(look)) {
            return Ok(look.clone());
        }
        // The one that is nearest: its worst limit is told.
        let worst = |look: &Look| {
            self.limits(look).into_iter().max_by(|a, b| (a.taken / a.most).total_cmp(&(b.taken / b.most)))
        };
        let over = |look: &Look| worst(look).map_or(0.0, |limit| limit.taken / limit.most);
        let nearest = looks.iter().min_by(|a, b| over(a).total_cmp(&over(b)));
        let Some((look, limit)) = nearest.and_then(|look| Some((look, worst(look)?))) else {
            return Err(PlanError::Size("the model takes no frame of this size".to_owned()));
        };
        Err(PlanError::DoesNotFit {
            least: format!(
                "{} frames of {}x{} with {} visual tokens take {} {}",
                look.frames,
                look.size.width,
                look.size.height,
                look.compress.tokens,
                (limit.shown)(limit.taken),
                limit.name
            ),
            limit: (limit.shown)(limit.most),
            hint: self.cure(look, &limit),
        })
    }

    /// What would make a look fit.
    fn cure(&self, look: &Look, limit: &Limit) -> String {
        // A prompt that fits leaves room for an answer, if not for one so long.
        let room = self.processor.card().context.saturating_sub(look.prompt() + QUESTION_TOKENS);
        if limit.name == CONTEXT && room > 0 {
            return format!("--max-new-tokens {room} would fit");
        }
        format!("{} {} would fit", limit.flag, (limit.shown)(limit.taken))
    }

    /// Everything that may be tried: what the user fixed stays.
    fn looks(&self, wished: usize) -> Result<Vec<Look>, PlanError> {
        let card = self.processor.card();
        let source = Size { width: self.info.width, height: self.info.height };
        let fewest = card.temporal_patch.min(wished);
        let methods = self.methods()?;
        let (sampler, share) = self.sampler()?;
        let mut looks = Vec::new();
        let mut frames = wished;
        loop {
            let loss = HALF_THE_FRAMES * (wished as f64 / frames as f64).log2();
            for (size, scaled) in self.sizes(source, frames.max(card.temporal_patch))? {
                let tokens = self.processor.visual_tokens(size, frames);
                let grid = grid(size, card);
                let patches = frames.div_ceil(card.temporal_patch);
                let moments = if share < 1.0 { sample::chosen(patches, share) } else { patches };
                for &(method, keep, thinned) in &methods {
                    let compressor = compress::method(method, Settings { keep, seed: 0 });
                    if share < 1.0 && compressor.as_ref().is_some_and(|method| method.strides(grid).is_some()) {
                        return Err(PlanError::Apart { compress: method.to_owned(), sample: sampler.to_owned() });
                    }
                    let kept =
                        compressor.map_or(moments * grid.0 * grid.1, |method| compress::kept(&*method, moments, grid));
                    // Without a token for each moment, moments go unseen, and compression is worse than fewer frames.
                    if thinned > 0.0 && kept < moments {
                        continue;
                    }
                    let sample = SamplePlan { method: sampler.to_owned(), keep: share, moments };
                    let compress = CompressPlan { method: method.to_owned(), keep, tokens: kept };
                    looks.push(Look { frames, size, tokens, sample, compress, loss: loss + scaled + thinned });
                }
            }
            if frames <= fewest {
                return Ok(looks);
            }
            // A family may show fewer frames larger, so that tokens need not fall with frames: all are tried.
            frames = (frames * 7 / 8).max(fewest);
        }
    }

    /// The sampler and the share of moments that it keeps.
    fn sampler(&self) -> Result<(&str, f64), PlanError> {
        let wanted = &self.options.sample;
        let keep = wanted.keep.unwrap_or(KEEP);
        match wanted.method.as_deref().unwrap_or("all") {
            "all" => Ok(("all", 1.0)),
            name if sample::sampler(name).is_none() => Err(unknown("sampler", name, &["all"], sample::samplers())),
            _ if keep >= 1.0 => Ok(("all", 1.0)),
            name => Ok((name, keep)),
        }
    }

    /// Methods with what they keep and lose: what was asked for, or from nothing to nearly everything.
    fn methods(&self) -> Result<Vec<(&str, f64, f64)>, PlanError> {
        let keep = self.options.compress.keep;
        match self.options.compress.method.as_deref().unwrap_or("auto") {
            "none" => Ok(vec![("none", 1.0, 0.0)]),
            "auto" if keep.is_none() => Ok(KEEPS
                .map(|(keep, loss)| if keep < 1.0 { (METHOD, keep, loss) } else { ("none", keep, loss) })
                .to_vec()),
            name => {
                let (name, keep) = (if name == "auto" { METHOD } else { name }, keep.unwrap_or(KEEP));
                let settings = Settings { keep, seed: 0 };
                match compress::method(name, settings) {
                    None => Err(unknown("compression method", name, &["none", "auto"], compress::methods())),
                    Some(_) if keep >= 1.0 => Ok(vec![("none", 1.0, 0.0)]),
                    Some(_) => Ok(vec![(name, keep, 0.0)]),
                }
            }
        }
    }

    /// Frame sizes with what they lose: the checkpoint's own, and smaller ones where it leaves a choice and a limit may ask for them.
    fn sizes(&self, source: Size, frames: usize) -> Result<Vec<(Size, f64)>, PlanError> {
        let size = |source, budget| {
            self.processor.frame_size(source, frames, budget).map_err(|error| PlanError::Size(error.to_string()))
        };
        let area = |size: Size| u64::from(size.width) * u64::from(size.height);
        let own = size(source, None)?;
        let mut sizes = vec![(own, 0.0)];
        let limited = self.options.vision.max_tokens.is_some()
            || self.options.budget.memory.is_some()
            || self.options.budget.seconds.is_some();
        if !limited {
            return Ok(sizes);
        }
        let card = self.processor.card();
        let least = (LEAST_CELLS * (card.patch * card.merge).pow(2)) as u64;
        for &(scale, loss) in &SCALES[1..] {
            let wanted = (area(own) as f64 * scale) as u64;
            // What a budget counts is the family's: the largest is sought under which the frame is small enough.
            let (mut low, mut high) = (1_usize, area(own) as usize * frames.max(1));
            while low + low / 64 < high {
                let middle = low + (high - low) / 2;
                let fits =
                    size(source, Some(PixelBudget { min: 1, max: middle })).is_ok_and(|size| area(size) <= wanted);
                if fits { low = middle } else { high = middle }
            }
            if let Ok(smaller) = size(source, Some(PixelBudget { min: 1, max: low }))
                && area(smaller) >= least
                && sizes.iter().all(|&(known, _)| area(smaller) < area(known))
            {
                sizes.push((smaller, loss));
            }
        }
        Ok(sizes)
    }

    /// What a look takes, and may take.
    fn limits(&self, look: &Look) -> Vec<Limit> {
        let (card, budget) = (self.processor.card(), &self.options.budget);
        let new_tokens = self.options.generate.max_new_tokens.unwrap_or(MAX_NEW_TOKENS);
        let whole = |tokens: f64| format!("{tokens:.0}");
        let prompt = look.prompt();
        let mut limits = vec![Limit {
            name: CONTEXT,
            flag: "a model with a context of",
            most: card.context as f64,
            taken: (prompt + new_tokens + QUESTION_TOKENS) as f64,
            shown: whole,
        }];
        if let Some(most) = self.options.vision.max_tokens {
            let taken = look.compress.tokens as f64;
            limits.push(Limit { name: "visual tokens", flag: "--max-tokens", most: most as f64, taken, shown: whole });
        }
        if self.machine.is_none() && *budget == Budget::default() {
            return limits;
        }
        let prefill = plan::prefill(self.options, card, self.patterns, prompt);
        let work = Work {
            card,
            info: self.info,
            span: self.span,
            frames: look.frames,
            size: look.size,
            visual: look.compress.tokens,
            held: if look.sample.keep < 1.0 { look.tokens } else { look.compress.tokens },
            prompt,
            moments: look.sample.moments,
            prefill: &prefill,
            evidence: self.evidence,
            asks: self.asks,
        };
        let taken = cost::memory(&work, self.rates) as f64;
        let asked = budget.memory.map(|most| (most, "--memory"));
        for (most, flag) in [asked, self.machine.map(|most| (most, MACHINE))].into_iter().flatten() {
            limits.push(Limit { name: "of memory", flag, most: most as f64, taken, shown: megabytes });
        }
        if let (Some(most), Some(rates)) = (budget.seconds, self.rates) {
            let taken = Cost::of(&work, rates).seconds.total;
            limits.push(Limit { name: "of time", flag: "--budget", most, taken, shown: seconds });
        }
        limits
    }
}

fn unknown(
    what: &'static str,
    name: &str,
    words: &[&'static str],
    methods: impl Iterator<Item = &'static str>,
) -> PlanError {
    let known = words.iter().copied().chain(methods).collect::<Vec<_>>().join(", ");
    PlanError::Method { what, name: name.to_owned(), known }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0}M", (bytes / f64::from(1 << 20)).ceil())
}

fn seconds(seconds: f64) -> String {
    // Little time is told exactly: `0.1s` would be no limit that somebody gave.
    if seconds < 0.1 {
        format!("{}s", (seconds * 1000.0).ceil() / 1000.0)
    } else {
        format!("{:.1}s", (seconds * 10.0).ceil() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::run::Outline;
    use longsight_models::LoadOptions;
    use std::path::Path;

    /// What is looked at of two hours on a machine with so much memory.
    fn look(machine: u64) -> Result<Look, PlanError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/longsight-tiny");
        let outline = Outline::open("longsight-tiny", &folder, &LoadOptions::default()).unwrap();
        let info =
            VideoInfo { width: 320, height: 320, duration_s: Some(7200.0), frames: None, ..VideoInfo::example() };
        let options = Options::default();
        let fitting = Fitting {
            options: &options,
            info: &info,
            processor: &*outline.processor,
            patterns: None,
            rates: None,
            machine: Some(machine),
            span: Span { start: 0.0, end: 7200.0 },
            evidence: &EvidencePlan::resolve(&options.evidence),
            asks: Asks::default(),
        };
        fitting.fit(7200)
    }

    #[test]
    fn what_the_machine_cannot_hold_is_not_tried() {
        let (much, some) = (look(1 << 40).unwrap(), look(250 << 20).unwrap());
        assert_eq!((much.frames, much.loss), (7200, 0.0));
        assert!(some.loss > 0.0, "{some:?}");
        let PlanError::DoesNotFit { hint, .. } = look(1 << 20).unwrap_err() else { panic!("it fits a mebibyte") };
        assert!(hint.starts_with("a machine with "), "{hint}");
    }
}
