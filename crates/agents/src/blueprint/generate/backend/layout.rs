//! Lays Python out as ruff's formatter would, for the constructs that templates write on one line: what does not fit is split at its
//! brackets. It must not know what the code means.

/// Longest line, in characters; the same number stands in the project's `pyproject.toml`.
const WIDTH: usize = 120;

/// Splits every line that is too long, and reduces blank lines to those that the formatter keeps.
pub fn lay_out(source: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_docstring = false;
    for line in source.lines() {
        let line = line.trim_end();
        let quotes = line.matches("\"\"\"").count();
        let plain = !in_docstring && quotes == 0;
        if quotes % 2 == 1 {
            in_docstring = !in_docstring;
        }
        if plain {
            split(line, &mut lines);
        } else {
            lines.push(line.to_owned());
        }
    }
    let mut out = String::with_capacity(source.len() + 256);
    let mut blank = 0;
    for line in &lines {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        if !out.is_empty() {
            (0..blank.min(2)).for_each(|_| out.push('\n'));
        }
        blank = 0;
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn split(line: &str, lines: &mut Vec<String>) {
    if width(line) <= WIDTH {
        lines.push(line.to_owned());
        return;
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    if let Some((module, names)) = line.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
        && !names.starts_with('(')
    {
        lines.push(format!("from {module} import ("));
        lines.extend(names.split(", ").map(|name| format!("    {name},")));
        lines.push(")".into());
        return;
    }
    let Some((open, close)) = brackets(line) else {
        match line.split_once(" = ") {
            Some((name, value)) => lines.extend([format!("{name} = ("), format!("{indent}    {value}"), format!("{indent})")]),
            None => lines.push(line.to_owned()),
        }
        return;
    };
    let (head, body, tail) = (&line[..=open], &line[open + 1..close], &line[close..]);
    let items = items(body);
    lines.push(head.to_owned());
    let joined = format!("{indent}    {body}");
    // Arguments stay together as long as they fit; a list or tuple of several things gets a line for each.
    let literal = !head[..open].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ')' | ']'));
    if width(&joined) <= WIDTH && !(literal && items.len() > 1) {
        lines.push(joined);
    } else {
        for item in &items {
            let comma = if items.len() == 1 && is_generator(item) { "" } else { "," };
            split(&format!("{indent}    {item}{comma}"), lines);
        }
    }
    lines.push(format!("{indent}{tail}"));
}

fn is_generator(item: &str) -> bool {
    item.contains(" for ") && item.contains(" in ")
}

fn width(line: &str) -> usize {
    line.chars().count()
}

/// The pair of brackets to split at: the parameters of a function, else the last pair of the line that has something in it.
fn brackets(line: &str) -> Option<(usize, usize)> {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    scan(line, |index, letter| match letter {
        '(' | '[' | '{' => open.push(index),
        ')' | ']' | '}' => {
            if let Some(start) = open.pop()
                && open.is_empty()
                && start + 1 < index
            {
                pairs.push((start, index));
            }
        }
        _ => {}
    });
    if !open.is_empty() {
        return None;
    }
    let definition = line.trim_start().starts_with("def ") || line.trim_start().starts_with("async def ");
    if definition { pairs.first().copied() } else { pairs.last().copied() }
}

/// What stands between the commas of the outermost level.
fn items(body: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut cuts = Vec::new();
    scan(body, |index, letter| match letter {
        '(' | '[' | '{' => depth += 1,
        ')' | ']' | '}' => depth = depth.saturating_sub(1),
        ',' if depth == 0 => cuts.push(index),
        _ => {}
    });
    let mut items = Vec::new();
    let mut start = 0;
    for cut in cuts.into_iter().chain([body.len()]) {
        let item = body[start..cut].trim();
        if !item.is_empty() {
            items.push(item.to_owned());
        }
        start = cut + 1;
    }
    items
}

/// Visits every character outside of string literals.
fn scan(text: &str, mut visit: impl FnMut(usize, char)) {
    let mut quote = None;
    let mut escaped = false;
    for (index, letter) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter == '#' => return,
            None => visit(index, letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_fit_gets_its_arguments_on_a_line_or_one_each() {
        let long = "x".repeat(60);
        let source = format!("    value = call(\"{long}\", \"{long}\")\n");
        assert_eq!(lay_out(&source), format!("    value = call(\n        \"{long}\",\n        \"{long}\",\n    )\n"));
        let middle = "y".repeat(45);
        let source = format!("    a_value = a_call(\"{middle}\", \"{middle}\", 12, 34)\n");
        assert_eq!(lay_out(&source), format!("    a_value = a_call(\n        \"{middle}\", \"{middle}\", 12, 34\n    )\n"));
        let source = format!("    for a_value in (\"{middle}\", \"{middle}\", 1234567890):\n");
        let expected = format!("    for a_value in (\n        \"{middle}\",\n        \"{middle}\",\n        1234567890,\n    ):\n");
        assert_eq!(lay_out(&source), expected);
    }

    #[test]
    fn a_definition_is_split_at_its_parameters_and_an_import_at_its_names() {
        let source = format!("def f({}: Annotated[int, 1], b: str) -> Page[{}]:\n", "a".repeat(50), "B".repeat(50));
        let expected = format!("def f(\n    {}: Annotated[int, 1], b: str\n) -> Page[{}]:\n", "a".repeat(50), "B".repeat(50));
        assert_eq!(lay_out(&source), expected);
        let source = format!("from m import {}, {}\n", "A".repeat(60), "B".repeat(60));
        assert_eq!(lay_out(&source), format!("from m import (\n    {},\n    {},\n)\n", "A".repeat(60), "B".repeat(60)));
    }

    #[test]
    fn brackets_and_commas_inside_strings_do_not_count() {
        let text = format!("(,{}", "z".repeat(85));
        let source = format!("    call(\"{text}\", 12345678901234567890)\n");
        assert_eq!(lay_out(&source), format!("    call(\n        \"{text}\", 12345678901234567890\n    )\n"));
    }

    #[test]
    fn blank_lines_are_at_most_two_and_none_at_the_end() {
        assert_eq!(lay_out("a\n\n\n\nb\n\n"), "a\n\n\nb\n");
    }
}
