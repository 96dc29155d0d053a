//! The tools of a language-model agent: on hostile workspaces, with random edits, killed midway, and with real commands in the sandbox.

#![allow(clippy::unwrap_used, reason = "tests")]

mod commands;
mod hostile;
mod killed;
mod map;
mod random;
mod table;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use grace_agents::tools::{Files, ToolCall, ToolResult};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A workspace in a folder of its own.
struct Workspace {
    folder: tempfile::TempDir,
    files: Files,
}

impl Workspace {
    fn new() -> Self {
        // In memory, where a random case takes a tenth of the time.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let files = Files::open(folder.path(), owner).unwrap();
        Self { folder, files }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let workspace = Self::new();
        for (path, text) in files {
            workspace.put(path, text);
        }
        workspace
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    fn call(&self, tool: &str, arguments: Value) -> ToolResult {
        self.files.call(&ToolCall::parse(tool, &arguments).unwrap(), &CancellationToken::new())
    }

    fn read(&self, path: &str) {
        let read = self.call("read", serde_json::json!({ "path": path }));
        assert!(!read.is_error, "{}", read.text);
    }

    /// Every entry with its mode and its content or target, but what lies aside.
    fn everything(&self) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut waiting = vec![self.path().to_owned()];
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let name = path.strip_prefix(self.path()).unwrap().display().to_string();
                if name == ".grace" {
                    continue;
                }
                let content = if metadata.is_dir() {
                    waiting.push(path);
                    Vec::new()
                } else if metadata.is_symlink() {
                    std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                } else if metadata.is_file() {
                    std::fs::read(&path).unwrap()
                } else {
                    Vec::new()
                };
                found.push((name, metadata.permissions().mode(), content));
            }
        }
        found.sort();
        found
    }
}
