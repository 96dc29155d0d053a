//! Lines of several sources, without the values that must not be seen: each source is one stream, so that a value is found however its lines were
//! cut. It must not know where the lines come from or go to.

use std::{collections::BTreeMap, sync::Arc};

use crate::{Redactor, Stream};

/// Takes values out of lines. Sources are told apart by `K`, and there are few of them.
pub struct Screen<K> {
    redactors: Vec<Arc<Redactor>>,
    /// Of each source a stream for each redactor, one behind the other.
    streams: BTreeMap<K, Vec<Stream>>,
}

impl<K: Ord> Screen<K> {
    pub fn new(redactors: impl IntoIterator<Item = Arc<Redactor>>) -> Self {
        Self { redactors: redactors.into_iter().collect(), streams: BTreeMap::new() }
    }

    /// What can be shown now; a line may wait for the next one of its source.
    pub fn pass(&mut self, source: K, line: &str) -> Vec<String> {
        let streams = self.streams.entry(source).or_insert_with(|| self.redactors.iter().cloned().map(Stream::new).collect());
        streams.iter_mut().fold(vec![line.to_owned()], |lines, stream| pushed(stream, &lines))
    }

    /// What still waited, source by source.
    pub fn end(self) -> Vec<(K, Vec<String>)> {
        let last = |mut streams: Vec<Stream>| {
            streams.iter_mut().fold(Vec::new(), |lines, stream| {
                let mut shown = pushed(stream, &lines);
                shown.extend(stream.finish());
                shown
            })
        };
        self.streams.into_iter().map(|(source, streams)| (source, last(streams))).collect()
    }
}

fn pushed(stream: &mut Stream, lines: &[String]) -> Vec<String> {
    lines.iter().flat_map(|line| stream.push(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretString;

    fn redactor(name: &str, value: &str) -> Arc<Redactor> {
        Arc::new(Redactor::new([(name, &SecretString::from(value))]))
    }

    #[test]
    fn a_value_is_found_over_lines_of_its_source_whatever_others_say_between_them() {
        let mut screen = Screen::new([redactor("ONE", "correct-horse-battery"), redactor("TWO", "staple-of-the-vault")]);
        assert_eq!(screen.pass("out", "it is correct-ho"), Vec::<String>::new());
        assert_eq!(screen.pass("err", "nothing"), ["nothing"]);
        assert_eq!(screen.pass("err", "staple-of"), Vec::<String>::new());
        assert_eq!(screen.pass("out", "rse-battery, and staple-of-"), Vec::<String>::new());
        assert_eq!(screen.pass("err", "-the-vault"), ["[secret TWO]"]);
        assert_eq!(screen.pass("out", "the-vault"), ["it is [secret ONE], and [secret TWO]"]);
        assert_eq!(screen.pass("out", "a corr"), Vec::<String>::new());
        assert_eq!(screen.end(), [("err", vec![]), ("out", vec!["a corr".to_owned()])]);
    }
}
