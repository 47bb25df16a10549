//! ActivityNet Captions (Krishna et al. 2017; `val_1.json`, `val_2.json`): `{"v_…": {duration, timestamps, sentences}}`.
//! It has no scorer for grounding of its own; predictions and scores are those of TimeLens's ActivityNet part, whose keys
//! and rules everybody's single-span numbers follow.

use super::{Benchmark, Item, Metric, Predictions, PublicError, Source, Task, single, timelens};

pub(super) struct ActivityNetCaptions;

impl Benchmark for ActivityNetCaptions {
    fn name(&self) -> &'static str {
        "activitynet"
    }

    fn task(&self) -> Task {
        Task::Ground
    }

    fn wording(&self) -> &'static str {
        single::WORDING
    }

    fn items(&self, source: &Source) -> Result<Vec<Item>, PublicError> {
        timelens::items(source, self.name(), "timestamps", "sentences")
    }

    fn write(&self, items: &[Item], predictions: &Predictions) -> String {
        timelens::write(items, predictions)
    }

    fn read(&self, _items: &[Item], source: &Source) -> Result<Predictions, PublicError> {
        timelens::read(source, self.name())
    }

    fn score(&self, items: &[Item], predictions: &Predictions) -> Vec<Metric> {
        single::score(items, predictions, timelens::first)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::path::Path;

    #[test]
    fn sentences_go_with_their_times() {
        let text = r#"{"v_uqiMw7tQ1Cc": {"duration": 55.15, "timestamps": [[0.28, 55.15], [13.79, 54.32]],
            "sentences": ["A weight lifting tutorial is given.", "The coach helps the guy."]}}"#;
        let items = ActivityNetCaptions.items(&Source::new(Path::new("val_1.json"), text.to_owned())).unwrap();
        assert_eq!((items.len(), items[1].spans[0], items[1].video.as_str()), (2, [13.79, 54.32], "v_uqiMw7tQ1Cc.mp4"));
        let odd = text.replace(", [13.79, 54.32]", "");
        let error = ActivityNetCaptions.items(&Source::new(Path::new("val_1.json"), odd)).unwrap_err();
        assert!(error.to_string().contains("1 spans and 2 queries"), "{error}");
    }
}
