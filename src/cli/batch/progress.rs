//! A batch on stderr: a bar on a terminal, a line now and then elsewhere, and every failure when it happens.

use super::shown;
use crate::batch::{Event, Progress};
use crate::cli::time::format_time;
use crate::cli::{Context, output};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// The progress of a batch.
pub(super) struct Display {
    context: Context,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Display {
    pub(super) fn new(context: &Context, videos: usize) -> Self {
        let terminal = std::io::stderr().is_terminal() && !context.quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(videos as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{pos}/{len} videos {wide_bar} {msg}");
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { context: context.clone(), bar, said: Instant::now() }
    }

    pub(super) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Progress(progress) => self.advance(progress),
            Event::Failed(record) => self.say(&format!("longsight: {}", record.message)),
            Event::Growing(source) => {
                self.say(&format!("longsight: {}: is still being written, and is left out", source.path.display()));
            }
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn advance(&mut self, progress: &Progress) {
        let left = progress.left.map(|left| format!("{} left", clock(left)));
        if let Some(bar) = &self.bar {
            bar.set_position(progress.finished);
            let under_way = progress.under_way.first().map_or("", |place| place.as_str());
            bar.set_message(shown(&format!("{} {under_way}", left.unwrap_or_default())));
        } else if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let counts = &progress.counts;
            let mut line = format!("{} of {} videos, {} failed", progress.finished, counts.videos, counts.failed);
            if let Some(left) = left {
                line = format!("{line}, {left}");
            }
            output::note(&self.context, &line);
        }
    }

    /// A line above the bar.
    fn say(&self, line: &str) {
        let line = shown(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(&self.context, &line)),
            None => output::note(&self.context, &line),
        }
    }
}

/// `HH:MM:SS`
fn clock(time: Duration) -> String {
    let text = format_time(time.as_secs_f64().round());
    text.split_once('.').map_or(text.clone(), |(whole, _)| whole.to_owned())
}
