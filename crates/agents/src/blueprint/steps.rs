//! The work that turns a spec into a project, step by step: what each step is called, what it waits for, how long it takes by experience.
//! Tables and choices only; it must not do the work.

use grace_domain::spec::{Authentication, Spec};
use grace_domain::status::Stage;

use super::generate::{Part, has_frontend};

/// One kind of task. Its key is what a plan keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    CheckToolchains,
    AskAuthentication,
    /// Generates one part of the project.
    Generate(Part),
    InstallBackend,
    InstallFrontend,
    Lint,
    Migrate,
    Pytest,
    Types,
    Bundle,
    Vitest,
    Smoke,
    DescribeApi,
}

/// A step as planned.
pub struct Planned {
    pub step: Step,
    pub title: String,
    pub depends_on: Vec<Step>,
}

impl Step {
    /// Every step there is.
    pub const ALL: [Self; 26] = [
        Self::CheckToolchains,
        Self::AskAuthentication,
        Self::Generate(Part::BackendFoundation),
        Self::Generate(Part::BackendModels),
        Self::Generate(Part::BackendAuth),
        Self::Generate(Part::BackendApi),
        Self::Generate(Part::BackendRealtime),
        Self::Generate(Part::BackendExtras),
        Self::Generate(Part::BackendTests),
        Self::Generate(Part::FrontendFoundation),
        Self::Generate(Part::FrontendPages),
        Self::Generate(Part::FrontendRealtime),
        Self::Generate(Part::FrontendTests),
        Self::Generate(Part::Docs),
        Self::Generate(Part::Deployment),
        Self::Generate(Part::Ci),
        Self::InstallBackend,
        Self::InstallFrontend,
        Self::Lint,
        Self::Migrate,
        Self::Pytest,
        Self::Types,
        Self::Bundle,
        Self::Vitest,
        Self::Smoke,
        Self::DescribeApi,
    ];

    pub fn key(self) -> &'static str {
        match self {
            Self::CheckToolchains => "plan.toolchains",
            Self::AskAuthentication => "design.authentication",
            Self::Generate(part) => match part {
                Part::BackendFoundation => "design.foundation",
                Part::BackendModels => "design.models",
                Part::BackendAuth => "backend.authentication",
                Part::BackendApi => "backend.api",
                Part::BackendRealtime => "backend.realtime",
                Part::BackendExtras => "backend.extras",
                Part::BackendTests => "testing.backend_suite",
                Part::FrontendFoundation => "frontend.foundation",
                Part::FrontendPages => "frontend.pages",
                Part::FrontendRealtime => "frontend.realtime",
                Part::FrontendTests => "testing.frontend_suite",
                Part::Docs => "documentation.project",
                Part::Deployment => "deployment.containers",
                Part::Ci => "deployment.workflow",
            },
            Self::InstallBackend => "backend.install",
            Self::InstallFrontend => "frontend.install",
            Self::Lint => "testing.ruff",
            Self::Migrate => "backend.migrate",
            Self::Pytest => "testing.pytest",
            Self::Types => "testing.types",
            Self::Bundle => "frontend.bundle",
            Self::Vitest => "testing.vitest",
            Self::Smoke => "testing.smoke",
            Self::DescribeApi => "documentation.openapi",
        }
    }

    /// The step of a key, if this version of the agent knows it.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.key() == key)
    }

    pub fn stage(self) -> Stage {
        match self {
            Self::CheckToolchains => Stage::Planning,
            Self::AskAuthentication | Self::Generate(Part::BackendFoundation | Part::BackendModels) => Stage::Designing,
            Self::InstallBackend | Self::InstallFrontend | Self::Migrate | Self::Bundle => Stage::Coding,
            Self::Generate(Part::BackendTests | Part::FrontendTests) | Self::Lint | Self::Pytest | Self::Types | Self::Vitest | Self::Smoke => {
                Stage::Testing
            }
            Self::Generate(Part::Docs) | Self::DescribeApi => Stage::Documenting,
            Self::Generate(Part::Deployment | Part::Ci) => Stage::Deploying,
            Self::Generate(_) => Stage::Coding,
        }
    }

    /// Seconds by experience: rounded up from runs with a warm package cache on two cores.
    pub fn prior_seconds(self) -> u32 {
        match self {
            Self::InstallBackend | Self::InstallFrontend => 10,
            Self::Pytest => 8,
            Self::Vitest => 12,
            Self::Types => 5,
            Self::Bundle => 4,
            Self::Smoke => 5,
            Self::Migrate | Self::DescribeApi => 2,
            Self::AskAuthentication => 0,
            Self::CheckToolchains | Self::Lint | Self::Generate(_) => 1,
        }
    }
}

/// The phases of the plan for a spec, in order; those without steps are left out.
pub fn phases(spec: &Spec) -> Vec<(&'static str, Vec<Planned>)> {
    let mut phases = vec![
        ("Planning & Design", design(spec)),
        ("Backend API Development", backend(spec)),
        ("Frontend Development", frontend(spec)),
        ("Testing", testing(spec)),
        ("Documentation", documentation(spec)),
        ("Deployment Setup", deployment(spec)),
    ];
    phases.retain(|(_, steps)| !steps.is_empty());
    // A step waits for nothing that is not planned.
    let planned: Vec<Step> = phases.iter().flat_map(|(_, steps)| steps.iter().map(|planned| planned.step)).collect();
    for (_, steps) in &mut phases {
        for step in steps {
            step.depends_on.retain(|before| planned.contains(before));
        }
    }
    phases
}

fn planned(step: Step, title: impl Into<String>, depends_on: &[Step]) -> Planned {
    Planned { step, title: title.into(), depends_on: depends_on.to_vec() }
}

fn design(spec: &Spec) -> Vec<Planned> {
    let mut steps = vec![planned(Step::CheckToolchains, "Check the toolchains that the build needs", &[])];
    if spec.authentication == Authentication::Undecided {
        steps.push(planned(Step::AskAuthentication, "Ask how people sign in", &[Step::CheckToolchains]));
    }
    steps.push(planned(
        Step::Generate(Part::BackendFoundation),
        "Lay out the service: configuration, database, packages",
        &[Step::CheckToolchains, Step::AskAuthentication],
    ));
    let names: Vec<String> = spec.entities.iter().map(|entity| entity.title().to_lowercase()).collect();
    steps.push(planned(
        Step::Generate(Part::BackendModels),
        format!("Design the tables and their migration: {}", shortened(&names)),
        &[Step::Generate(Part::BackendFoundation)],
    ));
    steps
}

fn backend(spec: &Spec) -> Vec<Planned> {
    let models = Step::Generate(Part::BackendModels);
    let mut steps = vec![planned(Step::InstallBackend, "Install the backend's pinned packages", &[Step::CheckToolchains])];
    let mut written = vec![models];
    if spec.authentication.has_accounts() {
        steps.push(planned(Step::Generate(Part::BackendAuth), "Write accounts and sign-in", &[models]));
        written.push(Step::Generate(Part::BackendAuth));
    }
    let paths: Vec<String> = spec.entities.iter().map(|entity| format!("/api/{}", entity.path())).collect();
    steps.push(planned(Step::Generate(Part::BackendApi), format!("Write the API: {}", shortened(&paths)), &written));
    written.push(Step::Generate(Part::BackendApi));
    if spec.realtime.is_some() {
        steps.push(planned(Step::Generate(Part::BackendRealtime), "Write the WebSocket channel with history", &written));
        written.push(Step::Generate(Part::BackendRealtime));
    }
    steps.push(planned(Step::Generate(Part::BackendExtras), extras_title(spec), &written));
    steps.push(planned(Step::Migrate, "Apply the migration to an empty database", &[Step::InstallBackend, Step::Generate(Part::BackendExtras)]));
    steps
}

fn extras_title(spec: &Spec) -> String {
    let mut parts = Vec::new();
    if spec.csv.is_some() {
        parts.push("CSV import and export");
    }
    if spec.controls.audit_log {
        parts.push("the audit log");
    }
    if spec.controls.access_review {
        parts.push("the access review");
    }
    match parts.split_last() {
        None => "Put the application together".into(),
        Some((last, [])) => format!("Write {last} and put the application together"),
        Some((last, head)) => format!("Write {}, {last} and put the application together", head.join(", ")),
    }
}

fn frontend(spec: &Spec) -> Vec<Planned> {
    if !has_frontend(spec) {
        return Vec::new();
    }
    let foundation = Step::Generate(Part::FrontendFoundation);
    let mut steps = vec![
        planned(Step::InstallFrontend, "Install the frontend's pinned packages", &[Step::CheckToolchains]),
        planned(foundation, "Lay out the pages: routing, client, styles", &[Step::CheckToolchains, Step::AskAuthentication]),
    ];
    let pages: Vec<String> = spec.entities.iter().map(|entity| entity.title_plural().to_lowercase()).collect();
    steps.push(planned(Step::Generate(Part::FrontendPages), format!("Write the pages: {}", shortened(&pages)), &[foundation]));
    if spec.realtime.is_some() {
        steps.push(planned(Step::Generate(Part::FrontendRealtime), "Write the live page", &[Step::Generate(Part::FrontendPages)]));
    }
    steps.push(planned(
        Step::Bundle,
        "Build the pages for production",
        &[Step::InstallFrontend, Step::Generate(Part::FrontendPages), Step::Generate(Part::FrontendRealtime)],
    ));
    steps
}

fn testing(spec: &Spec) -> Vec<Planned> {
    let mut steps = Vec::new();
    let backend_suite = Step::Generate(Part::BackendTests);
    let frontend_suite = Step::Generate(Part::FrontendTests);
    let application = Step::Generate(Part::BackendExtras);
    if spec.generate.tests {
        steps.push(planned(backend_suite, "Write the backend's unit and integration tests", &[application]));
        if has_frontend(spec) {
            steps.push(planned(
                frontend_suite,
                "Write the frontend's tests",
                &[Step::Generate(Part::FrontendPages), Step::Generate(Part::FrontendRealtime)],
            ));
        }
    }
    steps.push(planned(Step::Lint, "Lint and check the format of the backend", &[Step::Migrate, backend_suite]));
    if spec.generate.tests {
        steps.push(planned(Step::Pytest, "Run the backend's tests and measure coverage", &[Step::Migrate, backend_suite, Step::DescribeApi]));
    }
    if has_frontend(spec) {
        steps.push(planned(
            Step::Types,
            "Check the types of the frontend",
            &[Step::InstallFrontend, Step::Generate(Part::FrontendPages), Step::Generate(Part::FrontendRealtime), frontend_suite],
        ));
        if spec.generate.tests {
            steps.push(planned(Step::Vitest, "Run the frontend's tests and measure coverage", &[Step::InstallFrontend, frontend_suite]));
        }
    }
    steps.push(planned(Step::Smoke, "Start the service and use it", &[Step::Migrate, Step::Bundle]));
    steps
}

fn documentation(spec: &Spec) -> Vec<Planned> {
    let application = Step::Generate(Part::BackendExtras);
    let mut steps = vec![planned(
        Step::Generate(Part::Docs),
        if spec.generate.docs { "Write README, architecture and API documents" } else { "Write the README" },
        &[application],
    )];
    if spec.generate.docs {
        steps.push(planned(Step::DescribeApi, "Write the OpenAPI description", &[Step::Migrate]));
    }
    steps
}

fn deployment(spec: &Spec) -> Vec<Planned> {
    if !spec.generate.deployment {
        return Vec::new();
    }
    let application = Step::Generate(Part::BackendExtras);
    vec![
        planned(Step::Generate(Part::Deployment), "Write and check what deploys it", &[application]),
        planned(Step::Generate(Part::Ci), "Write the CI workflow", &[application]),
    ]
}

/// At most three of a list, and how many more there are.
fn shortened(names: &[String]) -> String {
    match names {
        [head @ .., last] if names.len() <= 3 => {
            if head.is_empty() {
                last.clone()
            } else {
                format!("{} and {last}", head.join(", "))
            }
        }
        _ => format!("{} and {} more", names[..2].join(", "), names.len() - 2),
    }
}
