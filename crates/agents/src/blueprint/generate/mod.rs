//! From a [`Spec`] to the files of a project: a pure function, the same bytes for the same spec. It must not know a clock, a source of
//! randomness, a disk or a process.
//!
//! Everything in a spec that a person wrote is hostile text. Names that become identifiers are checked ([`check`]); sentences are
//! escaped for the place they land in ([`text`]).
//!
//! Two files of a project are not made here but by the project's own commands once its code is there, and are committed with it:
//! `backend/openapi.json` is what [`OPENAPI_COMMAND`] prints (a generated test compares the two).

pub mod backend;
mod check;
pub mod frontend;
pub mod project;
pub(in crate::blueprint) mod templates;
pub mod text;

use grace_domain::event::ArtifactKind;
use grace_domain::intent::Stack;
use grace_domain::spec::Spec;
use serde::{Deserialize, Serialize};

pub use check::{reserved_entity_names, reserved_field_names};

/// Run in `backend/` with the project's own Python; its standard output is `backend/openapi.json`. Wanted whenever docs are generated.
pub const OPENAPI_COMMAND: [&str; 3] = ["python", "-m", "app.openapi"];

/// A piece of a project that is generated, and committed, at once. Every file belongs to exactly one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    BackendFoundation,
    BackendModels,
    BackendAuth,
    BackendApi,
    BackendRealtime,
    /// CSV, audit log, access review, and the application that puts all routers together.
    BackendExtras,
    BackendTests,
    FrontendFoundation,
    FrontendPages,
    FrontendRealtime,
    FrontendTests,
    Docs,
    Deployment,
    Ci,
}

impl Part {
    /// In the order in which they are meant to be generated.
    pub const ALL: [Self; 14] = [
        Self::BackendFoundation,
        Self::BackendModels,
        Self::BackendAuth,
        Self::BackendApi,
        Self::BackendRealtime,
        Self::BackendExtras,
        Self::BackendTests,
        Self::FrontendFoundation,
        Self::FrontendPages,
        Self::FrontendRealtime,
        Self::FrontendTests,
        Self::Docs,
        Self::Deployment,
        Self::Ci,
    ];
}

/// A file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    pub content: Vec<u8>,
    pub executable: bool,
    pub kind: ArtifactKind,
}

impl GeneratedFile {
    /// A text file that nobody executes.
    pub fn new(path: impl Into<String>, content: String, kind: ArtifactKind) -> Self {
        Self { path: path.into(), content: content.into_bytes(), executable: false, kind }
    }
}

/// Why a project could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec breaks one of its own rules; the text says which and is fit for people.
    #[error("the specification cannot be generated: {0}")]
    Specification(String),
    /// A template does not fit the spec: a defect of the blueprint.
    #[error("the template `{name}` failed")]
    Template {
        name: String,
        #[source]
        source: minijinja::Error,
    },
}

/// The files of one part of the project, in the order of their paths; none when the spec does not need the part.
///
/// # Errors
/// [`Error::Specification`] when a name cannot be an identifier, is taken by what every project has, or something referred to is
/// missing; authentication must have been decided.
pub fn generate(spec: &Spec, part: Part) -> Result<Vec<GeneratedFile>, Error> {
    check::check(spec)?;
    let mut files = match part {
        Part::BackendFoundation => [project::generate(spec, part)?, backend::generate(spec, part)?].concat(),
        Part::BackendModels | Part::BackendAuth | Part::BackendApi | Part::BackendRealtime | Part::BackendExtras => backend::generate(spec, part)?,
        Part::BackendTests if spec.generate.tests => backend::generate(spec, part)?,
        Part::FrontendFoundation | Part::FrontendPages | Part::FrontendRealtime if has_frontend(spec) => frontend::generate(spec, part)?,
        Part::FrontendTests if has_frontend(spec) && spec.generate.tests => frontend::generate(spec, part)?,
        Part::Docs => project::generate(spec, part)?,
        Part::Deployment | Part::Ci if spec.generate.deployment => project::generate(spec, part)?,
        _ => Vec::new(),
    };
    if let Some(folder) = &spec.folder {
        for file in &mut files {
            // Workflows are only found at the root of a repository.
            if !file.path.starts_with(".github/") {
                file.path = format!("{folder}/{}", file.path);
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// Whether the project has pages at all.
pub fn has_frontend(spec: &Spec) -> bool {
    spec.stack == Stack::ReactFastapi
}

/// Whether there is an `admin` who manages accounts: when roles were asked for, or controls that only an admin may use.
pub fn has_admin(spec: &Spec) -> bool {
    spec.authentication.has_accounts() && (!spec.roles.is_empty() || spec.controls.any())
}
