//! The embedded templates and the one environment that renders them. It must not know what a spec is.

use std::sync::OnceLock;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::{Error, text};

/// Template name (`backend/app/main.py.j2`) and source, sorted by name.
const TEMPLATES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// Renders the template of that name (`backend/app/main.py.j2`). What is undefined is an error; a block tag takes its own line with it.
///
/// # Errors
/// [`Error::Template`] when there is no such template or it does not fit the context.
pub fn render(name: &str, context: impl Serialize) -> Result<String, Error> {
    environment().get_template(name).and_then(|template| template.render(context)).map_err(|source| Error::Template { name: name.to_owned(), source })
}

/// A file of the blueprint as it is, unrendered.
///
/// # Errors
/// [`Error::Template`] when there is no such file.
pub fn verbatim(name: &str) -> Result<&'static str, Error> {
    TEMPLATES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, source)| *source)
        .ok_or_else(|| Error::Template { name: name.to_owned(), source: minijinja::ErrorKind::TemplateNotFound.into() })
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_keep_trailing_newline(true);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter("pystr", |value: &str| text::python_string(value));
        environment.add_filter("tsstr", |value: &str| text::typescript_string(value));
        environment.add_filter("yamlstr", |value: &str| text::yaml_string(value));
        environment.add_filter("md", |value: &str| text::markdown(value));
        environment.add_filter("html", |value: &str| text::html(value));
        environment.add_filter("line", |value: &str| text::one_line(value));
        environment.add_filter("snake", |value: &str| text::snake(value));
        environment.add_filter("kebab", |value: &str| text::kebab(value));
        environment.add_filter("camel", |value: &str| text::camel(value));
        environment.add_filter("pascal", |value: &str| text::pascal(value));
        environment.add_filter("constant", |value: &str| text::snake(value).to_uppercase());
        environment.add_filter("sentence", |value: &str| text::sentence(value));
        environment.add_function("py_call", |indent: &str, callee: &str, arguments: Vec<String>, tail: &str| {
            format!("{indent}{callee}({}){tail}", arguments.join(", "))
        });
        for (name, source) in TEMPLATES.iter().filter(|(name, _)| name.ends_with(".j2")) {
            environment.add_template(name, source).unwrap_or_else(|error| panic!("the template `{name}` does not parse: {error:#}"));
        }
        environment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_template_parses() {
        assert!(environment().templates().count() > 0);
    }
}
