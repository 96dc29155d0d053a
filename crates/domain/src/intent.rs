//! What a person asks for, as it arrives and as it is kept. Parsing happens once, here: an [`Intent`]'s request is always valid.

use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    address::{public_https, ssh_address},
    id::IntentId,
    input::{InputFile, wrong_files},
    model::Budget,
    problem::{FieldError, Problem},
    secret::{SecretName, name_wanted},
};

/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 10_000;
/// Most data sets, and most reference documents, per intent.
pub const MAX_LINKS: usize = 20;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$hint:meta])* $variant:ident = $text:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$hint])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// As on the wire.
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            /// As a person reads it.
            pub fn label(self) -> &'static str { match self { $(Self::$variant => $label),+ } }
            /// The value written `text`.
            pub fn parse(text: &str) -> Option<Self> { match text { $($text => Some(Self::$variant),)+ _ => None } }
            /// All wire values, for an error message.
            pub fn allowed() -> String { [$($text),+].join(", ") }
        }
    };
}
pub(crate) use choice;

choice!(ProjectType {
    Feature = "feature", "Feature";
    TestSuite = "test_suite", "Test suite";
    Infrastructure = "infrastructure", "Infrastructure";
    Research = "research", "Research";
    Website = "website", "Website";
    Blockchain = "blockchain", "Blockchain";
    ApiIntegration = "api_integration", "API integration";
    Custom = "custom", "Custom";
});

choice!(TargetDomain {
    FullStackWeb = "full_stack_web", "Full-stack web application";
    Infrastructure = "infrastructure", "Infrastructure";
    Research = "research", "Research";
    Blockchain = "blockchain", "Blockchain";
    Api = "api", "API";
    CliTool = "cli_tool", "CLI tool";
    Library = "library", "Library";
    Documentation = "documentation", "Documentation";
});

choice!(Environment {
    Development = "development", "Development";
    Staging = "staging", "Staging";
    Production = "production", "Production";
});

choice!(Compliance {
    Hipaa = "hipaa", "HIPAA";
    Soc2 = "soc2", "SOC2";
});

choice!(Stack {
    ReactFastapi = "react_fastapi", "React + FastAPI";
    Fastapi = "fastapi", "FastAPI only";
    ReactNode = "react_node", "React + Node";
    SvelteKit = "sveltekit", "SvelteKit";
    RustAxum = "rust_axum", "Rust + Axum";
    SolidityReact = "solidity_react", "Solidity + Ethers.js + React";
    Terraform = "terraform", "Terraform";
    Described = "described", "As described";
});

impl Stack {
    /// Whether the project has pages.
    pub fn has_frontend(self) -> bool {
        self == Self::ReactFastapi
    }
}

choice!(
    /// Order in which waiting builds are served.
    Priority {
        Low = "low", "Low";
        Normal = "normal", "Normal";
        High = "high", "High";
        Critical = "critical", "Critical";
    }
);

/// A request as it arrives: any field may be missing or wrong. [`RequestDraft::parse`] makes an [`IntentRequest`] of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RequestDraft {
    #[serde(default)]
    pub project_type: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub target_domain: Option<String>,
    #[serde(default)]
    pub constraints: ConstraintsDraft,
    #[serde(default)]
    pub artifacts: ArtifactsDraft,
    #[serde(default)]
    pub options: OptionsDraft,
    /// Who is to build it: see [`AgentChoice`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What models may take for it and how long it may work; what is absent does not bind. Money is in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The same as a form's four texts: US dollars, tokens, requests, minutes of work; empty: no limit. Stands for `budget` when given, so that
    /// what could not be read is kept as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_typed: Option<[String; 4]>,
    /// Of a previewed plan: creating with it approves that plan, if it is still the one that Grace proposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConstraintsDraft {
    #[serde(default)]
    pub deadline: Option<String>,
    #[serde(default)]
    pub environments: Option<Vec<String>>,
    #[serde(default)]
    pub compliance: Option<Vec<String>>,
    #[serde(default)]
    pub stack: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ArtifactsDraft {
    #[serde(default)]
    pub repository: Option<String>,
    /// The name of a secret of the vault, for all builds, that holds an access token for the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_secret: Option<String>,
    #[serde(default)]
    pub datasets: Vec<String>,
    #[serde(default)]
    pub docs: Vec<String>,
    /// As `POST /api/inputs` answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<InputFile>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OptionsDraft {
    #[serde(default)]
    pub generate_tests: Option<bool>,
    #[serde(default)]
    pub generate_docs: Option<bool>,
    #[serde(default)]
    pub include_deployment: Option<bool>,
    #[serde(default)]
    pub require_review: Option<bool>,
}

/// A valid request. Serialises to the same JSON that [`RequestDraft`] reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntentRequest {
    pub project_type: ProjectType,
    /// Trimmed; 1 to [`MAX_DESCRIPTION`] characters with at least one letter or digit.
    pub description: String,
    pub target_domain: TargetDomain,
    pub constraints: Constraints,
    pub artifacts: Artifacts,
    pub options: Options,
    #[serde(default)]
    pub agent: AgentChoice,
    #[serde(default)]
    pub budget: Budget,
}

choice!(
    /// Who is to build it.
    #[derive(Default)]
    AgentChoice {
        #[default]
        Any = "any", "Grace chooses";
        Blueprint = "blueprint", "Blueprint, no model";
        Model = "model", "Model";
    }
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Constraints {
    /// The day by whose end (UTC) the build should be done.
    pub deadline: Option<chrono::NaiveDate>,
    /// Sorted, without repeats, at least one.
    pub environments: Vec<Environment>,
    pub compliance: Vec<Compliance>,
    pub stack: Stack,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Artifacts {
    /// `https` or `ssh` address of a git repository on a public host, or the absolute path of one on this machine.
    pub repository: Option<Repository>,
    /// The secret of the vault, for all builds, that the repository's host is shown when it is cloned; only of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_secret: Option<SecretName>,
    /// Addresses that are passed on as they are: nobody opens them.
    pub datasets: Vec<String>,
    pub docs: Vec<String>,
    /// Left out when there are none, so that the hash of a plan without files is what it was before there were files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<InputFile>,
}

/// Where existing code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(untagged))]
#[cfg_attr(target_family = "wasm", serde(from = "String", into = "String"))]
pub enum Repository {
    #[cfg(not(target_family = "wasm"))]
    Url(url::Url),
    /// A browser is only told it, and need not bring the tables of international names to read it.
    #[cfg(target_family = "wasm")]
    Url(String),
    /// What another build made, at its newest commit.
    Build(IntentId),
    Path(String),
}

#[cfg(target_family = "wasm")]
impl From<String> for Repository {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(intent) => Self::Build(intent),
            Err(_) if text.starts_with('/') => Self::Path(text),
            Err(_) => Self::Url(text),
        }
    }
}

#[cfg(target_family = "wasm")]
impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

impl std::fmt::Display for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Path(path) => path.fmt(f),
            Self::Build(intent) => intent.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Options {
    pub generate_tests: bool,
    pub generate_docs: bool,
    pub include_deployment: bool,
    /// No deployment before a person has approved it.
    pub require_review: bool,
}

/// An intent as kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Intent {
    pub id: IntentId,
    /// A few words for lists, made from the description: `Chat feature`.
    pub title: String,
    pub request: IntentRequest,
    pub created_at: Timestamp,
}

/// Domain and stack of a project of this type of which nobody said them.
fn usual(project_type: ProjectType) -> (TargetDomain, Stack) {
    match project_type {
        ProjectType::Infrastructure => (TargetDomain::Infrastructure, Stack::Terraform),
        _ => (TargetDomain::FullStackWeb, Stack::ReactFastapi),
    }
}

impl RequestDraft {
    /// Chooses a project type in a form. A domain and a stack that are what is usual for the type before, become what is usual for this one; what a
    /// person chose otherwise stays.
    pub fn choose_type(&mut self, project_type: ProjectType) {
        let before = usual(self.project_type.as_deref().and_then(ProjectType::parse).unwrap_or(ProjectType::Feature));
        let now = usual(project_type);
        self.project_type = Some(project_type.as_str().to_owned());
        if self.target_domain.as_deref().is_none_or(|domain| domain == before.0.as_str()) {
            self.target_domain = Some(now.0.as_str().to_owned());
        }
        if self.constraints.stack.as_deref().is_none_or(|stack| stack == before.1.as_str()) {
            self.constraints.stack = Some(now.1.as_str().to_owned());
        }
    }

    /// Checks everything and reports every wrong field at once. `today` is the UTC date now.
    pub fn parse(self, today: chrono::NaiveDate) -> Result<IntentRequest, Problem> {
        let mut errors = Errors(Vec::new());
        let description = errors.description(self.description);
        let project_type = errors.choice("project_type", self.project_type, Some(ProjectType::Feature), ProjectType::parse, ProjectType::allowed);
        let (usual_domain, usual_stack) = usual(project_type.unwrap_or(ProjectType::Feature));
        let target_domain = errors.choice("target_domain", self.target_domain, Some(usual_domain), TargetDomain::parse, TargetDomain::allowed);
        let stack = errors.choice("constraints.stack", self.constraints.stack, Some(usual_stack), Stack::parse, Stack::allowed);
        let environments = errors.choices(
            "constraints.environments",
            self.constraints.environments.unwrap_or_else(|| vec!["development".into()]),
            Environment::parse,
            Environment::allowed,
        );
        if environments.is_empty() && !errors.names("constraints.environments") {
            errors.add("constraints.environments", "Choose at least one environment: development, staging or production.");
        }
        // The form's third box, "None", may arrive as a value; it means the empty list.
        let compliance: Vec<String> = self.constraints.compliance.unwrap_or_default().into_iter().filter(|value| value != "none").collect();
        let compliance = errors.choices("constraints.compliance", compliance, Compliance::parse, Compliance::allowed);
        let deadline = errors.deadline(self.constraints.deadline, today);
        let repository = errors.repository(self.artifacts.repository);
        let repository_secret = errors.repository_secret(self.artifacts.repository_secret, repository.as_ref());
        let agent = errors.choice("agent", self.agent, Some(AgentChoice::Any), AgentChoice::parse, AgentChoice::allowed);
        let datasets = errors.links("artifacts.datasets", self.artifacts.datasets);
        let docs = errors.links("artifacts.docs", self.artifacts.docs);
        let files = self.artifacts.files;
        errors.files(&files);
        let budget = errors.budget(self.budget, self.budget_typed);
        if !errors.0.is_empty() {
            return Err(Problem::invalid(errors.0));
        }
        let on = |option: Option<bool>| option.unwrap_or(true);
        let options = Options {
            generate_tests: on(self.options.generate_tests),
            generate_docs: on(self.options.generate_docs),
            include_deployment: on(self.options.include_deployment),
            require_review: self.options.require_review.unwrap_or(false),
        };
        match (project_type, target_domain, stack, agent) {
            (Some(project_type), Some(target_domain), Some(stack), Some(agent)) => Ok(IntentRequest {
                project_type,
                description,
                target_domain,
                constraints: Constraints { deadline, environments, compliance, stack },
                artifacts: Artifacts { repository, repository_secret, datasets, docs, files },
                options,
                agent,
                budget,
            }),
            _ => Err(Problem::invalid(errors.0)),
        }
    }
}

impl From<IntentRequest> for RequestDraft {
    fn from(request: IntentRequest) -> Self {
        Self {
            project_type: Some(request.project_type.as_str().into()),
            description: Some(request.description),
            target_domain: Some(request.target_domain.as_str().into()),
            constraints: ConstraintsDraft {
                deadline: request.constraints.deadline.map(|date| date.to_string()),
                environments: Some(request.constraints.environments.iter().map(|e| e.as_str().into()).collect()),
                compliance: Some(request.constraints.compliance.iter().map(|c| c.as_str().into()).collect()),
                stack: Some(request.constraints.stack.as_str().into()),
            },
            artifacts: ArtifactsDraft {
                repository: request.artifacts.repository.map(|repository| repository.to_string()),
                repository_secret: request.artifacts.repository_secret.map(|name| name.to_string()),
                datasets: request.artifacts.datasets,
                docs: request.artifacts.docs,
                files: request.artifacts.files,
            },
            options: OptionsDraft {
                generate_tests: Some(request.options.generate_tests),
                generate_docs: Some(request.options.generate_docs),
                include_deployment: Some(request.options.include_deployment),
                require_review: Some(request.options.require_review),
            },
            agent: Some(request.agent.as_str().into()),
            budget: (request.budget != Budget::default()).then_some(request.budget),
            budget_typed: None,
            plan_hash: None,
        }
    }
}

/// Collects what is wrong, so that a person mends everything in one go.
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    fn names(&self, field: &str) -> bool {
        self.0.iter().any(|error| error.field.starts_with(field))
    }

    fn description(&mut self, text: Option<String>) -> String {
        let text = text.unwrap_or_default().replace("\r\n", "\n");
        let trimmed = text.trim();
        let length = trimmed.chars().count();
        if trimmed.is_empty() {
            self.add("description", "Say in a sentence or more what should be built.");
        } else if length > MAX_DESCRIPTION {
            self.add(
                "description",
                format!("It has {length} characters; at most {MAX_DESCRIPTION} are read. Shorten it or put the rest in a reference document."),
            );
        } else if trimmed.contains('\0') {
            self.add("description", "It holds a NUL character; remove it.");
        } else if !trimmed.chars().any(char::is_alphanumeric) {
            self.add("description", "It has no letters or digits. Describe in words what should be built.");
        }
        trimmed.to_owned()
    }

    fn choice<T>(
        &mut self,
        field: &str,
        given: Option<String>,
        default: Option<T>,
        parse: fn(&str) -> Option<T>,
        allowed: fn() -> String,
    ) -> Option<T> {
        match given {
            None => default,
            Some(text) => {
                let value = parse(&text);
                if value.is_none() {
                    self.add(field, format!("`{}` is not one of: {}.", shown(&text), allowed()));
                }
                value
            }
        }
    }

    fn choices<T: Ord>(&mut self, field: &str, given: Vec<String>, parse: fn(&str) -> Option<T>, allowed: fn() -> String) -> Vec<T> {
        let mut values: Vec<T> = given.into_iter().filter_map(|text| self.choice(field, Some(text), None, parse, allowed)).collect();
        values.sort();
        values.dedup();
        values
    }

    fn deadline(&mut self, text: Option<String>, today: chrono::NaiveDate) -> Option<chrono::NaiveDate> {
        let text = text.filter(|text| !text.trim().is_empty())?;
        match text.trim().parse::<chrono::NaiveDate>() {
            Err(_) => {
                self.add("constraints.deadline", format!("`{}` is not a date of the form 2025-11-20.", shown(&text)));
                None
            }
            Ok(date) if date < today => {
                self.add("constraints.deadline", format!("{date} is past; today is {today} (UTC). Choose a later day or no deadline."));
                None
            }
            Ok(date) => Some(date),
        }
    }

    /// Numbers are held to what a form may say. Only money differs: a program gives it in millionths.
    fn budget(&mut self, given: Option<Budget>, typed: Option<[String; 4]>) -> Budget {
        let in_millionths = typed.is_none();
        let texts = typed.unwrap_or_else(|| given.unwrap_or_default().written());
        Budget::read(&texts).unwrap_or_else(|wrong| {
            for FieldError { field, message } in wrong {
                let message = if in_millionths && field == "cost" {
                    "Give millionths of a US dollar such as 500000 for $0.50, or leave it out for no limit.".to_owned()
                } else {
                    message
                };
                self.add(&format!("budget.{field}"), message);
            }
            Budget::default()
        })
    }

    fn repository(&mut self, text: Option<String>) -> Option<Repository> {
        let text = text.filter(|text| !text.trim().is_empty())?;
        let text = text.trim();
        if text.starts_with('/') && !text.contains('\0') && text.len() <= 1_000 {
            return Some(Repository::Path(text.to_owned()));
        }
        if let Ok(intent) = text.parse() {
            return Some(Repository::Build(intent));
        }
        match ssh_address(text).unwrap_or_else(|| public_https(text)) {
            #[allow(clippy::useless_conversion, reason = "a text in browsers")]
            Ok(url) => Some(Repository::Url(url.into())),
            Err(why) => {
                self.add(
                    "artifacts.repository",
                    format!("{why} Give an https or ssh address of a public host, the absolute path of a repository on this machine, or a build such as int-code-001."),
                );
                None
            }
        }
    }

    fn repository_secret(&mut self, name: Option<String>, repository: Option<&Repository>) -> Option<SecretName> {
        const FIELD: &str = "artifacts.repository_secret";
        let by_key = matches!(repository, Some(Repository::Url(url)) if url.as_str().starts_with("ssh://"));
        let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
            if by_key {
                self.add(
                    FIELD,
                    "An ssh address is opened with a private key. Keep one as a secret for all builds in Settings, and give that secret's name.",
                );
            }
            return None;
        };
        if !matches!(repository, Some(Repository::Url(_))) && !self.names("artifacts.repository") {
            self.add(FIELD, "A token is shown to the host of a repository's address; what is on this machine needs none. Leave it empty.");
            return None;
        }
        let read = name.trim().parse().ok();
        if read.is_none() {
            self.add(FIELD, if by_key { name_wanted("REPOSITORY_KEY", "key") } else { name_wanted("REPOSITORY_TOKEN", "token") });
        }
        read
    }

    fn links(&mut self, field: &str, texts: Vec<String>) -> Vec<String> {
        let texts: Vec<String> = texts.into_iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
        if texts.len() > MAX_LINKS {
            self.add(field, format!("{} are given; at most {MAX_LINKS} are taken.", texts.len()));
            return Vec::new();
        }
        for (index, text) in texts.iter().enumerate() {
            if let Err(why) = public_https(text) {
                self.add(&format!("{field}[{index}]"), format!("{why} Give an https address of a public host."));
            }
        }
        texts
    }

    fn files(&mut self, files: &[InputFile]) {
        for (place, why) in wrong_files(files) {
            match place.and_then(|place| Some((place, files.get(place)?))) {
                Some((place, file)) => self.add(&format!("artifacts.files[{place}]"), format!("`{}`: {why}", shown(&file.name))),
                None => self.add("artifacts.files", why),
            }
        }
    }
}

/// A person's wrong input, shortened for the message about it.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if text.chars().count() > 80 {
        short.push('…');
    }
    short
}
