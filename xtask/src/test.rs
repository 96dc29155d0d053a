//! `cargo xtask test`: everything that CI runs, in one order, with one closing line. A red step does not keep the later ones from running.

use std::{
    process::Command,
    thread::{self, JoinHandle},
};

use crate::{
    lint, measure, prerequisites,
    process::{Outcome, cargo, command, compiler, heading, lint_while_compiling, root, run_reading, says_that_there_are_warnings},
    site::{self, Profile},
};

/// Lines about failures that are said again at the end: whoever reads the end of a long output, or only that, learns what failed.
const REPEATED: usize = 40;

/// Passed and failed so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    passed: u32,
    failed: u32,
    /// At most [`REPEATED`] lines that say what failed.
    red: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.red.extend(other.red);
        self.red.truncate(REPEATED);
    }

    fn count(&mut self, outcome: &Outcome) {
        self.add(match outcome {
            Ok(()) => Self::passed(1),
            Err(why) => {
                eprintln!("{why}");
                Self::failure(why)
            }
        });
    }

    fn passed(passed: u32) -> Self {
        Self { passed, ..Self::default() }
    }

    fn failure(why: &str) -> Self {
        Self { failed: 1, ..Self::red(why) }
    }

    /// A line about a failure that is counted elsewhere.
    fn red(line: &str) -> Self {
        Self { red: vec![line.trim().to_owned()], ..Self::default() }
    }
}

pub fn test(arguments: &[String]) -> Outcome {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let site_needed = !has("--no-browser") || !has("--no-soak");
    prerequisites::bubblewrap();
    prerequisites::ssh_server();
    prerequisites::container_engines();
    let mut total = Tally::default();
    for (name, outcome) in lint::checks(|name| !name.contains(lint::COMPILING))? {
        total.add(match outcome {
            Ok(()) => Tally::passed(1),
            Err(_) => Tally::failure(&format!("lint: {name}")),
        });
    }
    heading("Unit, store, sandbox, engine and HTTP tests, compiled by clippy");
    lint_while_compiling()?;
    let mut suite = cargo();
    // There are no tests in documentation. Examples are compiled so that they are linted.
    suite.args(["test", "--workspace", "--tests", "--examples", "--no-fail-fast"]);
    let mut warned = false;
    let mut beside: Option<Beside> = None;
    let tests = reading("cargo test", &mut suite, |line| {
        warned |= says_that_there_are_warnings(line);
        // From here on cargo compiles nothing more, and the tests wait for databases and processes half of their time.
        if beside.is_none() && line.trim_start().starts_with("Running ") {
            beside = Some(Beside::begin(site_needed));
        }
        cargo_test_line(line)
    })?;
    total.add(tests);
    total.count(&linted("the workspace", warned));
    let beside = beside.unwrap_or_else(|| Beside::begin(site_needed));
    total.add(beside.end()?);
    if !has("--no-browser") {
        total.add(browser()?);
    }
    if !has("--no-soak") {
        heading("A short soak: the server is killed while it builds");
        total.count(&measure::soak_built(&["--short".to_owned()]));
    }
    heading(&format!("{} passed, {} failed", total.passed, total.failed));
    if total.failed == 0 {
        return Ok(());
    }
    for line in &total.red {
        println!("  {line}");
    }
    Err("not everything passed.".to_owned())
}

/// Clippy's verdict on what it compiled.
fn linted(what: &str, warned: bool) -> Outcome {
    if warned { Err(format!("clippy has warnings in {what}: see above, or `cargo xtask lint`.")) } else { Ok(()) }
}

/// What compiles with what the tests leave of the processors: the browser half, which the browser tests need, and what is run as a program.
struct Beside(JoinHandle<Tally>);

impl Beside {
    fn begin(site_needed: bool) -> Self {
        Self(thread::spawn(move || {
            let mut tally = Tally::default();
            if site_needed {
                tally.count(&browser_half());
                tally.count(&site::server(Profile::Dev));
                tally.count(&measure::build_trials(Profile::Dev));
            }
            tally
        }))
    }

    fn end(self) -> Outcome<Tally> {
        self.0.join().map_err(|_| "compiling beside the tests panicked.".to_owned())
    }
}

/// Compiled and linted behind everything else, which is why it is a process of its own.
fn browser_half() -> Outcome {
    let this = std::env::current_exe().map_err(|error| format!("the browser half: {error}"))?;
    // The kernel may share processors out among sessions before it looks at niceness: then the session is what must stand back, or the builds of
    // the tests, which stand back too, would wait for the compiler.
    let mut bundle = command("setsid");
    bundle
        .args(["--wait", "sh", "-c", "{ echo 19 > /proc/self/autogroup; } 2> /dev/null; exec nice -n 19 \"$@\"", "sh"])
        .arg(this)
        .arg("bundle")
        .envs(compiler());
    let mut warned = false;
    if !run_reading("the browser half", &mut bundle, |line| warned |= says_that_there_are_warnings(line))? {
        return Err("the browser half was not built.".to_owned());
    }
    linted("the browser half", warned)
}

fn browser() -> Outcome<Tally> {
    let ready = prerequisites::end2end_packages().and_then(|()| prerequisites::chromium());
    let browser = match ready {
        Ok(browser) => browser,
        Err(why) => {
            eprintln!("{why}");
            return Ok(Tally::failure(&why));
        }
    };
    heading("Browser tests");
    let mut playwright = command("npx");
    playwright
        .current_dir(root().join("end2end"))
        .args(["--no-install", "playwright", "test"])
        .env("GRACE_SERVER", site::server_path(Profile::Dev))
        .env("GRACE_SITE", site::site_folder())
        .env("CHROMIUM", browser);
    reading("playwright", &mut playwright, playwright_line)
}

/// Runs a suite and adds up what its summary lines say. One that fails without saying how often counts as one failure.
fn reading(what: &str, command: &mut Command, mut line: impl FnMut(&str) -> Tally) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let succeeded = run_reading(what, command, |text| tally.add(line(text)))?;
    if !succeeded && tally.failed == 0 {
        tally.add(Tally::failure(&format!("{what} ended with an error: see above.")));
    }
    Ok(tally)
}

/// `test result: ok. 12 passed; 0 failed; …`, and what says which failed: `test a::b ... FAILED`, `thread 'a::b' panicked at …`, `error: …`
fn cargo_test_line(line: &str) -> Tally {
    if (line.starts_with("test ") && line.ends_with(" FAILED"))
        || (line.starts_with("thread '") && line.contains(" panicked at "))
        || line.starts_with("error")
    {
        return Tally::red(line);
    }
    let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return Tally::default() };
    let figure = |word: &str| counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok()).unwrap_or(0);
    Tally { passed: figure("passed"), failed: figure("failed"), ..Tally::default() }
}

/// `  9 passed (24.6s)`, `  1 failed`, and what says which failed: `  1) tests/home.spec.ts:12:5 › …`, `    Error: …`
fn playwright_line(line: &str) -> Tally {
    let text = line.trim_start();
    let numbered = text.split_once(") ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    if line.starts_with("  ") && (numbered || text.starts_with("Error: ") || text.starts_with("Test timeout")) {
        return Tally::red(text.trim_end_matches(['─', ' ']));
    }
    let mut words = line.split_whitespace();
    let (Some(Ok(figure)), Some(word)) = (words.next().map(str::parse), words.next()) else { return Tally::default() };
    match (line.starts_with("  "), word) {
        (true, "passed") => Tally::passed(figure),
        (true, "failed" | "flaky") => Tally { failed: figure, ..Tally::default() },
        _ => Tally::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_warnings_is_told_from_other_lines() {
        assert!(says_that_there_are_warnings("warning: `grace-engine` (lib) generated 2 warnings"));
        assert!(says_that_there_are_warnings("warning: `xtask` (bin \"xtask\" test) generated 1 warning (1 duplicate)"));
        for other in ["warning: unused variable: `x`", "test a_crate_generated ... ok", "   Compiling grace-engine v0.1.0"] {
            assert!(!says_that_there_are_warnings(other), "{other}");
        }
    }

    #[test]
    fn summary_lines_are_read_and_other_lines_are_not() {
        assert_eq!(
            cargo_test_line("test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured"),
            Tally { passed: 12, failed: 3, red: Vec::new() }
        );
        assert_eq!(cargo_test_line("test nothing_passed ... ok"), Tally::default());
        assert_eq!(playwright_line("  9 passed (24.6s)"), Tally::passed(9));
        assert_eq!(playwright_line("  2 failed"), Tally { failed: 2, ..Tally::default() });
        assert_eq!(playwright_line("  1 [chromium] › home.spec.ts"), Tally::default());
    }

    #[test]
    fn what_failed_is_said_again_at_the_end() {
        assert_eq!(cargo_test_line("test chat::a_question ... FAILED").red, ["test chat::a_question ... FAILED"]);
        assert_eq!(cargo_test_line("thread 'chat::a_question' (12) panicked at tests/chat.rs:4:5:").red.len(), 1);
        assert_eq!(playwright_line("  1) tests/home.spec.ts:12:5 › a row opens ─────").red, ["1) tests/home.spec.ts:12:5 › a row opens"]);
        assert_eq!(playwright_line("    Error: expect(locator).toBeVisible() failed").red.len(), 1);
        assert_eq!(playwright_line("  ✓  1 tests/home.spec.ts:12:5 › a row opens (1.2s)"), Tally::default());
        let mut total = Tally::default();
        (0..2 * REPEATED).for_each(|_| total.count(&Err("no browser".to_owned())));
        assert_eq!((total.failed as usize, total.red.len()), (2 * REPEATED, REPEATED));
    }
}
