//! Visual tokens: what the vision tower hands to the language model, with what belongs to each row.

use super::{Group, Medium, ModelError, PatchTime, Selection};
use candle_core::{Device, Tensor};
use std::ops::Range;

/// Where a visual token lies, in merged patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coordinate {
    /// Temporal patch, an index into `VisualTokens::times`
    pub t: u32,
    /// Row
    pub h: u32,
    /// Column
    pub w: u32,
}

/// Visual tokens of one video or image. Embeddings, DeepStack rows and coordinates are columns of one table and are
/// only appended and selected together.
#[derive(Debug, Clone)]
pub struct VisualTokens {
    embeddings: Tensor,
    deepstack: Vec<Tensor>,
    coordinates: Vec<Coordinate>,
    times: Vec<PatchTime>,
    rows: u32,
    columns: u32,
    medium: Medium,
}

impl VisualTokens {
    /// The full grid of `times.len()` temporal patches of `rows` x `columns` merged patches each, in raster order.
    ///
    /// `embeddings` and each of `deepstack`: `[times.len() * rows * columns, hidden]`.
    ///
    /// # Errors
    /// When a tensor does not have that many rows, or their widths differ.
    pub fn new(
        embeddings: Tensor,
        deepstack: Vec<Tensor>,
        (rows, columns): (usize, usize),
        times: Vec<PatchTime>,
        medium: Medium,
    ) -> Result<Self, ModelError> {
        let (count, hidden) = embeddings.dims2()?;
        let expected = vec![times.len() * rows * columns, hidden];
        for tensor in std::iter::once(&embeddings).chain(&deepstack) {
            if tensor.dims() != expected {
                return Err(ModelError::Shape { what: "visual tokens", expected, found: tensor.dims().to_vec() });
            }
        }
        let mut coordinates = Vec::with_capacity(count);
        for t in 0..times.len() as u32 {
            for h in 0..rows as u32 {
                coordinates.extend((0..columns as u32).map(|w| Coordinate { t, h, w }));
            }
        }
        Ok(Self { embeddings, deepstack, coordinates, times, rows: rows as u32, columns: columns as u32, medium })
    }

    /// A table that was taken apart: what the other methods give, put together again.
    ///
    /// # Errors
    /// When the columns differ in length, or a token belongs to no temporal patch.
    pub fn restore(
        embeddings: Tensor,
        deepstack: Vec<Tensor>,
        coordinates: Vec<Coordinate>,
        times: Vec<PatchTime>,
        (rows, columns): (usize, usize),
        medium: Medium,
    ) -> Result<Self, ModelError> {
        let expected = vec![coordinates.len(), embeddings.dims2()?.1];
        for tensor in std::iter::once(&embeddings).chain(&deepstack) {
            if tensor.dims() != expected {
                return Err(ModelError::Shape { what: "visual tokens", expected, found: tensor.dims().to_vec() });
            }
        }
        if let Some(at) = coordinates.iter().find(|at| at.t as usize >= times.len()) {
            let found = vec![at.t as usize];
            return Err(ModelError::Shape { what: "temporal patches", expected: vec![times.len()], found });
        }
        Ok(Self { embeddings, deepstack, coordinates, times, rows: rows as u32, columns: columns as u32, medium })
    }

    /// Number of visual tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.coordinates.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.coordinates.is_empty()
    }

    /// `[len, hidden]`.
    #[must_use]
    pub fn embeddings(&self) -> &Tensor {
        &self.embeddings
    }

    /// One `[len, hidden]` for each language layer that has one added at the visual rows; empty for families without.
    #[must_use]
    pub fn deepstack(&self) -> &[Tensor] {
        &self.deepstack
    }

    /// Where each token lies.
    #[must_use]
    pub fn coordinates(&self) -> &[Coordinate] {
        &self.coordinates
    }

    /// One entry per temporal patch.
    #[must_use]
    pub fn times(&self) -> &[PatchTime] {
        &self.times
    }

    /// Merged patches `(rows, columns)` of one temporal patch, before any selection.
    #[must_use]
    pub fn grid(&self) -> (usize, usize) {
        (self.rows as usize, self.columns as usize)
    }

    /// Image or video.
    #[must_use]
    pub fn medium(&self) -> Medium {
        self.medium
    }

    /// How many tokens each temporal patch has.
    #[must_use]
    pub fn tokens_per_time(&self) -> Vec<usize> {
        let mut counts = vec![0; self.times.len()];
        for coordinate in &self.coordinates {
            counts[coordinate.t as usize] += 1;
        }
        counts
    }

    /// One table from consecutive chunks of one video, in order.
    ///
    /// # Errors
    /// When there is no chunk, or chunks differ in grid, width or medium.
    pub fn concat(chunks: &[Self]) -> Result<Self, ModelError> {
        let (first, rest) = chunks.split_first().ok_or(ModelError::NoVisualTokens)?;
        if rest.is_empty() {
            return Ok(first.clone());
        }
        let mut joined = first.clone();
        for chunk in rest {
            if chunk.grid() != first.grid() || chunk.medium != first.medium {
                return Err(ModelError::Shape {
                    what: "chunks of one video",
                    expected: vec![first.rows as usize, first.columns as usize],
                    found: vec![chunk.rows as usize, chunk.columns as usize],
                });
            }
            let offset = joined.times.len() as u32;
            joined.times.extend_from_slice(&chunk.times);
            joined.coordinates.extend(chunk.coordinates.iter().map(|c| Coordinate { t: c.t + offset, ..*c }));
        }
        let parts: Vec<&Tensor> = chunks.iter().map(|chunk| &chunk.embeddings).collect();
        joined.embeddings = Tensor::cat(&parts, 0)?;
        for (level, tensor) in joined.deepstack.iter_mut().enumerate() {
            let parts: Option<Vec<&Tensor>> = chunks.iter().map(|chunk| chunk.deepstack.get(level)).collect();
            *tensor = Tensor::cat(&parts.ok_or(ModelError::NoVisualTokens)?, 0)?;
        }
        Ok(joined)
    }

    /// What `selection` leaves of the tokens, with everything that belongs to them: embeddings and DeepStack rows are summed alike.
    /// Temporal patches keep their entry even when no token of theirs is left.
    ///
    /// # Errors
    /// When a row number is out of range.
    pub fn select(&self, selection: &Selection) -> Result<Self, ModelError> {
        let groups = selection.groups();
        let last = groups.iter().flat_map(|group| group.rows.iter().map(|&(row, _)| row).chain([group.at])).max();
        if let Some(last) = last.filter(|&last| last >= self.len()) {
            return Err(ModelError::Shape {
                what: "kept visual tokens",
                expected: vec![self.len()],
                found: vec![last],
            });
        }
        let gather = Gather::new(groups, self.embeddings.device())?;
        let deepstack = self.deepstack.iter().map(|tensor| gather.of(tensor));
        Ok(Self {
            embeddings: gather.of(&self.embeddings)?,
            deepstack: deepstack.collect::<Result<_, _>>()?,
            coordinates: groups.iter().map(|group| self.coordinates[group.at]).collect(),
            times: self.times.clone(),
            ..*self
        })
    }

    /// Some temporal patches alone (strictly ascending numbers), counted from 0 again, each with its own time.
    ///
    /// # Errors
    /// When a number is out of range or they do not ascend.
    pub fn pick(&self, patches: &[usize]) -> Result<Self, ModelError> {
        let parts: Vec<Self> = patches.iter().map(|&patch| self.patches(patch..patch + 1)).collect::<Result<_, _>>()?;
        if patches.windows(2).any(|pair| pair[0] >= pair[1]) {
            let found = patches.to_vec();
            return Err(ModelError::Shape { what: "temporal patches, which must ascend", expected: Vec::new(), found });
        }
        Self::concat(&parts)
    }

    /// The temporal patches in `range` alone, counted from 0 again.
    ///
    /// # Errors
    /// When there are not so many patches.
    pub fn patches(&self, range: Range<usize>) -> Result<Self, ModelError> {
        if range.start > range.end || range.end > self.times.len() {
            let found = vec![range.start, range.end];
            return Err(ModelError::Shape { what: "temporal patches", expected: vec![self.times.len()], found });
        }
        // Tokens stand in the order of their patches.
        let row = |patch: usize| self.coordinates.partition_point(|at| (at.t as usize) < patch);
        let (first, count) = (row(range.start), row(range.end) - row(range.start));
        let part = |tensor: &Tensor| tensor.narrow(0, first, count);
        let from = range.start as u32;
        Ok(Self {
            embeddings: part(&self.embeddings)?,
            deepstack: self.deepstack.iter().map(part).collect::<Result<_, _>>()?,
            coordinates: self.coordinates[first..first + count]
                .iter()
                .map(|at| Coordinate { t: at.t - from, ..*at })
                .collect(),
            times: self.times[range].to_vec(),
            ..*self
        })
    }
}

/// Rows of a table into the rows of a shorter one.
pub(crate) struct Gather {
    rows: Tensor,
    /// Weights `[members, 1]` and the group that each member goes to; `None` where rows are only dropped
    sums: Option<(Tensor, Tensor)>,
    groups: usize,
}

impl Gather {
    /// Each group's sum, in their order.
    pub(crate) fn new(groups: &[Group], device: &Device) -> Result<Self, ModelError> {
        let members =
            || groups.iter().enumerate().flat_map(|(n, group)| group.rows.iter().map(move |&(row, w)| (n, row, w)));
        let rows: Vec<u32> = members().map(|(_, row, _)| row as u32).collect();
        let sums = if groups.iter().all(|group| matches!(group.rows[..], [(_, 1.0)])) {
            None
        } else {
            let weights: Vec<f32> = members().map(|(_, _, weight)| weight).collect();
            let of: Vec<u32> = members().map(|(group, ..)| group as u32).collect();
            Some((Tensor::new(weights, device)?.unsqueeze(1)?, Tensor::new(of, device)?))
        };
        Ok(Self { rows: Tensor::new(rows, device)?, sums, groups: groups.len() })
    }

    /// `[rows, width]` to `[groups, width]`.
    pub(crate) fn of(&self, table: &Tensor) -> Result<Tensor, ModelError> {
        let rows = table.index_select(&self.rows, 0)?;
        let Some((weights, groups)) = &self.sums else { return Ok(rows) };
        let weighted = rows.broadcast_mul(&weights.to_dtype(table.dtype())?)?;
        let empty = Tensor::zeros((self.groups, table.dim(1)?), table.dtype(), table.device())?;
        Ok(empty.index_add(groups, &weighted, 0)?)
    }
}
