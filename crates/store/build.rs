//! Finds the PostgreSQL runtime that Grace carries, for `include_bytes!` in `embedded/bundled.rs`.
//!
//! It is a file of the package `pglite-rs-lib-x86_64-unknown-linux-gnu`, which has no Rust interface and does not say where it is. Wherever it is
//! found, only the very bytes whose checksum stands here are taken.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

const PACKAGE: &str = "pglite-rs-lib-x86_64-unknown-linux-gnu";
const VERSION: &str = "0.2.7";
const FILE: &str = "lib/pglite-runtime.tar.zst";
const SHA256: &str = "e3fb68210df2e40e534a5db9886a4af5d56d4ef9ca30adeefd437069bda95073";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rustc-check-cfg=cfg(bundled_postgres)");
    if env::var("TARGET").as_deref() != Ok("x86_64-unknown-linux-gnu") {
        return;
    }
    let file = in_registry()
        .or_else(in_metadata)
        .unwrap_or_else(|| panic!("{FILE} of {PACKAGE} {VERSION} was not found with the expected checksum; run `cargo fetch` and build again"));
    println!("cargo::rerun-if-changed={}", file.display());
    println!("cargo::rustc-env=GRACE_POSTGRES_RUNTIME={}", file.display());
    println!("cargo::rustc-env=GRACE_POSTGRES_RUNTIME_SHA256={SHA256}");
    println!("cargo::rustc-cfg=bundled_postgres");
}

/// Where cargo unpacks packages of a registry: quick, and true for nearly everybody.
fn in_registry() -> Option<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    let registries = fs::read_dir(cargo_home.join("registry/src")).ok()?;
    registries.flatten().map(|registry| registry.path().join(format!("{PACKAGE}-{VERSION}")).join(FILE)).find(|file| is_expected(file))
}

/// Where cargo says it is: for vendored packages.
fn in_metadata() -> Option<PathBuf> {
    let manifest = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(env::var_os("CARGO")?)
        .args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(manifest)
        .output()
        .ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let packages = metadata.get("packages")?.as_array()?;
    let package = packages.iter().find(|package| package["name"] == PACKAGE && package["version"] == VERSION)?;
    let file = Path::new(package["manifest_path"].as_str()?).parent()?.join(FILE);
    is_expected(&file).then_some(file)
}

fn is_expected(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| hex::encode(Sha256::digest(bytes)) == SHA256)
}
