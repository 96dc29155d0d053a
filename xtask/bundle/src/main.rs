//! Makes the site folder: `pkg/grace.js` and `pkg/grace.wasm` from the compiled library, `pkg/grace.css` from what `style/main.css` imports, and everything in
//! `public/`. A crate of its own, because the wasm-bindgen library takes half a minute to compile and `xtask` must not.
//!
//! Arguments: the compiled `.wasm`, the repository's root, the site folder, and `compress` to write `.br` and `.gz` beside each file.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Files that gain from compression; pictures and fonts are compressed already.
const COMPRESSIBLE: [&str; 7] = ["css", "html", "js", "json", "svg", "txt", "wasm"];

fn main() -> std::process::ExitCode {
    match bundle() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            // All causes in one line; a backtrace says nothing about a missing file.
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn bundle() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [wasm, root, site, rest @ ..] = arguments.as_slice() else {
        bail!("usage: xtask-bundle <wasm> <root> <site> [compress]");
    };
    let (root, site) = (Path::new(root), Path::new(site));
    let packages = site.join("pkg");
    if packages.exists() {
        fs::remove_dir_all(&packages).with_context(|| format!("cannot clear {}", packages.display()))?;
    }
    fs::create_dir_all(&packages).with_context(|| format!("cannot create {}", packages.display()))?;
    bindgen(Path::new(wasm), &packages)?;
    fs::write(packages.join("grace.css"), style(&root.join("style"))?).context("cannot write grace.css")?;
    copy_tree(&root.join("public"), site)?;
    if rest.iter().any(|word| word == "compress") {
        compress_tree(site)?;
    } else {
        remove_compressed(site)?;
    }
    Ok(())
}

fn bindgen(wasm: &Path, packages: &Path) -> Result<()> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(wasm).out_name("grace").typescript(false);
    bindgen.web(true)?;
    bindgen.generate(packages).with_context(|| format!("wasm-bindgen refused {}", wasm.display()))?;
    // The pages ask for `grace.wasm`, the name that LEPTOS_OUTPUT_NAME gives.
    fs::rename(packages.join("grace_bg.wasm"), packages.join("grace.wasm")).context("wasm-bindgen wrote no grace_bg.wasm")
}

/// All of `style/` in one file, in the order in which `main.css` imports them.
fn style(folder: &Path) -> Result<String> {
    let main = folder.join("main.css");
    let imports = fs::read_to_string(&main).with_context(|| format!("cannot read {}", main.display()))?;
    let mut all = String::new();
    for line in imports.lines() {
        match line.trim().strip_prefix("@import").and_then(|rest| rest.split('"').nth(1)) {
            Some(name) => {
                all.push_str(&fs::read_to_string(folder.join(name)).with_context(|| format!("main.css imports {name}, which cannot be read"))?)
            }
            None => all.push_str(line),
        }
        all.push('\n');
    }
    Ok(all)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        let target = to.join(file.strip_prefix(from)?);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&file, &target).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn compress_tree(site: &Path) -> Result<()> {
    for file in files_below(site)? {
        let wanted = file.extension().and_then(|end| end.to_str()).is_some_and(|end| COMPRESSIBLE.contains(&end));
        if !wanted {
            continue;
        }
        let bytes = fs::read(&file)?;
        let mut packed = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: 11, size_hint: bytes.len(), ..Default::default() };
        brotli::BrotliCompress(&mut bytes.as_slice(), &mut packed, &parameters)?;
        fs::write(beside(&file, "br"), &packed)?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&bytes)?;
        fs::write(beside(&file, "gz"), gzip.finish()?)?;
        if file.extension().is_some_and(|end| end == "wasm" || end == "js" || end == "css") {
            eprintln!(
                "  {:<14} {:>5} KB, {:>4} KB as brotli",
                file.file_name().unwrap_or_default().to_string_lossy(),
                bytes.len() / 1000,
                packed.len() / 1000
            );
        }
    }
    Ok(())
}

/// Compressed twins of an earlier release build would be served instead of the new files.
fn remove_compressed(site: &Path) -> Result<()> {
    for file in files_below(site)? {
        if file.extension().is_some_and(|end| end == "br" || end == "gz") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
