//! `cargo xtask lint`: what the compiler does not check by itself. Formatting, clippy on every target, the directions between the crates,
//! the locks, and words that must not be in the files.

use std::{collections::BTreeMap, fs, process::Command};

use crate::{
    prerequisites::{self, WASM_TARGET},
    process::{Outcome, cargo, command, heading, output_of, root, run},
};

/// What a crate's own code may never stand on, directly or not: `(package, extra arguments of cargo tree, forbidden packages)`.
const DIRECTIONS: [(&str, &[&str], &[&str]); 9] = [
    (
        "grace-domain",
        &[],
        &["grace-store", "grace-sandbox", "grace-agents", "grace-operations", "grace-engine", "grace", "sqlx", "tokio", "axum", "leptos", "rand"],
    ),
    ("grace-sandbox", &[], &["grace-domain", "grace-store", "grace-agents", "grace-operations", "grace-engine", "grace", "sqlx", "axum", "leptos"]),
    (
        "grace-vault",
        &[],
        &[
            "grace-domain",
            "grace-store",
            "grace-sandbox",
            "grace-agents",
            "grace-operations",
            "grace-engine",
            "grace",
            "sqlx",
            "tokio",
            "axum",
            "leptos",
        ],
    ),
    (
        "grace-kubernetes",
        &[],
        &["grace-domain", "grace-store", "grace-sandbox", "grace-agents", "grace-engine", "grace", "sqlx", "tokio", "axum", "leptos"],
    ),
    ("grace-store", &[], &["grace-sandbox", "grace-vault", "grace-agents", "grace-operations", "grace-engine", "grace", "axum", "leptos"]),
    ("grace-agents", &[], &["grace-store", "grace-operations", "grace-engine", "grace", "sqlx", "axum", "leptos"]),
    ("grace-operations", &[], &["grace-agents", "grace-engine", "grace", "leptos"]),
    ("grace-engine", &[], &["grace", "leptos", "leptos_axum"]),
    (
        "grace",
        &["--no-default-features", "--features", "split", "--target", WASM_TARGET],
        &["grace-store", "grace-sandbox", "grace-agents", "grace-operations", "grace-engine", "sqlx", "tokio", "axum"],
    ),
];

/// Pages and components know the domain and the server functions, and nothing behind these.
const BEHIND_THE_CALLS: [&str; 4] = ["grace_engine", "grace_store", "crate::server", "sqlx::"];

/// Lock files of npm that must match their package.json.
const NPM_FOLDERS: [&str; 2] = ["end2end", "crates/agents/blueprints/web_service/frontend"];

/// `only` is a part of the names of the checks to run; all without it.
pub fn lint(only: &[String]) -> Outcome {
    let only = only.first().map_or("", String::as_str);
    let checks = checks(|name| name.contains(only))?;
    let failed: Vec<&str> = checks.iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| *name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("lint: {} of {} checks failed: {}.", failed.len(), checks.len(), failed.join(", "))) }
}

/// A check by its name.
type Check = (&'static str, fn() -> Outcome);

/// A part of the names of the checks that compile.
pub const COMPILING: &str = "clippy";

/// Runs every check whose name is `wanted`, whatever the others say, and returns their outcomes by name.
pub fn checks(wanted: impl Fn(&str) -> bool) -> Outcome<Vec<(&'static str, Outcome)>> {
    prerequisites::wasm_target()?;
    let all: [Check; 8] = [
        ("formatting", formatting),
        ("clippy", clippy),
        ("clippy of the browser half", clippy_of_the_browser_half),
        ("directions between the crates", directions),
        ("pages know only their calls", pages_know_only_their_calls),
        ("words that must not be in the files", forbidden_words),
        ("locks are current", locks),
        ("tests and server share what is compiled", shared_features),
    ];
    Ok(all
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, check)| {
            heading(name);
            let outcome = check();
            if let Err(why) = &outcome {
                eprintln!("{why}");
            }
            (name, outcome)
        })
        .collect())
}

fn formatting() -> Outcome {
    run("cargo fmt", cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    run("clippy", cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
}

/// Also proves that `domain` builds for the browser.
fn clippy_of_the_browser_half() -> Outcome {
    let browser = ["clippy", "--quiet", "--package", "grace", "--lib", "--target", WASM_TARGET, "--no-default-features", "--features", "split"];
    run("clippy for wasm", cargo().args(browser).args(["--", "--deny", "warnings"]))
}

fn directions() -> Outcome {
    let mut wrong = Vec::new();
    for (package, arguments, forbidden) in DIRECTIONS {
        let mut tree = cargo();
        tree.args(["tree", "--package", package, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]).args(arguments);
        let output = output_of(&mut tree).ok_or_else(|| format!("cargo tree of {package} failed."))?;
        for line in output.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if name != package && forbidden.contains(&name) {
                wrong.push(format!("  {package} stands on {name}, which it must not know."));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn pages_know_only_their_calls() -> Outcome {
    let mut wrong = Vec::new();
    for file in tracked_files(&["src/pages", "src/components", "src/app.rs", "src/live.rs"])? {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        for word in BEHIND_THE_CALLS {
            if text.contains(word) {
                wrong.push(format!("  {file} names {word}."));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Registries are asked of the toolchains at run time, and no path of one person's machine is of use to another.
fn forbidden_words() -> Outcome {
    // Written in two parts, so that this file does not hold them.
    let words = [
        ["registry.", "npmjs.org"],
        ["pypi", ".org"],
        ["files.python", "hosted.org"],
        ["index.", "crates.io"],
        ["static.", "crates.io"],
        ["deb.", "debian.org"],
        ["/work/", "main"],
        ["/root", "/."],
        ["/tmp", "/team"],
    ]
    .map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for file in tracked_files(&["."])? {
        // Cargo writes its index's address there itself.
        if file == "Cargo.lock" {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(word.as_str())) {
                wrong.push(format!("  {file}:{}: {word}", number + 1));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn locks() -> Outcome {
    run("Cargo.lock", cargo().args(["metadata", "--locked", "--format-version", "1"]).stdout(std::process::Stdio::null()))?;
    for folder in NPM_FOLDERS {
        let mut list = command("npm");
        list.current_dir(root().join(folder)).args(["ls", "--package-lock-only", "--depth", "0"]);
        run(&format!("the npm lock of {folder}"), &mut list)?;
    }
    Ok(())
}

/// A feature that only the tests ask of a crate makes cargo compile that crate, and everything that stands on it, once more for the server: minutes.
fn shared_features() -> Outcome {
    let features = |edges: &str| -> Outcome<BTreeMap<String, String>> {
        let mut tree = cargo();
        tree.args(["tree", "--workspace", "--edges", edges, "--prefix", "none", "--format", "{p}|{f}"]);
        let output = output_of(&mut tree).ok_or("cargo tree of the workspace failed.")?;
        Ok(output
            .lines()
            .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
            .map(|(of, list)| (of.to_owned(), list.to_owned()))
            .collect())
    };
    let with_tests = features("normal,build,dev")?;
    let differ = |(of, list): &(String, String)| with_tests.get(of).is_some_and(|other| other != list);
    let wrong: Vec<String> = features("normal,build")?
        .into_iter()
        .filter(differ)
        .map(|(of, list)| format!("  {of} has [{list}], and with the tests [{}]. Ask for the same in a normal dependency.", with_tests[&of]))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Files that git knows or would take, below `folders`.
fn tracked_files(folders: &[&str]) -> Outcome<Vec<String>> {
    let mut list: Command = command("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "--"]).args(folders);
    output_of(&mut list).map(|text| text.lines().map(str::to_owned).collect()).ok_or_else(|| "git ls-files failed; lint needs a clone.".to_owned())
}
