//! Files that a person gives with a description: what one is, and the bounds that hold for it and for all of a request. It must not know where
//! they are kept.

use serde::{Deserialize, Serialize};

use crate::{id::IntentId, intent::choice, present::bytes as shown};

/// Most files of one request.
pub const MAX_FILES: usize = 20;
/// Largest file, and all files of a request together, in bytes.
pub const MAX_FILE_BYTES: u64 = 25 << 20;
pub const MAX_ALL_BYTES: u64 = 100 << 20;
/// Longest name, in bytes: short enough for any file system with a folder before it.
pub const MAX_NAME: usize = 120;
/// Where the agent finds them in its workspace.
pub const FOLDER: &str = "inputs";

choice!(InputKind {
    Document = "document", "Document";
    Dataset = "dataset", "Dataset";
});

/// Endings of tables and records that are text, and of those that are not.
const TEXT_DATA: [&str; 5] = ["csv", "tsv", "json", "jsonl", "ndjson"];
const BINARY_DATA: [&str; 12] = ["parquet", "arrow", "feather", "avro", "orc", "xlsx", "xls", "ods", "sqlite", "sqlite3", "npy", "npz"];

impl InputKind {
    /// What a file is by its name, unless its bytes say otherwise: what is no text is no CSV.
    pub fn of(name: &str, binary: bool) -> Self {
        let ending = ending(name);
        let known: &[&str] = if binary { &BINARY_DATA } else { &TEXT_DATA };
        if known.contains(&ending.as_str()) { Self::Dataset } else { Self::Document }
    }
}

/// `csv` of `Sales.CSV`; empty without one.
pub fn ending(name: &str) -> String {
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default()
}

/// A file as it is kept: found by its hash, called by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// As [`checked_name`] allows.
    pub name: String,
    pub kind: InputKind,
    /// 1 to [`MAX_FILE_BYTES`].
    pub bytes: u64,
    /// SHA-256, 64 small hexadecimal digits.
    pub hash: String,
}

impl InputFile {
    /// Relative to the workspace: `inputs/sales.csv`.
    pub fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }

    /// Where a build's given file is downloaded.
    pub fn address(&self, intent: IntentId) -> String {
        format!("/api/coding_agent/{intent}/inputs/{}", in_address(&self.name))
    }
}

/// A name as a part of an address: what RFC 3986 does not call unreserved is written as its bytes.
pub fn in_address(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Answer of `POST /api/inputs`: name these in `artifacts.files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Uploaded {
    pub items: Vec<InputFile>,
}

/// A name that is one file in one folder, whatever the system, and looks like what it is. A leading dot is refused because such files rule
/// others: `.gitattributes` would change what git takes for their bytes.
///
/// # Errors
/// What is wrong with it, for people.
pub fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    // Characters that show nothing or turn the order of others around.
    let hidden = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let why = if name.is_empty() {
        "It has no name."
    } else if name.len() > MAX_NAME {
        "Its name is longer than 120 bytes."
    } else if name.contains(['/', '\\', ':']) {
        "Its name holds a separator of folders."
    } else if name.starts_with('.') {
        "Its name begins with a dot."
    } else if name.contains(hidden) {
        "Its name holds characters that cannot be seen."
    } else {
        return Ok(name.to_owned());
    };
    Err(format!("{why} Rename it and add it again."))
}

/// Why a file of this size is not taken; `None`: it is.
pub fn refused_size(bytes: u64) -> Option<String> {
    match bytes {
        0 => Some("It is empty. Add a file with something in it.".into()),
        bytes if bytes > MAX_FILE_BYTES => {
            Some(format!("It is larger than {} MiB, the most that one file may have. Split it, or give a part of it.", MAX_FILE_BYTES >> 20))
        }
        _ => None,
    }
}

/// What is wrong with the files of one request, each with the place of the file in it; `None`: with all of them together.
pub fn wrong_files(files: &[InputFile]) -> Vec<(Option<usize>, String)> {
    let mut wrong = Vec::new();
    if files.len() > MAX_FILES {
        wrong.push((None, format!("{} files are given; at most {MAX_FILES} are taken. Remove some, or pack them into one.", files.len())));
    }
    let all = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    if all > MAX_ALL_BYTES {
        wrong.push((None, format!("The files have {} together; at most {} MiB are taken. Remove some.", shown(all), MAX_ALL_BYTES >> 20)));
    }
    for (place, file) in files.iter().enumerate().take(MAX_FILES) {
        if let Err(why) = checked_name(&file.name) {
            wrong.push((Some(place), why));
        }
        if let Some(why) = refused_size(file.bytes) {
            wrong.push((Some(place), why));
        }
        if file.hash.len() != 64 || !file.hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            wrong.push((Some(place), "Its hash is not one that an upload answered with.".into()));
        }
        // Archives are opened on systems that do not tell `A.csv` from `a.csv`.
        if files[..place].iter().any(|other| other.name.to_lowercase() == file.name.to_lowercase()) {
            wrong.push((Some(place), "Two files have this name. Remove one of them, or rename it and add it again.".into()));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: u64) -> InputFile {
        InputFile { name: name.into(), kind: InputKind::of(name, false), bytes, hash: "0a".repeat(32) }
    }

    #[test]
    fn names_that_are_no_plain_file_are_refused() {
        for name in ["", " ", "a/b", "..", "../a", "a\\b", "C:a", ".gitattributes", "a\nb", "a\u{202e}fdp.exe", "a\0b", &"x".repeat(121)] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
        for name in ["a.csv", "Größe 2024 (1).pdf", "a..b", "-rf", "日本.txt", &"x".repeat(120)] {
            assert_eq!(checked_name(name).as_deref(), Ok(name));
        }
        assert_eq!(checked_name(" a.csv "), Ok("a.csv".into()));
    }

    #[test]
    fn a_kind_follows_the_name_unless_the_bytes_are_none_of_it() {
        assert_eq!(InputKind::of("Sales.CSV", false), InputKind::Dataset);
        assert_eq!(InputKind::of("sales.csv", true), InputKind::Document);
        assert_eq!(InputKind::of("sales.parquet", true), InputKind::Dataset);
        assert_eq!(InputKind::of("csv", false), InputKind::Document);
    }

    #[test]
    fn limits_are_of_each_file_and_of_all() {
        assert_eq!(wrong_files(&[file("a", 1), file("b", MAX_FILE_BYTES)]), []);
        let many: Vec<InputFile> = (0..=MAX_FILES).map(|number| file(&number.to_string(), 1)).collect();
        assert_eq!(wrong_files(&many).len(), 1);
        let heavy: Vec<InputFile> = (0..5).map(|number| file(&number.to_string(), MAX_FILE_BYTES)).collect();
        assert!(wrong_files(&heavy)[0].1.contains("131.1 MB together; at most 100 MiB"), "{:?}", wrong_files(&heavy));
        let places: Vec<Option<usize>> =
            wrong_files(&[file("a", 0), file("A", 1), file("b", u64::MAX)]).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [None, Some(0), Some(1), Some(2)]);
        assert_eq!(wrong_files(&[InputFile { hash: "../x".into(), ..file("a", 1) }]).len(), 1);
    }
}
