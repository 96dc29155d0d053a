//! Terraform, or OpenTofu, of this machine. It must not know SQL, intents or who approves what.

use std::path::{Path, PathBuf};

/// Names under which the program is looked for, the first that is found.
const PROGRAMS: [&str; 2] = ["terraform", "tofu"];

/// The program: the configured one, or the first on the `PATH`, with links followed.
///
/// # Errors
/// Why there is none, and what would help.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        let found = std::fs::canonicalize(path).ok().filter(|path| path.is_file());
        return found.ok_or_else(|| format!("{} is not there. Name terraform or tofu with --terraform or GRACE_TERRAFORM.", path.display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = PROGRAMS.iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find_map(|path| std::fs::canonicalize(path).ok().filter(|path| path.is_file()))
    });
    found.ok_or_else(|| "Neither terraform nor tofu is on this machine. Install one, or name it with --terraform or GRACE_TERRAFORM.".to_owned())
}
