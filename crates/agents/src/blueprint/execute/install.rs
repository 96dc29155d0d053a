//! Installs the pinned packages of a project, once per set of pins: a marker says which set is in place, and is written last. It must not
//! know what the packages are for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use grace_domain::event::Level;
use grace_sandbox::beneath::Root;
use sha2::{Digest as _, Sha256};

use super::Project;
use crate::agent::TaskFailure;
use crate::blueprint::generate::{GeneratedFile, Part};
use crate::command::Invocation;

/// Longest marker.
const MARKER_BYTES: u64 = 200;
/// Longest time for one installation.
const WALL: Duration = Duration::from_secs(420);

/// Folders into which something is being installed: two tasks of a build must not do the same at once.
static INSTALLING: LazyLock<Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);

/// Makes sure that `backend/.venv` holds what the lock says; says whether anything had to be done.
///
/// # Errors
/// A [`TaskFailure`]: transient when the registry was out of reach.
pub async fn backend(project: &Project<'_>) -> Result<bool, TaskFailure> {
    let locks: Vec<GeneratedFile> = project.files(Part::BackendFoundation)?.into_iter().filter(|file| file.path.ends_with(".lock")).collect();
    let lock = locks.iter().find(|file| file.path.ends_with("requirements-dev.lock")).or(locks.first());
    let Some(lock) = lock.map(|file| file.path.clone()) else { return Ok(false) };
    with_marker(project, "backend", &locks, async {
        let folder = project.path("backend");
        // Without pip in it: the machine's own pip fills it, which saves seconds.
        let python = Invocation::new(project.context, "pip", "python3", &folder);
        let fast = Invocation::new(project.context, "pip", "python3", &folder).args(["-m", "pip", "--version"]).data().run(project.context).await?;
        let fast = fast.exit.is_success();
        let mut arguments = vec!["-m", "venv", "--clear"];
        if fast {
            arguments.push("--without-pip");
        }
        arguments.push(".venv");
        python.args(arguments).succeed(project.context).await?;
        let (program, lead): (&str, &[&str]) =
            if fast { ("python3", &["-m", "pip", "--python", ".venv/bin/python"]) } else { (".venv/bin/python", &["-m", "pip"]) };
        let lock = lock.rsplit('/').next().unwrap_or_default().to_owned();
        let pip = |arguments: &[&str]| {
            let common = ["--require-hashes", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet", "-r"];
            let invocation = Invocation::new(project.context, "pip", program, &folder).args(lead.iter().chain(arguments).chain(&common).copied());
            invocation.args([lock.clone()]).network().within(WALL)
        };
        // From the shared wheels alone, which takes no connection; what is missing there is fetched first.
        let from_wheels = ["install", "--no-index", "--no-compile"];
        if pip(&from_wheels).silent().run(project.context).await?.exit.is_success() {
            return Ok(());
        }
        project.context.log(Level::Info, "pip", "Fetching packages that no build has needed here before.").await;
        pip(&["download", "--dest", grace_sandbox::WHEELS]).succeed(project.context).await?;
        pip(&from_wheels).succeed(project.context).await?;
        Ok(())
    })
    .await
}

/// Makes sure that `frontend/node_modules` holds what the lock says; says whether anything had to be done.
///
/// # Errors
/// A [`TaskFailure`]: transient when the registry was out of reach.
pub async fn frontend(project: &Project<'_>) -> Result<bool, TaskFailure> {
    let pins: Vec<GeneratedFile> = project
        .files(Part::FrontendFoundation)?
        .into_iter()
        .filter(|file| file.path.ends_with("/package.json") || file.path.ends_with("/package-lock.json"))
        .collect();
    with_marker(project, "frontend", &pins, async {
        Invocation::new(project.context, "npm", "npm", &project.path("frontend"))
            .args(["ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", "--loglevel=error"])
            .network()
            .within(WALL)
            .succeed(project.context)
            .await?;
        Ok(())
    })
    .await
}

/// Writes the pins and installs them unless the marker says that exactly these are in place.
async fn with_marker(
    project: &Project<'_>,
    name: &str,
    pins: &[GeneratedFile],
    install: impl Future<Output = Result<(), TaskFailure>>,
) -> Result<bool, TaskFailure> {
    let lock = lock(&project.context.workspace().join(project.path(name)));
    let _installing = lock.lock().await;
    let mut digest = Sha256::new();
    for pin in pins {
        digest.update(pin.path.as_bytes());
        digest.update(&pin.content);
    }
    let wanted = hex::encode(digest.finalize());
    let marker = project.path(&format!(".grace/installed-{name}"));
    if read(project.context.workspace(), &marker).as_deref() == Some(wanted.as_bytes()) {
        return Ok(false);
    }
    project.write(pins, false).await?;
    install.await?;
    project.write_bytes(&marker, wanted.as_bytes())?;
    project.context.log(Level::Info, "grace", &format!("The {name}'s packages are installed.")).await;
    Ok(true)
}

fn read(workspace: &Path, marker: &str) -> Option<Vec<u8>> {
    Root::open(workspace).ok()?.read(marker, MARKER_BYTES).ok()
}

fn lock(folder: &Path) -> Arc<tokio::sync::Mutex<()>> {
    let mut all = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody holds what only the map refers to.
    all.retain(|_, lock| Arc::strong_count(lock) > 1);
    all.entry(folder.to_owned()).or_default().clone()
}
