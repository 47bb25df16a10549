//! The embedding table. Where the output head is the same weights and its packed copy has lost nothing, that copy is the table too: a large
//! vocabulary is then held once.

use super::linear::Linear;
use crate::ModelError;
use crate::weights::Weights;
use candle_core::{DType, Device, Tensor};
use longsight_kernels::linear::Packed;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of a vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct Embedding {
    table: Table,
    vocabulary: usize,
    dtype: DType,
}

#[derive(Debug, Clone)]
enum Table {
    /// In the checkpoint's number format
    Stored(Tensor),
    /// The output head's
    Head(Arc<Packed>),
}

impl Embedding {
    /// The table `weight` of `[vocabulary, hidden]`.
    pub(crate) fn load(weights: &Weights, vocabulary: usize, hidden: usize) -> Result<Self, ModelError> {
        let stored = weights.stored(&[vocabulary, hidden], "weight")?;
        Ok(Self { table: Table::Stored(stored), vocabulary, dtype: weights.dtype() })
    }

    /// The same with the output head that it is tied to.
    pub(crate) fn tied(weights: &Weights, vocabulary: usize, hidden: usize) -> Result<(Self, Linear), ModelError> {
        let stored = weights.stored(&[vocabulary, hidden], "weight")?;
        let head = Linear::new(&stored, None, weights)?;
        let table = head.lossless(stored.dtype()).map_or(Table::Stored(stored), Table::Head);
        Ok((Self { table, vocabulary, dtype: weights.dtype() }, head))
    }

    /// `[ids, hidden]`, once the ids are known to lie in the vocabulary.
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor, ModelError> {
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            let found = vec![id as usize];
            return Err(ModelError::Shape { what: "token id", expected: vec![self.vocabulary], found });
        }
        match &self.table {
            Table::Stored(table) => {
                Ok(table.index_select(&Tensor::new(ids, table.device())?, 0)?.to_dtype(self.dtype)?)
            }
            Table::Head(head) => {
                let mut rows = vec![0.0; ids.len() * head.input()];
                let each = rows.par_chunks_mut(head.input().max(1)).zip(ids);
                each.for_each(|(row, &id)| head.weights_of(id as usize, row));
                Ok(Tensor::from_vec(rows, (ids.len(), head.input()), &Device::Cpu)?)
            }
        }
    }
}
