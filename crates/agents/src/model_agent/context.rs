//! Keeping a conversation within the model's context: first what later reads have replaced, then old outputs, then old thoughts, then the oldest
//! steps; each is a fixed rule, so that equal conversations become equal requests. The task itself, what was last said and the last failing check
//! are never touched. It must not know what tools do.

use crate::model::{Message, Part, Role};

/// Steps at the end that stay as they are.
const RECENT: usize = 12;
/// What is left of an old output, in characters.
const STUB: usize = 300;
/// Characters of a token, on the careful side: real text has more.
const CHARS: usize = 3;
/// How a person's message to the agent begins, and a person's answer to its question.
pub const PERSON_SAYS: &str = "The person says: ";
pub const PERSON_ANSWERED: &str = "The person answered: ";

/// Tokens that messages take at most, roughly.
pub fn tokens(messages: &[Message]) -> usize {
    messages.iter().flat_map(|message| &message.parts).map(|part| 16 + part.bytes()).sum::<usize>().div_ceil(CHARS)
}

/// Makes a conversation fit into `limit` tokens, well below it, so that the beginning does not change at every step. Whether it was changed.
pub fn fit(messages: &mut Vec<Message>, limit: usize) -> bool {
    if tokens(messages) <= limit {
        return false;
    }
    let goal = limit * 3 / 5;
    for step in [supersede_reads, stub_outputs, drop_thoughts] {
        step(messages);
        if tokens(messages) <= goal {
            return true;
        }
    }
    drop_oldest(messages, goal);
    true
}

fn old(messages: &[Message]) -> std::ops::Range<usize> {
    1..messages.len().saturating_sub(RECENT).max(1)
}

/// A file that was read again later need not be there twice.
fn supersede_reads(messages: &mut [Message]) {
    let mut last: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut reads: Vec<(usize, String, String)> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        for part in &message.parts {
            if let Part::ToolCall(call) = part
                && call.name == "read"
                && index + RECENT < messages.len()
            {
                // The same lines of the same file.
                let what = call.arguments.to_string();
                last.insert(what.clone(), index);
                reads.push((index, what, call.id.clone()));
            }
        }
    }
    for (index, what, id) in reads {
        if last.get(&what).is_some_and(|last| *last > index) {
            replace_result(messages, &id, |_| "(It was read again later.)".into());
        }
    }
}

fn replace_result(messages: &mut [Message], id: &str, with: impl Fn(&str) -> String) {
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolResult(result) = part
            && result.call_id == id
        {
            result.content = with(&result.content);
        }
    }
}

fn stub_outputs(messages: &mut [Message]) {
    let range = old(messages);
    for part in messages[range].iter_mut().flat_map(|message| &mut message.parts) {
        match part {
            Part::ToolResult(result) if result.content.len() > 2 * STUB => {
                let start: String = result.content.chars().take(STUB).collect();
                result.content = format!("{start}\n(The rest of this older output was left out; call the tool again if it matters.)");
            }
            // Whole files that were written long ago are in the workspace.
            Part::ToolCall(call) if call.arguments.to_string().len() > 4 * STUB => {
                if let Some(arguments) = call.arguments.as_object_mut() {
                    for value in arguments.values_mut() {
                        if value.as_str().is_some_and(|text| text.len() > STUB) {
                            *value = serde_json::Value::String("(left out; see the file)".into());
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn drop_thoughts(messages: &mut [Message]) {
    let range = old(messages);
    for message in &mut messages[range] {
        if message.parts.iter().any(|part| !matches!(part, Part::Reasoning(_))) {
            message.parts.retain(|part| !matches!(part, Part::Reasoning(_)));
        }
    }
}

/// Takes whole steps away after the first message: an answer goes with the results of its calls. What a person said in them moves to the first.
fn drop_oldest(messages: &mut Vec<Message>, goal: usize) {
    let mut dropped = Vec::new();
    while tokens(messages) > goal && messages.len() > RECENT / 2 {
        // The first message says what is to be done; the next ones are the oldest steps.
        dropped.push(messages.remove(1));
        while messages.len() > 2 && messages[1].role == Role::Tool {
            dropped.push(messages.remove(1));
        }
    }
    if let Some(Part::Text(text)) = messages.first_mut().and_then(|first| first.parts.first_mut())
        && !dropped.is_empty()
    {
        if !text.contains(LEFT_OUT) {
            text.push_str(LEFT_OUT);
        }
        for said in dropped.iter().flat_map(|message| &message.parts).filter_map(persons_words) {
            text.push('\n');
            text.push_str(said);
        }
    }
}

/// What a message holds of a person.
fn persons_words(part: &Part) -> Option<&str> {
    let text = match part {
        Part::Text(text) => text,
        Part::ToolResult(result) => &result.content,
        _ => return None,
    };
    (text.starts_with(PERSON_SAYS) || text.starts_with(PERSON_ANSWERED)).then_some(text)
}

const LEFT_OUT: &str = "\n\n(Older steps of this conversation were left out. Look at the workspace to see what is done.)";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{ToolCall, ToolResult};

    fn step(n: usize, name: &str, path: &str, content: &str) -> [Message; 2] {
        let call = ToolCall { id: format!("c{n}"), name: name.into(), arguments: json!({"path": path}), signature: None };
        let result = ToolResult { call_id: format!("c{n}"), content: content.into(), is_error: false };
        [Message::assistant(vec![Part::ToolCall(call)]), Message::results([result])]
    }

    /// Every call has its result right after it, as all providers demand.
    fn whole(messages: &[Message]) -> bool {
        messages.iter().enumerate().all(|(index, message)| {
            message.parts.iter().all(|part| match part {
                Part::ToolCall(call) => messages
                    .get(index + 1)
                    .is_some_and(|next| next.parts.iter().any(|part| matches!(part, Part::ToolResult(result) if result.call_id == call.id))),
                _ => true,
            })
        })
    }

    #[test]
    fn a_long_conversation_fits_and_stays_whole() {
        let mut messages = vec![Message::user("Build it.")];
        for n in 0..400 {
            messages.extend(step(n, if n % 3 == 0 { "read" } else { "run" }, &format!("f{}", n % 7), &"x".repeat(3_000)));
        }
        for limit in [200_000, 60_000, 20_000, 9_000] {
            let before = messages.clone();
            assert_eq!(fit(&mut messages, limit), tokens(&before) > limit);
            assert!(tokens(&messages) <= limit, "{limit}: {}", tokens(&messages));
            assert!(whole(&messages));
            assert!(matches!(&messages[0].parts[0], Part::Text(text) if text.starts_with("Build it.")));
            assert_eq!(before.last(), messages.last(), "the last step is untouched");
            assert!(!fit(&mut messages, limit), "what fits stays as it is");
        }
    }

    #[test]
    fn what_a_person_said_outlives_the_steps_around_it() {
        let mut messages = vec![Message::user("Build it.")];
        messages.extend(step(0, "ask_person", "", "The person answered: in blue"));
        messages.push(Message::user("The person says: with a mark"));
        for round in 0..3 {
            for n in 0..200 {
                messages.extend(step(1_000 * (round + 1) + n, "run", "f", &"x".repeat(3_000)));
            }
            assert!(fit(&mut messages, 9_000));
            let Part::Text(first) = &messages[0].parts[0] else { panic!("the first message is text") };
            for (text, times) in [("The person answered: in blue", 1), ("The person says: with a mark", 1), (LEFT_OUT, 1)] {
                assert_eq!(first.matches(text).count(), times, "{text} in {first}");
            }
        }
    }

    #[test]
    fn a_read_that_came_again_later_is_not_kept_twice() {
        let mut messages = vec![Message::user("Go.")];
        messages.extend(step(1, "read", "a", &"old ".repeat(500)));
        messages.extend(step(2, "read", "b", &"other ".repeat(500)));
        messages.extend(step(3, "read", "a", &"new ".repeat(500)));
        for n in 4..4 + RECENT {
            messages.extend(step(n, "run", "c", "quiet"));
        }
        supersede_reads(&mut messages);
        let contents: Vec<&str> = messages
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match part {
                Part::ToolResult(result) => Some(&result.content[..5]),
                _ => None,
            })
            .collect();
        assert_eq!(contents[..3], ["(It w", "other", "new n"]);
    }
}
