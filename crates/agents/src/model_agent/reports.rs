//! What test runners say on their last lines, as figures. Only what a runner really printed becomes one; output that is not understood is no
//! report. It must not know why the tests were run.

use grace_domain::event::TestReport;

/// The sum of what the runners in `output` said, one report for each that was recognised.
pub fn test_reports(output: &str, duration_ms: u64) -> Vec<TestReport> {
    if output.chars().count() >= crate::tools::RESULT_CHARS {
        // Its middle was left out, and figures with it.
        return Vec::new();
    }
    let found = [
        ("cargo test", cargo(output)),
        ("pytest", pytest(output)),
        ("unittest", unittest(output)),
        ("vitest", labelled(output, "Tests", '|')),
        ("jest", labelled(output, "Tests:", ',')),
        ("node --test", node(output)),
    ];
    found
        .into_iter()
        .filter_map(|(suite, counts)| counts.map(|counts| (suite, counts)))
        .map(|(suite, (passed, failed, skipped))| TestReport {
            suite: suite.into(),
            passed,
            failed,
            skipped,
            coverage_percent: None,
            duration_ms,
            failures: Vec::new(),
        })
        .collect()
}

type Counts = Option<(u32, u32, u32)>;

fn add(sum: Counts, passed: u32, failed: u32, skipped: u32) -> Counts {
    let (a, b, c) = sum.unwrap_or_default();
    Some((a.saturating_add(passed), b.saturating_add(failed), c.saturating_add(skipped)))
}

/// The number before `word` in a list such as `3 passed, 1 failed`.
fn before(list: &str, word: &str, separator: char) -> u32 {
    list.split(separator)
        .find_map(|item| {
            let mut words = item.split_whitespace();
            let number = words.next()?.parse().ok()?;
            (words.next()? == word).then_some(number)
        })
        .unwrap_or(0)
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; …`, once for each binary.
fn cargo(output: &str) -> Counts {
    output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: ")?.split_once(". "))
        .fold(None, |sum, (_, list)| add(sum, before(list, "passed", ';'), before(list, "failed", ';'), before(list, "ignored", ';')))
}

/// `===== 3 passed, 1 failed in 0.12s =====`, or the same without the bars.
fn pytest(output: &str) -> Counts {
    output.lines().fold(None, |sum, line| {
        let line = line.trim().trim_matches('=').trim();
        let Some((list, time)) = line.rsplit_once(" in ") else { return sum };
        let seconds = time.split_whitespace().next().and_then(|time| time.strip_suffix('s'));
        let counted = ["passed", "failed", "error", "errors", "skipped"].map(|word| before(list, word, ','));
        if seconds.is_none_or(|seconds| seconds.parse::<f64>().is_err()) || counted.iter().all(|count| *count == 0) {
            return sum;
        }
        let [passed, failed, error, errors, skipped] = counted;
        add(sum, passed, failed + error + errors, skipped)
    })
}

/// `Ran 3 tests in 0.001s`, and below it `OK (skipped=1)` or `FAILED (failures=1, errors=1)`.
fn unittest(output: &str) -> Counts {
    let mut lines = output.lines().map(str::trim);
    let mut sum = None;
    while let Some(line) = lines.next() {
        let ran = line.strip_prefix("Ran ").filter(|rest| rest.contains(" in ")).and_then(|rest| rest.split(" test").next()?.parse::<u32>().ok());
        let Some(ran) = ran else { continue };
        let Some(verdict) = lines.find(|line| !line.is_empty()) else { break };
        if !verdict.starts_with("OK") && !verdict.starts_with("FAILED") {
            continue;
        }
        let list = verdict.split_once('(').map_or("", |(_, list)| list.trim_end_matches(')'));
        let figure = |name: &str| -> u32 { list.split(", ").find_map(|item| item.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(0) };
        let (failed, skipped) = (figure("failures") + figure("errors"), figure("skipped"));
        sum = add(sum, ran.saturating_sub(failed + skipped), failed, skipped);
    }
    sum
}

/// `Tests  3 passed | 1 failed (4)` of vitest, `Tests:  1 failed, 3 passed, 4 total` of jest.
fn labelled(output: &str, label: &str, separator: char) -> Counts {
    output.lines().fold(None, |sum, line| {
        let Some(list) = line.trim().strip_prefix(label).filter(|list| list.starts_with(' ')) else { return sum };
        let list = list.split(" (").next().unwrap_or_default();
        let (passed, failed) = (before(list, "passed", separator), before(list, "failed", separator));
        if passed + failed == 0 { sum } else { add(sum, passed, failed, before(list, "skipped", separator)) }
    })
}

/// `# pass 3`, `# fail 1` of node's own runner; with another sign before it in its other format.
fn node(output: &str) -> Counts {
    let figure = |word: &str| {
        output.lines().rev().find_map(|line| {
            let line = line.trim();
            let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("\u{2139} "))?;
            rest.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok()
        })
    };
    Some((figure("pass")?, figure("fail")?, figure("skipped").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(output: &str) -> Vec<(String, u32, u32, u32)> {
        test_reports(output, 5).into_iter().map(|report| (report.suite, report.passed, report.failed, report.skipped)).collect()
    }

    #[test]
    fn last_lines_of_runners_are_read_and_other_lines_are_not() {
        let cargo = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured\ntest result: FAILED. 3 passed; 1 failed; 0 ignored";
        assert_eq!(of(cargo), [("cargo test".to_owned(), 5, 1, 1)]);
        assert_eq!(of("==== 3 passed, 2 skipped in 0.12s ===="), [("pytest".to_owned(), 3, 0, 2)]);
        assert_eq!(of("1 failed, 1 error in 1.5s"), [("pytest".to_owned(), 0, 2, 0)]);
        assert_eq!(of(" Test Files  1 passed (1)\n      Tests  5 passed | 1 failed (6)"), [("vitest".to_owned(), 5, 1, 0)]);
        assert_eq!(of("Tests:       1 failed, 3 passed, 4 total"), [("jest".to_owned(), 3, 1, 0)]);
        assert_eq!(of("Ran 3 tests in 0.001s\n\nOK (skipped=1)"), [("unittest".to_owned(), 2, 0, 1)]);
        assert_eq!(of("Ran 4 tests in 0.001s\n\nFAILED (failures=1, errors=1)"), [("unittest".to_owned(), 2, 2, 0)]);
        assert_eq!(of("# tests 4\n# pass 3\n# fail 1\n# skipped 0"), [("node --test".to_owned(), 3, 1, 0)]);
        assert_eq!(of("\u{2139} pass 2\n\u{2139} fail 0"), [("node --test".to_owned(), 2, 0, 0)]);
        assert!(of("All 5 passed in the morning. Tests are good; 3 passed in time.\nTests are fine").is_empty());
    }
}
