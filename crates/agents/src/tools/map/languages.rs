//! Which nodes of which grammar define something. Kinds of nodes are the grammars' own, from their `node-types.json`; the grammars' `tags.scm`
//! say less: Rust's calls a struct a class, TypeScript's knows no enum, and C's names no reference.

use std::path::Path;
use std::sync::OnceLock;

use tree_sitter::Language;
use tree_sitter_language::LanguageFn;

/// What a node is to a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Nothing,
    /// A leaf that names something.
    Name,
    /// Defines something with this word for it.
    Definition(&'static str, Inside),
    /// Defines nothing by itself, and what is in it is local.
    Local,
}

/// What definitions within a definition are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// Its members.
    Members,
    /// Local to it, and not listed.
    Locals,
}
use Inside::{Locals, Members};

/// A kind of node, the word for what it defines, and what is within.
type Row = (&'static str, &'static str, Inside);

pub(super) struct Grammar {
    language: LanguageFn,
    definitions: &'static [&'static [Row]],
    local: &'static [&'static str],
    ready: OnceLock<Ready>,
}

/// A grammar whose kinds of nodes are numbered.
pub(super) struct Ready {
    pub language: Language,
    roles: Vec<Role>,
}

impl Ready {
    pub fn role(&self, kind: u16) -> Role {
        // Errors have a number beyond all kinds.
        self.roles.get(usize::from(kind)).copied().unwrap_or(Role::Nothing)
    }
}

const RUST_ROWS: &[Row] = &[
    ("function_item", "fn", Locals),
    ("function_signature_item", "fn", Locals),
    ("struct_item", "struct", Locals),
    ("enum_item", "enum", Locals),
    ("union_item", "union", Locals),
    ("trait_item", "trait", Members),
    ("type_item", "type", Locals),
    ("const_item", "const", Locals),
    ("static_item", "static", Locals),
    ("mod_item", "mod", Members),
    ("macro_definition", "macro_rules", Locals),
    ("impl_item", "impl", Members),
];
const PYTHON_ROWS: &[Row] = &[("class_definition", "class", Members), ("function_definition", "def", Locals), ("assignment", "constant", Locals)];
const JAVASCRIPT_ROWS: &[Row] = &[
    ("function_declaration", "function", Locals),
    ("generator_function_declaration", "function", Locals),
    ("class_declaration", "class", Members),
    ("method_definition", "method", Locals),
    ("variable_declarator", "const", Locals),
];
const TYPESCRIPT_ROWS: &[Row] = &[
    ("abstract_class_declaration", "class", Members),
    ("abstract_method_signature", "method", Locals),
    ("function_signature", "function", Locals),
    ("interface_declaration", "interface", Locals),
    ("type_alias_declaration", "type", Locals),
    ("enum_declaration", "enum", Locals),
    ("internal_module", "namespace", Members),
    ("module", "module", Members),
];
const GO_ROWS: &[Row] = &[
    ("function_declaration", "func", Locals),
    ("method_declaration", "func", Locals),
    ("type_spec", "type", Locals),
    ("type_alias", "type", Locals),
    ("const_spec", "const", Locals),
    ("var_spec", "var", Locals),
];
const JAVA_ROWS: &[Row] = &[
    ("class_declaration", "class", Members),
    ("interface_declaration", "interface", Members),
    ("enum_declaration", "enum", Members),
    ("record_declaration", "record", Members),
    ("annotation_type_declaration", "@interface", Members),
    ("method_declaration", "method", Locals),
    ("constructor_declaration", "constructor", Locals),
];
const C_ROWS: &[Row] = &[
    ("function_definition", "function", Locals),
    ("declaration", "function", Locals),
    ("struct_specifier", "struct", Members),
    ("union_specifier", "union", Members),
    ("enum_specifier", "enum", Locals),
    ("type_definition", "typedef", Members),
    ("preproc_function_def", "define", Locals),
];
const CPP_ROWS: &[Row] = &[
    ("class_specifier", "class", Members),
    ("namespace_definition", "namespace", Members),
    ("field_declaration", "method", Locals),
    ("alias_declaration", "using", Locals),
    ("concept_definition", "concept", Locals),
];
const FUNCTIONS: &[&str] = &["arrow_function", "function_expression", "generator_function"];

macro_rules! grammar {
    ($constant:ident, $language:expr, $definitions:expr, $local:expr) => {
        static $constant: Grammar = Grammar { language: $language, definitions: $definitions, local: $local, ready: OnceLock::new() };
    };
}
grammar!(RUST, tree_sitter_rust::LANGUAGE, &[RUST_ROWS], &["block", "closure_expression"]);
grammar!(PYTHON, tree_sitter_python::LANGUAGE, &[PYTHON_ROWS], &["lambda"]);
grammar!(JAVASCRIPT, tree_sitter_javascript::LANGUAGE, &[JAVASCRIPT_ROWS], FUNCTIONS);
grammar!(TYPESCRIPT, tree_sitter_typescript::LANGUAGE_TYPESCRIPT, &[JAVASCRIPT_ROWS, TYPESCRIPT_ROWS], FUNCTIONS);
grammar!(TSX, tree_sitter_typescript::LANGUAGE_TSX, &[JAVASCRIPT_ROWS, TYPESCRIPT_ROWS], FUNCTIONS);
grammar!(GO, tree_sitter_go::LANGUAGE, &[GO_ROWS], &["block", "func_literal"]);
grammar!(JAVA, tree_sitter_java::LANGUAGE, &[JAVA_ROWS], &["block", "lambda_expression"]);
grammar!(C, tree_sitter_c::LANGUAGE, &[C_ROWS], &["compound_statement"]);
grammar!(CPP, tree_sitter_cpp::LANGUAGE, &[C_ROWS, CPP_ROWS], &["compound_statement", "lambda_expression"]);

#[cfg(test)]
pub(super) const ALL: [&Grammar; 9] = [&RUST, &PYTHON, &JAVASCRIPT, &TYPESCRIPT, &TSX, &GO, &JAVA, &C, &CPP];

/// The grammar for a file, by its ending.
pub(super) fn grammar(path: &Path) -> Option<&'static Grammar> {
    Some(match path.extension()?.to_str()? {
        "rs" => &RUST,
        "py" | "pyi" => &PYTHON,
        "js" | "jsx" | "mjs" | "cjs" => &JAVASCRIPT,
        "ts" | "mts" | "cts" => &TYPESCRIPT,
        "tsx" => &TSX,
        "go" => &GO,
        "java" => &JAVA,
        "c" => &C,
        // A header may be of either; C++ reads C's.
        "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => &CPP,
        _ => return None,
    })
}

impl Grammar {
    /// Numbers the kinds of nodes, once.
    pub fn ready(&self) -> &Ready {
        self.ready.get_or_init(|| {
            let language = Language::new(self.language);
            let role = |kind: u16| {
                let Some(name) = language.node_kind_for_id(kind).filter(|_| language.node_kind_is_named(kind)) else { return Role::Nothing };
                let row = self.definitions.iter().flat_map(|rows| rows.iter()).find(|(of, _, _)| *of == name);
                match row {
                    Some((_, word, inside)) => Role::Definition(word, *inside),
                    None if self.local.contains(&name) => Role::Local,
                    None if name.ends_with("identifier") => Role::Name,
                    None => Role::Nothing,
                }
            };
            let count = u16::try_from(language.node_kind_count()).unwrap_or(u16::MAX);
            let roles = (0..count).map(role).collect();
            Ready { language, roles }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_node_that_is_looked_for_is_one_of_its_grammar() {
        for grammar in ALL {
            let language = Language::new(grammar.language);
            let defining = grammar.definitions.iter().flat_map(|rows| rows.iter()).map(|(kind, _, _)| *kind);
            for kind in defining.chain(grammar.local.iter().copied()) {
                assert_ne!(language.id_for_node_kind(kind, true), 0, "{kind} of {:?}", language.name());
            }
        }
    }
}
