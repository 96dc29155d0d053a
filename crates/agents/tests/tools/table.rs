//! What each tool that needs no sandbox answers, and what it leaves on disk.

use std::os::unix::fs::PermissionsExt as _;

use grace_agents::tools::{Change, ChangedFile, RESULT_CHARS, ToolCall, definitions};
use serde_json::json;

use super::Workspace;

#[test]
fn every_tool_has_a_schema_that_its_own_calls_follow() {
    let calls = [
        ("read", json!({"path": "a", "start_line": 1, "line_count": 2})),
        ("list", json!({"path": "a", "depth": 1})),
        ("search", json!({"pattern": "a", "path": "b", "glob": "*.c", "case_insensitive": true, "max_results": 3, "context": 1})),
        ("edit", json!({"path": "a", "edits": [{"old_text": "a", "new_text": "", "replace_all": true}]})),
        ("write", json!({"path": "a", "content": ""})),
        ("apply_patch", json!({"patch": "x"})),
        ("run", json!({"command": "a", "working_dir": "b", "timeout_seconds": 1, "background": true, "secrets": ["TOKEN"]})),
        ("output", json!({"command_id": "1", "wait_seconds": 3})),
        ("stop", json!({"command_id": "1"})),
    ];
    assert_eq!(calls.len(), definitions().len());
    for ((name, arguments), definition) in calls.iter().zip(definitions()) {
        assert_eq!(*name, definition.name);
        // With every argument that the schema has, so that none of them is unknown to the call.
        assert_eq!(arguments.as_object().unwrap().len(), definition.parameters["properties"].as_object().unwrap().len(), "{name}");
        ToolCall::parse(name, arguments).unwrap();
        assert_eq!(definition.parameters["additionalProperties"], false);
    }
}

#[test]
fn reading_shows_numbers_and_where_to_go_on() {
    let workspace = Workspace::with(&[("a", "one\ntwo\r\nthree"), ("empty", ""), ("long", &"x".repeat(5_000))]);
    let read = |arguments| workspace.call("read", arguments).text;
    assert_eq!(read(json!({"path": "a"})), "     1\tone\n     2\ttwo\n     3\tthree\n[lines end with CRLF, which edits keep]\n");
    let part = read(json!({"path": "/workspace/a", "start_line": 2, "line_count": 1}));
    assert!(part.starts_with("     2\ttwo\n[lines 2 to 2 of 3; go on with start_line 3;"), "{part}");
    assert_eq!(read(json!({"path": "empty"})), "[the file is empty]\n");
    assert!(read(json!({"path": "long"})).contains("[… 3000 more characters]"));
    assert_eq!(read(json!({"path": "a", "start_line": 4})), "`a` has 3 lines; there is no line 4.");
    assert_eq!(read(json!({"path": "aa"})), "`aa` does not exist; beside it: `a`.");
}

#[test]
fn a_long_file_is_read_in_pieces_that_fit_together() {
    let text: String = (1..=5_000).map(|number| format!("line {number} {}\n", "y".repeat(number % 70))).collect();
    let workspace = Workspace::with(&[("long", &text)]);
    let (mut start, mut all) = (1_u64, String::new());
    loop {
        let read = workspace.call("read", json!({"path": "long", "start_line": start})).text;
        assert!(read.len() < 52_000);
        let lines: Vec<&str> = read.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        assert!(lines.len() <= 2_000);
        start += lines.len() as u64;
        all.extend(lines.iter().map(|line| format!("{line}\n")));
        if !read.contains("go on with") {
            break;
        }
        assert!(read.contains(&format!("go on with start_line {start}]")));
    }
    assert_eq!(all, text);
}

#[test]
fn a_list_is_a_tree_without_what_is_ignored() {
    let workspace = Workspace::with(&[
        ("src/deep/er/x.rs", "x"),
        ("src/a.rs", "12345"),
        ("node_modules/left/index.js", ""),
        (".git/config", ""),
        ("build/out", ""),
        (".gitignore", "build/\n"),
        ("sub/.gitignore", ""),
    ]);
    let list = workspace.call("list", json!({})).text;
    let expected = ".git/ (ignored)\n.gitignore (7 B)\nbuild/ (ignored)\nnode_modules/ (ignored)\nsrc/\n  a.rs (5 B)\n  deep/ (1 entries)\nsub/\n  .gitignore (0 B)\n";
    assert_eq!(list, expected);
    assert_eq!(workspace.call("list", json!({"path": "src/deep", "depth": 4})).text, "er/\n  x.rs (1 B)\n");
    assert_eq!(workspace.call("list", json!({"path": "src/a.rs"})).text, "`src/a.rs` is a file; use `read`.");
}

#[test]
fn a_search_finds_lines_and_keeps_to_its_limits() {
    let many: String = (0..5_000).map(|number| format!("needle {number}\n")).collect();
    let workspace = Workspace::with(&[
        ("a.rs", "fn one() {}\r\nfn two() {}\nlast Needle"),
        ("b/c.py", "def one(): ...\n"),
        ("many.txt", &many),
        ("binary", "needle\0"),
        ("node_modules/x.js", "fn one"),
    ]);
    let search = |arguments| workspace.call("search", arguments).text;
    assert_eq!(
        search(json!({"pattern": r"^(fn|def) one\b"})),
        "a.rs:1:fn one() {}\nb/c.py:1:def one(): ...\n[2 results; 1 files left out: binary, over 2 MB or not readable]\n"
    );
    assert_eq!(search(json!({"pattern": r"\}$", "glob": "*.rs"})), "a.rs:1:fn one() {}\na.rs:2:fn two() {}\n[2 results]\n");
    assert_eq!(
        search(json!({"pattern": "two", "context": 1, "path": "a.rs"})),
        "a.rs-1-fn one() {}\na.rs:2:fn two() {}\na.rs-3-last Needle\n[1 result]\n"
    );
    assert_eq!(search(json!({"pattern": "needle", "case_insensitive": true, "glob": "!many.txt"})).lines().next(), Some("a.rs:3:last Needle"));
    assert!(search(json!({"pattern": "needle", "max_results": 5})).contains("[5 results; there are more; narrow the search or raise max_results;"));
    let full = search(json!({"pattern": "needle", "path": "many.txt", "max_results": 1000, "context": 10}));
    assert!(full.chars().count() <= RESULT_CHARS && full.contains("[1000 results") || full.contains("output is full"), "{}", full.len());
    assert!(search(json!({"pattern": "a(b"})).starts_with("`pattern` is not a regular expression"));
    assert!(search(json!({"pattern": "a{1000}{1000}{1000}"})).starts_with("`pattern` is not a regular expression"));
    assert!(search(json!({"pattern": "a", "glob": "[a"})).starts_with("`glob` is not a glob"));
    assert_eq!(search(json!({"pattern": "nowhere", "path": "b"})), "[no result in 1 files]\n");
}

#[test]
fn a_file_is_changed_only_as_it_was_read() {
    let workspace = Workspace::with(&[("a", "one\n")]);
    let edit = json!({"path": "a", "edits": [{"old_text": "one", "new_text": "two"}]});
    let patch = json!({"patch": "*** Begin Patch\n*** Update File: a\n-one\n+two\n*** End Patch"});
    let write = json!({"path": "a", "content": "two\n"});
    for (tool, arguments) in [("edit", &edit), ("write", &write), ("apply_patch", &patch)] {
        let refused = workspace.call(tool, arguments.clone());
        assert!(refused.is_error && refused.text.contains("has not been read yet"), "{}", refused.text);
    }
    workspace.read("a");
    workspace.put("a", "one\nmore\n");
    for (tool, arguments) in [("edit", &edit), ("write", &write), ("apply_patch", &patch)] {
        let refused = workspace.call(tool, arguments.clone());
        assert!(refused.is_error && refused.text.contains("has changed since you read it"), "{}", refused.text);
    }
    workspace.read("a");
    let done = workspace.call("edit", edit);
    assert_eq!((done.text.as_str(), done.is_error), ("Edited `a`: line 1.", false));
    assert_eq!(done.changed, [ChangedFile { path: "a".into(), change: Change::Edited }]);
    // What the tool wrote itself counts as read.
    let done = workspace.call("write", json!({"path": "a", "content": "three\n"}));
    assert_eq!(done.text, "Replaced `a` (1 lines).");
    let again = workspace.call("write", json!({"path": "a", "content": "three\n"}));
    assert!(again.is_error && again.text.starts_with("Nothing would change"), "{}", again.text);
}

#[test]
fn edits_are_done_in_order_or_not_at_all() {
    let workspace = Workspace::with(&[("a", "one two\n")]);
    workspace.read("a");
    let edits = |edits: &[(&str, &str)]| {
        let edits: Vec<_> = edits.iter().map(|(old, new)| json!({"old_text": old, "new_text": new})).collect();
        workspace.call("edit", json!({"path": "a", "edits": edits}))
    };
    let refused = edits(&[("one", "1"), ("three", "3")]);
    assert!(refused.text.starts_with("Nothing was changed in `a`. edits[1]: `old_text` is not in the file"), "{}", refused.text);
    assert_eq!(workspace.text("a"), "one two\n");
    assert!(edits(&[("one", "1"), ("1", "one")]).text.starts_with("Nothing would change"));
    assert!(!edits(&[("one", "1"), ("1 two", "12")]).is_error);
    assert_eq!(workspace.text("a"), "12\n");
}

#[test]
fn endings_mark_and_mode_survive() {
    let workspace = Workspace::with(&[("run.sh", "\u{feff}one\r\ntwo\r\nthree")]);
    let path = workspace.path().join("run.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
    workspace.read("run.sh");
    let done = workspace.call("edit", json!({"path": "run.sh", "edits": [{"old_text": "one\ntwo", "new_text": "1\n2\n2½"}]}));
    assert!(!done.is_error, "{}", done.text);
    assert_eq!(workspace.text("run.sh"), "\u{feff}1\r\n2\r\n2½\r\nthree");
    let patch = "--- a/run.sh\n+++ b/run.sh\n@@ -1,2 +1,3 @@\n+0\n 1\n 2\n";
    let done = workspace.call("apply_patch", json!({"patch": patch}));
    assert_eq!((done.text.as_str(), done.is_error), ("Changed:\nM run.sh", false));
    assert_eq!(workspace.text("run.sh"), "\u{feff}0\r\n1\r\n2\r\n2½\r\nthree");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o750);
    let moved = "*** Begin Patch\n*** Update File: run.sh\n*** Move to: bin/run.sh\n@@\n-three\n+3\n*** End Patch";
    assert!(!workspace.call("apply_patch", json!({"patch": moved})).is_error);
    assert_eq!(workspace.path().join("bin/run.sh").metadata().unwrap().permissions().mode() & 0o777, 0o750);
    assert!(!path.exists() && workspace.text("bin/run.sh").ends_with("2½\r\n3"));
}

#[test]
fn a_patch_changes_all_its_files_or_none() {
    let start = [("a", "1\n2\n"), ("b", "1\n"), ("c", "1\n")];
    let good = "*** Update File: a\n-2\n+3\n*** Delete File: b\n*** Add File: d/e\n+new\n*** Update File: c\n*** Move to: f\n";
    let workspace = Workspace::with(&start);
    ["a", "b", "c"].iter().for_each(|path| workspace.read(path));
    let before = workspace.everything();
    let bad = [
        "*** Update File: a\n-7\n+8\n",
        "*** Update File: gone\n-7\n+8\n",
        "*** Delete File: gone\n",
        "*** Add File: c/x\n+x\n*** Add File: c\n+x\n",
        "*** Add File: ../x\n+x\n",
        "*** Add File: .git/hooks/pre-commit\n+x\n",
        "*** Add File: d\n+x\n",
        "*** Update File: a\n*** Move to: .grace/x\n",
        "*** Frobnicate File: a\n",
        "*** Update File: a\n",
        "*** Update File: a\n?x\n",
    ];
    for bad in bad {
        let done = workspace.call("apply_patch", json!({"patch": format!("*** Begin Patch\n{good}{bad}*** End Patch")}));
        assert!(done.is_error, "{bad}: {}", done.text);
        assert_eq!(workspace.everything(), before, "{bad}");
    }
    assert!(workspace.call("apply_patch", json!({"patch": format!("*** Begin Patch\n{good}")})).text.contains("cut off"));
    let done = workspace.call("apply_patch", json!({"patch": format!("*** Begin Patch\n{good}*** End Patch\n")}));
    assert_eq!(done.text, "Changed:\nM a\nD b\nD c\nA d/e\nA f");
    assert_eq!((workspace.text("a").as_str(), workspace.text("d/e").as_str(), workspace.text("f").as_str()), ("1\n3\n", "new\n", "1\n"));
}

#[test]
fn a_diff_of_git_makes_moves_and_removes_files() {
    let workspace = Workspace::with(&[("old name", "1\n2\n3\n"), ("gone", "x\n")]);
    workspace.read("old name");
    workspace.read("gone");
    let diff = "Here it is:\ndiff --git a/old name b/new name\nsimilarity index 80%\nrename from old name\nrename to new name\n--- a/old name\n+++ b/new name\n\
                @@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\ndiff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
                diff --git a/s.sh b/s.sh\nnew file mode 100755\n--- /dev/null\n+++ b/s.sh\n@@ -0,0 +1 @@\n+exit\n\\ No newline at end of file\n";
    let done = workspace.call("apply_patch", json!({"patch": diff}));
    assert_eq!(done.text, "Changed:\nD gone\nA new name\nD old name\nA s.sh");
    assert_eq!((workspace.text("new name").as_str(), workspace.text("s.sh").as_str()), ("1\ntwo\n3\n", "exit"));
    assert_eq!(workspace.path().join("s.sh").metadata().unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_move_that_a_plain_diff_follows_is_done_as_well() {
    let workspace = Workspace::with(&[("old", "1\n"), ("a", "1\n")]);
    workspace.read("old");
    workspace.read("a");
    let diff = "diff --git a/old b/new\nrename from old\nrename to new\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n";
    let done = workspace.call("apply_patch", json!({"patch": diff}));
    assert_eq!(done.text, "Changed:\nM a\nA new\nD old");
    assert_eq!((workspace.text("a").as_str(), workspace.text("new").as_str()), ("2\n", "1\n"));
}
