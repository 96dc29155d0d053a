//! Setting infrastructure up with Terraform: one run for a build, an environment and a variant, its steps, what it would change, and what may follow
//! what. Pure; it must not know how anything is carried out.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    deployment::{DeploymentStep, StepState},
    id::{IntentId, ProvisioningId, ReviewId},
    intent::{Environment, choice},
    present::counted,
    problem::Problem,
    topology::Variant,
};

choice!(
    /// What a run is for.
    RunKind {
        Apply = "apply", "Provision";
        Destroy = "destroy", "Destroy";
        Drift = "drift", "Drift check";
    }
);

choice!(
    RunStatus {
        Queued = "queued", "Queued";
        Checking = "checking", "Checking";
        AwaitingApproval = "awaiting_approval", "Awaiting approval";
        Approved = "approved", "Approved";
        Applying = "applying", "Applying";
        Applied = "applied", "Applied";
        Destroyed = "destroyed", "Destroyed";
        InStep = "in_step", "No drift";
        Drifted = "drifted", "Drifted";
        CheckedOnly = "checked_only", "Checked only";
        Failed = "failed", "Failed";
        Rejected = "rejected", "Rejected";
        Cancelled = "cancelled", "Cancelled";
        NeedsPerson = "needs_person", "Needs a person";
    }
);

choice!(
    /// What is known of a configuration; each says nothing of the next.
    Fact {
        SyntaxChecked = "syntax_checked", "syntax checked";
        SchemaValidated = "schema_validated", "schema validated";
        Planned = "planned", "planned";
        Applied = "applied", "applied";
    }
);

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunTrigger {
    Begin,
    /// There is a plan with changes.
    Planned,
    /// There is a plan, and it changes nothing.
    NothingToChange,
    /// The provider cannot be had here.
    NoProvider,
    Approve,
    Reject,
    ApplyBegun,
    ApplyEnded,
    /// Nothing differs from the state, or something does.
    Compared {
        drifted: bool,
    },
    Fail,
    Cancel,
    /// The server, or the person who cancelled it, ended it while resources were being changed.
    CutShort,
}

impl RunStatus {
    /// It went as it was meant to, or is still going.
    pub fn is_well(self) -> bool {
        !matches!(self, Self::Failed | Self::Rejected | Self::Cancelled | Self::NeedsPerson | Self::Drifted)
    }

    /// Nothing more will happen by itself.
    pub fn is_final(self) -> bool {
        // What a person must look at has ended too: it is begun anew, not gone on with.
        !matches!(self, Self::Queued | Self::Checking | Self::AwaitingApproval | Self::Approved | Self::Applying)
    }
}

/// What a run becomes.
///
/// # Errors
/// A [`Problem`] when this cannot happen to a run in that status.
pub fn decide(kind: RunKind, status: RunStatus, trigger: RunTrigger) -> Result<RunStatus, Problem> {
    use RunStatus as S;
    use RunTrigger as T;
    let done = if kind == RunKind::Destroy { S::Destroyed } else { S::Applied };
    let next = match (status, trigger) {
        // A server that ended while it checked begins again.
        (S::Queued | S::Checking, T::Begin) => S::Checking,
        (S::Checking, T::Planned) if kind != RunKind::Drift => S::AwaitingApproval,
        (S::Checking, T::NothingToChange) => done,
        (S::Checking, T::NoProvider) => S::CheckedOnly,
        (S::Checking, T::Compared { drifted }) => {
            if drifted {
                S::Drifted
            } else {
                S::InStep
            }
        }
        (S::AwaitingApproval, T::Approve) => S::Approved,
        (S::AwaitingApproval, T::Reject) => S::Rejected,
        (S::Approved, T::ApplyBegun) => S::Applying,
        (S::Applying, T::ApplyEnded) => done,
        (S::Applying, T::CutShort) => S::NeedsPerson,
        (S::Queued | S::Checking | S::Approved | S::Applying, T::Fail) => S::Failed,
        (S::Queued | S::Checking | S::AwaitingApproval | S::Approved, T::Cancel) => S::Cancelled,
        (S::Applying, T::Cancel) => S::NeedsPerson,
        (status, _) => {
            let text = format!("The run is {}; this cannot be done to it now.", status.label().to_lowercase());
            return Err(Problem::conflict("provisioning_state", text));
        }
    };
    Ok(next)
}

/// Where a run belongs: what is set up there has a state of its own, and one run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Place {
    pub intent_id: IntentId,
    pub environment: Environment,
    pub variant: Variant,
}

impl Place {
    /// `int-code-001/staging/local`: what a person writes to have it destroyed.
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.intent_id, self.environment.as_str(), self.variant.as_str())
    }
}

/// What a plan does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    Create,
    Update,
    /// Destroyed and made anew.
    Replace,
    Destroy,
}

impl ChangeAction {
    pub fn label(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Replace => "Replace",
            Self::Destroy => "Destroy",
        }
    }
}

/// One resource that a plan changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResourceChange {
    /// `terraform_data.node[0]`
    pub address: String,
    pub action: ChangeAction,
    /// At most 40; sensitive values and ids are left out.
    pub attributes: Vec<AttributeChange>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttributeChange {
    /// `input.name`
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// How many resources a plan changes, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeCounts {
    pub create: u32,
    pub update: u32,
    pub replace: u32,
    pub destroy: u32,
}

impl ChangeCounts {
    pub fn of(changes: &[ResourceChange]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.action {
                ChangeAction::Create => counts.create += 1,
                ChangeAction::Update => counts.update += 1,
                ChangeAction::Replace => counts.replace += 1,
                ChangeAction::Destroy => counts.destroy += 1,
            }
        }
        counts
    }

    pub fn total(self) -> u32 {
        self.create + self.update + self.replace + self.destroy
    }

    /// `create 9 resources, destroy 1`
    pub fn words(self) -> String {
        let parts: Vec<String> = [("create", self.create), ("update", self.update), ("replace", self.replace), ("destroy", self.destroy)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(verb, count)| format!("{verb} {}", counted(u64::from(count), "resource", "resources")))
            .collect();
        if parts.is_empty() { "change nothing".to_owned() } else { parts.join(", ") }
    }

    /// What is lost if it goes wrong, in one sentence. `there`: resources that the place has now.
    pub fn blast_radius(self, there: u32) -> String {
        let gone = self.replace + self.destroy;
        match (gone, there) {
            (0, 0) => "Nothing is there yet: nothing that exists is touched.".to_owned(),
            (0, _) if self.update == 0 => format!("None of the {} that are there is touched.", counted(u64::from(there), "resource", "resources")),
            (0, _) => format!("{} of {there} that are there change in place; none is destroyed.", self.update),
            (gone, there) if gone >= there => "Everything that is there is destroyed.".to_owned(),
            (gone, there) => format!("{gone} of {there} that are there are destroyed, with what they hold."),
        }
    }
}

/// An output of a configuration, after it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Output {
    pub name: String,
    /// Absent for a sensitive one.
    pub value: Option<String>,
    /// Name of the secret in the vault that holds a sensitive one.
    pub secret: Option<String>,
    /// Why a sensitive one is in no secret.
    pub note: Option<String>,
}

/// A run as kept and as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProvisioningRun {
    pub run_id: ProvisioningId,
    pub intent_id: IntentId,
    /// Of the build.
    pub title: String,
    pub environment: Environment,
    pub variant: Variant,
    pub kind: RunKind,
    pub status: RunStatus,
    pub commit: String,
    pub steps: Vec<DeploymentStep>,
    pub facts: Vec<Fact>,
    /// SHA-256 (hex) of the plan file; an approval binds to it.
    pub plan_hash: Option<String>,
    pub counts: ChangeCounts,
    pub blast_radius: Option<String>,
    pub outputs: Vec<Output>,
    /// Resources in the place's state, as this run left it.
    pub resources: Option<u32>,
    /// How it ended, and what would help.
    pub reason: Option<String>,
    pub review_id: Option<ReviewId>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

impl ProvisioningRun {
    pub fn place(&self) -> Place {
        Place { intent_id: self.intent_id, environment: self.environment, variant: self.variant }
    }

    /// `staging, local stand-in`
    pub fn place_words(&self) -> String {
        let variant = match self.variant {
            Variant::Local => "the local stand-in",
            other => other.label(),
        };
        format!("{} ({variant})", self.environment.as_str())
    }

    /// The facts in words: `syntax checked, planned`; empty when there are none.
    pub fn facts_words(&self) -> String {
        self.facts.iter().map(|fact| fact.label()).collect::<Vec<_>>().join(", ")
    }

    pub fn learn(&mut self, fact: Fact) {
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
    }

    /// What is left undone when a run ends early is told as skipped; what ran, as failed.
    pub fn end_steps(&mut self, now: Timestamp, why: &str) {
        for step in &mut self.steps {
            match step.state {
                StepState::Running => {
                    step.state = StepState::Failed;
                    step.finished_at = Some(now);
                    step.detail.get_or_insert_with(|| why.to_owned());
                }
                StepState::Pending => step.state = StepState::Skipped,
                _ => {}
            }
        }
    }
}

/// What is said of cost: nothing here knows prices.
pub const NO_PRICE: &str = "no price known";

/// Names of a run's steps, in order.
pub fn steps(kind: RunKind) -> &'static [&'static str] {
    match kind {
        RunKind::Apply => &["format", "initialise", "validate", "policy", "plan", "approval", "apply", "outputs", "drift_check"],
        RunKind::Destroy => &["initialise", "policy", "plan", "approval", "destroy"],
        RunKind::Drift => &["initialise", "policy", "drift_check"],
    }
}

/// Body of `POST /api/provisioning`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProvisionRequest {
    pub intent_id: IntentId,
    pub environment: String,
    /// `local`, `aws`, `gcp` or `azure`.
    pub variant: String,
    /// `apply` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// For `destroy`: the place's name, `int-code-001/staging/local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// A request as understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionOrder {
    pub place: Place,
    pub kind: RunKind,
}

impl ProvisionRequest {
    /// # Errors
    /// A [`Problem`] that names the field at fault.
    pub fn parse(&self) -> Result<ProvisionOrder, Problem> {
        let wrong = |field: &str, given: &str, allowed: String| {
            let shown: String = given.chars().filter(|letter| !letter.is_control()).take(80).collect();
            Problem::invalid_field(field, format!("`{shown}` is not one of: {allowed}."))
        };
        let environment = Environment::parse(&self.environment).ok_or_else(|| wrong("environment", &self.environment, Environment::allowed()))?;
        let variant = Variant::parse(&self.variant).ok_or_else(|| wrong("variant", &self.variant, Variant::allowed()))?;
        let kind = match &self.kind {
            None => RunKind::Apply,
            Some(given) => RunKind::parse(given).ok_or_else(|| wrong("kind", given, RunKind::allowed()))?,
        };
        let place = Place { intent_id: self.intent_id, environment, variant };
        if kind == RunKind::Destroy && self.confirm.as_deref() != Some(place.name().as_str()) {
            let text = format!("Destroying removes everything that was set up there. Write the place's name to confirm: {}.", place.name());
            return Err(Problem::invalid_field("confirm", text));
        }
        Ok(ProvisionOrder { place, kind })
    }
}

/// Body of `POST /api/provisioning/{id}/approve` and `…/reject`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProvisionApproval {
    /// The plan that was looked at. Approving needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
}

/// What there is to see of provisioning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProvisioningView {
    /// Newest first, at most 20.
    pub runs: Vec<ProvisioningRun>,
    /// Builds that can be provisioned, newest first, at most 50.
    pub builds: Vec<Provisionable>,
    /// Why nothing can be provisioned on this machine, and what would help.
    pub unavailable: Option<String>,
}

/// A finished build of infrastructure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provisionable {
    pub intent_id: IntentId,
    pub title: String,
    pub variants: Vec<Variant>,
    pub environments: Vec<Environment>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_applied_without_a_person() {
        for kind in [RunKind::Apply, RunKind::Destroy, RunKind::Drift] {
            for status in RunStatus::ALL.iter().copied() {
                let begun = decide(kind, status, RunTrigger::ApplyBegun);
                assert_eq!(begun.is_ok(), status == RunStatus::Approved, "{status:?}");
                let approved = decide(kind, status, RunTrigger::Approve);
                assert_eq!(approved.is_ok(), status == RunStatus::AwaitingApproval, "{status:?}");
            }
        }
    }

    #[test]
    fn a_run_that_ended_stays_as_it_is() {
        let triggers = [RunTrigger::Begin, RunTrigger::Planned, RunTrigger::Approve, RunTrigger::ApplyEnded, RunTrigger::Fail, RunTrigger::Cancel];
        for status in RunStatus::ALL.iter().copied().filter(|status| status.is_final()) {
            for trigger in triggers {
                assert!(decide(RunKind::Apply, status, trigger).is_err(), "{status:?} {trigger:?}");
            }
        }
    }

    #[test]
    fn cut_short_while_resources_changed_it_needs_a_person() {
        assert_eq!(decide(RunKind::Apply, RunStatus::Applying, RunTrigger::CutShort).unwrap(), RunStatus::NeedsPerson);
        assert_eq!(decide(RunKind::Apply, RunStatus::Applying, RunTrigger::Cancel).unwrap(), RunStatus::NeedsPerson);
        assert_eq!(decide(RunKind::Destroy, RunStatus::Applying, RunTrigger::ApplyEnded).unwrap(), RunStatus::Destroyed);
    }

    #[test]
    fn destroying_names_what_it_destroys() {
        let mut request = ProvisionRequest {
            intent_id: IntentId(7),
            environment: "staging".into(),
            variant: "local".into(),
            kind: Some("destroy".into()),
            confirm: Some("yes".into()),
        };
        let refused = request.parse().unwrap_err();
        assert_eq!(refused.errors[0].field, "confirm");
        assert!(refused.errors[0].message.contains("int-code-007/staging/local"));
        request.confirm = Some("int-code-007/staging/local".into());
        assert_eq!(request.parse().unwrap().kind, RunKind::Destroy);
        request.variant = "mars".into();
        assert_eq!(request.parse().unwrap_err().errors[0].field, "variant");
    }

    #[test]
    fn the_blast_radius_is_told_from_what_is_there() {
        let counts = |create, update, replace, destroy| ChangeCounts { create, update, replace, destroy };
        assert_eq!(counts(9, 0, 0, 0).blast_radius(0), "Nothing is there yet: nothing that exists is touched.");
        assert_eq!(counts(0, 1, 0, 0).blast_radius(9), "1 of 9 that are there change in place; none is destroyed.");
        assert_eq!(counts(0, 0, 1, 1).blast_radius(9), "2 of 9 that are there are destroyed, with what they hold.");
        assert_eq!(counts(0, 0, 0, 9).blast_radius(9), "Everything that is there is destroyed.");
        assert_eq!(counts(2, 0, 0, 1).words(), "create 2 resources, destroy 1 resource");
    }
}
