use std::time::{Duration, Instant};

use grace_domain::policy::Decision::{self, Allow, Ask, Forbid};
use proptest::prelude::*;

use super::shell::LONGEST;
use super::*;

fn decided(line: &str) -> Decision {
    Verdict::of(&bundled(), line).decision
}

/// The commands of a line, computed words as `…`.
fn commands(text: &str) -> Vec<String> {
    use grace_domain::policy::Word;
    let word = |word: &Word| match word {
        Word::Known(text) => text.clone(),
        Word::Computed { start, end, .. } => format!("{start}…{end}"),
    };
    let mut all: Vec<String> = read(text).commands.iter().map(|words| words.iter().map(word).collect::<Vec<_>>().join(" ")).collect();
    all.sort();
    all
}

#[test]
fn a_line_is_split_into_its_simple_commands() {
    for (text, expected) in [
        ("a 1 && b 2 | c; d & e", vec!["a 1", "b 2", "c", "d", "e"]),
        ("X=1 Y=$(a b) c \"d e\" 'f g' > out 2>&1 < in", vec!["a b", "c d e f g"]),
        ("if a; then b; else c; fi; for x in 1 2; do d \"$x\"; done; while e; do f; done", vec!["a", "b", "c", "d …", "e", "f"]),
        ("f() { a; }; case x in y) b;; esac; ( c ); { d; }; ! e", vec!["a", "b", "c", "d", "e"]),
        ("a \"$(b \"$(c)\")\" `d`", vec!["a … …", "b …", "c", "d"]),
        ("a <(b) x$y-z \"p${q}r\"", vec!["a … x…-z p…r", "b"]),
        ("bash -lc 'a && b \"c d\"'", vec!["a", "b c d", "bash -lc a && b \"c d\""]),
        (
            "sudo -u me A=1 env -i B=2 timeout -k 5 10 a b",
            vec!["a b", "env -i B=2 timeout -k 5 10 a b", "sudo -u me A=1 env -i B=2 timeout -k 5 10 a b", "timeout -k 5 10 a b"],
        ),
        ("ls | xargs -n 1 -I {} a {} b", vec!["a … b …", "ls", "xargs -n 1 -I {} a {} b"]),
        ("find . -name x -exec a {} \\; -exec b + ", vec!["a {}", "b", "find . -name x -exec a {} ; -exec b +"]),
        ("eval 'a b' c", vec!["a b c", "eval a b c"]),
        ("trap 'a; b' EXIT", vec!["a", "b", "trap a; b EXIT"]),
        ("command -v a; command b", vec!["b", "command -v a", "command b"]),
        ("gi\\t pu'sh'", vec!["git push"]),
        ("poetry run a; uv run --with x b; npx -y c; npm run d", vec!["a", "b", "c", "npm run d", "npx -y c", "poetry run a", "uv run --with x b"]),
    ] {
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        expected.sort();
        assert_eq!(commands(text), expected, "{text}");
        assert!(!read(text).unread, "{text}");
    }
    for text in ["a | bash", "bash -c \"$x\"", "eval \"$x\"", "bash <<EOF\na\nEOF", "a (", "env -S 'a b'"] {
        assert!(read(text).unread, "{text}");
    }
}

#[test]
fn what_leaves_the_machine_is_asked_about_and_what_cannot_help_is_forbidden() {
    for (line, decision) in [
        ("git add -A && git commit -m x && git push", Forbid),
        ("bash -c \"cd sub; bash -c 'git push'\"", Forbid),
        ("env GIT_DIR=x nohup git push &", Forbid),
        ("echo $(git push)", Forbid),
        ("deploy() { git push; }; deploy", Forbid),
        ("find . -name .git -execdir git push \\;", Forbid),
        ("echo origin main | xargs git push", Forbid),
        ("sudo ls", Forbid),
        ("test -w / && rm -rf /", Forbid),
        ("cd web && npm publish --access public", Ask),
        ("CMD=push; git $CMD", Ask),
        ("echo 'git push' | sh", Ask),
        ("bash <<'END'\nset -e\nnpm publish\nEND", Ask),
        ("for t in publish; do cargo $t; done", Ask),
        ("bash -c \"cargo publish -p $name\"", Ask),
        ("terraform -chdir=infra apply -auto-approve", Ask),
        ("kubectl -n shop delete pod x", Ask),
        ("npx -y wrangler deploy", Ask),
    ] {
        assert_eq!(decided(line), decision, "{line}");
    }
}

/// What builds run all day long. Whoever adds a rule sees here whether it stops them.
#[test]
fn usual_commands_are_not_asked_about() {
    for line in [
        "cargo fmt --all && cargo clippy --all-targets -- -D warnings && cargo test --workspace 2>&1 | tail -50",
        "cargo publish --dry-run -p core",
        "npm ci && npm run build && npm test -- --coverage",
        "npm run publish:check; npm pack --dry-run",
        "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && pytest -q",
        "python3 -m twine check dist/*",
        "git init -q demo && cd demo && git add . && git commit -qm 'first push' && git log --oneline",
        "git status --short; git diff --stat; git stash push; git checkout -b x; git reset --hard HEAD~1",
        "grep -rn 'git push' . | head; sed -i 's/npm publish/npm pack/' README.md",
        "printf '%s\\n' 'cargo publish' > notes.txt && cat notes.txt",
        "cat > deploy.sh <<'END'\n#!/bin/sh\nset -eu\ngit push origin main\nsudo systemctl restart x\nEND\nchmod +x deploy.sh",
        "rm -rf target node_modules \"$TMPDIR\"/* dist/ ./build && mkdir -p build",
        "find . -name '*.pyc' -delete; find src -type f -exec wc -l {} +",
        "for f in tests/*.sh; do bash \"$f\" || exit 1; done",
        "server=$(mktemp); ./target/debug/app --port 8080 & pid=$!; sleep 1; curl -fsS localhost:8080/health; kill $pid; wait",
        "set -euo pipefail; export PATH=\"$PWD/node_modules/.bin:$PATH\"; \"$PYTHON\" -m pytest; ${CC:-cc} -O2 -o a a.c && ./a",
        "timeout 60 bash -c 'until curl -fs localhost:3000; do sleep 1; done'",
        "docker build -t a . && docker run --rm a push; kubectl apply --dry-run=client -f k8s/; terraform validate",
        "python3 - <<'END'\nimport os\nprint(os.getcwd())\nEND",
        "node -e \"console.log('npm publish')\"",
        "test \"$(wc -l < a.txt)\" -eq 3 && [[ -f b && ! -e c ]] && (( 1 + 1 == 2 ))",
        "make -j4 check CC=\"ccache gcc\"; ctest --output-on-failure; go test ./... -run 'TestPush'",
        "echo \"$(date) done\" | tee -a log.txt; ls -la | awk '{print $5}' | sort -n | xargs -n 1 echo",
        "command -v sudo || true; which su; type git",
    ] {
        let verdict = Verdict::of(&bundled(), line);
        assert_eq!(verdict.decision, Allow, "{line}: {}", verdict.reason);
    }
}

#[test]
fn a_wrong_file_is_named_with_its_rule_and_its_field() {
    let file = |rules: &str| configured(&format!("{{\"rules\": [{rules}]}}")).map(|policy| policy.rules().len()).map_err(|error| error.to_string());
    let good = r#"{"command": ["make", "release"], "decision": "ask", "reason": "It is for people.", "matches": ["make release"], "does_not_match": ["make"]}"#;
    assert_eq!(file(good), Ok(bundled().rules().len() + 1));
    let wrong = |rule: &str| file(&format!("{good}, {rule}")).unwrap_err();
    assert_eq!(wrong(&good.replace("[\"make release\"]", "[\"make all\"]")), "rule 2: matches[0]: `make release` does not fit `make all`");
    assert!(
        wrong(&good.replace("ask", "maybe")).starts_with("rule 2: decision: unknown variant `maybe`"),
        "{}",
        wrong(&good.replace("ask", "maybe"))
    );
    assert!(wrong(&good.replace("\"release\"", "7")).starts_with("rule 2: command[1]: "), "{}", wrong(&good.replace("\"release\"", "7")));
    assert!(wrong(&good.replace("reason", "why")).contains("unknown field `why`"));
    assert!(wrong("7").starts_with("rule 2: rule: invalid type"), "{}", wrong("7"));
    assert!(configured("[]").unwrap_err().to_string().starts_with("it must be a JSON object"));
    assert!(configured("{\"rules\": [], \"rule\": 1}").unwrap_err().to_string().contains("unknown field `rule`"));
}

#[test]
fn hostile_lines_are_judged_in_time() {
    let many = 20_000;
    let lines = [
        "(".repeat(many),
        "$(".repeat(many),
        "{ ".repeat(many),
        "a;".repeat(many),
        "$a;".repeat(many),
        "$a ".repeat(many),
        format!("git {}", "-a ".repeat(many)),
        format!("git {}", "$a ".repeat(many)),
        "env ".repeat(many),
        "bash -c '".repeat(many),
        "\"$(\"".repeat(many / 2),
        "<<a ".repeat(many),
        "`".repeat(many),
        "if ".repeat(many),
        "a|".repeat(many),
        "[[ ".repeat(many),
        "${a:-".repeat(many),
        "case a in ".repeat(many / 5),
    ];
    // As long as is read, and longer.
    for line in lines.iter().flat_map(|line| [&line[..line.len().min(LONGEST)], line]) {
        let begun = Instant::now();
        Verdict::of(&bundled(), line);
        // A usual one takes a millisecond; this is unoptimised code on a machine that does other things.
        assert!(begun.elapsed() < Duration::from_secs(10), "{} took {:?}", &line[..10], begun.elapsed());
    }
}

fn quoted(line: &str) -> String {
    format!("bash -c '{}'", line.replace('\'', "'\\''"))
}

proptest! {
    #[test]
    fn nothing_is_too_odd_to_be_read(text in "[a-c $(){}<>|&;\"'`\\\\\n=*~#!\\[\\]-]{0,60}") {
        let line = read(&text);
        prop_assert_eq!(line.text, text);
    }

    /// However it is wrapped, what is forbidden is noticed.
    #[test]
    fn a_forbidden_command_is_noticed_in_whatever_starts_it(wraps in prop::collection::vec(0..10_usize, 0..4)) {
        let mut line = "git push origin main".to_owned();
        for wrap in wraps {
            line = match wrap {
                0 => format!("env A=1 {}", quoted(&line)),
                1 => format!("timeout 5 {}", quoted(&line)),
                2 => format!("nohup {} &", quoted(&line)),
                3 => format!("true && {line}"),
                4 => format!("( {line} )"),
                5 => format!("echo \"$({line})\""),
                6 => format!("f() {{ {line}\n}}; f"),
                7 => format!("if true; then {line}\nfi"),
                8 => format!("{line} | cat"),
                _ => quoted(&line),
            };
        }
        prop_assert!(decided(&line) >= Ask, "{}", line);
    }
}
