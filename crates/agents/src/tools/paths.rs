//! Paths as a model writes them, made safe to hand on. It must not look at any file.

use grace_sandbox::WORKSPACE;

/// A path relative to the workspace, without needless parts; empty for the workspace itself. What commands print, such as
/// `/workspace/src/main.py`, is understood.
pub fn inside(path: &str) -> Result<String, String> {
    let shown = crate::command::start(&path.replace(char::is_control, "?"), 200);
    if path.contains(char::is_control) {
        return Err(format!("`{shown}` is not a path: it has control characters."));
    }
    let relative = match path.strip_prefix(WORKSPACE) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    };
    if relative.starts_with('/') {
        return Err(format!("`{shown}` is outside of the workspace; paths are relative to it."));
    }
    let parts: Vec<&str> = relative.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(format!("`{shown}` has `..`; paths are relative to the workspace, and none leads out of it."));
    }
    Ok(parts.join("/"))
}

/// The same for a file.
pub fn file(path: &str) -> Result<String, String> {
    let inside = inside(path)?;
    if inside.is_empty() { Err("The path names the workspace itself, not a file.".into()) } else { Ok(inside) }
}

/// The same for a file that is to be changed: not what belongs to Git or to us.
pub fn changeable(path: &str) -> Result<String, String> {
    let path = file(path)?;
    let mut parts = path.split('/');
    // Where names have no case, `.GIT` is the same folder.
    if parts.clone().any(|part| part.eq_ignore_ascii_case(".git")) || parts.next().is_some_and(|part| part.eq_ignore_ascii_case(".grace")) {
        return Err(format!("`{path}` may not be changed: `.git` and `.grace` are not part of the project."));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_or_is_refused() {
        let table = [
            ("a/b", Some("a/b")),
            ("./a//b/", Some("a/b")),
            (".", Some("")),
            ("", Some("")),
            ("/workspace", Some("")),
            ("/workspace/a", Some("a")),
            ("/workspaces/a", None),
            ("/workspace//etc", Some("etc")),
            ("/etc/passwd", None),
            ("..", None),
            ("a/../../b", None),
            ("/workspace/../etc", None),
            ("a\0b", None),
            ("a\nb", None),
            ("..a/b..", Some("..a/b..")),
        ];
        for (path, expected) in table {
            assert_eq!(inside(path).ok().as_deref(), expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_not_the_projects_is_not_changed() {
        for path in [".git/config", "sub/.git/hooks/x", ".GIT/x", ".grace/stage/1", ".Grace/x", ".git", "", "."] {
            assert!(changeable(path).is_err(), "{path}");
        }
        for path in [".gitignore", ".github/x.yml", "sub/.grace/x"] {
            assert!(changeable(path).is_ok(), "{path}");
        }
    }
}
