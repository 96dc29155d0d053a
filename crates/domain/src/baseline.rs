//! What the tests of a given repository said before a build changed anything in it. It must not know how they were run.

use serde::{Deserialize, Serialize};

use crate::{event::TestReport, present::time::duration};

/// Key of the task of a plan that runs them.
pub const KEY: &str = "baseline";

/// One run of the tests that a repository brought with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    pub command: String,
    pub succeeded: bool,
    /// How the command ended: `exit code 1`, `no end within 900 s`.
    pub end: String,
    /// What the runners printed; none when no figures were recognised.
    pub suites: Vec<TestReport>,
    pub duration_ms: u64,
    /// At most 20, of a run that did not succeed.
    pub last_lines: Vec<String>,
}

impl Baseline {
    /// For logs, reports and prompts: only what was seen.
    pub fn sentence(&self) -> String {
        let (passed, failed, skipped) = self.suites.iter().fold((0u64, 0u64, 0u64), |(passed, failed, skipped), suite| {
            (passed + u64::from(suite.passed), failed + u64::from(suite.failed), skipped + u64::from(suite.skipped))
        });
        let counts = if self.suites.is_empty() {
            "it printed no counts of tests that are understood".to_owned()
        } else {
            format!("{passed} passed, {failed} failed, {skipped} skipped")
        };
        let fault = if self.succeeded { "" } else { " That was so before this build changed anything." };
        format!(
            "Before the first change, `{}` ended with {} after {}: {counts}.{fault}",
            self.command,
            self.end,
            duration(self.duration_ms as f64 / 1000.0)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_only_when_they_were_printed() {
        let suite =
            TestReport { suite: "pytest".into(), passed: 3, failed: 1, skipped: 0, coverage_percent: None, duration_ms: 10, failures: Vec::new() };
        let mut baseline = Baseline {
            command: "pytest".into(),
            succeeded: false,
            end: "exit code 1".into(),
            suites: vec![suite],
            duration_ms: 1_500,
            last_lines: Vec::new(),
        };
        let text = baseline.sentence();
        assert!(text.contains("`pytest` ended with exit code 1") && text.contains("3 passed, 1 failed, 0 skipped. That was so before"), "{text}");
        baseline.suites.clear();
        baseline.succeeded = true;
        assert!(baseline.sentence().ends_with("no counts of tests that are understood."), "{}", baseline.sentence());
    }
}
