//! What services print while they run: two files a place, of bounded size, beside the server that runs it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use chrono::{DateTime, SecondsFormat, Utc};
use grace_domain::{
    Timestamp,
    id::IntentId,
    intent::Environment,
    place::{MAX_OUTPUT, ServiceLine, ServiceOutput},
};

/// A file is set aside once it is this long; one that was set aside before is gone then.
const FILE_BYTES: u64 = 1 << 20;
/// Longest line that is kept, in characters.
const LINE_CHARS: usize = 4_000;

/// The output of all places.
pub(crate) struct Outputs {
    folder: PathBuf,
    open: Mutex<BTreeMap<PathBuf, (File, u64)>>,
}

impl Outputs {
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("service-output"), open: Mutex::default() }
    }

    /// Keeps one line, which has no secret in it any more. What cannot be written is lost, and that is told in the server's own log.
    pub fn append(&self, of: (IntentId, Environment), at: Timestamp, line: &str) {
        let path = self.path(of);
        // Colours stay what they are, and nothing else that moves a cursor or ends a line.
        let plain = |letter: char| if letter.is_control() && !matches!(letter, '\t' | '\x1b') { '\u{fffd}' } else { letter };
        let text: String = line.chars().take(LINE_CHARS).map(plain).collect();
        let entry = format!("{} {text}\n", at.to_rfc3339_opts(SecondsFormat::Millis, true));
        if let Err(error) = self.write(&path, entry.as_bytes()) {
            tracing::warn!(%error, path = %path.display(), "a line of a service could not be kept");
        }
    }

    fn path(&self, (intent, environment): (IntentId, Environment)) -> PathBuf {
        self.folder.join(format!("{intent}-{}.log", environment.as_str()))
    }

    fn write(&self, path: &Path, entry: &[u8]) -> std::io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut file, mut bytes) = match open.remove(path) {
            Some(known) => known,
            None => self.open_file(path)?,
        };
        if bytes >= FILE_BYTES {
            std::fs::rename(path, set_aside(path))?;
            (file, bytes) = self.open_file(path)?;
        }
        file.write_all(entry)?;
        bytes += entry.len() as u64;
        open.insert(path.to_owned(), (file, bytes));
        Ok(())
    }

    fn open_file(&self, path: &Path) -> std::io::Result<(File, u64)> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    }

    /// The newest lines with these words in them, oldest first; at most [`MAX_OUTPUT`]. Without a file nothing was printed here.
    pub fn newest(&self, of: (IntentId, Environment), most: usize, words: &str) -> std::io::Result<ServiceOutput> {
        let path = self.path(of);
        let most = most.clamp(1, MAX_OUTPUT);
        let words = words.to_lowercase();
        let mut text = tail(&set_aside(&path))?;
        text.push_str(&tail(&path)?);
        let mut found = text.lines().rev().filter_map(parse).filter(|line| words.is_empty() || line.text.to_lowercase().contains(&words));
        let mut lines: Vec<ServiceLine> = found.by_ref().take(most).collect();
        lines.reverse();
        Ok(ServiceOutput { lines, more: found.next().is_some() })
    }
}

fn set_aside(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// What a file has; of one that others made longer than ours get, the end.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let most = FILE_BYTES * 2;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(most)))?;
    let mut read = Vec::new();
    file.take(most).read_to_end(&mut read)?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// What was cut, or written half when a machine lost its power, has no time and is passed over.
fn parse(line: &str) -> Option<ServiceLine> {
    let (at, text) = line.split_once(' ')?;
    let at = DateTime::parse_from_rfc3339(at).ok()?.with_timezone(&Utc);
    Some(ServiceLine { at, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (IntentId, Environment) = (IntentId(7), Environment::Staging);

    fn at(second: u32) -> Timestamp {
        DateTime::from_timestamp(1_700_000_000 + i64::from(second), 0).unwrap()
    }

    #[test]
    fn lines_are_read_newest_last_by_words_and_of_their_own_place_alone() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(folder.path());
        assert_eq!(outputs.newest(PLACE, 10, "").unwrap(), ServiceOutput::default());
        for second in 0..5 {
            outputs.append(PLACE, at(second), &format!("line {second}"));
        }
        outputs.append((PLACE.0, Environment::Production), at(9), "elsewhere");
        outputs.append(PLACE, at(6), "Two\nlines\x1b[31m");
        let texts = |read: &ServiceOutput| read.lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
        let read = outputs.newest(PLACE, 3, "").unwrap();
        assert_eq!(texts(&read), ["line 3", "line 4", "Two\u{fffd}lines\x1b[31m"]);
        assert!(read.more);
        assert_eq!(read.lines[0].at, at(3));
        let found = outputs.newest(PLACE, 10, "LINE 1").unwrap();
        assert_eq!((texts(&found), found.more), (vec!["line 1".to_owned()], false));
        // Another server on the same folder finds it, and goes on in it.
        let next = Outputs::new(folder.path());
        next.append(PLACE, at(8), "after");
        assert_eq!(texts(&next.newest(PLACE, 1, "").unwrap()), ["after"]);
    }

    #[test]
    fn however_much_is_printed_two_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(folder.path());
        let long = "x".repeat(LINE_CHARS * 2);
        for second in 0..1_000 {
            outputs.append(PLACE, at(second), &long);
        }
        let sizes: Vec<u64> =
            std::fs::read_dir(folder.path().join("service-output")).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|bytes| *bytes < FILE_BYTES + 8_192), "{sizes:?}");
        let read = outputs.newest(PLACE, MAX_OUTPUT, "").unwrap();
        assert_eq!(read.lines.last().map(|line| line.at), Some(at(999)));
        assert!(read.lines.len() > 250 && read.lines.iter().all(|line| line.text.len() == LINE_CHARS));
    }
}
