//! Visual tokens: what the vision tower hands to the language model, with what belongs to each row.

use super::{Medium, ModelError, PatchTime};
use candle_core::Tensor;
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
/// only appended and narrowed together.
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

    /// Merged patches `(rows, columns)` of one temporal patch, before any narrowing.
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

    /// The tokens of the temporal patches `range` alone, as a video of its own.
    ///
    /// # Errors
    /// When there are not so many patches.
    pub fn patches(&self, range: Range<usize>) -> Result<Self, ModelError> {
        let Some(times) = self.times.get(range.clone()) else {
            let (expected, found) = (vec![self.times.len()], vec![range.start, range.end]);
            return Err(ModelError::Shape { what: "temporal patches", expected, found });
        };
        let row = |patch: usize| self.coordinates.partition_point(|at| (at.t as usize) < patch);
        let (from, to) = (row(range.start), row(range.end));
        let deepstack = self.deepstack.iter().map(|tensor| tensor.narrow(0, from, to - from));
        let shifted = |at: &Coordinate| Coordinate { t: at.t - range.start as u32, ..*at };
        Ok(Self {
            embeddings: self.embeddings.narrow(0, from, to - from)?,
            deepstack: deepstack.collect::<Result<_, _>>()?,
            coordinates: self.coordinates[from..to].iter().map(shifted).collect(),
            times: times.to_vec(),
            ..*self
        })
    }

    /// The tokens at `keep` alone (strictly ascending row numbers), with everything that belongs to them. Temporal
    /// patches keep their entry even when no token of theirs is left.
    ///
    /// # Errors
    /// When a row number is out of range or they do not ascend.
    pub fn narrow(&self, keep: &[usize]) -> Result<Self, ModelError> {
        let ascending = keep.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || keep.last().is_some_and(|&row| row >= self.len()) {
            return Err(ModelError::Shape {
                what: "kept visual tokens",
                expected: vec![self.len()],
                found: keep.last().copied().into_iter().collect(),
            });
        }
        let rows: Vec<u32> = keep.iter().map(|&row| row as u32).collect();
        let rows = Tensor::new(rows, self.embeddings.device())?;
        let deepstack = self.deepstack.iter().map(|tensor| tensor.index_select(&rows, 0));
        Ok(Self {
            embeddings: self.embeddings.index_select(&rows, 0)?,
            deepstack: deepstack.collect::<Result<_, _>>()?,
            coordinates: keep.iter().map(|&row| self.coordinates[row]).collect(),
            times: self.times.clone(),
            ..*self
        })
    }
}
