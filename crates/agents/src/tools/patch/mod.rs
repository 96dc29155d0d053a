//! Changes of several files in one text, in either of two formats, staged and committed together. The crates for unified diffs take
//! exactly counted hunks only (diffy) or place a hunk where it fits best by likeness (flickzeug); a model miscounts, and a guess must not
//! be written, so hunks of both formats are placed here: by their lines, and only where these are unique.

mod apply;
mod parse;

use grace_sandbox::replace::Content;

use self::parse::{Section, parse};
use super::files::{Done, Files, Outcome};
use super::stage::{NEW_FILE, Stage, text_of};
use super::{Change, paths};

pub const DESCRIPTION: &str = "Changes several files at once, all or none. A patch is either a unified diff or this format:
*** Begin Patch
*** Update File: src/a.py
@@ def greet():
     name = ask()
-    print(\"Hi\")
+    print(f\"Hi {name}\")
*** Add File: src/b.py
+print(1)
*** Delete File: src/c.py
*** End Patch
After `Update File` may come `*** Move to: path`. Lines begin with a space (kept), `-` or `+`. Give three lines before and after a change; \
where they are not unique, name the class or function above in one or more `@@` lines. `*** End of File` ends a hunk at the file's end. \
Hunks come in the order of the file. Files that are updated, moved or deleted must have been read.";

/// Applies a patch.
pub fn apply_patch(files: &Files, patch: &str) -> Outcome {
    let sections = parse(patch)?;
    let mut stage = Stage::new(files);
    for section in sections {
        staged(files, &mut stage, section)?;
    }
    let changed = stage.commit()?;
    let said: Vec<String> = changed
        .iter()
        .map(|file| match file.change {
            Change::Made => format!("A {}", file.path),
            Change::Edited => format!("M {}", file.path),
            Change::Removed => format!("D {}", file.path),
        })
        .collect();
    Ok(Done { text: format!("Changed:\n{}", said.join("\n")), changed })
}

fn staged(files: &Files, stage: &mut Stage<'_>, section: Section) -> Result<(), String> {
    match section {
        Section::Add { path, text, executable } => {
            let path = paths::changeable(&path)?;
            if stage.content(&path)?.is_some() {
                return Err(format!("`{path}` is there already; update it, or delete it in the same patch before it is added."));
            }
            let mode = if executable { 0o755 } else { NEW_FILE };
            stage.set(&path, Some(Content { bytes: text.into_bytes(), mode }))
        }
        Section::Delete { path, hunks } => {
            let path = paths::changeable(&path)?;
            let content = stage.content(&path)?.ok_or_else(|| files.absent(&path))?;
            if !hunks.is_empty() {
                let (_, text) = text_of(&path, &content)?;
                let rest = apply::apply(&text, &hunks).map_err(|reason| format!("`{path}`: {reason}"))?;
                if !rest.is_empty() {
                    return Err(format!("`{path}` is to be deleted, but has more lines than the patch removes."));
                }
            }
            stage.set(&path, None)
        }
        Section::Update { path, to, hunks, executable } => {
            let path = paths::changeable(&path)?;
            let mut content = stage.content(&path)?.ok_or_else(|| files.absent(&path))?;
            let (mark, text) = text_of(&path, &content)?;
            let text = apply::apply(&text, &hunks).map_err(|reason| format!("`{path}`: {reason}"))?;
            content.bytes = format!("{mark}{text}").into_bytes();
            match executable {
                Some(true) => content.mode |= 0o111,
                Some(false) => content.mode &= !0o111,
                None => {}
            }
            let to = to.map(|to| paths::changeable(&to)).transpose()?;
            match to {
                Some(to) if to != path => {
                    if stage.content(&to)?.is_some() {
                        return Err(format!("`{path}` cannot become `{to}`: that is there already."));
                    }
                    stage.set(&path, None)?;
                    stage.set(&to, Some(content))
                }
                _ => stage.set(&path, Some(content)),
            }
        }
    }
}
