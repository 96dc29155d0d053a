//! The documents of a build as a site of files: a page for each with a list of all, links between them, no script and nothing from elsewhere. Pure.

use std::{
    collections::BTreeSet,
    io::{Cursor, Write},
};

use grace_store::DocumentRow;
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

use super::{links, markdown};
use crate::highlight::escape;

const STYLE: &str = "body{margin:0;font:16px/1.6 system-ui,sans-serif;color:#14161a;background:#fff;display:grid;grid-template-columns:minmax(0,16rem) minmax(0,1fr)}\
nav{padding:1.5rem;border-right:1px solid #e2e4e8;overflow-wrap:anywhere}nav ul{list-style:none;margin:0;padding:0}nav a{display:block;padding:.2rem 0}\
main{padding:1.5rem 2rem;max-width:52rem;overflow-wrap:anywhere}a{color:#3149c4}[aria-current]{font-weight:600;color:inherit;text-decoration:none}\
pre{overflow:auto;padding:.75rem 1rem;background:#fafafb;border:1px solid #e2e4e8;border-radius:6px}code{font:14px/1.5 ui-monospace,monospace}\
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{border:1px solid #e2e4e8;padding:.3rem .6rem;text-align:left}\
blockquote{margin:0;padding-left:1rem;border-left:3px solid #d0d3d9}footer{margin-top:3rem;color:#5c6370;font-size:14px}\
@media(max-width:48rem){body{grid-template-columns:minmax(0,1fr)}nav{border-right:0;border-bottom:1px solid #e2e4e8}}\
@media(prefers-color-scheme:dark){body{color:#eff0f2;background:#101114}nav,pre,th,td,blockquote{border-color:#33363d}pre{background:#0c0d0f}a{color:#9db0ff}footer{color:#9199a5}}";

/// The site of a build's documents, zipped. `title` is the build's, `about` says what it is of, for the foot of each page.
pub(super) fn zipped(title: &str, about: &str, documents: &[DocumentRow]) -> Result<Vec<u8>, ZipError> {
    let paths: BTreeSet<&str> = documents.iter().map(|document| document.path.as_str()).collect();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // The same documents give the same bytes.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).last_modified_time(DateTime::default());
    zip.start_file("index.html", options)?;
    let list = format!("<h1>{}</h1>\n<ul>\n{}</ul>\n", escaped(title), entries("", "", documents));
    zip.write_all(page(title, title, "", "", &list, about, documents).as_bytes())?;
    for document in documents {
        let up = "../".repeat(document.path.matches('/').count());
        let text = markdown::html(&document.path, &document.text, 0, &|address| links::on_site(&document.path, address, &paths));
        zip.start_file(file(&document.path), options)?;
        zip.write_all(page(title, &document.title, &up, &document.path, &text, about, documents).as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The file of a document. What it ends with is added, so that no two documents have one file.
pub(super) fn file(path: &str) -> String {
    format!("{path}.html")
}

fn page(site: &str, title: &str, up: &str, here: &str, body: &str, about: &str, documents: &[DocumentRow]) -> String {
    let name = if title == site { escaped(site) } else { format!("{} · {}", escaped(title), escaped(site)) };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <nav aria-label=\"Documents\">\n<p><a href=\"{up}index.html\">{}</a></p>\n<ul>\n{}</ul>\n</nav>\n<main>\n{body}<footer>{}</footer>\n</main>\n</body>\n</html>\n",
        escaped(site),
        entries(up, here, documents),
        escaped(about)
    )
}

fn entries(up: &str, here: &str, documents: &[DocumentRow]) -> String {
    let entry = |document: &DocumentRow| {
        let current = if document.path == here { " aria-current=\"page\"" } else { "" };
        let path = escaped(&document.path);
        format!("<li><a href=\"{up}{}\" title=\"{path}\"{current}>{}</a></li>\n", links::relative(&file(&document.path)), escaped(&document.title))
    };
    documents.iter().map(entry).collect()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use grace_domain::{
        Timestamp,
        id::{DocumentId, IntentId},
    };

    use super::*;

    fn document(path: &str, title: &str, text: &str) -> DocumentRow {
        DocumentRow {
            id: DocumentId(1),
            intent: IntentId(1),
            build: "Shop".into(),
            path: path.into(),
            title: title.into(),
            commit: "c".into(),
            at: Timestamp::default(),
            current: true,
            text: text.into(),
        }
    }

    #[test]
    fn each_document_is_a_page_that_finds_the_others() {
        let documents = [
            document(
                "README.md",
                "Shop <b>",
                "# Shop <b>\n\nSee [the API](docs/a%20b.md#log-in), [source](src/a.py) and [this](javascript:alert(1)).\n",
            ),
            document("docs/a b.md", "API", "## Log in\n\n[Up](../README.md)\n\n<script>alert(1)</script>\n"),
        ];
        let zip = zipped("Shop <b>", "int-code-001 at c", &documents).unwrap();
        assert_eq!(zip, zipped("Shop <b>", "int-code-001 at c", &documents).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
        let mut names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        names.sort();
        assert_eq!(names, ["README.md.html", "docs/a b.md.html", "index.html"]);
        let mut read = |name: &str| {
            let mut text = String::new();
            archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        let readme = read("README.md.html");
        assert!(readme.contains("<a href=\"docs/a%20b.md.html#s-log-in\">the API</a>, source and this."), "{readme}");
        assert!(readme.contains("<a href=\"README.md.html\" title=\"README.md\" aria-current=\"page\">Shop &lt;b&gt;</a>"), "{readme}");
        let api = read("docs/a b.md.html");
        assert!(api.contains("<a href=\"../README.md.html\">Up</a>") && api.contains("<a href=\"../docs/a%20b.md.html\""), "{api}");
        assert!(!api.contains("<script") && api.contains("&lt;script&gt;"), "{api}");
        assert!(read("index.html").contains("<footer>int-code-001 at c</footer>"));
    }
}
