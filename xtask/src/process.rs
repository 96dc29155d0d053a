//! Starting other programs and waiting for them. Their output is the reader's to see, so it is passed on, not collected, unless it must be read.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

/// What every command of xtask ends with: nothing, or what to tell the person.
pub type Outcome<T = ()> = Result<T, String>;

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository").to_owned()
}

/// The folder that cargo builds into.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that starts in the repository's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo takes the program that this variable names for the compiler of the workspace's own crates.
const COMPILER: &str = "RUSTC_WORKSPACE_WRAPPER";

/// From here on clippy compiles. It is the compiler with more lints, so what it has compiled is linted; `cargo clippy` would check everything, the
/// libraries included, a second time. Only for development builds: clippy leaves optimisations out.
pub fn lint_while_compiling() -> Outcome {
    let sysroot = output_of(command("rustc").args(["--print", "sysroot"])).ok_or("rustc cannot say where it is.")?;
    LINTING.set(PathBuf::from(sysroot).join("bin/clippy-driver")).map_err(|_| "the compiler is chosen once.".to_owned())
}

static LINTING: OnceLock<PathBuf> = OnceLock::new();

/// What tells a cargo below this process which compiler to use.
pub fn compiler() -> Option<(&'static str, &'static Path)> {
    LINTING.get().map(|driver| (COMPILER, driver.as_path()))
}

/// Whether a line of cargo's says that a crate was compiled with warnings. Cargo repeats them when it has nothing to compile.
pub fn says_that_there_are_warnings(line: &str) -> bool {
    line.starts_with("warning: `") && line.contains(" generated ")
}

/// This very cargo.
pub fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set for this process by `cargo run`; they would make the inner cargo rebuild build scripts that look at them.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" || name == "CARGO_MANIFEST_PATH") {
            command.env_remove(name);
        }
    }
    command.envs(compiler());
    command
}

/// Announces a step, with the time since the first one: what takes long is seen while it does.
pub fn heading(text: &str) {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGAN.get_or_init(Instant::now).elapsed().as_secs();
    let at = format!("{}:{:02}", seconds / 60, seconds % 60);
    if std::io::stdout().is_terminal() {
        println!("\n\u{1b}[1m{text}\u{1b}[0m  {at}");
    } else {
        println!("\n== {text}  {at}");
    }
}

/// Runs it with its output shown; an error names what failed.
pub fn run(what: &str, command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("{what}: cannot start {:?}: {error}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status}).")) }
}

/// Runs it quietly and returns its standard output, or `None` when it is not there or fails.
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs it with both outputs shown and every line of them also given to `read`, freed of colours. Returns whether it succeeded.
pub fn run_reading(what: &str, command: &mut Command, mut read: impl FnMut(&str)) -> Outcome<bool> {
    let (reader, writer) = std::io::pipe().map_err(|error| format!("{what}: no pipe: {error}"))?;
    let second = writer.try_clone().map_err(|error| format!("{what}: no pipe: {error}"))?;
    let mut child = command.stdout(writer).stderr(second).spawn().map_err(|error| format!("{what}: cannot start: {error}"))?;
    // The command keeps its copies of the pipe's ends until they are replaced; without this the reader would wait for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.map_err(|error| format!("{what}: cannot read its output: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        read(&without_colours(&line));
    }
    let status = child.wait().map_err(|error| format!("{what}: cannot wait: {error}"))?;
    Ok(status.success())
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else if character != '\r' {
            plain.push(character);
        }
    }
    plain
}

/// Where `program` is on the PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

pub fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).as_deref() == Some("0")
}

#[cfg(test)]
mod tests {
    #[test]
    fn colours_are_taken_out_of_a_line() {
        assert_eq!(super::without_colours("\u{1b}[1;32mtest result\u{1b}[0m: ok\r"), "test result: ok");
    }
}
