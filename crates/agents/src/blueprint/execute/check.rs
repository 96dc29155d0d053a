//! The commands that show whether a project is right: each runs for real, its report is read, and red is a failure. It must not know how
//! the project was made.

use grace_domain::event::{ArtifactKind, CheckReport, Level, TestReport};
use grace_sandbox::beneath::Root;

use super::{Project, install, reports, said};
use crate::agent::{TaskFailure, TaskOutput};
use crate::blueprint::generate::{OPENAPI_COMMAND, has_frontend};
use crate::command::{Finished, Invocation, start};

/// Longest report that is read.
const REPORT_BYTES: u64 = 16 << 20;
/// The project's own Python, seen from `backend/`.
const PYTHON: &str = ".venv/bin/python";
/// Oldest versions that the blueprint's packages run on.
const PYTHON_FROM: (u32, u32) = (3, 11);
const NODE_FROM: (u32, u32) = (20, 19);

/// Finds out whether this machine has what the build needs, before anything is written.
pub async fn toolchains(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    let mut found = vec![toolchain(project, "Python", "python3", PYTHON_FROM).await?];
    if has_frontend(&project.spec) {
        found.push(toolchain(project, "Node", "node", NODE_FROM).await?);
    }
    Ok(said(format!("Found {}.", found.join(" and "))))
}

async fn toolchain(project: &Project<'_>, name: &str, program: &str, from: (u32, u32)) -> Result<String, TaskFailure> {
    let missing = |what: String| TaskFailure::permanent(format!("{what} Install {name} {}.{} or newer where every user can run it.", from.0, from.1));
    let finished = Invocation::new(project.context, "grace", program, "").args(["--version"]).data().run(project.context).await;
    let finished = match finished {
        Ok(finished) => finished,
        Err(failure) if failure.cancelled => return Err(failure),
        Err(failure) => return Err(missing(failure.message)),
    };
    let text = finished.data.trim().to_owned();
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if !finished.exit.is_success() || version < from {
        return Err(missing(format!("`{program} --version` says “{}”.", start(&text, 100))));
    }
    project.context.log(Level::Info, "grace", &format!("{name}: {text}")).await;
    Ok(format!("{name} {}.{}", version.0, version.1))
}

fn python(project: &Project<'_>, source: &'static str) -> Invocation {
    Invocation::new(project.context, source, PYTHON, &project.path("backend"))
}

/// Applies the migration to an empty database and compares the result with the models.
pub async fn migrate(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::backend(project).await?;
    // Two commands would need a file between them; one interpreter does both on a database that is gone with it.
    let script =
        "import sys\nfrom alembic.config import main\nmain(argv=['upgrade', 'head'])\nmain(argv=['check'])\nmain(argv=['downgrade', 'base'])\n";
    let finished = python(project, "alembic")
        .args(["-"])
        .stdin(script.as_bytes())
        .env("DATABASE_URL", "sqlite:////tmp/empty.db")
        .succeed(project.context)
        .await?;
    Ok(said(format!("The migration applies to an empty database, fits the models and can be taken back ({:.1} s).", finished.wall.as_secs_f64())))
}

/// Prints the description of the API with the application itself, and keeps it.
pub async fn describe_api(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::backend(project).await?;
    let finished = python(project, "openapi").args(OPENAPI_COMMAND.into_iter().skip(1)).data().succeed(project.context).await?;
    let document: serde_json::Value = serde_json::from_str(&finished.data)
        .map_err(|error| TaskFailure::permanent(format!("The application described its API in no valid JSON: {error}.")))?;
    let paths = document.get("paths").and_then(serde_json::Value::as_object).map_or(0, serde_json::Map::len);
    let output = project.write_one(&project.path("backend/openapi.json"), finished.data.as_bytes(), ArtifactKind::Doc).await?;
    Ok(TaskOutput { summary: format!("Described {paths} paths in backend/openapi.json."), ..output })
}

/// Lints the backend and compares its format with the formatter's.
pub async fn lint(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::backend(project).await?;
    let checked =
        python(project, "ruff").args(["-m", "ruff", "check", "--no-cache", "--output-format=json", "."]).data().run(project.context).await?;
    let mut findings = reports::ruff(&checked.data).ok_or_else(|| checked.failure("ruff check"))?;
    let formatted =
        python(project, "ruff").args(["-m", "ruff", "format", "--no-cache", "--check", "--quiet", "."]).data().run(project.context).await?;
    if !formatted.exit.is_success() {
        let output: Vec<&str> = formatted.data.lines().chain(formatted.tail.iter().map(String::as_str)).collect();
        let files = output.iter().filter(|line| line.contains("would be reformatted") || line.starts_with("Would reformat")).count().max(1);
        for line in output.iter().take(100) {
            project.context.log(Level::Error, "ruff", line).await;
        }
        findings.extend((0..files).map(|_| "a file is not formatted".to_owned()));
    }
    for finding in findings.iter().take(200) {
        project.context.log(Level::Error, "ruff", finding).await;
    }
    let milliseconds = millis(&checked) + millis(&formatted);
    checked_report(project, "ruff", findings.len(), milliseconds).await?;
    Ok(said("ruff finds nothing; every file is formatted."))
}

async fn checked_report(project: &Project<'_>, tool: &str, findings: usize, duration_ms: u64) -> Result<(), TaskFailure> {
    let findings = u32::try_from(findings).unwrap_or(u32::MAX);
    project.context.check(CheckReport { tool: tool.into(), findings, duration_ms }).await;
    if findings == 0 { Ok(()) } else { Err(TaskFailure::permanent(format!("{tool} has {findings} findings; the log lists them."))) }
}

/// Runs the backend's tests under coverage.
pub async fn pytest(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::backend(project).await?;
    let finished = python(project, "pytest")
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--junitxml=../.grace/reports/pytest.xml",
            "--cov=app",
            "--cov-report=json:../.grace/reports/coverage.json",
        ])
        .env("COVERAGE_FILE", "../.grace/reports/.coverage")
        .run(project.context)
        .await?;
    let report = read_report(project, ".grace/reports/pytest.xml").and_then(|xml| reports::junit("pytest", &xml));
    let coverage = read_report(project, ".grace/reports/coverage.json").and_then(|json| reports::coverage_py(&json));
    suite(project, "pytest", &finished, report, coverage).await
}

/// Runs the frontend's tests under coverage.
pub async fn vitest(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::frontend(project).await?;
    let finished = Invocation::new(project.context, "vitest", "node", &project.path("frontend"))
        .args([
            "node_modules/vitest/vitest.mjs",
            "run",
            "--reporter=default",
            "--reporter=junit",
            "--outputFile.junit=../.grace/reports/vitest.xml",
            "--coverage",
            "--coverage.reporter=text-summary",
            "--coverage.reporter=json-summary",
            "--coverage.reportsDirectory=../.grace/reports/frontend",
        ])
        .run(project.context)
        .await?;
    let report = read_report(project, ".grace/reports/vitest.xml").and_then(|xml| reports::junit("vitest", &xml));
    let coverage = read_report(project, ".grace/reports/frontend/coverage-summary.json").and_then(|json| reports::coverage_v8(&json));
    suite(project, "vitest", &finished, report, coverage).await
}

/// Reports what a test runner really said; anything red is a failure.
async fn suite(
    project: &Project<'_>,
    name: &str,
    finished: &Finished,
    report: Option<TestReport>,
    coverage: Option<f64>,
) -> Result<TaskOutput, TaskFailure> {
    let Some(mut report) = report else { return Err(finished.failure(name)) };
    report.coverage_percent = coverage;
    report.duration_ms = millis(finished);
    project.context.tests(report.clone()).await;
    if report.failed > 0 {
        let names: Vec<&str> = report.failures.iter().take(5).map(|failure| failure.name.as_str()).collect();
        let more = if report.failed as usize > names.len() { format!(" and {} more", report.failed as usize - names.len()) } else { String::new() };
        return Err(TaskFailure::permanent(format!(
            "{name}: {} of {} tests failed: {}{more}.",
            report.failed,
            report.failed + report.passed,
            names.join(", ")
        )));
    }
    if !finished.exit.is_success() || report.passed == 0 {
        // All tests passed, but the runner is not content: too little coverage, or an error outside of tests.
        return Err(finished.failure(name));
    }
    let covered = coverage.map_or_else(String::new, |percent| format!(", {percent} % of lines covered"));
    Ok(said(format!("{name}: {} tests passed{covered}.", report.passed)))
}

/// Checks the frontend's types.
pub async fn types(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::frontend(project).await?;
    let finished =
        Invocation::new(project.context, "tsc", "node_modules/.bin/tsc", &project.path("frontend")).args(["--noEmit"]).run(project.context).await?;
    let errors = finished.tail.iter().filter(|line| line.contains("error TS")).count();
    if errors == 0 && !finished.exit.is_success() {
        return Err(finished.failure("tsc"));
    }
    checked_report(project, "tsc", errors, millis(&finished)).await?;
    Ok(said("tsc finds nothing."))
}

/// Bundles the pages as they are served.
pub async fn bundle(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::frontend(project).await?;
    let finished = Invocation::new(project.context, "vite", "node", &project.path("frontend"))
        .args(["node_modules/vite/bin/vite.js", "build"])
        .succeed(project.context)
        .await?;
    Ok(said(format!("Built the pages into frontend/dist ({:.1} s).", finished.wall.as_secs_f64())))
}

fn read_report(project: &Project<'_>, path: &str) -> Option<String> {
    let bytes = Root::open(project.context.workspace()).ok()?.read(project.path(path), REPORT_BYTES).ok()?;
    String::from_utf8(bytes).ok()
}

fn millis(finished: &Finished) -> u64 {
    u64::try_from(finished.wall.as_millis()).unwrap_or(u64::MAX)
}
