//! How much one commit may hold. More is no source, but what a tool made and nobody ignored.

use std::collections::BTreeMap;

use super::{Workspace, WorkspaceError, blocking};

/// Files and bytes that one commit may add or change.
const FILES: u64 = 5_000;
const BYTES: u64 = 200_000_000;
const REMEDY: &str = "If they are no source, they belong into .gitignore; tell the agent so and retry the build.";

pub(super) fn countless() -> WorkspaceError {
    WorkspaceError::TooMuch(format!("More files were made or changed than can be listed; at most {FILES} of one task are committed. {REMEDY}"))
}

impl Workspace {
    /// Refuses paths that are too many or too large together; removed ones do not count.
    pub(super) async fn bounded(&self, paths: Vec<String>) -> Result<(), WorkspaceError> {
        let root = self.files().to_owned();
        let sizes = blocking(move || {
            let size = |path: String| std::fs::symlink_metadata(root.join(&path)).ok().map(|data| (path, data.len()));
            Ok(paths.into_iter().filter_map(size).collect::<Vec<_>>())
        });
        excess(&sizes.await?).map_or(Ok(()), |text| Err(WorkspaceError::TooMuch(text)))
    }
}

/// Why these files with their sizes are too much; `None`: they are not.
fn excess(files: &[(String, u64)]) -> Option<String> {
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let count = files.len() as u64;
    if count <= FILES && bytes <= BYTES {
        return None;
    }
    let weight = |size: u64| if count > FILES { 1 } else { size };
    let place = match heaviest(files, weight) {
        folder if folder.is_empty() => String::new(),
        folder => format!(", most of it in {folder}"),
    };
    Some(format!(
        "{count} files with {} MB were made or changed{place}; at most {FILES} files and {} MB of one task are committed. {REMEDY}",
        bytes.div_ceil(1_000_000),
        BYTES / 1_000_000
    ))
}

/// The deepest folder, with a `/` at its end, that has more than half of the weight; empty: there is none.
fn heaviest(files: &[(String, u64)], weight: impl Fn(u64) -> u64) -> String {
    let total: u64 = files.iter().map(|(_, size)| weight(*size)).sum();
    let mut folder = String::new();
    loop {
        let mut below: BTreeMap<&str, u64> = BTreeMap::new();
        for (path, size) in files {
            let Some(rest) = path.strip_prefix(&folder) else { continue };
            if let Some((name, _)) = rest.split_once('/') {
                *below.entry(name).or_default() += weight(*size);
            }
        }
        match below.into_iter().max_by_key(|(_, weight)| *weight) {
            Some((name, weight)) if weight * 2 > total => folder = format!("{folder}{name}/"),
            _ => return folder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_told_with_the_folder_that_has_most_of_it() {
        let mut files: Vec<(String, u64)> = (0..5_000).map(|number| (format!("web/out/{}/{number}.js", number % 9), 10)).collect();
        assert_eq!(excess(&files), None);
        files.push(("src/main.js".into(), 190_000_000));
        let text = excess(&files).expect("one file too many");
        assert!(text.starts_with("5001 files with 191 MB were made or changed, most of it in web/out/; at most 5000 files"), "{text}");
        let text = excess(&[("a.bin".into(), BYTES), ("b/c".into(), 1)]).expect("a byte too many");
        assert!(text.starts_with("2 files with 201 MB were made or changed; at most"), "{text}");
        assert_eq!(excess(&[("a.bin".into(), BYTES)]), None);
    }
}
