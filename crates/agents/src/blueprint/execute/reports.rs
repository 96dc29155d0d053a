//! Reads the reports that test runners, coverage tools and linters write. All of it comes out of the sandbox and is hostile: sizes are
//! bounded by whoever reads the files, counts and texts here.

use grace_domain::event::{TestFailure, TestReport};
use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

use crate::command::start;

/// Most failures that a report names.
const FAILURE_LIMIT: usize = 50;
/// Longest message of one failure, in bytes.
const MESSAGE_LIMIT: usize = 4 << 10;

/// Counts a JUnit file's test cases, as pytest and vitest write it; `None` when it is none.
pub fn junit(suite: &str, xml: &str) -> Option<TestReport> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: 200_000, ..ParsingOptions::default() };
    let document = Document::parse_with_options(xml, options).ok()?;
    let mut report =
        TestReport { suite: suite.into(), passed: 0, failed: 0, skipped: 0, coverage_percent: None, duration_ms: 0, failures: Vec::new() };
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        let bad = case.children().find(|node| node.has_tag_name("failure") || node.has_tag_name("error"));
        if let Some(bad) = bad {
            report.failed += 1;
            if report.failures.len() < FAILURE_LIMIT {
                let name = match (case.attribute("classname"), case.attribute("name")) {
                    (Some(class), Some(name)) => format!("{class}::{name}"),
                    (_, name) => name.unwrap_or("unnamed").to_owned(),
                };
                let text = bad.text().or_else(|| bad.attribute("message")).unwrap_or_default();
                report.failures.push(TestFailure { name: start(&name, 300), message: start(text.trim(), MESSAGE_LIMIT) });
            }
        } else if case.children().any(|node| node.has_tag_name("skipped")) {
            report.skipped += 1;
        } else {
            report.passed += 1;
        }
    }
    Some(report)
}

/// Percent of lines in coverage.py's JSON report.
pub fn coverage_py(json: &str) -> Option<f64> {
    percent(serde_json::from_str::<Value>(json).ok()?.get("totals")?.get("percent_covered")?)
}

/// Percent of lines in the json-summary report of v8 coverage.
pub fn coverage_v8(json: &str) -> Option<f64> {
    percent(serde_json::from_str::<Value>(json).ok()?.get("total")?.get("lines")?.get("pct")?)
}

fn percent(value: &Value) -> Option<f64> {
    value.as_f64().filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| (percent * 100.0).round() / 100.0)
}

/// Findings in the JSON list that `ruff check --output-format=json` prints, each as one line.
pub fn ruff(json: &str) -> Option<Vec<String>> {
    let Value::Array(findings) = serde_json::from_str(json).ok()? else { return None };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let line = |finding: &Value| {
        let row = finding.pointer("/location/row").and_then(Value::as_u64).unwrap_or_default();
        format!("{}:{row}: {} {}", text(finding.get("filename")), text(finding.get("code")), text(finding.get("message")))
    };
    Some(findings.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_counts_cases_and_names_failures() {
        let xml = r#"<?xml version="1.0"?><testsuites><testsuite tests="4">
            <testcase classname="tests.a" name="one" time="0.1"/>
            <testcase classname="tests.a" name="two"><failure message="assert 1 == 2">trace</failure></testcase>
            <testcase classname="tests.a" name="three"><skipped/></testcase>
            <testcase name="four"><error message="boom"/></testcase></testsuite></testsuites>"#;
        let report = junit("pytest", xml).unwrap();
        assert_eq!((report.passed, report.failed, report.skipped), (1, 2, 1));
        assert_eq!(report.failures[0], TestFailure { name: "tests.a::two".into(), message: "trace".into() });
        assert_eq!(report.failures[1], TestFailure { name: "four".into(), message: "boom".into() });
    }

    #[test]
    fn hostile_reports_are_none() {
        assert_eq!(junit("x", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), None);
        assert_eq!(junit("x", "not xml"), None);
        assert_eq!(coverage_py("{\"totals\":{\"percent_covered\":1e9}}"), None);
        assert_eq!(ruff("{}"), None);
    }

    #[test]
    fn coverage_and_findings_are_read() {
        assert_eq!(coverage_py("{\"totals\":{\"percent_covered\":93.456}}"), Some(93.46));
        assert_eq!(coverage_v8("{\"total\":{\"lines\":{\"pct\":88.5}}}"), Some(88.5));
        let found = ruff(r#"[{"filename":"a.py","code":"F401","message":"unused","location":{"row":3,"column":1}}]"#);
        assert_eq!(found, Some(vec!["a.py:3: F401 unused".into()]));
    }
}
