//! What surrounds the code: the test command, README and docs, container files and CI. It must not know how backend or pages are made.

use grace_domain::event::ArtifactKind;
use grace_domain::spec::{Authentication, Database, Spec};
use minijinja::Value;

use super::backend::shared_context;
use super::{Error, GeneratedFile, Part, templates};

/// The files of one project part.
///
/// # Errors
/// [`Error::Template`] when a template does not fit the spec.
pub fn generate(spec: &Spec, part: Part) -> Result<Vec<GeneratedFile>, Error> {
    let prefix = spec.folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
    let postgres = spec.database == Database::Postgresql;
    let credentials = postgres || matches!(spec.authentication, Authentication::Jwt | Authentication::Oauth);
    let context = minijinja::context! { prefix, credentials, ..shared_context(spec) };
    let unit = format!("deploy/systemd/{}.service", spec.slug);
    let workflow = match &spec.folder {
        None => ".github/workflows/ci.yml".to_owned(),
        Some(_) => format!(".github/workflows/{}.yml", spec.slug),
    };
    let wanted: Vec<(&str, &str, ArtifactKind)> = match part {
        Part::BackendFoundation => vec![
            (".gitignore", "gitignore", ArtifactKind::Config),
            (".editorconfig", "editorconfig", ArtifactKind::Config),
            ("test.sh", "test.sh", ArtifactKind::Test),
        ],
        Part::Docs if spec.generate.docs => vec![
            ("README.md", "README.md", ArtifactKind::Doc),
            ("docs/api.md", "docs/api.md", ArtifactKind::Doc),
            ("docs/architecture.md", "docs/architecture.md", ArtifactKind::Doc),
        ],
        // Without a README nobody would know how to start it, or what of the description is missing.
        Part::Docs => vec![("README.md", "README.md", ArtifactKind::Doc)],
        Part::Deployment => deployment(postgres, credentials, &unit),
        Part::Ci => vec![(workflow.as_str(), "ci.yml", ArtifactKind::Infrastructure)],
        _ => Vec::new(),
    };
    wanted.into_iter().map(|(path, template, kind)| file(path, template, kind, &context)).collect()
}

/// What takes the project to a machine, whatever runs there: containers, a cluster, systemd.
fn deployment(postgres: bool, credentials: bool, unit: &str) -> Vec<(&str, &'static str, ArtifactKind)> {
    let mut wanted = vec![
        ("Dockerfile", "Dockerfile"),
        (".dockerignore", "dockerignore"),
        ("compose.yaml", "compose.yaml"),
        (unit, "deploy/systemd/service"),
        ("deploy/kubernetes/kustomization.yaml", "deploy/kubernetes/kustomization.yaml"),
        ("deploy/kubernetes/namespace.yaml", "deploy/kubernetes/namespace.yaml"),
        ("deploy/kubernetes/service.yaml", "deploy/kubernetes/service.yaml"),
    ];
    wanted.extend(postgres.then_some(("deploy/kubernetes/database.yaml", "deploy/kubernetes/database.yaml")));
    wanted.extend(credentials.then_some(("deploy/kubernetes/credentials.env.example", "deploy/kubernetes/credentials.env.example")));
    wanted.into_iter().map(|(path, template)| (path, template, ArtifactKind::Infrastructure)).collect()
}

fn file(path: &str, template: &str, kind: ArtifactKind, context: &Value) -> Result<GeneratedFile, Error> {
    let content = templates::render(&format!("project/{template}.j2"), context)?;
    Ok(GeneratedFile { executable: path.ends_with(".sh"), ..GeneratedFile::new(path, content, kind) })
}
