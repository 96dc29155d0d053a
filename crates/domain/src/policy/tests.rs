use proptest::prelude::*;

use super::*;

/// A line as simple as can be: words between spaces, commands between semicolons. `$a` is a variable, `$(a)` what a command writes.
fn line(text: &str) -> Line {
    let word = |word: &str| match word {
        output if output.starts_with("$(") => Word::unknown(Source::Output),
        computed => match computed.split_once('$') {
            None => Word::known(computed),
            Some((start, rest)) => {
                let end = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
                Word::Computed { from: Source::Variable, start: start.into(), end: end.into() }
            }
        },
    };
    let commands = text
        .split(';')
        .map(|command| command.split_whitespace().filter(|word| !word.contains('=') || word.starts_with('-')).map(word).collect::<Vec<_>>());
    Line { commands: commands.filter(|command| !command.is_empty()).collect(), unread: text.contains('?'), text: text.into() }
}

fn draft(command: &str, decision: Decision, matches: &str, does_not_match: &str) -> RuleDraft {
    let alternatives = |word: &str| match word.split('|').map(str::to_owned).collect::<Vec<_>>() {
        words if words.len() > 1 => Alternatives::Any(words),
        words => Alternatives::One(words[0].clone()),
    };
    RuleDraft {
        command: command.split(' ').map(alternatives).collect(),
        decision,
        reason: "because".into(),
        options_with_value: vec!["-C".into()],
        unless: vec!["--dry-run".into()],
        matches: vec![matches.into()],
        does_not_match: vec![does_not_match.into()],
    }
}

fn policy(rules: Vec<RuleDraft>, otherwise: Decision) -> Result<Policy, RuleFault> {
    Policy::default().with(PolicyFile { otherwise, rules }, Origin::Bundled, line)
}

fn usual() -> Policy {
    let rules = vec![
        draft("git push", Decision::Forbid, "git push", "git status"),
        draft("npm|pnpm publish|unpublish", Decision::Ask, "pnpm unpublish", "npm run publish"),
        draft("sudo", Decision::Forbid, "sudo ls", "ls"),
        draft("rm /|/*", Decision::Forbid, "rm -rf /", "rm -rf a"),
    ];
    policy(rules, Decision::Allow).unwrap()
}

#[test]
fn the_first_words_decide_and_options_are_passed_over() {
    let policy = usual();
    for (text, decision, certain) in [
        ("git push origin", Decision::Forbid, true),
        ("/usr/bin/git --no-pager -C sub push", Decision::Forbid, true),
        ("git -C push status", Decision::Allow, true),
        ("git commit push", Decision::Allow, true),
        ("gitpush", Decision::Allow, true),
        ("git", Decision::Allow, true),
        // An option that is not known may have a value.
        ("git --exec-path x push", Decision::Ask, false),
        ("npm publish --dry-run", Decision::Allow, true),
        ("ls ; npm publish ; git push", Decision::Forbid, true),
        ("rm -r -f -- /", Decision::Forbid, true),
        ("rm -rf /tmp", Decision::Allow, true),
        ("", Decision::Allow, true),
    ] {
        let judged = policy.judge(&line(text));
        assert_eq!((judged.decision, judged.certain), (decision, certain), "{text}");
    }
}

#[test]
fn a_computed_word_is_asked_about_when_what_it_may_be_stands_in_the_line() {
    let policy = usual();
    for (text, decision) in [
        ("c=push ; git $c", Decision::Ask),
        ("g=git ; $g push", Decision::Ask),
        ("$all ; git status ; echo push", Decision::Ask),
        ("git $(words)", Decision::Ask),
        ("$sudo git push", Decision::Ask),
        ("$dir/git push", Decision::Forbid),
        ("git pu$x", Decision::Allow),
        ("git push$x", Decision::Ask),
        ("git $branch", Decision::Allow),
        ("for c in test lint ; npm $c", Decision::Allow),
        ("$CC -c main.c", Decision::Allow),
        ("$python -m pytest", Decision::Allow),
        ("$(x) push", Decision::Allow),
        ("rm -rf $folder", Decision::Allow),
        ("rm -rf $folder/*", Decision::Allow),
        ("f=/ ; rm -rf $f", Decision::Ask),
        ("rm $(words)", Decision::Allow),
        ("push git ?", Decision::Ask),
        ("commit git ?", Decision::Allow),
    ] {
        assert_eq!(policy.judge(&line(text)).decision, decision, "{text}");
    }
}

#[test]
fn a_rule_whose_examples_do_not_hold_is_refused_with_its_place() {
    let good = || draft("git push", Decision::Forbid, "git push", "git status");
    let fault = |rule: RuleDraft| policy(vec![good(), rule], Decision::Allow).map(|_| ()).map_err(|fault| (fault.rule, fault.field));
    let at = |field: &str| Err((2, field.to_owned()));
    assert_eq!(fault(good()), Ok(()));
    assert_eq!(fault(RuleDraft { matches: vec!["git push".into(), "git pull".into()], ..good() }), at("matches[1]"));
    assert_eq!(fault(RuleDraft { matches: vec!["c=push ; git $c".into()], ..good() }), at("matches[0]"), "what only may fit is no example of it");
    assert_eq!(fault(RuleDraft { does_not_match: vec!["git push --all".into()], ..good() }), at("does_not_match[0]"));
    assert_eq!(fault(RuleDraft { does_not_match: vec!["c=push ; git $c".into()], ..good() }), at("does_not_match[0]"));
    assert_eq!(fault(RuleDraft { matches: vec![], ..good() }), at("matches"));
    assert_eq!(fault(RuleDraft { does_not_match: vec![], ..good() }), at("does_not_match"));
    assert_eq!(fault(RuleDraft { command: vec![], ..good() }), at("command"));
    assert_eq!(fault(RuleDraft { command: vec![Alternatives::One("git".into()), Alternatives::Any(vec![])], ..good() }), at("command[1]"));
    assert_eq!(fault(RuleDraft { command: vec![Alternatives::One("git push".into())], ..good() }), at("command[0]"));
    assert_eq!(fault(RuleDraft { reason: " ".into(), ..good() }), at("reason"));
    assert_eq!(fault(RuleDraft { options_with_value: vec!["C".into()], ..good() }), at("options_with_value[0]"));
    assert_eq!(fault(RuleDraft { unless: vec![String::new()], ..good() }), at("unless"));
    let message = policy(vec![RuleDraft { matches: vec!["git pull".into()], ..good() }], Decision::Allow).unwrap_err().to_string();
    assert_eq!(message, "rule 1: matches[0]: `git push` does not fit `git pull`");
}

#[test]
fn what_no_rule_fits_is_as_the_strictest_file_says() {
    let own = vec![draft("ls|cat", Decision::Allow, "ls", "rm a"), draft("cat", Decision::Forbid, "cat", "ls")];
    let strict = usual().with(PolicyFile { otherwise: Decision::Ask, rules: own }, Origin::Configured, line).unwrap();
    let decided = |text: &str| strict.judge(&line(text)).decision;
    assert_eq!(["ls", "cat", "make", "ls ; make", "git push", "$x y", "ls ?"].map(decided), {
        use Decision::{Allow, Ask, Forbid};
        [Allow, Forbid, Ask, Ask, Forbid, Ask, Ask]
    });
    assert_eq!(strict.judge(&line("make")).reason(), "No rule of this server allows it.");
    assert_eq!((strict.rules()[0].origin, strict.rules()[0].shown()), (Origin::Configured, "ls|cat".into()), "own rules come first");
    let closed = usual().with(PolicyFile { otherwise: Decision::Forbid, rules: vec![] }, Origin::Configured, line).unwrap();
    assert_eq!(["npm publish", "make", "x ?"].map(|text| closed.judge(&line(text)).decision), [Decision::Ask, Decision::Forbid, Decision::Forbid]);
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "git",
        "push",
        "npm",
        "publish",
        "rm",
        "/",
        "-C",
        "-x",
        "--",
        "+a",
        "$a",
        "$(b)",
        "x$a",
        "$a/git",
        "a=git",
        "--dry-run",
        ";",
        "?",
    ]);
    // Half of the lines begin with what a rule is about.
    let begin = prop::sample::select(vec!["", "", "", "git push", "git $a", "npm publish", "rm -x /"]);
    (begin, prop::collection::vec(word, 0..12)).prop_map(|(begin, words)| format!("{begin} {}", words.join(" ")))
}

fn decision() -> impl Strategy<Value = Decision> {
    prop::sample::select(vec![Decision::Ask, Decision::Forbid])
}

proptest! {
    #[test]
    fn a_further_rule_never_loosens(text in words(), decision in decision(), program in prop::sample::select(vec!["git", "npm", "rm"]), verb in prop::sample::select(vec!["push", "publish", "/"])) {
        let further = draft(&format!("{program} {verb}"), decision, &format!("{program} {verb}"), "ls");
        let more = usual().with(PolicyFile { otherwise: Decision::Allow, rules: vec![further] }, Origin::Configured, line).unwrap();
        prop_assert!(more.judge(&line(&text)).decision >= usual().judge(&line(&text)).decision);
    }

    #[test]
    fn a_further_command_never_loosens(one in words(), other in words()) {
        let policy = usual();
        let both = policy.judge(&line(&format!("{one} ; {other}"))).decision;
        prop_assert!(both >= policy.judge(&line(&one)).decision && both >= policy.judge(&line(&other)).decision);
    }

    #[test]
    fn nothing_is_too_odd_to_be_judged(text in "\\PC{0,40}") {
        let _ = usual().judge(&line(&text));
    }
}
