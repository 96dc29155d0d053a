//! Compiles `init/main.rs`, the small program that starts inside a sandbox, and hands it to the library to embed.
//!
//! It is built with `rustc` alone, without dependencies and statically where the C library allows it, because it has to
//! start in a file system that holds nothing of ours, and quickly: it runs once per command.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=init");
    println!("cargo::rerun-if-changed=src/wire.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("grace-sandbox-init");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");

    let mut complaints = Vec::new();
    for linkage in ["+crt-static", "-crt-static"] {
        let result = Command::new(&rustc)
            .args(["--crate-name", "grace_sandbox_init", "--edition", "2024", "--crate-type", "bin"])
            .args(["--target", &target, "-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols"])
            .args(["-C", "codegen-units=1", "-C", &format!("target-feature={linkage}"), "--cap-lints", "allow"])
            .arg("-o")
            .arg(&out)
            .arg("init/main.rs")
            .output();
        match result {
            Ok(output) if output.status.success() => return,
            Ok(output) => complaints.push(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    panic!("the sandbox's inner program did not compile:\n{}", complaints.join("\n"));
}
