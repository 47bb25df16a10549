//! Progress on stderr: a bar with an ETA on a terminal, nothing elsewhere.

use super::Context;
use crate::run::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// The one bar of a command.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar on stderr, hidden with `--quiet` and where stderr is no terminal.
    pub(super) fn new(context: &Context) -> Self {
        let bar = ProgressBar::no_length();
        if context.quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self(bar)
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Loading => self.spin("loading the model"),
            Event::Surveying { seconds, of } => self.spin(&format!("looking for scenes, {seconds:.0} of {of:.0} s")),
            Event::Describing { stretch, of } => self.spin(&format!("describing {} of {of}", stretch + 1)),
            Event::Encoded { frames, of } => {
                if self.0.length() != Some(*of) {
                    self.0.set_length(*of);
                    self.0.set_style(style("{msg} {wide_bar} {pos}/{len} frames, {eta} left"));
                    self.0.set_message("looking");
                }
                self.0.set_position(*frames);
            }
            Event::Asking { question, of } => self.spin(&format!("answering {} of {of}", question + 1)),
            Event::Checking { span, of } => self.spin(&format!("looking again, {} of {of}", span + 1)),
            Event::Text(_) => self.0.tick(),
        }
    }

    /// Takes the bar away before the result is printed.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }

    fn spin(&self, message: &str) {
        self.0.unset_length();
        self.0.set_style(style("{spinner} {msg} ({elapsed})"));
        self.0.set_message(message.to_owned());
        self.0.tick();
    }
}

/// A style from a constant template; indicatif's own if the template were wrong.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
