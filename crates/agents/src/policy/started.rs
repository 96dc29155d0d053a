//! Commands that start commands: `sudo`, `env`, `xargs`, `timeout`, shells with `-c`, runners of package managers. What they start is judged as if it
//! stood alone. A command that starts others in ways that are not listed here is judged by its own words only.

use grace_domain::policy::{Source, Word};

use super::shell::Read;

/// What a command starts.
#[derive(Debug)]
pub(super) enum Started {
    Nothing,
    Commands(Vec<Vec<Read>>),
    /// A text that a shell reads, and whether all of it is known.
    Script(String, bool),
    /// A shell reads it from somewhere else.
    Unknown,
}

/// A command whose operand is a command.
struct Starter {
    /// Its name, and the word that must follow: `poetry run`.
    names: &'static [&'static str],
    verb: Option<&'static str>,
    /// Options with a value after them.
    with_value: &'static [&'static str],
    /// Operands before the command.
    operands: usize,
}

const fn plain(names: &'static [&'static str], with_value: &'static [&'static str]) -> Starter {
    Starter { names, verb: None, with_value, operands: 0 }
}

const fn runner(names: &'static [&'static str], verb: &'static str, with_value: &'static [&'static str]) -> Starter {
    Starter { names, verb: Some(verb), with_value, operands: 0 }
}

const STARTERS: &[Starter] = &[
    plain(
        &["sudo", "doas"],
        &["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-U", "-D", "-R", "-T", "--user", "--group", "--host", "--prompt", "--chdir", "--role", "--type"],
    ),
    plain(&["env"], &["-u", "--unset", "-C", "--chdir"]),
    plain(
        &["xargs"],
        &["-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--max-lines", "--delimiter", "--arg-file", "--max-chars"],
    ),
    Starter { names: &["timeout", "gtimeout"], verb: None, with_value: &["-k", "-s", "--kill-after", "--signal"], operands: 1 },
    Starter { names: &["flock", "taskset", "chroot"], verb: None, with_value: &["-w", "-E", "--wait", "--timeout"], operands: 1 },
    plain(&["nohup", "setsid", "command", "builtin", "chronic", "unbuffer", "busybox"], &[]),
    plain(&["exec"], &["-a"]),
    plain(&["time"], &["-f", "-o", "--format", "--output"]),
    plain(&["nice", "watch"], &["-n", "--adjustment", "--interval"]),
    plain(&["ionice", "chrt"], &["-c", "-n", "--class", "--classdata"]),
    plain(&["stdbuf"], &["-i", "-o", "-e", "--input", "--output", "--error"]),
    plain(&["strace", "ltrace"], &["-o", "-e", "-s", "-P"]),
    plain(&["npx", "bunx"], &["-p", "--package"]),
    plain(&["uvx"], &["--from", "--with", "-p", "--python"]),
    runner(&["uv"], "run", &["--with", "--extra", "--group", "-p", "--python", "--directory", "--project", "--env-file"]),
    runner(&["poetry", "pipenv", "hatch", "pdm", "rye"], "run", &["-C", "--directory", "-P", "--project"]),
    runner(&["pipx"], "run", &["--spec", "--python"]),
    runner(&["bundle", "pnpm", "yarn", "npm", "mise"], "exec", &["--prefix", "-C", "--dir", "--filter"]),
    runner(&["pnpm", "yarn"], "dlx", &["--package"]),
];

const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash"];

fn known(read: &Read) -> Option<&str> {
    match &read.word {
        Word::Known(text) => Some(text),
        Word::Computed { .. } => None,
    }
}

/// What a command starts, by its name and its words.
pub(super) fn started(command: &[Read]) -> Started {
    let Some((program, rest)) = command.split_first() else { return Started::Nothing };
    let Some(name) = known(program).and_then(|path| path.rsplit('/').next()) else { return Started::Nothing };
    match name {
        _ if SHELLS.contains(&name) => shell(rest),
        "eval" => script(rest),
        "trap" => rest.first().filter(|read| known(read) != Some("-")).map_or(Started::Nothing, |read| script(std::slice::from_ref(read))),
        "find" | "fd" => Started::Commands(found(rest)),
        // It makes words of a text by rules of its own.
        "env" if rest.iter().filter_map(known).any(|word| word.starts_with("-S") || word.starts_with("--split-string")) => Started::Unknown,
        // It only looks where a command is.
        "command" if rest.first().and_then(known).is_some_and(|word| word.starts_with("-v") || word.starts_with("-V")) => Started::Nothing,
        _ => {
            let Some(starter) =
                STARTERS.iter().find(|starter| starter.names.contains(&name) && starter.verb.is_none_or(|verb| has_verb(rest, verb, starter)))
            else {
                return Started::Nothing;
            };
            let mut inner = operand(rest, starter).to_vec();
            if inner.is_empty() {
                return Started::Nothing;
            }
            if name == "xargs" {
                for read in &mut inner {
                    if known(read).is_some_and(|word| word.contains("{}")) {
                        read.word = Word::unknown(Source::Output);
                    }
                }
                inner.push(Read { word: Word::unknown(Source::Output), script: String::new() });
            }
            Started::Commands(vec![inner])
        }
    }
}

fn has_verb(rest: &[Read], verb: &str, starter: &Starter) -> bool {
    after_options(rest, starter.with_value).first().and_then(known) == Some(verb)
}

/// What follows a command's own options.
fn after_options<'a>(mut words: &'a [Read], with_value: &[&str]) -> &'a [Read] {
    while let Some((word, rest)) = words.split_first() {
        match known(word) {
            Some("--") => return rest,
            Some(option) if with_value.contains(&option) => words = rest.get(1..).unwrap_or_default(),
            Some(option) if option.len() > 1 && option.starts_with(['-', '+']) => words = rest,
            _ => break,
        }
    }
    words
}

/// The command among the words of what starts it.
fn operand<'a>(words: &'a [Read], starter: &Starter) -> &'a [Read] {
    let mut words = words;
    if starter.verb.is_some() {
        words = after_options(words, starter.with_value).get(1..).unwrap_or_default();
    }
    words = after_options(words, starter.with_value);
    words = words.get(starter.operands..).unwrap_or_default();
    let is_assignment = |read: &&Read| {
        let name = read.script.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
    };
    let assignments = words.iter().take_while(is_assignment).count();
    after_options(&words[assignments..], starter.with_value)
}

/// The commands after `-exec` and its like.
fn found(words: &[Read]) -> Vec<Vec<Read>> {
    let mut commands = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if known(word).is_some_and(|word| matches!(word, "-exec" | "-execdir" | "-ok" | "-okdir" | "-x" | "--exec" | "-X" | "--exec-batch")) {
            let inner: Vec<Read> = words.by_ref().take_while(|word| !known(word).is_some_and(|word| matches!(word, ";" | "+"))).cloned().collect();
            if !inner.is_empty() {
                commands.push(inner);
            }
        }
    }
    commands
}

fn shell(words: &[Read]) -> Started {
    let mut takes_script = false;
    let mut words = words;
    while let Some((word, rest)) = words.split_first() {
        match known(word) {
            Some("--version" | "--help") => return Started::Nothing,
            Some("-o" | "-O" | "+o" | "+O" | "--rcfile" | "--init-file") => words = rest.get(1..).unwrap_or_default(),
            Some(option) if option.len() > 1 && option.starts_with(['-', '+']) => {
                takes_script |= !option.starts_with("--") && option.starts_with('-') && option.contains('c');
                words = rest;
                if option == "--" {
                    break;
                }
            }
            _ => break,
        }
    }
    match words.first() {
        Some(text) if takes_script => script(std::slice::from_ref(text)),
        // A file, which is looked at no more than any program.
        Some(_) => Started::Nothing,
        None => Started::Unknown,
    }
}

/// Words that a shell reads as one text.
fn script(words: &[Read]) -> Started {
    let text: Vec<&str> = words.iter().map(|read| read.script.as_str()).collect();
    Started::Script(text.join(" "), words.iter().all(|read| known(read).is_some()))
}
