//! What was seen and what was not.

use super::error::{Warning, WarningKind};
use super::limits::MAX_WARNINGS;

/// A bounded list of warnings; equal ones in a row are counted together.
#[derive(Debug, Clone, Default)]
pub(super) struct Warnings(Vec<Warning>);

impl Warnings {
    pub(super) fn push(&mut self, after_s: Option<f64>, kind: WarningKind) {
        let full = self.0.len() >= MAX_WARNINGS;
        match self.0.last_mut() {
            Some(last) if last.kind == kind || (full && last.kind == WarningKind::More) => {
                last.count = last.count.saturating_add(1);
            }
            _ if full => self.0.push(Warning { after_s: None, kind: WarningKind::More, count: 1 }),
            _ => self.0.push(Warning { after_s, kind, count: 1 }),
        }
    }

    pub(super) fn list(&self) -> &[Warning] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_warnings_are_counted_and_the_list_stays_short() {
        let mut warnings = Warnings::default();
        for at in 0..5 {
            warnings.push(Some(f64::from(at)), WarningKind::Undecodable);
        }
        assert_eq!(warnings.list(), [Warning { after_s: Some(0.0), kind: WarningKind::Undecodable, count: 5 }]);
        for at in 0..1000 {
            let kind = if at % 2 == 0 { WarningKind::Concealed } else { WarningKind::Undecodable };
            warnings.push(None, kind);
        }
        assert_eq!(warnings.list().len(), MAX_WARNINGS + 1);
        assert_eq!(warnings.list().last().map(|last| &last.kind), Some(&WarningKind::More));
    }
}
