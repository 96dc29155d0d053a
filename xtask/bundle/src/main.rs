//! Makes the site folder: `pkg/grace.js` and `pkg/grace.wasm` from the compiled library, `pkg/grace.css` from what `style/main.css` imports, and everything in
//! `public/`. A crate of its own, because the wasm-bindgen library takes half a minute to compile and `xtask` must not.
//!
//! What only a part of the app needs (see `src/parts.rs`) becomes a file that is loaded with that part.
//!
//! Arguments: the compiled `.wasm`, the repository's root, the site folder, and `compress` for a release: `grace.wasm` without names of functions, and
//! `.br` and `.gz` beside each file.

mod prune;

use std::{
    collections::BTreeMap,
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Files that gain from compression; pictures and fonts are compressed already.
const COMPRESSIBLE: [&str; 7] = ["css", "html", "js", "json", "svg", "txt", "wasm"];

/// The file that loads parts of the app; leptos tells browsers early of this name.
const LOADER: &str = "__wasm_split.______________________.js";

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
    let compress = rest.iter().any(|word| word == "compress");
    let wasm = Path::new(wasm);
    let main = split(wasm, &packages)?;
    bindgen(&main, &packages, compress)?;
    fs::remove_file(&main)?;
    fs::write(packages.join("grace.css"), style(&root.join("style"))?).context("cannot write grace.css")?;
    copy_tree(&root.join("public"), site)?;
    if compress {
        compress_tree(site)?;
    } else {
        remove_compressed(site)?;
    }
    Ok(())
}

/// Cuts the parts of the app out of `wasm`: each becomes a file in `packages`, as does what several of them share. Returns the rest, for wasm-bindgen.
fn split(wasm: &Path, packages: &Path) -> Result<PathBuf> {
    let bytes = fs::read(wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let bytes = prune::without_unused(&bytes).with_context(|| format!("cannot prune {}", wasm.display()))?;
    let main = packages.join("main.wasm");
    let mut options = wasm_split_cli_support::Options::new(&bytes);
    options.output_dir = packages;
    options.main_out_path = &main;
    options.main_module = "./grace.js";
    let link = format!("./{LOADER}");
    options.link_name = &link;
    let done = wasm_split_cli_support::transform(options).map_err(|error| anyhow::anyhow!("cannot split {}: {error:#}", wasm.display()))?;
    // Parts call each other by number, and a tab that was opened before an update asks for them later: it must not get those of another build.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let stamp = format!("{:016x}", hasher.finish());
    let loader = packages.join(LOADER);
    let mut script = fs::read_to_string(&loader).context("the splitter wrote no loader")?;
    for part in &done.split_modules {
        let name = part.file_stem().and_then(|name| name.to_str()).context("a part without a name")?;
        let content = prune::without_names(&fs::read(part)?).with_context(|| format!("cannot read {}", part.display()))?;
        fs::write(packages.join(format!("{name}-{stamp}.wasm")), content).with_context(|| format!("cannot write {name}"))?;
        fs::remove_file(part).with_context(|| format!("cannot remove {}", part.display()))?;
        script = script.replace(&format!("\"./{name}.wasm\""), &format!("\"./{name}-{stamp}.wasm\""));
    }
    fs::write(&loader, script).context("cannot write the loader")?;
    // What leptos tells browsers to fetch early for a part.
    let early: BTreeMap<_, Vec<_>> =
        done.prefetch_map.into_iter().map(|(part, files)| (part, files.into_iter().map(|name| format!("{name}-{stamp}")).collect())).collect();
    fs::write(packages.join("__wasm_split_manifest.json"), serde_json::to_vec(&early)?).context("cannot write the manifest")?;
    Ok(main)
}

/// `small` leaves out the names of functions: they are 40 % of the file, and only stack traces of a developer's build are read.
fn bindgen(wasm: &Path, packages: &Path, small: bool) -> Result<()> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(wasm).out_name("grace").typescript(false).remove_name_section(small).remove_producers_section(small);
    // Parts import the memory and the table of functions by the linker's names for them.
    bindgen.keep_lld_exports(true);
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
                "  {:<40} {:>5} KB, {:>4} KB as brotli",
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
