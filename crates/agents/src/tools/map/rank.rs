//! Which files matter: those whose definitions other files name, and most those that such files name in turn. It is the PageRank of the graph in
//! which a file points to the files that define what it names; readers begin at the files and words of the focus. It must not know languages.

use std::collections::BTreeMap;
use std::path::Path;

use super::focus::Focus;
use super::outline::Outline;

/// Files that may define a name: one that more define, such as `new`, says nothing.
const DEFINING: usize = 8;
/// How often the ranks are handed on, and the share that is.
const ROUNDS: usize = 30;
const HANDED_ON: f64 = 0.85;
/// Share of readers that begin at what the focus speaks of, however many files there are, and what draws them there: that a file is named, and each
/// word that is in its path or in what it defines.
const FOCUSED: f64 = 0.7;
const NAMED: f64 = 50.0;
const WORD_OF_PATH: f64 = 5.0;
const WORD_OF_NAME: f64 = 1.0;
/// Words of one file that count.
const WORDS: usize = 10;
/// How much heavier a name is that the text has, or that is long enough to be nobody else's.
const NAME_IN_TEXT: f64 = 10.0;
const LONG_NAME: f64 = 3.0;
const LONG: usize = 8;

/// What is known of files, each by its index.
pub(super) struct Ranks {
    /// How much a file matters; all together 1.
    pub files: Vec<f64>,
    /// For each definition of each file, how many other files name it.
    pub uses: Vec<Vec<u32>>,
}

pub(super) fn rank(files: &[(&Path, &Outline)], focus: &Focus) -> Ranks {
    let mut defining: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (_, outline)) in files.iter().enumerate() {
        for definition in &outline.definitions {
            let files = defining.entry(&definition.name).or_default();
            if files.last() != Some(&index) {
                files.push(index);
            }
        }
    }
    defining.retain(|_, files| files.len() <= DEFINING);
    // Where each file points to, and how much.
    let mut points: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); files.len()];
    let mut naming: BTreeMap<&str, u32> = BTreeMap::new();
    for (from, (_, outline)) in files.iter().enumerate() {
        for (name, count) in &outline.names {
            let Some(defined) = defining.get(name.as_str()) else { continue };
            *naming.entry(name).or_default() += 1;
            let weight = f64::from(*count).sqrt() * of_name(name, focus) / defined.len() as f64;
            for to in defined.iter().filter(|to| **to != from) {
                *points[from].entry(*to).or_default() += weight;
            }
        }
    }
    let uses = files.iter().enumerate().map(|(index, (_, outline))| {
        let uses = outline.definitions.iter().map(|definition| {
            let own = defining.get(definition.name.as_str()).filter(|files| files.contains(&index));
            // A file that defines a name says it too.
            own.map_or(0, |own| naming.get(definition.name.as_str()).copied().unwrap_or(0).saturating_sub(own.len() as u32))
        });
        uses.collect()
    });
    Ranks { uses: uses.collect(), files: flow(&points, &beginnings(files, focus)) }
}

fn of_name(name: &str, focus: &Focus) -> f64 {
    let in_text = if focus.names(name) { NAME_IN_TEXT } else { 1.0 };
    in_text * if name.len() >= LONG { LONG_NAME } else { 1.0 }
}

/// How likely a reader begins at each file; all together 1.
fn beginnings(files: &[(&Path, &Outline)], focus: &Focus) -> Vec<f64> {
    let of_file = |(path, outline): &(&Path, &Outline)| {
        let named = if focus.names_file(path) { NAMED } else { 0.0 };
        let in_path = focus.shared(&path.with_extension("").to_string_lossy());
        let defined = outline.definitions.iter().map(|definition| focus.shared(&definition.name)).sum::<usize>();
        named + WORD_OF_PATH * in_path as f64 + WORD_OF_NAME * defined.min(WORDS) as f64
    };
    let weights: Vec<f64> = files.iter().map(of_file).collect();
    let sum: f64 = weights.iter().sum();
    let alike = 1.0 / files.len() as f64;
    weights.into_iter().map(|weight| if sum > 0.0 { FOCUSED * weight / sum + (1.0 - FOCUSED) * alike } else { alike }).collect()
}

/// Hands ranks on until they hardly change. The order of all sums is fixed, so that equal graphs have equal ranks to the last bit.
fn flow(points: &[BTreeMap<usize, f64>], begin: &[f64]) -> Vec<f64> {
    let sums: Vec<f64> = points.iter().map(|to| to.values().sum()).collect();
    let mut ranks = begin.to_vec();
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; ranks.len()];
        let mut ends = 0.0;
        for ((to, rank), sum) in points.iter().zip(&ranks).zip(&sums) {
            if to.is_empty() {
                ends += rank;
            }
            for (index, weight) in to {
                next[*index] += rank * weight / sum;
            }
        }
        for (next, begin) in next.iter_mut().zip(begin) {
            *next = (1.0 - HANDED_ON) * begin + HANDED_ON * (*next + ends * begin);
        }
        ranks = next;
    }
    ranks
}
