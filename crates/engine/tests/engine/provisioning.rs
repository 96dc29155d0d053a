//! Provisioning through the engine, with the real Terraform of this machine and without network: the local stand-in is applied and destroyed, a provider's
//! configuration ends at what can be checked, and servers end in the middle. Without Terraform these tests say so and do nothing.

use std::time::Duration;

use crate::support::{
    Place,
    doomed::{Doomed, doomed_config},
    until_status, until_within,
};
use grace_domain::{
    copilot::ActionRequest,
    deployment::StepState,
    event::EventKind,
    id::{IntentId, ProvisioningId},
    intent::{ConstraintsDraft, RequestDraft},
    list::ListQuery,
    provisioning::{ChangeAction, Fact, ProvisionApproval, ProvisionRequest, ProvisioningRun, RunStatus},
    review::Answer,
    status::Status,
    view::Approval,
};
use grace_engine::{Cursor, Engine};

/// False where there is no Terraform: the reason is printed.
fn has_terraform() -> bool {
    match grace_operations::terraform::find(None) {
        Ok(_) => true,
        Err(why) => {
            println!("skipped: {why}");
            false
        }
    }
}

async fn start(place: &Place) -> Engine {
    Engine::start(place.config()).await.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// Builds infrastructure of this description to its end.
async fn built(engine: &Engine, description: &str) -> IntentId {
    let draft = RequestDraft {
        description: Some(description.into()),
        project_type: Some("infrastructure".into()),
        constraints: ConstraintsDraft { environments: Some(vec!["staging".into()]), ..ConstraintsDraft::default() },
        ..RequestDraft::default()
    };
    let proposal = engine.create(draft, None).await.unwrap();
    let intent = proposal.intent_id.unwrap();
    engine.approve(intent, Approval { approved: Some(true), ..Approval::default() }).await.unwrap();
    until_status(engine, intent, Status::Completed).await;
    intent
}

fn request(intent: IntentId, variant: &str, kind: &str) -> ProvisionRequest {
    ProvisionRequest {
        intent_id: intent,
        environment: "staging".into(),
        variant: variant.into(),
        kind: Some(kind.into()),
        confirm: Some(format!("{intent}/staging/{variant}")),
    }
}

/// Waits until a run is as wanted.
async fn run_until(engine: &Engine, run: ProvisioningId, what: &str, wanted: impl Fn(&ProvisioningRun) -> bool) -> ProvisioningRun {
    let mut events = engine.subscribe().await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
    loop {
        let now = engine.provisioning_run(run).await.unwrap();
        if wanted(&now) {
            return now;
        }
        if tokio::time::timeout_at(deadline, events.next()).await.is_err() {
            panic!("never came: {what}\n{now:#?}");
        }
    }
}

async fn ended(engine: &Engine, run: ProvisioningId) -> ProvisioningRun {
    run_until(engine, run, "its end", |run| run.status.is_final()).await
}

async fn planned(engine: &Engine, request: ProvisionRequest) -> ProvisioningRun {
    let run = engine.provision(request).await.unwrap().run_id;
    run_until(engine, run, "a plan", |run| run.status == RunStatus::AwaitingApproval || run.status.is_final()).await
}

async fn approve(engine: &Engine, run: &ProvisioningRun) -> ProvisioningRun {
    assert_eq!(run.status, RunStatus::AwaitingApproval, "{run:#?}");
    engine.approve_provisioning(run.run_id, ProvisionApproval { plan_hash: run.plan_hash.clone() }).await.unwrap();
    ended(engine, run.run_id).await
}

/// What is left of runs on the disk.
fn left(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = std::fs::read_dir(entry.path().join("files")).is_ok_and(|_| name.starts_with(&prefix(place)));
        if ours {
            found.push(name);
        }
    }
    found
}

fn prefix(place: &Place) -> String {
    use sha2::{Digest, Sha256};
    let folder = std::fs::canonicalize(&place.data_dir).unwrap();
    format!("grace-provision-{}-", hex::encode(&Sha256::digest(folder.as_os_str().as_encoded_bytes())[..6]))
}

/// Everything that was ever told of a build.
async fn told(engine: &Engine, intent: IntentId) -> String {
    let (mut cursor, mut text) = (Cursor::START, String::new());
    loop {
        let page = engine.events_after(cursor, 1_000).await.unwrap();
        let Some(last) = page.last() else { return text };
        cursor = last.cursor;
        for stored in page.iter().filter(|stored| stored.event.intent_id == intent) {
            text.push_str(&serde_json::to_string(&stored.event).unwrap());
            text.push('\n');
        }
    }
}

/// The stand-in's ids are UUIDs, and one of them is its credential.
fn uuids(text: &str) -> Vec<&str> {
    let is_uuid = |word: &&str| {
        word.len() == 36
            && word.bytes().enumerate().all(|(at, byte)| if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
    };
    text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-').filter(is_uuid).collect()
}

async fn secrets(engine: &Engine) -> Vec<String> {
    engine.secrets().await.unwrap().secrets.into_iter().map(|secret| secret.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_described_cluster_is_planned_approved_applied_compared_and_destroyed() {
    if !has_terraform() {
        return;
    }
    let place = Place::new().await;
    let engine = start(&place).await;
    let intent = built(&engine, "Kubernetes cluster with monitoring, 3 nodes, autoscaling; services: api, web; PostgreSQL").await;
    let tests = engine.status(intent).await.unwrap();
    assert!(tests.checks.iter().any(|check| check.tool.contains("syntax checked")), "{:?}", tests.checks);
    assert!(tests.checks.iter().any(|check| check.tool.contains("schema validated: local")), "{:?}", tests.checks);

    // From the message of the finished build.
    let complete =
        engine.notifications().await.unwrap().into_iter().find(|note| note.actions.iter().any(|action| action.label == "Deploy now")).unwrap();
    engine.notification_action(complete.notification_id, ActionRequest { action: "provision:staging/local".into() }).await.unwrap();
    let run = engine.provisioning_runs(ListQuery::default()).await.unwrap().items.remove(0);
    let run = run_until(&engine, run.run_id, "a plan", |run| run.status == RunStatus::AwaitingApproval || run.status.is_final()).await;
    assert_eq!(run.status, RunStatus::AwaitingApproval, "{run:#?}");
    assert_eq!(run.facts, [Fact::SyntaxChecked, Fact::SchemaValidated, Fact::Planned]);
    // Network, cluster, three nodes, two services, a database, monitoring and the credential.
    assert_eq!((run.counts.create, run.counts.total()), (10, 10));
    assert_eq!(left(&place), Vec::<String>::new(), "while a person thinks, nothing of it is on the disk");
    let changes = engine.provisioning_changes(run.run_id, ListQuery { limit: Some(4), ..ListQuery::default() }).await.unwrap();
    assert_eq!((changes.total, changes.items.len()), (10, 4));
    let rest = engine.provisioning_changes(run.run_id, ListQuery { after: changes.next.clone(), ..ListQuery::default() }).await.unwrap();
    let node = rest.items.iter().chain(&changes.items).find(|change| change.address == "terraform_data.node[0]").unwrap();
    assert_eq!(node.action, ChangeAction::Create);
    assert!(node.attributes.iter().any(|attribute| attribute.name == "input.name"), "{node:?}");

    // One run at a time, and only the plan that was looked at.
    assert_eq!(engine.provision(request(intent, "local", "apply")).await.unwrap_err().code, "place_held");
    let other = ProvisionApproval { plan_hash: Some("0".repeat(64)) };
    assert_eq!(engine.approve_provisioning(run.run_id, other).await.unwrap_err().code, "plan_stale");
    let waits = engine.notifications().await.unwrap().into_iter().find(|note| note.title.starts_with("Ready to provision")).unwrap();
    assert!(waits.waiting && waits.text.contains("create 10 resources"), "{waits:?}");
    let button = waits.actions.iter().find(|action| action.label == "Approve & apply").unwrap();
    engine.notification_action(waits.notification_id, ActionRequest { action: button.action.clone() }).await.unwrap();
    let run = ended(&engine, run.run_id).await;
    assert_eq!(run.status, RunStatus::Applied, "{run:#?}");
    assert_eq!(left(&place), Vec::<String>::new());
    assert!(run.facts.contains(&Fact::Applied) && run.resources == Some(10));
    assert!(run.steps.iter().all(|step| step.state == StepState::Done), "{:#?}", run.steps);
    let output = |name: &str| run.outputs.iter().find(|output| output.name == name).unwrap();
    assert!(output("stand_in_endpoint").value.as_ref().unwrap().ends_with(".stand-in.invalid:6443"));
    assert_eq!((&output("kubeconfig").value, output("kubeconfig").secret.as_deref()), (&None, Some("STAGING_LOCAL_TF_KUBECONFIG")));
    assert_eq!(secrets(&engine).await, ["STAGING_LOCAL_TF_KUBECONFIG"]);
    let done = engine.notifications().await.unwrap().into_iter().find(|note| note.title.contains("is provisioned")).unwrap();
    assert!(done.text.contains("stand in endpoint https://"), "{done:?}");
    assert_eq!(done.lines, ["Stored STAGING_LOCAL_TF_KUBECONFIG in the vault"]);

    // Nothing to change; nothing drifted; also under another master key.
    engine.rotate_vault().await.unwrap();
    let again = planned(&engine, request(intent, "local", "apply")).await;
    assert_eq!((again.status, again.counts.total()), (RunStatus::Applied, 0), "{again:#?}");
    let drift = engine.provision(request(intent, "local", "drift")).await.unwrap().run_id;
    assert_eq!(ended(&engine, drift).await.status, RunStatus::InStep);

    let refused = engine.provision(ProvisionRequest { confirm: Some("staging".into()), ..request(intent, "local", "destroy") }).await.unwrap_err();
    assert_eq!(refused.errors[0].field, "confirm");
    let destroy = planned(&engine, request(intent, "local", "destroy")).await;
    assert_eq!(destroy.counts.destroy, 10);
    assert_eq!(destroy.blast_radius.as_deref(), Some("Everything that is there is destroyed."));
    let all = engine.provisioning_changes(destroy.run_id, ListQuery::default()).await.unwrap();
    let destroyed = approve(&engine, &destroy).await;
    assert_eq!((destroyed.status, destroyed.resources), (RunStatus::Destroyed, Some(0)), "{destroyed:#?}");
    assert_eq!(secrets(&engine).await, Vec::<String>::new(), "with what they open, they are gone");

    let seen = format!(
        "{}{}{}",
        told(&engine, intent).await,
        serde_json::to_string(&all.items).unwrap(),
        serde_json::to_string(&engine.provisioning().await.unwrap()).unwrap()
    );
    assert!(seen.contains("Creation complete"), "what terraform says is logged");
    assert_eq!(uuids(&seen), Vec::<&str>::new(), "a credential was told");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_configuration_ends_at_what_could_be_checked() {
    if !has_terraform() {
        return;
    }
    let place = Place::new().await;
    let engine = start(&place).await;
    let intent = built(&engine, "EKS cluster in eu-central-1 with monitoring").await;
    let run = engine.provision(request(intent, "aws", "apply")).await.unwrap().run_id;
    let run = ended(&engine, run).await;
    assert_eq!((run.status, run.facts.as_slice()), (RunStatus::CheckedOnly, &[Fact::SyntaxChecked][..]), "{run:#?}");
    let reason = run.reason.unwrap();
    assert!(reason.starts_with("Ended at what could be checked here: syntax checked;") && reason.contains("nothing applied"), "{reason}");
    assert_eq!(run.plan_hash, None);
    assert_eq!(engine.provision(request(intent, "gcp", "apply")).await.unwrap_err().errors[0].field, "variant", "another provider was named");
    assert_eq!(engine.provision(request(intent, "aws", "destroy")).await.unwrap_err().code, "nothing_there");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_terraform_it_is_unavailable_with_the_remedy() {
    let place = Place::new().await;
    let config = grace_engine::EngineConfig { terraform: Some("/nowhere/terraform".into()), ..place.config() };
    let engine = Engine::start(config).await.unwrap();
    let view = engine.provisioning().await.unwrap();
    assert!(view.unavailable.unwrap().contains("--terraform"));
    // It can be built, and what was not checked is not claimed.
    let intent = built(&engine, "Kubernetes cluster, 2 nodes").await;
    let status = engine.status(intent).await.unwrap();
    assert!(status.checks.iter().all(|check| !check.tool.contains("terraform")), "{:?}", status.checks);
    assert_eq!(engine.provision(request(intent, "local", "apply")).await.unwrap_err().code, "terraform_unavailable");
    let target = engine.system().await.unwrap().targets.into_iter().find(|target| target.name == "terraform").unwrap();
    assert!(!target.available && target.detail.contains("--terraform"));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_declined_or_cancelled_changes_nothing_and_frees_its_place() {
    if !has_terraform() {
        return;
    }
    let place = Place::new().await;
    let engine = start(&place).await;
    let intent = built(&engine, "Kubernetes cluster, 1 node").await;
    let run = planned(&engine, request(intent, "local", "apply")).await;
    engine.reject_provisioning(run.run_id).await.unwrap();
    assert_eq!(ended(&engine, run.run_id).await.status, RunStatus::Rejected);
    let run = planned(&engine, request(intent, "local", "apply")).await;
    engine.cancel_provisioning(run.run_id).await.unwrap();
    assert_eq!(ended(&engine, run.run_id).await.status, RunStatus::Cancelled);
    // By the review, as any gate.
    let run = planned(&engine, request(intent, "local", "apply")).await;
    let no = Answer { answer: Some("Decline".into()), decide: false };
    engine.answer_review(intent, run.review_id.unwrap(), no).await.unwrap();
    assert_eq!(ended(&engine, run.run_id).await.status, RunStatus::Rejected);
    assert_eq!(engine.cancel_provisioning(run.run_id).await.unwrap_err().code, "provisioning_ended");
    assert_eq!(engine.provision(request(intent, "local", "drift")).await.unwrap_err().code, "nothing_there");
    engine.shutdown().await;
}

/// Has the server approve the plan that waits.
const APPROVES: &str = "GRACE_TEST_APPROVES";

/// Not a test of its own: the server that the test below kills. It prints every step that begins.
#[test]
fn server_to_be_killed() {
    let Some(config) = doomed_config() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start(config).await.unwrap();
        let mut events = engine.subscribe().await.unwrap();
        for run in engine.provisioning_runs(ListQuery::default()).await.unwrap().items.into_iter().take(1) {
            if std::env::var(APPROVES).is_ok() {
                engine.approve_provisioning(run.run_id, ProvisionApproval { plan_hash: run.plan_hash.clone() }).await.unwrap();
                continue;
            }
            for step in run.steps.iter().filter(|step| step.state == StepState::Running) {
                println!("\nat {} ", step.name);
            }
        }
        while let Some(stored) = events.next().await {
            if let EventKind::Provisioning { step: Some(step), .. } = &stored.event.kind
                && step.state == StepState::Running
            {
                println!("\nat {} ", step.name);
            }
        }
    });
}

fn run_and_kill(place: &Place, step: &str) {
    let mut server = Doomed::start(place, "provisioning::server_to_be_killed", &[], &[]);
    assert!(server.said(&format!("at {step} ")), "the server ended before its run was at {step}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_server_is_killed_begins_again_or_needs_a_person_and_leaves_nothing_in_clear() {
    if !has_terraform() {
        return;
    }
    let place = Place::new().await;
    let engine = start(&place).await;
    let intent = built(&engine, "Kubernetes cluster with monitoring, 2 nodes").await;
    let run = engine.provision(request(intent, "local", "apply")).await.unwrap().run_id;
    engine.shutdown().await;
    drop(engine);
    // It checks and plans again from the beginning each time.
    for step in ["format", "initialise", "validate", "policy", "plan", "approval"] {
        run_and_kill(&place, step);
    }
    let engine = start(&place).await;
    assert_eq!(left(&place), Vec::<String>::new());
    let waits = run_until(&engine, run, "a plan", |run| run.status == RunStatus::AwaitingApproval).await;
    let approval = ProvisionApproval { plan_hash: waits.plan_hash.clone() };
    engine.approve_provisioning(run, approval).await.unwrap();
    run_until(&engine, run, "it is applied", |run| run.status == RunStatus::Applying || run.status.is_final()).await;
    engine.shutdown().await;
    drop(engine);
    let engine = start(&place).await;
    let cut = ended(&engine, run).await;
    assert!(matches!(cut.status, RunStatus::NeedsPerson | RunStatus::Applied), "{cut:#?}");
    engine.shutdown().await;
    drop(engine);
    // Another place, killed without a word while resources are made, and once they are there.
    for (environment, step) in [("production", "apply"), ("development", "outputs")] {
        let engine = start(&place).await;
        let other = ProvisionRequest { environment: environment.into(), confirm: None, ..request(intent, "local", "apply") };
        let waits = planned(&engine, other.clone()).await;
        assert_eq!(waits.status, RunStatus::AwaitingApproval, "{waits:#?}");
        engine.shutdown().await;
        drop(engine);
        let mut server = Doomed::start(&place, "provisioning::server_to_be_killed", &[], &[(APPROVES, "1")]);
        assert!(server.said(&format!("at {step} ")), "the server ended before its run was at {step}");
        drop(server);
        let engine = start(&place).await;
        let cut = ended(&engine, waits.run_id).await;
        assert_eq!(cut.status, RunStatus::NeedsPerson, "{cut:#?}");
        assert!(cut.reason.as_ref().unwrap().contains("provision again"), "{:?}", cut.reason);
        assert_eq!(left(&place), Vec::<String>::new(), "no state in clear is left");
        // It can be gone on with: what is there is known, and what is missing is planned.
        let next = planned(&engine, other).await;
        let (whole, there) = (7, next.resources.unwrap_or_default());
        assert!(step == "apply" || there == whole, "{cut:#?}");
        assert_eq!(next.counts.create + there, whole, "{next:#?}");
        if next.status == RunStatus::AwaitingApproval {
            assert_eq!(approve(&engine, &next).await.resources, Some(whole));
        }
        engine.shutdown().await;
    }
    let engine = start(&place).await;
    until_within(&engine, intent, 5, "the build is as it was", |status| status.status == Status::Completed).await;
    engine.shutdown().await;
}
