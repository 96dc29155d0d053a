//! An image with nothing but this machine's Python, so that no registry is needed.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// Folders of the standard library that no service needs.
const LEFT_OUT: [&str; 8] = ["site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3"];

/// A tar of a root file system with `python3`, its library and what these are linked with.
pub fn root_file_system(into: &Path) -> Result<(), String> {
    let script = "import os, sys, sysconfig; print(os.path.realpath(sys.executable)); print(sysconfig.get_path('stdlib')); print('%d.%d' % sys.version_info[:2])";
    let said = output(Command::new("python3").args(["-c", script]))?;
    let mut said = said.lines();
    let (Some(program), Some(library), Some(version)) = (said.next(), said.next(), said.next()) else {
        return Err("python3 says nothing".to_owned());
    };
    let program = Path::new(program);
    let mut archive = tar::Builder::new(std::io::BufWriter::new(std::fs::File::create(into).map_err(|error| error.to_string())?));
    let mut linked = BTreeSet::from([program.to_owned()]);
    let mut add = || -> std::io::Result<()> {
        // Folders that are not named belong to root alone.
        for folder in ["usr", "usr/local", "usr/local/bin", "usr/local/lib", "tmp", "run", "proc", "sys", "dev", "etc"] {
            archive.append_dir(folder, "/")?;
        }
        // In the image Python finds its library by where its program is.
        archive.append_path_with_name(program, format!("usr/local/bin/python{version}"))?;
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, "usr/local/bin/python3", format!("python{version}"))?;
        add_folder(&mut archive, Path::new(library), &PathBuf::from(format!("usr/local/lib/python{version}")), &mut linked)?;
        let mut known = BTreeSet::new();
        for library in needed_by(&linked)? {
            let folders: Vec<&Path> = library.ancestors().skip(1).filter(|folder| *folder != Path::new("/")).collect();
            for folder in folders.into_iter().rev().filter(|folder| known.insert(folder.to_path_buf())) {
                archive.append_dir(folder.strip_prefix("/").unwrap_or(folder), "/")?;
            }
            archive.append_path_with_name(std::fs::canonicalize(&library)?, library.strip_prefix("/").unwrap_or(&library))?;
        }
        archive.get_mut().flush()
    };
    add().map_err(|error| format!("the base image could not be gathered: {error}"))?;
    archive.into_inner().and_then(|mut file| file.flush()).map_err(|error| error.to_string())
}

fn add_folder(archive: &mut tar::Builder<impl Write>, from: &Path, into: &Path, linked: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    archive.append_dir(into, "/")?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (path, into) = (entry.path(), into.join(&name));
        if path.is_dir() {
            let config = name.to_string_lossy().starts_with("config-");
            if !config && !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                add_folder(archive, &path, &into, linked)?;
            }
        } else if path.is_file() {
            archive.append_path_with_name(std::fs::canonicalize(&path)?, &into)?;
            if path.extension().is_some_and(|extension| extension == "so") {
                linked.insert(path);
            }
        }
    }
    Ok(())
}

/// The shared libraries of programs and libraries, by the paths under which they are looked for.
fn needed_by(files: &BTreeSet<PathBuf>) -> std::io::Result<BTreeSet<PathBuf>> {
    let said = Command::new("ldd").args(files).output()?;
    Ok(String::from_utf8_lossy(&said.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with("/") && word.contains(".so") && !word.ends_with(':'))
        .map(PathBuf::from)
        .collect())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
