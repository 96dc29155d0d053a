//! Workspaces that a hostile command prepared.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode};
use serde_json::json;

use super::Workspace;

/// A workspace beside a secret, with links to it, a pipe, and files that are no text.
fn trapped() -> (Workspace, tempfile::TempDir) {
    let workspace = Workspace::with(&[("plain", "plain\n"), ("folder/inner", "inner\n")]);
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "the secret\n").unwrap();
    let root = workspace.path();
    symlink(outside.path().join("secret"), root.join("link")).unwrap();
    symlink(outside.path(), root.join("up")).unwrap();
    symlink("plain", root.join("harmless")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    rustix::fs::mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    workspace.put("binary", b"\x89PNG\0\0");
    workspace.put("latin", b"caf\xe9\n");
    let huge = std::fs::File::create(root.join("huge")).unwrap();
    huge.set_len(11 << 20).unwrap();
    (workspace, outside)
}

#[test]
fn no_tool_follows_a_link_or_leaves_the_workspace() {
    let (workspace, outside) = trapped();
    let before = workspace.everything();
    let paths = [
        "link",
        "up/secret",
        "up/new",
        "harmless",
        "loop",
        "pipe",
        "folder",
        "plain/x",
        "..",
        "../x",
        "/etc/passwd",
        "folder/../plain",
        "a\0b",
        "huge",
    ];
    let long = "n/".repeat(3_000);
    for path in paths.into_iter().chain([long.as_str(), &"n".repeat(5_000)]) {
        let patch = |section: String| ("apply_patch", json!({"patch": format!("*** Begin Patch\n{section}\n*** End Patch")}));
        let calls = [
            ("read", json!({"path": path})),
            ("edit", json!({"path": path, "edits": [{"old_text": "the secret", "new_text": "x"}]})),
            ("write", json!({"path": path, "content": "x"})),
            patch(format!("*** Add File: {path}\n+x")),
            patch(format!("*** Update File: {path}\n-the secret\n+x")),
            patch(format!("*** Delete File: {path}")),
            patch(format!("*** Add File: new\n+x\n*** Add File: {path}\n+x")),
        ];
        for (tool, arguments) in calls {
            let done = workspace.call(tool, arguments.clone());
            assert!(done.is_error && done.changed.is_empty(), "{tool} {arguments}: {}", done.text);
            assert!(!done.text.contains("the secret") || path.len() > 40, "{}", done.text);
            assert!(done.text.len() < 31_000);
        }
    }
    for (tool, arguments) in
        [("list", json!({"depth": 8})), ("search", json!({"pattern": "secret"})), ("search", json!({"pattern": "secret", "path": "link"}))]
    {
        assert!(!workspace.call(tool, arguments).text.contains("the secret"));
    }
    for path in ["up", "pipe", "..", "/"] {
        assert!(workspace.call("list", json!({"path": path})).is_error, "{path}");
        assert!(workspace.call("search", json!({"pattern": "x", "path": path})).is_error, "{path}");
    }
    assert_eq!(workspace.everything(), before);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"the secret\n");
}

#[test]
fn what_is_no_text_is_named_and_not_edited() {
    let (workspace, _outside) = trapped();
    assert_eq!(workspace.call("read", json!({"path": "binary"})).text, "`binary` is not text: a PNG image, 6 bytes.");
    // The beginning of an image says how large it is, whatever follows; one that lies about itself is only named.
    let image = |width: u32, height: u32| {
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()[..], b"\x08\x06\0\0\0"].concat()
    };
    for (bytes, told) in [
        (image(640, 480), "a PNG image of 640 × 480 pixels, 29 bytes."),
        (image(u32::MAX, 1), "a PNG image of 4294967295 × 1 pixels, 29 bytes."),
        (b"GIF89a\x02\0\x03\0\0\0\0".to_vec(), "a GIF image of 2 × 3 pixels, 13 bytes."),
        (b"\xff\xd8\xff\0\0".to_vec(), "a JPEG image, 5 bytes."),
    ] {
        workspace.put("image", &bytes);
        assert_eq!(workspace.call("read", json!({"path": "image"})).text, format!("`image` is not text: {told}"));
    }
    assert!(workspace.call("read", json!({"path": "latin"})).text.contains("caf�\n[not UTF-8"));
    let edit = workspace.call("edit", json!({"path": "latin", "edits": [{"old_text": "caf", "new_text": "x"}]}));
    assert!(edit.is_error && edit.text.contains("not UTF-8"), "{}", edit.text);
    let huge = workspace.call("read", json!({"path": "huge"}));
    assert!(huge.is_error && huge.text.contains("more than 10 MB"), "{}", huge.text);
    assert!(workspace.call("write", json!({"path": "new", "content": "a\0b"})).is_error);
    assert!(workspace.call("write", json!({"path": "new", "content": "x".repeat(11 << 20)})).is_error);
}

#[test]
fn a_stage_that_a_command_prepared_leads_nowhere() {
    for trap in [".grace", ".grace/stage"] {
        let (workspace, outside) = trapped();
        if trap.contains('/') {
            std::fs::create_dir(workspace.path().join(".grace")).unwrap();
        }
        symlink(outside.path(), workspace.path().join(trap)).unwrap();
        let done = workspace.call("write", json!({"path": "new", "content": "x"}));
        assert!(done.is_error, "{}", done.text);
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_patch_has_no_more_than_so_many_files() {
    let workspace = Workspace::new();
    let files: String = (0..201).map(|number| format!("*** Add File: f{number}\n+x\n")).collect();
    let done = workspace.call("apply_patch", json!({"patch": format!("*** Begin Patch\n{files}*** End Patch")}));
    assert!(done.is_error && done.text.contains("at most 200 files"), "{}", done.text);
    let large = "x".repeat(7 << 20);
    let files: String = (0..3).map(|number| format!("*** Add File: f{number}\n+{large}\n")).collect();
    let done = workspace.call("apply_patch", json!({"patch": format!("*** Begin Patch\n{files}*** End Patch")}));
    assert!(done.is_error && done.text.contains("at most 20 MB"), "{}", done.text);
    assert!(workspace.everything().is_empty());
}
