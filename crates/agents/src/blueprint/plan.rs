//! The plan for a request: pure, from the understanding of its description. It must not know how tasks are run or kept.

use grace_domain::input::FOLDER;
use grace_domain::intent::{Compliance, IntentRequest, ProjectType};
use grace_domain::plan::{Assumption, Choice, ComplianceNote, Confidence, Phase, Plan, PlannedTask, Question};
use grace_domain::problem::Problem;
use grace_domain::spec::{Authentication, Database, Mark, Spec};

use super::changes;
use super::generate::has_frontend;
use super::steps::{self, Step};
use crate::agent::{Estimates, PlanInputs};

/// A day has this many hours for a build: it runs day and night.
const HOURS_PER_DAY: f64 = 24.0;

/// Proposes the plan.
///
/// # Errors
/// A [`Problem`] on `description` when nothing in it can be built.
pub fn plan(request: &IntentRequest, inputs: &PlanInputs) -> Result<Plan, Problem> {
    let (mut understanding, modifications) = changes::apply(request, &inputs.modifications)?;
    let mut not_covered = std::mem::take(&mut understanding.spec.not_covered);
    for declined in modifications.iter().filter(|modification| !modification.applied) {
        if !not_covered.contains(&declined.text) {
            not_covered.push(declined.text.clone());
        }
    }
    understanding.spec.not_covered.clone_from(&not_covered);
    let spec = understanding.spec;
    let mut assumptions = understanding.assumptions;
    let files = request.artifacts.files.len();
    if files > 0 {
        let (files, are, them) =
            if files == 1 { ("The given file".to_owned(), "is", "it") } else { (format!("The {files} given files"), "are", "them") };
        let text = format!("{files} {are} put into {FOLDER}/ and committed before the first task; this agent does not read what is in {them}.");
        assumptions.push(Assumption { text, mark: Mark::Default });
    }
    let mut plan = Plan {
        title: title(request, &understanding.title, &spec),
        phases: phases(&spec, &inputs.estimates),
        deliverables: deliverables(&spec),
        not_covered,
        assumptions,
        questions: questions(&spec),
        warnings: Vec::new(),
        compliance: request.constraints.compliance.iter().flat_map(|rule| compliance(*rule, &spec)).collect(),
        confidence: Confidence::of_like_builds(inputs.estimates.samples),
        modifications,
        spec: Some(spec),
        topology: None,
    };
    plan.sum_estimates();
    plan.warnings = warnings(request, inputs, &plan);
    Ok(plan)
}

fn title(request: &IntentRequest, found: &str, spec: &Spec) -> String {
    match request.project_type {
        ProjectType::Feature if found == spec.name && !found.contains(' ') => format!("{found} feature"),
        ProjectType::ApiIntegration if found == spec.name => format!("{found} API"),
        _ => found.to_owned(),
    }
}

fn phases(spec: &Spec, estimates: &Estimates) -> Vec<Phase> {
    steps::phases(spec)
        .into_iter()
        .map(|(name, steps)| Phase {
            name: name.to_owned(),
            stage: steps[0].step.stage(),
            estimated_hours: 0.0,
            tasks: steps
                .into_iter()
                .map(|planned| PlannedTask {
                    key: planned.step.key().to_owned(),
                    title: planned.title,
                    stage: planned.step.stage(),
                    estimated_seconds: estimates.seconds.get(planned.step.key()).copied().unwrap_or_else(|| planned.step.prior_seconds()),
                    depends_on: planned.depends_on.into_iter().map(|step| step.key().to_owned()).collect(),
                    asks: (planned.step == Step::AskAuthentication).then(|| "authentication".to_owned()),
                    detail: String::new(),
                    files: Vec::new(),
                    verify: None,
                })
                .collect(),
        })
        .collect()
}

fn deliverables(spec: &Spec) -> Vec<String> {
    let lower = lower_first(&spec.name);
    let mut list = Vec::new();
    if spec.realtime.is_some() {
        list.push(format!("WebSocket {lower} backend (FastAPI)"));
    } else {
        list.push(format!("REST API for {lower} (FastAPI)"));
    }
    if has_frontend(spec) {
        list.push(format!("React {lower} UI (TypeScript, light and dark)"));
    }
    list.push(match spec.database {
        Database::Postgresql => "PostgreSQL schema & migrations (SQLite without DATABASE_URL)".into(),
        Database::Sqlite => "SQLite schema & migrations (PostgreSQL with DATABASE_URL)".into(),
    });
    match spec.authentication {
        Authentication::None => {}
        Authentication::Undecided => list.push("Accounts and sign-in (JWT, sessions or OAuth: you will be asked)".into()),
        Authentication::Jwt => list.push("Accounts and sign-in with JWT".into()),
        Authentication::Sessions => list.push("Accounts and sign-in with session cookies".into()),
        Authentication::Oauth => list.push("Sign-in with OAuth 2.0 / OpenID Connect".into()),
    }
    if !spec.roles.is_empty() {
        let names: Vec<&str> = spec.roles.iter().map(|role| role.name.as_str()).collect();
        list.push(format!("Roles: {}", names.join(", ")));
    }
    if spec.csv.is_some() {
        list.push("CSV import and export".into());
    }
    if spec.generate.tests {
        list.push("Unit tests (80%+ coverage, measured)".into());
        list.push("Integration tests".into());
    }
    list.push(if spec.generate.docs { "API documentation (OpenAPI), README and architecture".into() } else { "README".into() });
    if spec.generate.deployment {
        list.push("Deployment configs (Docker, compose, Kubernetes, systemd, CI workflow)".into());
    }
    list
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let second_is_upper = name.chars().nth(1).is_some_and(char::is_uppercase);
    match letters.next() {
        Some(first) if !second_is_upper => first.to_lowercase().chain(letters).collect(),
        _ => name.to_owned(),
    }
}

fn questions(spec: &Spec) -> Vec<Question> {
    if spec.authentication != Authentication::Undecided {
        return Vec::new();
    }
    let choice = |label: &str, consequence: &str| Choice { label: label.into(), consequence: consequence.into() };
    vec![Question {
        key: "authentication".into(),
        text: "How should people sign in?".into(),
        options: vec![
            choice("JWT", "a token that pages and programs send; nothing to look up, revoked one by one"),
            choice("Sessions", "a cookie and a row on the server; simplest for browsers, ends at once"),
            choice("OAuth", "your identity provider keeps the passwords; needs its address and a client id"),
        ],
        default: "JWT".into(),
        default_reason: "It serves the pages, other programs and a WebSocket alike, and needs nothing set up beforehand.".into(),
    }]
}

fn warnings(request: &IntentRequest, inputs: &PlanInputs, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(deadline) = request.constraints.deadline {
        let days = (deadline - inputs.today).num_days() + 1;
        let hours = plan.estimated_hours();
        if hours > days as f64 * HOURS_PER_DAY {
            warnings.push(format!("The estimate of {hours} h does not fit: the deadline {deadline} is {days} days away."));
        } else if deadline == inputs.today {
            let asked = if plan.questions.is_empty() { "" } else { " The build stops at a question until somebody answers it." };
            warnings.push(format!("The deadline is today (until midnight UTC); the estimate is {hours} h once the plan is approved.{asked}"));
        }
    }
    if !plan.not_covered.is_empty() {
        warnings.push(format!("{} of what you asked for will not be built; the plan lists it word for word.", parts(plan.not_covered.len())));
    }
    if !request.artifacts.datasets.is_empty() {
        warnings.push("Data sets are not opened by this agent; nothing is imported from them.".into());
    }
    if !request.artifacts.files.is_empty() {
        warnings.push("Given files are not read by this agent; put what matters into the description, or choose the model agent.".into());
    }
    if !request.artifacts.docs.is_empty() {
        warnings.push("Reference documents are not read by this agent; put what matters into the description.".into());
    }
    warnings
}

fn parts(count: usize) -> String {
    if count == 1 { "1 part".into() } else { format!("{count} parts") }
}

/// What a rule adds to the code, and what it leaves to people.
fn compliance(rule: Compliance, spec: &Spec) -> Vec<ComplianceNote> {
    let minutes = spec.controls.session_timeout_minutes.unwrap_or_default();
    let mut notes: Vec<(String, bool)> = vec![
        ("Audit log: every change of a row is recorded with who and when, append-only, readable by admins.".into(), true),
        (format!("Sign-ins end after {minutes} minutes without use."), true),
        ("Access review: every account with role and last sign-in, as a page and as CSV, for admins.".into(), true),
        ("Notes on encryption at rest, and a warning at start when the database is not known to be encrypted.".into(), true),
    ];
    let left: &[&str] = match rule {
        Compliance::Hipaa => &[
            "A business associate agreement with whoever hosts the service.",
            "A risk analysis and its yearly review (45 CFR 164.308).",
            "Training of the people who use it, and sanctions.",
            "Encryption of disks and backups, and TLS in front of the service.",
            "A procedure for breaches and their notification.",
        ],
        Compliance::Soc2 => &[
            "An auditor's report; code alone is never SOC 2 compliant.",
            "Policies, a risk assessment and evidence that controls worked over time.",
            "Regular access reviews by a person, with a record of what followed.",
            "Monitoring, incident response and backups of the running service.",
            "Vendor management and background checks.",
        ],
    };
    notes.extend(left.iter().map(|text| ((*text).to_owned(), false)));
    notes.into_iter().map(|(control, in_code)| ComplianceNote { rule: rule.label().into(), control, in_code }).collect()
}
