//! Where the links of a document lead: to other documents of its build, to its build's files, to other sites. Pure.

use std::collections::{BTreeSet, HashMap};

use grace_domain::id::{DocumentId, IntentId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::{
    markdown::{Target, anchor},
    site,
};

/// What a link of a document names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Outside(String),
    /// A place of the same document.
    Here(String),
    /// A file of the same repository, and a place in it.
    File(String, Option<String>),
    Nothing,
}

/// Where a link leads on Grace's pages. `paths` are the build's documents.
pub(super) fn on_pages((intent, from): (IntentId, &str), address: &str, paths: &HashMap<String, DocumentId>) -> Target {
    match named(from, address) {
        Named::Outside(address) => Target::Outside(address),
        Named::Here(place) => Target::Inside(format!("#{place}")),
        Named::File(path, place) => Target::Inside(match paths.get(&path) {
            Some(id) => format!("/documents/{id}{}", place.map(|place| format!("#{place}")).unwrap_or_default()),
            None => format!("/builds/{intent}?{}", form(&[("tab", "artifacts"), ("file", &path)])),
        }),
        Named::Nothing => Target::Nothing,
    }
}

/// Where a link leads in a site that has a page for each of these paths: other files of the repository are not in it.
pub(super) fn on_site(from: &str, address: &str, paths: &BTreeSet<&str>) -> Target {
    match named(from, address) {
        Named::Outside(address) => Target::Outside(address),
        Named::Here(place) => Target::Inside(format!("#{place}")),
        Named::File(path, place) if paths.contains(path.as_str()) => {
            let up = "../".repeat(from.matches('/').count());
            let place = place.map(|place| format!("#{place}")).unwrap_or_default();
            Target::Inside(format!("{up}{}{place}", relative(&site::file(&path))))
        }
        Named::File(..) | Named::Nothing => Target::Nothing,
    }
}

/// A path as a relative address.
pub(super) fn relative(path: &str) -> String {
    /// What a path may have as it is.
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    utf8_percent_encode(path, PLAIN).to_string()
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn named(from: &str, address: &str) -> Named {
    let address = address.trim();
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "mailto") => return Named::Outside(url.to_string()),
        Ok(_) => return Named::Nothing,
        Err(url::ParseError::RelativeUrlWithoutBase) if !address.starts_with("//") => {}
        Err(_) => return Named::Nothing,
    }
    let (path, place) = address.split_once('#').map_or((address, None), |(path, place)| (path, Some(place)));
    let path = path.split('?').next().unwrap_or_default();
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8().ok()?.into_owned();
        (!text.chars().any(char::is_control)).then_some(text)
    };
    let (Some(path), Some(place)) = (decoded(path), decoded(place.unwrap_or_default())) else { return Named::Nothing };
    let place = Some(place).filter(|place| !place.is_empty()).map(|place| anchor(&place));
    if path.is_empty() {
        return place.map_or(Named::Nothing, Named::Here);
    }
    match joined(from, &path) {
        Some(path) => Named::File(path, place),
        None => Named::Nothing,
    }
}

/// A path as seen from the folder of another; `None`: it leaves the repository, or names its root.
fn joined(from: &str, path: &str) -> Option<String> {
    let folder = if path.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_documents_files_and_other_sites_and_nowhere_else() {
        let paths = HashMap::from([("docs/api.md".to_owned(), DocumentId(4)), ("README.md".to_owned(), DocumentId(1))]);
        let from_docs = |address: &str| on_pages((IntentId(7), "docs/guide.md"), address, &paths);
        let inside = |address: &str| Target::Inside(address.to_owned());
        for (address, target) in [
            ("api.md", inside("/documents/doc-4")),
            ("./api.md#Log%20in", inside("/documents/doc-4#s-log-in")),
            ("../README.md", inside("/documents/doc-1")),
            ("/docs/api.md?plain=1", inside("/documents/doc-4")),
            ("#run-it", inside("#s-run-it")),
            ("../src/a&b.py", inside("/builds/int-code-007?tab=artifacts&file=src%2Fa%26b.py")),
            ("https://e.example/a?b=c#d", Target::Outside("https://e.example/a?b=c#d".to_owned())),
            ("HTTPS://e.example/\"x", Target::Outside("https://e.example/%22x".to_owned())),
            ("mailto:a@e.example", Target::Outside("mailto:a@e.example".to_owned())),
        ] {
            assert_eq!(from_docs(address), target, "{address}");
        }
        for address in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//e.example/x",
            "../../etc/passwd",
            "",
            "..",
            "%00",
            "file:///etc/passwd",
            "ftp://x",
            "a%0Ab",
        ] {
            assert_eq!(from_docs(address), Target::Nothing, "{address}");
        }
    }
}
