//! Notices an agent that goes in circles: the same call with the same result again and again, or a few of them in turn, such as an edit and the edit that
//! takes it back. It must not know what a call does.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The most calls that are seen as one round.
const LONGEST: usize = 3;
/// Rounds that are remembered.
const ROUNDS: usize = 8;

/// The calls of late, the newest last.
#[derive(Debug, Default)]
pub struct Circle(VecDeque<u64>);

impl Circle {
    /// Takes a call with its result; how many calls are a round, and how many such rounds there were in a row up to now.
    pub fn turn(&mut self, name: &str, arguments: &str, result: &str) -> (usize, u32) {
        let mut hasher = DefaultHasher::new();
        (name, arguments, timeless(result)).hash(&mut hasher);
        if self.0.len() == LONGEST * ROUNDS {
            self.0.pop_front();
        }
        self.0.push_back(hasher.finish());
        let calls = self.0.make_contiguous();
        let rounds = |length: usize| {
            let last = calls.len().saturating_sub(length);
            calls.rchunks(length).take_while(|round| *round == &calls[last..]).count() as u32
        };
        // Of equal numbers the shortest round is meant.
        (1..=LONGEST).rev().map(|length| (length, rounds(length))).max_by_key(|(_, rounds)| *rounds).unwrap_or((1, 0))
    }

    /// Begins anew, because a person was asked.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// A command's result without the time that it took, which is another one each time.
fn timeless(result: &str) -> (&str, &str) {
    let Some((first, rest)) = result.split_once('\n').filter(|(first, _)| first.starts_with('[') && first.ends_with("s]")) else {
        return (result, "");
    };
    (first.split_once(',').map_or(first, |(how, _)| how), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(calls: &[(&str, &str)]) -> (usize, u32) {
        let mut circle = Circle::default();
        calls.iter().map(|(arguments, result)| circle.turn("run", arguments, result)).last().unwrap()
    }

    #[test]
    fn the_same_call_with_the_same_result_is_a_round_of_one_whatever_time_it_took() {
        let slow = ("make", "[exit code 2, 1.4 s]\nno rule");
        let fast = ("make", "[exit code 2, 0.3 s]\nno rule");
        assert_eq!(after(&[slow, fast, slow]), (1, 3));
        assert_eq!(after(&[slow, fast, ("make", "[exit code 1, 0.3 s]\nno rule")]), (1, 1));
        assert_eq!(after(&[slow, fast, ("make", "[exit code 2, 0.3 s]\na rule")]), (1, 1));
    }

    #[test]
    fn calls_in_turn_are_rounds_and_anything_between_them_ends_them() {
        let [there, back, check] = [("a to b", "Changed"), ("b to a", "Changed"), ("test", "red")];
        assert_eq!(after(&[there, back, there, back, there, back]), (2, 3));
        assert_eq!(after(&[check, there, back, check, there, back, check, there, back]), (3, 3));
        assert_eq!(after(&[there, back, there, back, check]), (1, 1));
        assert_eq!(after(&[there; 5]), (1, 5));
    }
}
