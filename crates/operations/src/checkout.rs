//! Writes the files of one commit into an empty folder. The repository is ours, its content is not: no hook, filter or configuration
//! of it is ever used.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;

const WITHIN: Duration = Duration::from_secs(60);

/// Why a commit could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    #[error("cannot prepare {0}")]
    Folder(PathBuf, #[source] std::io::Error),
    #[error("git could not be started")]
    Start(#[source] std::io::Error),
    #[error("git {step} failed: {message}")]
    Git { step: &'static str, message: String },
    #[error("git {0} took longer than 60 s")]
    Slow(&'static str),
}

/// Empties `folder` and fills it with the files of `commit`.
pub async fn checkout(git_dir: &Path, commit: &str, folder: &Path) -> Result<(), CheckoutError> {
    let prepare = |error| CheckoutError::Folder(folder.to_owned(), error);
    match tokio::fs::remove_dir_all(folder).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(prepare(error)),
    }
    tokio::fs::create_dir_all(folder).await.map_err(prepare)?;
    // An index of its own, so that the build's own work tree is not disturbed.
    let mut index = folder.as_os_str().to_owned();
    index.push(".index");
    let index = PathBuf::from(index);
    let result = async {
        git(git_dir, folder, &index, "read-tree", &["read-tree", "--end-of-options", commit]).await?;
        git(git_dir, folder, &index, "checkout-index", &["checkout-index", "--all", "--force"]).await
    }
    .await;
    // The index is scratch; a left-over one is emptied by the next read-tree.
    let _ = tokio::fs::remove_file(&index).await;
    result
}

async fn git(git_dir: &Path, work_tree: &Path, index: &Path, step: &'static str, arguments: &[&str]) -> Result<(), CheckoutError> {
    let run = Command::new("git")
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(work_tree)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_DIR", git_dir)
        .env("GIT_WORK_TREE", work_tree)
        .env("GIT_INDEX_FILE", index)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(WITHIN, run).await.map_err(|_| CheckoutError::Slow(step))?.map_err(CheckoutError::Start)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).chars().take(500).collect::<String>().trim().to_owned();
    Err(CheckoutError::Git { step, message })
}
