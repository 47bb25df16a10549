//! What an output folder's files say: what is answered, what failed.

use super::super::journal::Extent;
use super::super::key::{self, Job};
use super::super::report::{FailureRecord, JobFacts};
use super::line_of;
use blake3::Hash;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What is answered, by slot and by key.
#[derive(Debug, Default)]
pub(in crate::batch) struct Index {
    by_slot: HashMap<Hash, (Hash, Extent)>,
    by_key: HashMap<Hash, Extent>,
    by_place: HashMap<String, Place>,
    pub(super) lines: usize,
}

/// What is answered about one place.
#[derive(Debug)]
struct Place {
    newest: Extent,
    /// In the order in which they were first answered
    slots: Vec<Hash>,
}

/// The part of a line that decides which answer it is.
#[derive(Deserialize)]
struct Line {
    question: String,
    job: JobFacts,
}

impl Index {
    /// Takes note of a line; what is no answer is counted and nothing else.
    pub(super) fn read(&mut self, line: &[u8], extent: Extent) {
        self.lines += 1;
        let Ok(Line { question, job }) = serde_json::from_slice(line) else { return };
        let Ok(key) = Hash::from_hex(&job.key) else { return };
        self.insert(key::slot(&job.place, &question, &job.choices), key, &job.place, extent);
    }

    pub(super) fn insert(&mut self, slot: Hash, key: Hash, place: &str, extent: Extent) {
        let first = self.by_slot.insert(slot, (key, extent)).is_none();
        self.by_key.insert(key, extent);
        let place = self.by_place.entry(place.to_owned()).or_insert(Place { newest: extent, slots: Vec::new() });
        place.newest = extent;
        place.slots.extend(first.then_some(slot));
    }

    /// Every answer about a place.
    pub(super) fn all_at(&self, place: &str) -> Vec<(Hash, Extent)> {
        let slots = self.by_place.get(place).map_or(&[][..], |place| &place.slots);
        slots.iter().filter_map(|slot| Some((*slot, self.by_slot.get(slot)?.1))).collect()
    }

    /// Forgets an answer; as one to the same job about a copy of the video it is still known.
    pub(super) fn forget(&mut self, place: &str, slot: &Hash) {
        self.by_slot.remove(slot);
        if let Some(place) = self.by_place.get_mut(place) {
            place.slots.retain(|known| known != slot);
        }
        if self.by_place.get(place).is_some_and(|place| place.slots.is_empty()) {
            self.by_place.remove(place);
        }
    }

    /// Whether a job has its answer.
    pub(in crate::batch) fn is_done(&self, job: &Job) -> bool {
        self.by_slot.get(&job.slot).is_some_and(|(key, _)| *key == job.key)
    }

    /// The answer that a question about a place has now.
    pub(super) fn current(&self, job: &Job) -> Option<Extent> {
        self.by_slot.get(&job.slot).map(|&(_, extent)| extent)
    }

    /// The answer to the same job, about this video or a copy of it.
    pub(in crate::batch) fn known(&self, job: &Job) -> Option<Extent> {
        self.by_key.get(&job.key).copied()
    }

    /// One of the answers about a place.
    pub(super) fn at(&self, place: &str) -> Option<Extent> {
        self.by_place.get(place).map(|place| place.newest)
    }

    /// The newest line of every slot, in the order of the file.
    pub(super) fn newest(&self) -> Vec<Extent> {
        let mut extents: Vec<Extent> = self.by_slot.values().map(|&(_, extent)| extent).collect();
        extents.sort_by_key(|extent| extent.at);
        extents
    }
}

/// What failed, by place: the last line of each counts.
#[derive(Debug, Default)]
pub(in crate::batch) struct Failures {
    by_place: BTreeMap<String, FailureRecord>,
    /// Whether the file holds other lines than these
    pub(super) stale: bool,
}

impl Failures {
    /// Takes note of a line.
    pub(super) fn read(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(record) => self.insert(record),
            Err(_) => self.stale = true,
        }
    }

    pub(super) fn insert(&mut self, record: FailureRecord) {
        self.stale |= self.by_place.insert(record.place.clone(), record).is_some();
    }

    pub(super) fn remove(&mut self, place: &str) {
        self.stale |= self.by_place.remove(place).is_some();
    }

    /// How the same attempt on the video at `place` failed.
    pub(in crate::batch) fn of(&self, place: &str, attempt: &Hash) -> Option<&FailureRecord> {
        self.by_place.get(place).filter(|record| record.attempt.as_deref() == Some(attempt.to_hex().as_str()))
    }

    /// What the file should hold.
    pub(super) fn lines(&self) -> Vec<u8> {
        self.by_place.values().filter_map(line_of).flatten().collect()
    }
}
