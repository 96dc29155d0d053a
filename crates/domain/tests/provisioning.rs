//! What the co-pilot says of runs of provisioning.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use grace_domain::{
    Timestamp,
    copilot::ActionStyle,
    id::{IntentId, ProvisioningId},
    intent::Environment,
    messages::{self, APPROVE_PLAN, CANCEL_RUN},
    provisioning::{ChangeCounts, Fact, Output, ProvisioningRun, RunKind, RunStatus},
    topology::Variant,
};

fn run(status: RunStatus, kind: RunKind) -> ProvisioningRun {
    ProvisioningRun {
        run_id: ProvisioningId(3),
        intent_id: IntentId(7),
        title: "Harbour".into(),
        environment: Environment::Staging,
        variant: Variant::Local,
        kind,
        status,
        commit: "0".repeat(40),
        steps: Vec::new(),
        facts: vec![Fact::SyntaxChecked, Fact::Planned],
        plan_hash: Some("ab".repeat(32)),
        counts: ChangeCounts { create: 8, ..ChangeCounts::default() },
        blast_radius: Some("Nothing is there yet: nothing that exists is touched.".into()),
        outputs: Vec::new(),
        resources: Some(0),
        reason: Some("8 resources are there.".into()),
        review_id: None,
        created_at: Timestamp::default(),
        finished_at: None,
    }
}

#[test]
fn a_plan_that_waits_can_be_approved_looked_at_and_cancelled_from_its_message() {
    let message = messages::provisioning(&run(RunStatus::AwaitingApproval, RunKind::Apply));
    assert_eq!(message.title, "Ready to provision Harbour");
    assert_eq!(message.text, "This will create 8 resources in staging (the local stand-in).");
    assert!(message.waiting);
    let labels: Vec<(&str, ActionStyle)> = message.actions.iter().map(|action| (action.label.as_str(), action.style)).collect();
    assert_eq!(
        labels,
        [
            ("Approve & apply", ActionStyle::Primary),
            ("Go to Layer 4", ActionStyle::Normal),
            ("Monitor here", ActionStyle::Ghost),
            ("Cancel", ActionStyle::Danger)
        ]
    );
    assert_eq!(message.actions[0].action, format!("{APPROVE_PLAN}{}", "ab".repeat(32)), "the button approves this plan alone");
    assert_eq!(message.actions[3].action, CANCEL_RUN);
    assert_eq!(message.subject, "int-code-007/staging/local");
}

#[test]
fn what_is_provisioned_is_told_with_its_endpoint_and_its_secrets_and_what_only_was_checked_is_not_called_more() {
    let output = |name: &str, value: Option<&str>, secret: Option<&str>| Output {
        name: name.into(),
        value: value.map(str::to_owned),
        secret: secret.map(str::to_owned),
        note: None,
    };
    let outputs = vec![output("kubeconfig", None, Some("STAGING_LOCAL_TF_KUBECONFIG")), output("stand_in_endpoint", Some("https://x.invalid"), None)];
    let message = messages::provisioning(&ProvisioningRun { outputs, ..run(RunStatus::Applied, RunKind::Apply) });
    assert_eq!(message.text, "Provisioned: stand in endpoint https://x.invalid. 8 resources are there.");
    assert_eq!(message.lines, ["Stored STAGING_LOCAL_TF_KUBECONFIG in the vault"]);
    assert!(!message.waiting && message.actions.iter().all(|action| action.href.is_some()), "nothing is left to cancel");
    let checked = messages::provisioning(&run(RunStatus::CheckedOnly, RunKind::Apply));
    assert!(checked.title.ends_with("checked, not applied"), "{}", checked.title);
    assert!(RunStatus::ALL.iter().all(|status| !messages::provisioning(&run(*status, RunKind::Destroy)).title.is_empty()));
}
