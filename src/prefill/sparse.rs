//! Attention by patterns: estimates, writes the program, runs it, keeps the books.

use super::clusters::{Clustered, Clusters};
use super::kept::{self, Part};
use super::layout::Layout;
use super::pattern::{self, Boundary, Choice, Estimate, HeadPattern, Pattern};
use candle_core::Tensor;
use longsight_kernels::attention::{Mass, Summaries};
use longsight_models::{Attention, Call, ModelError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that are looked at for an estimate (MMInference's last_q).
const PROBED: usize = 64;
/// Lines are estimated anew when the prompt has grown by an eighth: over a whole prompt that costs what probing nine times its length
/// does, however small the chunks.
const GROWTH: usize = 8;
/// Fewer rows than this are not worth an estimate.
const FEW: usize = 64;
/// A head that would compute more than this share of dense attention's scores has dense attention, which runs faster a score.
const WORTH: f64 = 0.6;
/// Prompts without frames: so many of their last rows see everything.
const QUESTION: usize = 64;

/// The pattern of every head, by layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    layers: Vec<Vec<HeadPattern>>,
    other: HeadPattern,
}

impl Heads {
    /// As listed by layer and head; heads that are not listed have the safe default.
    #[must_use]
    pub fn new(layers: Vec<Vec<HeadPattern>>) -> Self {
        Self { layers, other: Pattern::SAFE.into() }
    }

    /// The same for all.
    #[must_use]
    pub fn all(pattern: HeadPattern) -> Self {
        Self { layers: Vec::new(), other: pattern }
    }

    /// A head's pattern.
    #[must_use]
    pub fn of(&self, layer: usize, head: usize) -> HeadPattern {
        self.layers.get(layer).and_then(|heads| heads.get(head)).copied().unwrap_or(self.other)
    }

    /// A hash of all of it.
    #[must_use]
    pub fn revision(&self) -> String {
        blake3::hash(format!("{self:?}").as_bytes()).to_hex()[..16].to_owned()
    }

    /// How many heads of `layers` x `heads` have each pattern.
    #[must_use]
    pub fn counts(&self, layers: usize, heads: usize) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for layer in 0..layers {
            (0..heads).for_each(|head| *counts.entry(self.of(layer, head).pattern.name()).or_default() += 1);
        }
        counts
    }
}

/// What attention has cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Scores computed
    pub scores: f64,
    /// Scores that dense causal attention has for the same rows
    pub dense: f64,
    /// Seconds of estimating and writing programs
    pub index_s: f64,
    /// Seconds of all of it
    pub total_s: f64,
}

impl Spent {
    /// With what else was spent.
    pub fn add(&mut self, other: Self) {
        self.scores += other.scores;
        self.dense += other.dense;
        self.index_s += other.index_s;
        self.total_s += other.total_s;
    }

    /// Share of dense attention's scores that was computed.
    #[must_use]
    pub fn density(&self) -> f64 {
        if self.dense > 0.0 { self.scores / self.dense } else { 1.0 }
    }
}

/// The books of a [`Sparse`], which outlive it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Spent>>);

impl Ledger {
    /// What was spent since the last reading.
    #[must_use]
    pub fn take(&self) -> Spent {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, spent: Spent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(spent);
    }
}

/// Attention by patterns.
#[derive(Debug)]
pub struct Sparse {
    heads: Heads,
    ledger: Ledger,
    layout: Option<(usize, Layout)>,
    /// By layer
    chosen: BTreeMap<usize, Chosen>,
    clustered: Clustered,
}

/// What a layer's heads chose.
#[derive(Debug)]
struct Chosen {
    /// How many keys there were then
    keys: usize,
    heads: Vec<HeadChoice>,
}

/// What a head chose for each class of its rows.
type HeadChoice = Vec<(Class, Choice)>;

/// Which rows of a call are kept alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    All,
    Visual,
    Text,
}

impl Class {
    /// Those of a head. Blocks and clusters are for neighbouring rows, whatever they are.
    fn of(head: &HeadPattern) -> &'static [Self] {
        if head.boundary == Boundary::None || !head.pattern.is_lines() {
            &[Self::All]
        } else {
            &[Self::Visual, Self::Text]
        }
    }

    fn holds(self, layout: &Layout, token: usize) -> bool {
        match self {
            Self::All => true,
            Self::Visual => layout.is_visual(token),
            Self::Text => !layout.is_visual(token),
        }
    }

    /// The rows that speak for the class: of large frames evenly many of the newest one's, otherwise the last.
    fn probed(self, layout: &Layout, first: usize, rows: usize) -> Vec<usize> {
        let own = |rows: Range<usize>| -> Vec<usize> { rows.filter(|row| self.holds(layout, first + row)).collect() };
        let frame = layout.last_frame(first + rows).filter(|frame| frame.start >= first && frame.len() >= PROBED);
        let of_frame = frame.map_or_else(Vec::new, |frame| own(frame.start - first..frame.end - first));
        if of_frame.len() > PROBED {
            return (0..PROBED).map(|i| of_frame[i * of_frame.len() / PROBED]).collect();
        }
        if !of_frame.is_empty() {
            return of_frame;
        }
        let mut all = own(0..rows);
        all.split_off(all.len().saturating_sub(PROBED))
    }
}

impl Sparse {
    /// By these patterns; what it costs is written into `ledger`.
    #[must_use]
    pub fn new(heads: Heads, ledger: Ledger) -> Self {
        Self { heads, ledger, layout: None, chosen: BTreeMap::new(), clustered: Clustered::default() }
    }

    /// Decides for every head of the call what its rows keep.
    ///
    /// # Errors
    /// When the call's shapes do not agree.
    pub fn decide(&mut self, call: &Call<'_>) -> Result<Vec<Vec<Part>>, ModelError> {
        let shape = call.shape()?;
        let layout = layout_of(&mut self.layout, call);
        let patterns: Vec<HeadPattern> = (0..shape.heads).map(|head| self.heads.of(call.layer, head)).collect();
        let until = question(layout, call).saturating_sub(call.first).min(shape.rows);
        let known = self.chosen.get(&call.layer).filter(|Chosen { keys, .. }| {
            // The same prompt, not much longer; a shorter one is another.
            call.first >= *keys && shape.keys - keys <= keys / GROWTH
        });
        let rows_of =
            |class: Class| -> Vec<usize> { (0..until).filter(|row| class.holds(layout, call.first + row)).collect() };
        let classes = [Class::All, Class::Visual, Class::Text].map(|class| (class, rows_of(class)));
        let rows_of = |class: Class| &classes[class as usize].1;
        let lasting = known.map(|known| known.heads.clone());
        let choices = match lasting {
            Some(choices) => renewed(&patterns, choices, call, layout, until)?,
            None => {
                let all = vec![true; patterns.len()];
                let (choices, seen) = chosen(&patterns, &all, call, layout, until)?;
                // What nobody was asked about is not known for later either.
                if seen {
                    self.chosen.insert(call.layer, Chosen { keys: shape.keys, heads: choices.clone() });
                } else {
                    self.chosen.remove(&call.layer);
                }
                choices
            }
        };
        let group = shape.heads / shape.kv_heads;
        let (mut all, mut made) = (Vec::with_capacity(choices.len()), BTreeMap::new());
        for (head, of_head) in choices.iter().enumerate() {
            let mut parts = Vec::new();
            for (class, choice) in of_head {
                let clustered = |own: &Clusters| -> Result<Arc<Summaries>, ModelError> {
                    // The call's new stretches are clustered once for all heads that want as many means.
                    let of_heads = match made.entry(own.means) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(new) => new.insert(self.clustered.of(call, *own)?.to_vec()),
                    };
                    Ok(of_heads[head / group].clone())
                };
                parts.extend(pattern::parts(choice, rows_of(*class), call.first, layout, clustered)?);
            }
            parts.push(Part { rows: Some((until..shape.rows).collect()), kept: kept::Kept::All });
            parts.retain(|part| part.rows.as_ref().is_some_and(|rows| !rows.is_empty()));
            all.push(parts);
        }
        Ok(all)
    }
}

impl Attention for Sparse {
    fn attend(&mut self, call: Call<'_>) -> Result<Tensor, ModelError> {
        let shape = call.shape()?;
        let (first, rows) = (call.first as f64, shape.rows as f64);
        let dense = shape.heads as f64 * rows * (first + (rows + 1.0) / 2.0);
        let begun = std::time::Instant::now();
        let whole = shape.rows < FEW || !call.takes_programs() || {
            let layout = layout_of(&mut self.layout, &call);
            question(layout, &call) <= call.first
        };
        if whole {
            let out = call.dense()?;
            // Generated tokens are not the prefill's.
            if shape.rows > 1 {
                self.ledger.add(Spent { scores: dense, dense, index_s: 0.0, total_s: begun.elapsed().as_secs_f64() });
            }
            return Ok(out);
        }
        let mut heads = self.decide(&call)?;
        let layout = layout_of(&mut self.layout, &call);
        let mut program = kept::program(shape, call.first, &heads, layout);
        let limit = dense / shape.heads as f64 * WORTH;
        let dear: Vec<usize> = (0..shape.heads)
            .zip(program.scores(shape))
            .filter(|&(_, cost)| cost as f64 > limit)
            .map(|(head, _)| head)
            .collect();
        if !dear.is_empty() {
            dear.iter().for_each(|&head| heads[head] = vec![Part { rows: None, kept: kept::Kept::All }]);
            program = kept::program(shape, call.first, &heads, layout);
        }
        let index_s = begun.elapsed().as_secs_f64();
        let (out, attended) = call.program(&program)?;
        let total_s = begun.elapsed().as_secs_f64();
        self.ledger.add(Spent { scores: attended.scores as f64, dense, index_s, total_s });
        Ok(out)
    }
}

/// The layout of the call's sequence, read once.
fn layout_of<'a>(held: &'a mut Option<(usize, Layout)>, call: &Call<'_>) -> &'a Layout {
    // Prompts about the same media differ after the last frame only, and a first chunk begins a new one.
    let fresh = held.as_ref().is_none_or(|(len, _)| *len != call.sequence.len() || call.first == 0 && call.layer == 0);
    if fresh {
        *held = None;
    }
    let (_, layout) = held.get_or_insert_with(|| (call.sequence.len(), Layout::of(call.sequence)));
    layout
}

/// Where the question begins, whose rows see everything.
fn question(layout: &Layout, call: &Call<'_>) -> usize {
    if layout.frames() > 0 { layout.end() } else { call.sequence.len().saturating_sub(QUESTION) }
}

/// What the `asked` heads choose, by class of rows, and whether there was a row to probe for each class. Heads share a probe.
fn chosen(
    patterns: &[HeadPattern],
    asked: &[bool],
    call: &Call<'_>,
    layout: &Layout,
    until: usize,
) -> Result<(Vec<HeadChoice>, bool), ModelError> {
    let near: Vec<usize> = patterns.iter().map(|head| head.pattern.window().saturating_sub(1)).collect();
    let nothing = Mass { columns: Vec::new(), distances: Vec::new(), far: Vec::new() };
    let mut probes: BTreeMap<Class, (Vec<usize>, Vec<Mass>)> = BTreeMap::new();
    let mut choices = vec![HeadChoice::new(); patterns.len()];
    for head in (0..patterns.len()).filter(|&head| asked[head]) {
        let HeadPattern { pattern, boundary } = patterns[head];
        for &class in Class::of(&patterns[head]) {
            if !pattern.is_static() && !probes.contains_key(&class) {
                let rows = class.probed(layout, call.first, until);
                let mass = if rows.is_empty() { Vec::new() } else { call.probe(&rows, &near)? };
                probes.insert(class, (rows.iter().map(|row| call.first + row).collect(), mass));
            }
            let (probed, mass) = match probes.get(&class) {
                Some((probed, masses)) => (&probed[..], masses.get(head).unwrap_or(&nothing)),
                None => (&[][..], &nothing),
            };
            let estimate = Estimate { layout, mass, probed, call, head };
            choices[head].push((class, by_keys(pattern, boundary, estimate)?));
        }
    }
    let seen = probes.values().all(|(probed, _)| !probed.is_empty());
    Ok((choices, seen))
}

/// With a pattern of its own for each modality of the keys, the union of both.
fn by_keys(pattern: Pattern, boundary: Boundary, estimate: Estimate<'_>) -> Result<Choice, ModelError> {
    if boundary != Boundary::Both || !pattern.is_lines() {
        return pattern.choose(estimate);
    }
    let of = |class: Class| {
        let mut mass = estimate.mass.clone();
        for (key, share) in mass.columns.iter_mut().enumerate() {
            *share = if class.holds(estimate.layout, key) { *share } else { 0.0 };
        }
        pattern.choose(Estimate { mass: &mass, ..estimate })
    };
    Ok(match (of(Class::Visual)?, of(Class::Text)?) {
        (Choice::Lines(visual), Choice::Lines(text)) => Choice::Lines(visual.and(text)),
        (visual, _) => visual,
    })
}

/// Lines hold for the rows to come; blocks were for the rows of their call.
fn renewed(
    patterns: &[HeadPattern],
    mut choices: Vec<HeadChoice>,
    call: &Call<'_>,
    layout: &Layout,
    until: usize,
) -> Result<Vec<HeadChoice>, ModelError> {
    let passing = |own: &HeadChoice| own.iter().any(|(_, choice)| matches!(choice, Choice::Blocks(_)));
    let asked: Vec<bool> = choices.iter().map(passing).collect();
    if asked.contains(&true) {
        let (anew, _) = chosen(patterns, &asked, call, layout, until)?;
        for (own, anew) in choices.iter_mut().zip(anew).filter(|(_, anew)| !anew.is_empty()) {
            *own = anew;
        }
    }
    Ok(choices)
}
