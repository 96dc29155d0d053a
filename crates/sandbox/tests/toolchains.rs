//! Toolchains of this machine, wherever they are installed, as commands find them.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use grace_sandbox::{Isolation, Network, Output};
use support::Yard;

/// A library with one dependency, and a test that needs it.
const LIBRARY: [(&str, &str); 2] = [
    ("Cargo.toml", "[package]\nname = \"figures\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nitoa = \"1\"\n"),
    (
        "src/lib.rs",
        "pub fn text(number: u64) -> String {\n    itoa::Buffer::new().format(number).to_owned()\n}\n\n\
         #[test]\nfn numbers_are_written() {\n    assert_eq!(text(42), \"42\");\n}\n",
    ),
];

#[tokio::test]
async fn a_library_with_a_dependency_is_tested_twice_and_downloaded_once() {
    let yard = Yard::open(Isolation::Full).await;
    fs::create_dir(yard.workspace.join("src")).unwrap();
    for (path, text) in LIBRARY {
        fs::write(yard.workspace.join(path), text).unwrap();
    }
    yard.sandbox.adopt(&yard.workspace).unwrap();
    let mut downloaded = Vec::new();
    for _ in 0..2 {
        let mut command = yard.shell("cargo --version && cargo test --quiet");
        command.network = Network::Registries;
        let ended = yard.run(command).await.unwrap();
        assert!(ended.outcome.exit.is_success() && ended.text.contains("1 passed"), "{}", ended.text);
        assert!(ended.text.starts_with("cargo 1."), "{}", ended.text);
        let bytes = ended.output.iter().map(|item| match item {
            Output::Egress { allowed, bytes_down, .. } => {
                assert!(allowed, "{item:?}");
                *bytes_down
            }
            _ => 0,
        });
        downloaded.push(bytes.sum::<u64>());
    }
    assert!(downloaded[0] > 10_000 && downloaded[1] == 0, "{downloaded:?}");
    // And without a network it is there too.
    fs::remove_dir_all(yard.workspace.join("target")).unwrap();
    let ended = yard.run(yard.shell("cargo test --quiet")).await.unwrap();
    assert!(ended.outcome.exit.is_success(), "{}", ended.text);
}

/// A file in a folder of the person's own; removed with this.
struct Planted(PathBuf);

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_lies_beside_the_toolchains_stays_unseen() {
    let home = env::home_dir().unwrap();
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let rustup = env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
    let folders = [home.clone(), cargo, rustup.clone(), rustup.join("toolchains"), home.join(".pyenv")];
    let planted: Vec<Planted> = folders
        .into_iter()
        .filter(|folder| folder.is_dir() && !folder.starts_with("/usr"))
        .map(|folder| {
            let path = folder.join(format!(".grace-test-credentials-{}", std::process::id()));
            fs::write(&path, "token = \"planted\"\n").unwrap();
            // Readable by anybody, so that nothing but the sandbox can keep a command from it.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            Planted(path)
        })
        .collect();
    assert!(!planted.is_empty());
    for isolation in [Isolation::Full, Isolation::Reduced] {
        let yard = Yard::open(isolation).await;
        for Planted(path) in &planted {
            let ended = yard.run(yard.shell(&format!("cat '{}'", path.display()))).await.unwrap();
            assert!(!ended.outcome.exit.is_success() && !ended.text.contains("planted"), "{isolation:?} {ended:?}");
        }
    }
}

#[tokio::test]
async fn each_toolchain_says_its_version_in_the_sandbox_or_why_it_cannot_be_used() {
    for isolation in [Isolation::Full, Isolation::Reduced] {
        let yard = Yard::open(isolation).await;
        let programs = yard.sandbox.programs().await;
        for program in programs {
            let line = if program.name == "pip" { "python3 -m pip --version" } else { &format!("{} --version", program.name) };
            let ended = yard.run(yard.shell(line)).await.unwrap();
            match &program.version {
                Ok(version) if !["go", "java"].contains(&program.name.as_str()) => assert!(ended.text.contains(version), "{program:?}"),
                Ok(_) => {}
                Err(why) => assert!(!ended.outcome.exit.is_success() && !why.is_empty(), "{isolation:?} {program:?} {ended:?}"),
            }
        }
        let usable = |name: &str| programs.iter().any(|program| program.name == name && program.version.is_ok());
        assert!(usable("python3") && usable("npm"), "{programs:?}");
        // Mounts of its own are what opens a closed home.
        assert!(isolation == Isolation::Reduced || usable("cargo"), "{programs:?}");
    }
}
