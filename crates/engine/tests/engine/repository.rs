//! A given repository and the blueprint agent: a whole build in a clone, and addresses that cannot be used.

use std::{path::Path, process::Command, sync::Arc};

use crate::support::{Act, Place, Scripted, draft, shop::spec, start_build, step, until_status, until_within};
use grace_domain::{
    intent::{ArtifactsDraft, ConstraintsDraft, OptionsDraft, RequestDraft},
    list::ListQuery,
    problem::ProblemKind,
    secret::{SecretAction, SecretDraft},
    status::{Stage, Status},
};
use grace_engine::{Engine, EngineConfig};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let run = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=trunk", "-c", "safe.directory=*"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

fn in_repository(repository: &str, description: &str) -> RequestDraft {
    RequestDraft { artifacts: ArtifactsDraft { repository: Some(repository.into()), ..ArtifactsDraft::default() }, ..draft(description) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blueprint_is_built_in_its_own_folder_of_a_clone_and_what_was_there_stays_untouched() {
    let place = Place::new().await;
    let repository = tempfile::tempdir().unwrap();
    let theirs = repository.path();
    git(theirs, &["init", "--quiet"]);
    std::fs::create_dir(theirs.join("backend")).unwrap();
    for (path, text) in [("README.md", "Ours.\n"), ("test.sh", "exit 1\n"), ("backend/main.py", "raise SystemExit('not yours')\n")] {
        std::fs::write(theirs.join(path), text).unwrap();
    }
    git(theirs, &["add", "."]);
    git(theirs, &["commit", "--quiet", "-m", "Before"]);
    let before = git(theirs, &["rev-parse", "HEAD"]);

    let engine = Engine::start(place.config()).await.unwrap();
    let request = RequestDraft {
        constraints: ConstraintsDraft { stack: Some("fastapi".into()), ..ConstraintsDraft::default() },
        options: OptionsDraft { generate_docs: Some(false), ..OptionsDraft::default() },
        ..in_repository(&theirs.to_string_lossy(), "Book has title.")
    };
    let proposal = engine.preview(request.clone()).await.unwrap();
    let folder = proposal.plan.spec.as_ref().unwrap().folder.clone().unwrap();
    assert!(folder.starts_with("services/"), "{folder}");
    let intent = engine.create(RequestDraft { plan_hash: Some(proposal.plan_hash), ..request }, None).await.unwrap().intent_id.unwrap();
    let status = until_within(&engine, intent, 300, "the end", |status| status.status.is_built() || status.status == Status::Failed).await;
    assert_eq!(status.status, Status::Completed, "{:?}\n{}", status.failure, status.logs.join("\n"));
    assert_eq!(status.branch.as_deref(), Some("grace/int-code-001"));
    let tests = status.tests.as_ref().unwrap();
    assert!(tests.passed > 0 && tests.failed == 0, "{tests:?}");

    let clone = place.data_dir.join("builds").join(intent.to_string()).join("repository.git");
    let branch = "refs/heads/grace/int-code-001";
    let changed = git(&clone, &["diff", "--name-status", &before, branch]);
    assert!(changed.lines().count() > 10, "{changed}");
    for line in changed.lines() {
        let path = line.strip_prefix("A\t").unwrap_or_else(|| panic!("not a new file: {line}"));
        // Workflows are only found in one place.
        assert!(path.starts_with(&folder) || path == ".github/workflows/books.yml", "outside of {folder}: {path}");
    }
    let archive = engine.archive(intent).await.unwrap();
    let list = "import sys, zipfile; print('\\n'.join(sorted(name for name in zipfile.ZipFile(sys.argv[1]).namelist() if name[-1] != '/')))";
    let names = Command::new("python3").args(["-c", list]).arg(archive).output().unwrap();
    let artifacts: Vec<&str> = status.artifacts_generated.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(String::from_utf8(names.stdout).unwrap().lines().collect::<Vec<_>>(), artifacts, "the archive has what the list has");
    assert_eq!(git(&clone, &["merge-base", &before, branch]), before, "the branch goes on from their last commit");
    assert_eq!(git(theirs, &["rev-parse", "HEAD"]), before);
    assert_eq!(git(theirs, &["branch", "--list"]).lines().count(), 1, "their repository has no new branch");
    assert_eq!(git(theirs, &["status", "--porcelain"]), "");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_there_before_is_not_replaced() {
    let place = Place::new().await;
    let repository = tempfile::tempdir().unwrap();
    git(repository.path(), &["init", "--quiet"]);
    std::fs::create_dir_all(repository.path().join("services/shop")).unwrap();
    std::fs::write(repository.path().join("services/shop/main.py"), "ours\n").unwrap();
    git(repository.path(), &["add", "."]);
    git(repository.path(), &["commit", "--quiet", "-m", "Before"]);
    let steps = vec![
        step("new", Stage::Coding, &[], Act::Write("services/shop/new.py", "new\n")),
        step("again", Stage::Coding, &["new"], Act::Write("services/shop/new.py", "newer\n")),
        step("theirs", Stage::Coding, &["again"], Act::Write("services/shop/main.py", "mine\n")),
    ];
    let agent = Scripted::building(steps, Some(spec()));
    let engine = place.start(&agent).await;
    let request = in_repository(&repository.path().to_string_lossy(), "A shop");
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let intent = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    let status = until_status(&engine, intent, Status::Failed).await;
    assert!(status.failure.as_ref().unwrap().contains("The repository has services/shop/main.py already"), "{:?}", status.failure);
    let diff = engine.diff(intent, Default::default()).await.unwrap();
    assert!(diff.contains("+newer") && !diff.contains("mine"), "{diff}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_private_networks_and_files_are_refused_at_the_field() {
    let place = Place::new().await;
    let engine = place.start(&Scripted::new(vec![])).await;
    for address in [
        "file:///etc",
        "https://127.0.0.1/a.git",
        "https://10.1.2.3/a.git",
        "https://192.168.0.1/a.git",
        "https://[fd00::1]/a.git",
        "https://localhost/a.git",
        "https://git.internal/a.git",
        "git@10.1.2.3:a.git",
        "services/mine",
    ] {
        let refused = engine.create(in_repository(address, "A shop"), None).await.unwrap_err();
        assert_eq!((refused.kind, refused.errors[0].field.as_str()), (ProblemKind::Invalid, "artifacts.repository"), "{address}");
    }
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_this_machine_is_taken_only_from_where_the_configuration_allows() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = std::fs::canonicalize(folder.path()).unwrap();
    for name in ["allowed/shop", "other/shop"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        git(&folder.join(name), &["init", "--quiet"]);
        git(&folder.join(name), &["commit", "--quiet", "--allow-empty", "-m", "Before"]);
    }
    std::os::unix::fs::symlink(folder.join("other/shop"), folder.join("allowed/link")).unwrap();
    let at = |name: &str| in_repository(&folder.join(name).to_string_lossy(), "A shop");
    for (allowed, open, words) in [(vec![folder.join("allowed")], true, "only from beneath"), (vec![], false, "takes no repositories")] {
        let agents: Vec<Arc<dyn grace_agents::Agent>> = vec![Scripted::new(vec![])];
        let config = EngineConfig { repositories: Some(allowed), ..place.config() };
        let engine = Engine::start_with(config, agents).await.unwrap();
        assert_eq!(engine.preview(at("allowed/shop")).await.is_ok(), open);
        for outside in ["other/shop", "allowed/link", "allowed/../other/shop", "allowed/none"] {
            for refused in [engine.preview(at(outside)).await.err(), engine.create(at(outside), None).await.err()] {
                let refused = refused.unwrap_or_else(|| panic!("{outside} was taken"));
                assert_eq!(refused.errors[0].field, "artifacts.repository", "{outside}");
                assert!(refused.errors[0].message.contains(words), "{outside}: {}", refused.errors[0].message);
            }
        }
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_reached_fails_the_build_and_says_what_would_help() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    // A name that no resolver knows (RFC 6761).
    let request = in_repository("https://nothing.invalid/a.git", "Where is it");
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let intent = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    let failure = until_status(&engine, intent, Status::Failed).await.failure.clone().unwrap();
    assert!(failure.contains("The repository cannot be used: nothing.invalid") && failure.contains("give its path"), "{failure}");
    assert_eq!(agent.runs_of("code"), 0);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_repository_is_a_secret_that_is_read_for_the_clone_and_missed_by_name() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    let mut request = in_repository("https://nothing.invalid/a.git", "Where is it");
    request.artifacts.repository_secret = Some("REPOSITORY_TOKEN".into());
    let failed = async || {
        let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
        let wanted = RequestDraft { plan_hash: Some(hash), ..request.clone() };
        let intent = engine.create(wanted, None).await.unwrap().intent_id.unwrap();
        (intent, until_status(&engine, intent, Status::Failed).await.failure.clone().unwrap())
    };
    let (_, missing) = failed().await;
    assert!(missing.contains("no value for the secret REPOSITORY_TOKEN") && missing.contains("/settings?secret=REPOSITORY_TOKEN"), "{missing}");
    engine.save_secret(SecretDraft { name: "REPOSITORY_TOKEN".into(), intent_id: None, value: "tok-canary-5521".to_owned().into() }).await.unwrap();
    let (intent, away) = failed().await;
    assert!(away.contains("nothing.invalid cannot be found"), "the vault is opened first: {away}");
    let audit = engine.secret_audit(ListQuery::default()).await.unwrap().items;
    let reads: Vec<_> = audit.iter().filter(|entry| entry.action == SecretAction::Read).collect();
    assert_eq!(reads.len(), 1);
    assert_eq!((reads[0].intent_id, reads[0].purpose.as_str()), (Some(intent), "clone of https://nothing.invalid/a.git"));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_goes_on_from_what_another_one_made() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Write("a.txt", "a\n"))]);
    let engine = place.start(&agent).await;
    let first = start_build(&engine, "The first part").await;
    until_status(&engine, first, Status::Completed).await;
    engine.shutdown().await;

    let engine = place.start(&Scripted::new(vec![step("more", Stage::Coding, &[], Act::Write("b.txt", "b\n"))])).await;
    for (wrong, words) in [("int-code-777", "no build int-code-777"), ("int-code-x", "is not an address")] {
        let refused = engine.preview(in_repository(wrong, "The second part")).await.unwrap_err();
        assert_eq!(refused.errors[0].field, "artifacts.repository", "{wrong}");
        assert!(refused.errors[0].message.contains(words), "{}", refused.errors[0].message);
    }
    let waiting = engine.create(draft("Not approved"), None).await.unwrap().intent_id.unwrap();
    let refused = engine.preview(in_repository(&waiting.to_string(), "The second part")).await.unwrap_err();
    assert!(refused.errors[0].message.contains("has no commit yet"), "{}", refused.errors[0].message);

    let request = in_repository(&first.to_string(), "The second part");
    let hash = engine.preview(request.clone()).await.unwrap().plan_hash;
    let second = engine.create(RequestDraft { plan_hash: Some(hash), ..request }, None).await.unwrap().intent_id.unwrap();
    until_status(&engine, second, Status::Completed).await;
    let work = place.data_dir.join("builds").join(second.to_string()).join("work");
    assert_eq!(std::fs::read_to_string(work.join("a.txt")).unwrap(), "a\n");
    let diff = engine.diff(second, Default::default()).await.unwrap();
    assert!(diff.contains("b.txt") && !diff.contains("a.txt"), "{diff}");
    // The other one is as it was.
    assert!(!engine.diff(first, Default::default()).await.unwrap().contains("b.txt"));
    engine.shutdown().await;
}
