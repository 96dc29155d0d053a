//! Turns the folder `blueprints/` into a table of embedded templates, so that a new file needs no second mention.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let blueprints = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("blueprints");
    println!("cargo::rerun-if-changed={}", blueprints.display());
    let mut files = Vec::new();
    // The names of templates begin within their blueprint; no two blueprints share a first folder.
    for root in ["web_service", "infrastructure"].map(|name| blueprints.join(name)) {
        let mut found = Vec::new();
        collect(&root, &mut found)?;
        for file in found {
            let name = file.strip_prefix(&root).map_err(io::Error::other)?;
            let name = name.to_str().ok_or_else(|| io::Error::other("a template's name is not UTF-8"))?;
            let file = file.to_str().ok_or_else(|| io::Error::other("the checkout's path is not UTF-8"))?;
            files.push((name.to_owned(), file.to_owned()));
        }
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (name, file) in &files {
        writeln!(table, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("templates.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
