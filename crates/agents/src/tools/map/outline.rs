//! What one source file defines and which names it uses, read off its syntax tree. The work is bounded by the file's length, whatever is in it; a
//! tree with errors gives what the rest of it says. It must not know other files.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::languages::{Grammar, Inside, Ready, Role};

/// Bytes of a name that can be referred to: a shorter one says too little, and a longer one was not written by a person.
const NAME: std::ops::RangeInclusive<usize> = 3..=60;
/// Characters of a signature.
const SIGNATURE: usize = 110;
/// Definitions of one file.
const DEFINITIONS: usize = 500;
/// Bytes of a file for each unit of its parser's work: usual code has 100 to 160, random bytes with the work of mending counted have 15.
const STEP: usize = 25;
/// Units of the same work where the parser looks for a way past an error: it follows several at once.
const MENDING: usize = 4;
/// Longest that one file is parsed: there are texts whose every operation takes as long as they are. A usual file of the greatest length takes a tenth.
const PATIENCE: Duration = Duration::from_secs(1);
/// Brackets that are open at once; parsers take long for many, and people do not write them.
const NESTED: usize = 300;
/// How deep a declarator of C is looked into.
const DECLARATORS: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Outline {
    /// In the order of the file; each parent before its members.
    pub definitions: Vec<Definition>,
    /// How often each name is in the file.
    pub names: BTreeMap<String, u32>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// The word for it, as its language has it.
    pub kind: &'static str,
    pub name: String,
    /// From 1.
    pub line: usize,
    /// The line that has its name, without what opens its body.
    pub signature: String,
    /// Index of the definition that it is a member of.
    pub parent: Option<usize>,
}

/// A node that was entered and not left.
struct Open<'tree> {
    kind: &'tree str,
    parent: Option<usize>,
    is_local: bool,
}

/// Reads a file, and says how much work that was; no outline when it takes far more work than text of its length does, or longer than `until`.
pub(super) fn outline(parser: &mut Parser, grammar: &Grammar, text: &[u8], until: Instant) -> (Option<Outline>, usize) {
    let ready = grammar.ready();
    parser.reset();
    if is_deep(text) || parser.set_language(&ready.language).is_err() {
        return (None, 1);
    }
    let until = until.min(Instant::now() + PATIENCE);
    // Called after about every hundred operations. They are counted, so that equal files give equal maps; time only ends what nobody wrote.
    let (mut work, most) = (0, text.len() / STEP + 100);
    let mut bounded = |state: &ParseState| {
        work += if state.has_error() { MENDING } else { 1 };
        if work > most || Instant::now() > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut bounded);
    let tree = parser.parse_with_options(&mut |at, _| text.get(at..).unwrap_or_default(), None, Some(options));
    let found = tree.map(|tree| read(&tree, ready, text));
    (found, work)
}

/// Whether brackets nest deeper than anybody writes them. An angle may be one, or a comparison, which no statement outlasts.
pub(crate) fn is_deep(text: &[u8]) -> bool {
    let (mut open, mut angles) = (0_usize, 0_usize);
    text.iter().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        match byte {
            b'<' => angles += 1,
            b'>' => angles = angles.saturating_sub(1),
            b'(' | b')' | b'{' | b'}' | b';' | b':' => angles = 0,
            _ => {}
        }
        open.max(angles) > NESTED
    })
}

fn read(tree: &Tree, ready: &Ready, text: &[u8]) -> Outline {
    let mut found = Outline::default();
    let mut cursor = tree.walk();
    let mut path: Vec<Open<'_>> = Vec::new();
    loop {
        let node = cursor.node();
        let above = path.last();
        let mut open = Open { kind: node.kind(), parent: above.and_then(|open| open.parent), is_local: above.is_some_and(|open| open.is_local) };
        match ready.role(node.kind_id()) {
            Role::Nothing => {}
            Role::Local => open.is_local = true,
            Role::Name => {
                let name = &text[node.byte_range()];
                if NAME.contains(&name.len())
                    && let Ok(name) = std::str::from_utf8(name)
                {
                    match found.names.get_mut(name) {
                        Some(count) => *count += 1,
                        None => _ = found.names.insert(name.to_owned(), 1),
                    }
                }
            }
            Role::Definition(kind, inside) => {
                if !open.is_local
                    && found.definitions.len() < DEFINITIONS
                    && let Some(name) = named(node, &path, text)
                {
                    let definition = definition(kind, node, name, text, open.parent);
                    open.is_local = inside == Inside::Locals || (kind == "mod" && definition.name == "tests");
                    open.parent = Some(found.definitions.len());
                    found.definitions.push(definition);
                } else {
                    open.is_local |= inside == Inside::Locals;
                }
            }
        }
        if cursor.goto_first_child() {
            path.push(open);
            continue;
        }
        while !cursor.goto_next_sibling() {
            path.pop();
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
}

/// The node with the name of what a node defines; none when it is nothing to be listed.
fn named<'tree>(node: Node<'tree>, path: &[Open<'_>], text: &[u8]) -> Option<Node<'tree>> {
    let above = |level: usize| path.len().checked_sub(level).and_then(|index| path.get(index)).map_or("", |open| open.kind);
    let name = || node.child_by_field_name("name");
    match node.kind() {
        "impl_item" => node.child_by_field_name("type"),
        // Constants of a module, by the custom of their names.
        "assignment" if above(2) == "module" => {
            let left = node.child_by_field_name("left").filter(|left| left.kind() == "identifier")?;
            let is_constant = text[left.byte_range()].iter().all(|byte| !byte.is_ascii_lowercase());
            is_constant.then_some(left)
        }
        "assignment" => None,
        "variable_declarator" if matches!(above(2), "program" | "export_statement") => {
            let is_exported = above(2) == "export_statement";
            let value = node.child_by_field_name("value").map_or("", |value| value.kind());
            (is_exported || matches!(value, "arrow_function" | "function_expression" | "class")).then(name)?
        }
        "variable_declarator" => None,
        // Of Go: what other packages can see.
        "const_spec" | "var_spec" => name().filter(|name| text[name.byte_range()].first().is_some_and(u8::is_ascii_uppercase)),
        // A use of a type of C looks like its definition, but has no body.
        "struct_specifier" | "union_specifier" | "class_specifier" | "enum_specifier" => node.child_by_field_name("body").and_then(|_| name()),
        "function_definition" | "declaration" | "field_declaration" | "type_definition" => name().or_else(|| declared(node)),
        _ => name(),
    }
}

/// What a declaration of C declares: a function or a type, not a variable.
fn declared(node: Node<'_>) -> Option<Node<'_>> {
    let mut is_function = node.kind() == "type_definition";
    let mut at = node.child_by_field_name("declarator")?;
    for _ in 0..DECLARATORS {
        is_function |= at.kind() == "function_declarator";
        let next = match at.kind() {
            "parenthesized_declarator" | "reference_declarator" => at.named_child(0),
            "qualified_identifier" => at.child_by_field_name("name"),
            _ => at.child_by_field_name("declarator"),
        };
        match next {
            Some(next) => at = next,
            None => return is_function.then_some(at),
        }
    }
    None
}

fn definition(kind: &'static str, node: Node<'_>, place: Node<'_>, text: &[u8], parent: Option<usize>) -> Definition {
    let start = place.start_byte();
    let from = text[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    // Members that stand in one line each begin with themselves.
    let from = if start - from > SIGNATURE { node.start_byte().clamp(from, start) } else { from };
    let mut signature = line(&text[from..]);
    if let Some(decorator) = node.prev_named_sibling().filter(|before| before.kind() == "decorator") {
        signature = format!("{} {signature}", line(&text[decorator.start_byte()..]));
    }
    let name = String::from_utf8_lossy(&text[place.byte_range()]).chars().take(*NAME.end()).collect();
    Definition { kind, name, line: place.start_position().row + 1, signature: short(&signature), parent }
}

/// The first line, as far as anybody wants it.
fn line(text: &[u8]) -> String {
    let text = &text[..text.len().min(4 * SIGNATURE)];
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let line = String::from_utf8_lossy(&text[..end]);
    let line = line.trim().trim_end_matches(['{', ':', ';']).trim_end();
    line.replace(char::is_control, " ")
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SIGNATURE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}
