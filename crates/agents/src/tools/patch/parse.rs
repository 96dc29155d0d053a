//! Reads both formats into the same sections. It must not look at any file.

/// What a patch says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section {
    Add { path: String, text: String, executable: bool },
    Update { path: String, to: Option<String>, hunks: Vec<Hunk>, executable: Option<bool> },
    Delete { path: String, hunks: Vec<Hunk> },
}

/// One place that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// Lines above the place, outermost first.
    pub anchors: Vec<String>,
    /// The line, counted from 1, at which a unified diff puts it.
    pub line: Option<usize>,
    pub lines: Vec<Line>,
    /// Its last line is the file's last.
    pub at_end: bool,
    /// Whether the file's last line is to have an end, if the patch says so.
    pub final_newline: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Keep(String),
    Remove(String),
    Insert(String),
}

/// Most lines of a patch.
const LINES: usize = 200_000;

pub fn parse(patch: &str) -> Result<Vec<Section>, String> {
    let lines: Vec<&str> = patch.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    if lines.len() > LINES {
        return Err(format!("The patch has more than {LINES} lines."));
    }
    if patch.contains('\0') {
        return Err("The patch has a zero byte; only text is changed.".into());
    }
    let mut reader = Reader { lines, next: 0 };
    let begin = reader.lines.iter().position(|line| line.trim() == "*** Begin Patch");
    let sections = match begin {
        Some(begin) => {
            reader.next = begin + 1;
            reader.marked()?
        }
        None if reader.lines.iter().any(|line| line.starts_with("+++ ") || line.starts_with("diff --git ")) => reader.unified()?,
        None => return Err("The patch has neither `*** Begin Patch` nor the header lines `---` and `+++` of a unified diff.".into()),
    };
    if sections.is_empty() { Err("The patch changes no file.".into()) } else { Ok(sections) }
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.next).copied()
    }

    fn take_prefixed(&mut self, prefix: &str) -> Option<&'a str> {
        let rest = self.peek()?.strip_prefix(prefix)?;
        self.next += 1;
        Some(rest)
    }

    fn wrong(&self, what: &str) -> String {
        let line = self.peek().map_or("the end", |line| line);
        format!("Line {} of the patch, `{}`: {what}", self.next + 1, crate::command::start(line, 120))
    }

    /// The format with `***` marks.
    fn marked(&mut self) -> Result<Vec<Section>, String> {
        let mut sections = Vec::new();
        loop {
            let Some(line) = self.peek() else { return Err("The patch has no `*** End Patch`; it may have been cut off.".into()) };
            if line.trim() == "*** End Patch" {
                return Ok(sections);
            }
            if let Some(path) = self.take_prefixed("*** Add File: ") {
                let mut text = String::new();
                while let Some(line) = self.take_prefixed("+") {
                    text.push_str(line);
                    text.push('\n');
                }
                sections.push(Section::Add { path: path.trim().into(), text, executable: false });
            } else if let Some(path) = self.take_prefixed("*** Delete File: ") {
                sections.push(Section::Delete { path: path.trim().into(), hunks: Vec::new() });
            } else if let Some(path) = self.take_prefixed("*** Update File: ") {
                let to = self.take_prefixed("*** Move to: ").map(|to| to.trim().to_owned());
                let mut hunks = Vec::new();
                while let Some(hunk) = self.marked_hunk()? {
                    hunks.push(hunk);
                }
                if hunks.is_empty() && to.is_none() {
                    return Err(self.wrong("a hunk for the file to update was expected."));
                }
                sections.push(Section::Update { path: path.trim().into(), to, hunks, executable: None });
            } else if line.trim().is_empty() {
                self.next += 1;
            } else {
                return Err(self.wrong("`*** Add File: path`, `*** Update File: path`, `*** Delete File: path` or `*** End Patch` was expected."));
            }
        }
    }

    fn marked_hunk(&mut self) -> Result<Option<Hunk>, String> {
        let mut hunk = Hunk::default();
        while let Some(anchor) = self.peek().filter(|line| *line == "@@" || line.starts_with("@@ ")) {
            let anchor = anchor[2..].trim();
            match numbers(anchor) {
                Some((line, rest)) => {
                    hunk.line = Some(line);
                    hunk.anchors.extend((!rest.is_empty()).then(|| rest.to_owned()));
                }
                None => hunk.anchors.extend((!anchor.is_empty()).then(|| anchor.to_owned())),
            }
            self.next += 1;
        }
        let started = !hunk.anchors.is_empty() || hunk.line.is_some() || self.next > 0 && self.lines[self.next - 1].starts_with("@@");
        let mut bare = 0;
        while let Some(line) = self.peek() {
            if line == "*** End of File" {
                hunk.at_end = true;
                self.next += 1;
                break;
            }
            if line.starts_with("***") || line == "@@" || line.starts_with("@@ ") {
                break;
            }
            if !self.hunk_line(&mut hunk, line) {
                return Err(self.wrong("it must begin with a space, `-` or `+`."));
            }
            bare = if line.is_empty() { bare + 1 } else { 0 };
            self.next += 1;
        }
        without_bare_end(&mut hunk, bare);
        match (hunk.lines.is_empty(), started) {
            (true, true) => Err(self.wrong("a line of the hunk was expected.")),
            (true, false) => Ok(None),
            _ => Ok(Some(hunk)),
        }
    }

    fn hunk_line(&self, hunk: &mut Hunk, line: &str) -> bool {
        let rest = || line[1..].to_owned();
        match line.as_bytes().first() {
            Some(b' ') => hunk.lines.push(Line::Keep(rest())),
            Some(b'-') => hunk.lines.push(Line::Remove(rest())),
            Some(b'+') => hunk.lines.push(Line::Insert(rest())),
            // A kept empty line whose space was lost.
            None => hunk.lines.push(Line::Keep(String::new())),
            Some(b'\\') => match hunk.lines.last() {
                Some(Line::Remove(_)) => hunk.final_newline = Some(true),
                Some(Line::Keep(_) | Line::Insert(_)) => hunk.final_newline = Some(false),
                None => {}
            },
            _ => return false,
        }
        true
    }

    fn unified(&mut self) -> Result<Vec<Section>, String> {
        let mut sections = Vec::new();
        while self.next < self.lines.len() {
            let mut header = Header::default();
            let git = self.take_prefixed("diff --git ").map(|paths| header.git(paths)).is_some();
            while git && self.peek().is_some_and(|line| !line.starts_with("diff --git ") && !line.starts_with("--- ")) {
                let line = self.peek().unwrap_or_default();
                if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
                    return Err(self.wrong("only text can be changed."));
                }
                header.extended(line);
                self.next += 1;
            }
            if self.is_header() && !header.stands_alone_before(self.lines[self.next], self.lines[self.next + 1]) {
                header.from = self.take_prefixed("--- ").map(path_of);
                header.to = self.take_prefixed("+++ ").map(path_of);
            } else if !git {
                let line = self.peek().unwrap_or_default();
                if line.starts_with("@@ ") {
                    return Err(self.wrong("the header lines `---` and `+++` of its file are missing."));
                }
                // Words around the diff.
                self.next += 1;
                continue;
            }
            let mut hunks = Vec::new();
            while let Some(rest) = self.peek().and_then(|line| line.strip_prefix("@@")) {
                let line = numbers(rest.trim()).map(|(line, _)| line);
                self.next += 1;
                let (mut hunk, mut bare) = (Hunk { line, ..Hunk::default() }, 0);
                while let Some(line) = self.peek() {
                    if line.starts_with("@@") || line.starts_with("diff --git ") || self.is_header() || !self.hunk_line(&mut hunk, line) {
                        break;
                    }
                    bare = if line.is_empty() { bare + 1 } else { 0 };
                    self.next += 1;
                }
                hunk.lines.truncate(hunk.lines.len() - bare);
                if hunk.lines.is_empty() {
                    return Err(self.wrong("a line of the hunk was expected."));
                }
                hunks.push(hunk);
            }
            sections.push(header.section(hunks)?);
        }
        Ok(sections)
    }

    /// Whether a file's header comes next. A removed line `-- x` followed by an inserted `++ y` looks alike, but for the third line.
    fn is_header(&self) -> bool {
        let line = |ahead: usize| self.lines.get(self.next + ahead).copied().unwrap_or_default();
        line(0).starts_with("--- ") && line(1).starts_with("+++ ") && line(2).starts_with("@@")
    }
}

/// What stands before a file's hunks.
#[derive(Default)]
struct Header {
    from: Option<String>,
    to: Option<String>,
    /// Both names of a `diff --git` line.
    named: Option<(String, String)>,
    is_new: bool,
    is_deleted: bool,
    is_renamed: bool,
    executable: Option<bool>,
}

impl Header {
    fn git(&mut self, paths: &str) {
        self.named = paths.split_once(" b/").map(|(from, to)| (from.strip_prefix("a/").unwrap_or(from).to_owned(), to.to_owned()));
    }

    fn extended(&mut self, line: &str) {
        self.is_new |= line.starts_with("new file mode");
        self.is_deleted |= line.starts_with("deleted file mode");
        self.is_renamed |= line.starts_with("rename to ");
        if line.starts_with("new file mode") || line.starts_with("new mode") {
            self.executable = Some(line.ends_with("755"));
        }
    }

    /// Whether what `diff --git` began is whole already, and these two header lines are of another file: a patch may have parts of two programs.
    fn stands_alone_before(&self, from: &str, to: &str) -> bool {
        let Some(named) = &self.named else { return false };
        let is_named = |line: &str, start: &str, prefix: &str, name: &str| {
            let path = path_of(line.strip_prefix(start).unwrap_or(line));
            path == "/dev/null" || path == name || path.strip_prefix(prefix) == Some(name)
        };
        let is_whole = self.is_renamed || self.is_new || self.is_deleted || self.executable.is_some();
        is_whole && !(is_named(from, "--- ", "a/", &named.0) && is_named(to, "+++ ", "b/", &named.1))
    }

    fn section(self, hunks: Vec<Hunk>) -> Result<Section, String> {
        let null = |path: &Option<String>| path.as_deref() == Some("/dev/null");
        let (is_new, is_deleted) = (self.is_new || null(&self.from), self.is_deleted || null(&self.to));
        // Both names begin alike, or neither does: a folder may be called `a`.
        let prefixed = |path: &Option<String>, prefix: &str| null(path) || path.as_ref().is_some_and(|path| path.starts_with(prefix));
        let strips = prefixed(&self.from, "a/") && prefixed(&self.to, "b/");
        let (from, to) = match (self.from, self.to, self.named) {
            (Some(from), Some(to), _) if strips => {
                (from.strip_prefix("a/").unwrap_or(&from).to_owned(), to.strip_prefix("b/").unwrap_or(&to).to_owned())
            }
            (Some(from), Some(to), _) => (from, to),
            (_, _, Some(named)) => named,
            _ => return Err("A file of the patch has no name.".into()),
        };
        if is_deleted {
            return Ok(Section::Delete { path: from, hunks });
        }
        if is_new {
            let mut text = String::new();
            let mut newline = true;
            for hunk in &hunks {
                newline = hunk.final_newline.unwrap_or(true);
                for line in &hunk.lines {
                    let Line::Insert(line) = line else { return Err(format!("`{to}` is new in the patch, but has lines that are kept or removed.")) };
                    text.push_str(line);
                    text.push('\n');
                }
            }
            if !newline {
                text.pop();
            }
            return Ok(Section::Add { path: to, text, executable: self.executable == Some(true) });
        }
        if hunks.is_empty() && !self.is_renamed && self.executable.is_none() {
            return Err(format!("`{to}` has no hunk in the patch."));
        }
        let renamed = (from != to).then(|| to.clone());
        Ok(Section::Update { path: from, to: renamed, hunks, executable: self.executable })
    }
}

/// The path of a header line, before its time stamp.
fn path_of(rest: &str) -> String {
    rest.split('\t').next().unwrap_or_default().trim().to_owned()
}

/// `-3,4 +3,5 @@ rest`: the old line number, and what follows.
fn numbers(header: &str) -> Option<(usize, &str)> {
    let rest = header.strip_prefix('-')?;
    let (old, rest) = rest.split_once(' ')?;
    let (new, rest) = rest.split_once("@@").unwrap_or((rest, ""));
    new.trim().strip_prefix('+')?.split(',').next()?.parse::<usize>().ok()?;
    let (line, count) = old.split_once(',').unwrap_or((old, "1"));
    let line = line.parse::<usize>().ok()?;
    // Where nothing is removed or kept, the number is that of the line before.
    Some((if count == "0" { line + 1 } else { line }, rest.trim()))
}

/// Takes back the last `bare` lines, which have not even a space: they are most often the patch's own, not the file's. But where nothing
/// else says where the hunk belongs, they stay.
fn without_bare_end(hunk: &mut Hunk, bare: usize) {
    let rest = &hunk.lines[..hunk.lines.len() - bare];
    if rest.is_empty() || !rest.iter().all(|line| matches!(line, Line::Insert(_))) {
        hunk.lines.truncate(rest.len());
    }
}
