//! An overview of a repository for a prompt: its folders with how many files they have, the files that say how it is built, and what its
//! source files define at the top. Equal files give an equal text.
//!
//! Definitions of Python, TypeScript, JavaScript and Rust are read off the starts of lines: what is indented, made by macros or spread over
//! lines is not seen. It must not interpret what it reads beyond that.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use grace_sandbox::beneath::{Entry, EntryKind, Root};
use regex::Regex;

use super::walk::walk;

/// Entries that are looked at.
const ENTRIES: usize = 20_000;
/// Source files that are read, and bytes of each.
const SOURCES: usize = 500;
const SOURCE_BYTES: u64 = 256 << 10;
/// Definitions of one file that are named, and characters of each.
const DEFINITIONS: usize = 30;
const NAME_CHARS: usize = 60;
/// Levels of folders that are shown.
const LEVELS: usize = 3;

/// Names of files, without regard to case, that say what a project is and how it is built.
const IMPORTANT: &[&str] = &[
    "readme.md",
    "readme.rst",
    "readme",
    "agents.md",
    "claude.md",
    "contributing.md",
    "architecture.md",
    "cargo.toml",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "tsconfig.json",
    "makefile",
    "justfile",
    "dockerfile",
    "docker-compose.yml",
    "compose.yaml",
    "tox.ini",
    ".gitlab-ci.yml",
    ".env.example",
];

/// An overview of at most `chars` characters; what is more important comes first.
///
/// # Errors
/// The root cannot be listed.
pub fn overview(root: &Root, chars: usize) -> io::Result<String> {
    let walked = walk(root, "", usize::MAX, ENTRIES)?;
    let files: Vec<&Entry> = walked.entries.iter().filter(|entry| entry.kind == EntryKind::File).collect();
    let mut page = Page { text: String::new(), left: chars };
    let more = if walked.truncated { " or more" } else { "" };
    page.line(&format!("{} files{more}{}", files.len(), kinds(&files)));
    let mut important: Vec<&&Entry> = files.iter().filter(|entry| is_important(&entry.path)).collect();
    important.sort_by_key(|entry| (entry.path.components().count(), entry.path.clone()));
    page.list("Important files:", important.iter().map(|entry| format!("  {} ({} B)", shown(&entry.path), entry.size)), chars / 4);
    page.list("Folders, with all files beneath:", folders(&files).into_iter(), chars / 4);
    let mut sources: Vec<(&&Entry, &'static Patterns)> = files.iter().filter_map(|entry| Some((entry, patterns(&entry.path)?))).collect();
    sources.sort_by_key(|(entry, _)| (is_test(&entry.path), entry.path.components().count(), entry.path.clone()));
    let total = sources.len();
    let mut defined = Vec::new();
    for (entry, patterns) in sources.into_iter().take(SOURCES) {
        let Ok((bytes, _)) = root.read_start(&entry.path, SOURCE_BYTES) else { continue };
        let names = definitions(&String::from_utf8_lossy(&bytes), patterns);
        if !names.is_empty() {
            defined.push(format!("  {}: {}", shown(&entry.path), names.join(", ")));
        }
    }
    page.list(&format!("Definitions at the top of {total} source files:"), defined.into_iter(), usize::MAX);
    Ok(page.text)
}

/// A text that fills up.
struct Page {
    text: String,
    left: usize,
}

impl Page {
    fn line(&mut self, line: &str) -> bool {
        let chars = line.chars().count() + 1;
        if chars > self.left {
            return false;
        }
        self.left -= chars;
        self.text.push_str(line);
        self.text.push('\n');
        true
    }

    /// As many lines as fit into `share` characters, under a title, and how many do not.
    fn list(&mut self, title: &str, lines: impl ExactSizeIterator<Item = String>, share: usize) {
        /// Room for the last line.
        const REST: usize = 40;
        let total = lines.len();
        let until = self.left.saturating_sub(share);
        if total == 0 || !self.line(title) {
            return;
        }
        for (written, line) in lines.enumerate() {
            if line.chars().count() + REST > self.left - until.min(self.left) || !self.line(&line) {
                self.line(&format!("  … {} more", total - written));
                return;
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "?")
}

/// The most frequent kinds of files.
fn kinds(files: &[&Entry]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for extension in files.iter().filter_map(|entry| entry.path.extension()) {
        *counts.entry(extension.to_string_lossy().replace(char::is_control, "?")).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().filter(|(name, _)| name.len() <= 12).collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.clone()));
    let counts: Vec<String> = counts.into_iter().take(8).map(|(name, count)| format!("{count} .{name}")).collect();
    if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) }
}

fn is_important(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    IMPORTANT.contains(&name.as_str()) || path.starts_with(".github/workflows")
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        matches!(&*part, "test" | "tests" | "__tests__" | "examples" | "fixtures")
            || part.starts_with("test_")
            || part.contains(".test.")
            || part.contains(".spec.")
    })
}

/// Folders as a tree.
fn folders(files: &[&Entry]) -> Vec<String> {
    let mut counts: BTreeMap<&Path, usize> = BTreeMap::new();
    for entry in files {
        for folder in entry.path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let near = counts.into_iter().filter(|(folder, _)| folder.components().count() <= LEVELS);
    near.map(|(folder, count)| {
        let indent = "  ".repeat(folder.components().count());
        format!("{indent}{}/ {count}", shown(Path::new(folder.file_name().unwrap_or_default())))
    })
    .collect()
}

/// Expressions whose first group is what is defined.
type Patterns = Vec<Regex>;

fn patterns(path: &Path) -> Option<&'static Patterns> {
    static PYTHON: LazyLock<Patterns> = LazyLock::new(|| {
        compiled(&[
            r"^((?:async )?def \w+)",
            r"^(class \w+)",
            r#"^@\w+\.(?:get|post|put|patch|delete|route)\(["']([^"']+)"#,
            r"^([A-Z][A-Z0-9_]+)\s*[:=]",
        ])
    });
    static TYPESCRIPT: LazyLock<Patterns> = LazyLock::new(|| {
        compiled(&[
            r"^(?:export )?(?:default )?(?:declare )?((?:async )?function\*? \w+)",
            r"^(?:export )?(?:default )?(?:declare )?((?:abstract )?class \w+)",
            r"^(?:export )?(?:declare )?((?:interface|type|enum|namespace) \w+)",
            r"^export (?:declare )?((?:const|let|var) \w+)",
            r"^const (\w+)\s*=\s*(?:async )?(?:\([^)]*\)|\w+)\s*=>",
        ])
    });
    static RUST: LazyLock<Patterns> = LazyLock::new(|| {
        compiled(&[
            r#"^(?:pub(?:\([^)]*\))? )?(?:(?:const|async|unsafe|extern "C") )*(fn \w+)"#,
            r"^(?:pub(?:\([^)]*\))? )?(?:unsafe )?((?:struct|enum|trait|union|type|mod|macro) \w+)",
            r"^(macro_rules! \w+)",
            r"^(impl(?:<[^>]*>)? [^{]+?)\s*(?:where|\{|$)",
        ])
    });
    match path.extension()?.to_str()? {
        "py" | "pyi" => Some(&PYTHON),
        "ts" | "tsx" | "js" | "jsx" | "mjs" | "cjs" => Some(&TYPESCRIPT),
        "rs" => Some(&RUST),
        _ => None,
    }
}

fn compiled(patterns: &[&str]) -> Patterns {
    patterns.iter().map(|pattern| Regex::new(pattern).expect("an expression of ours")).collect()
}

fn definitions(text: &str, patterns: &Patterns) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.len() <= 1_000 && !line.starts_with([' ', '\t', '}'])) {
        let Some(name) = patterns.iter().find_map(|pattern| pattern.captures(line)?.get(1)) else { continue };
        let name: String = name.as_str().chars().take(NAME_CHARS).collect();
        if names.len() == DEFINITIONS {
            names.push("…".into());
            break;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("README.md", "# Shop\n"),
            ("backend/pyproject.toml", "[project]\n"),
            ("backend/app/main.py", "import x\nLIMIT = 3\n@router.get('/items')\nasync def items():\n    def inner(): ...\nclass Item(Base):\n"),
            ("backend/tests/test_main.py", "def test_items(): ...\n"),
            ("web/src/App.tsx", "export default function App() {\n}\nexport const useX = () => 1;\ninterface Props {}\nconst f = (a) => a;\n"),
            ("core/lib.rs", "pub struct A<T>(T);\nimpl<T> Clone for A<T> {\n    fn clone() {}\n}\npub(crate) async fn go() {}\nmacro_rules! m {}\n"),
            ("node_modules/left/index.js", "function left() {}\n"),
            ("data.bin", "\0\u{1}"),
        ];
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink("/etc", folder.path().join("etc")).unwrap();
        folder
    }

    #[test]
    fn an_overview_names_folders_manifests_and_definitions() {
        let folder = repository();
        let root = Root::open(folder.path()).unwrap();
        let expected = "\
7 files: 2 .py, 1 .bin, 1 .md, 1 .rs, 1 .toml, 1 .tsx
Important files:
  README.md (7 B)
  backend/pyproject.toml (10 B)
Folders, with all files beneath:
  backend/ 3
    app/ 1
    tests/ 1
  core/ 1
  web/ 1
    src/ 1
Definitions at the top of 4 source files:
  core/lib.rs: struct A, impl<T> Clone for A<T>, fn go, macro_rules! m
  backend/app/main.py: LIMIT, /items, async def items, class Item
  web/src/App.tsx: function App, const useX, interface Props, f
  backend/tests/test_main.py: def test_items
";
        assert_eq!(overview(&root, 4_000).unwrap(), expected);
    }

    #[test]
    fn an_overview_keeps_to_its_length() {
        let folder = repository();
        let root = Root::open(folder.path()).unwrap();
        for chars in (0..800).step_by(7) {
            assert!(overview(&root, chars).unwrap().chars().count() <= chars, "{chars}");
        }
    }
}
