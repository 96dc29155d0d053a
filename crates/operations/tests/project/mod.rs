//! A repository with the smallest project that has the shape of a generated one, and requests to what came of it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use grace_operations::{Place, Proxy};
use grace_sandbox::{Sandbox, SandboxConfig};

pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a folder") };
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn git_dir(&self) -> PathBuf {
        self.folder.path().join(".git")
    }

    /// A commit called `version` with these files of the folder `backend` and those that every project has. Returns its id.
    pub fn commit(&self, version: &str, files: &[(&str, &str)]) -> String {
        let backend = self.folder.path().join("backend");
        for (path, text) in [("requirements.lock", ""), ("app/__init__.py", "")].iter().chain(files) {
            write(&backend.join(path), text);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", version]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

/// A folder for releases: short, as the path of a unix socket may have 107 bytes, and open to the users that services run as.
pub fn data_folder() -> tempfile::TempDir {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    tempfile::Builder::new().prefix("grace").permissions(mode).tempdir().expect("a folder")
}

pub async fn sandbox(data: &Path) -> Sandbox {
    let config =
        SandboxConfig { state_dir: data.join("sandbox"), cache_dir: data.join("cache"), allow_unsandboxed: false, extra_read_only: Vec::new() };
    Sandbox::open(config).await.expect("this machine can confine")
}

/// What the place's address answers at this path.
pub async fn answer(proxy: &Proxy, place: &Place, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = proxy.handle(&place.host(), request).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}
