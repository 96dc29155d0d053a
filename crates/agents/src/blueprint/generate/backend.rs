//! The service itself: FastAPI, SQLAlchemy and Alembic. It must not know the pages.

mod entity;
mod layout;
mod lock;
mod suite;
mod values;
pub mod view;

use std::collections::BTreeSet;

use grace_domain::event::ArtifactKind;
use grace_domain::spec::Spec;
use minijinja::{Value, context};

use self::view::{EntityView, ProjectView};
use super::{Error, GeneratedFile, Part, templates};

/// The files of one backend part.
///
/// # Errors
/// [`Error::Template`] when a template does not fit the spec.
pub fn generate(spec: &Spec, part: Part) -> Result<Vec<GeneratedFile>, Error> {
    let project = ProjectView::new(spec);
    let mut files = Files { context: project_context(&project), files: Vec::new() };
    match part {
        Part::BackendFoundation => foundation(&project, &mut files)?,
        Part::BackendModels => models(&project, &mut files)?,
        Part::BackendAuth if project.accounts => authentication(&project, &mut files)?,
        Part::BackendApi => api(&project, &mut files)?,
        Part::BackendRealtime if project.realtime.is_some() => realtime(&project, &mut files)?,
        Part::BackendExtras => extras(&project, &mut files)?,
        Part::BackendTests => tests(&project, &mut files)?,
        _ => {}
    }
    Ok(files.files)
}

/// Files in the making, and what every template may refer to.
struct Files {
    context: Value,
    files: Vec<GeneratedFile>,
}

impl Files {
    /// A rendered Python module; template and path differ by their folder and suffix only.
    fn module(&mut self, path: &str) -> Result<(), Error> {
        self.module_from(path, path, context! {})
    }

    fn module_from(&mut self, path: &str, template: &str, more: Value) -> Result<(), Error> {
        let source = templates::render(&format!("backend/{template}.j2"), context! { ..more, ..self.context.clone() })?;
        let kind = if path.starts_with("tests/") { ArtifactKind::Test } else { ArtifactKind::Code };
        self.push(path, layout::lay_out(&source), kind);
        Ok(())
    }

    fn package(&mut self, folder: &str, says: &str) {
        let kind = if folder.starts_with("tests") { ArtifactKind::Test } else { ArtifactKind::Code };
        self.push(&format!("{folder}/__init__.py"), format!("\"\"\"{says}\"\"\"\n"), kind);
    }

    fn config(&mut self, path: &str) -> Result<(), Error> {
        let content = templates::render(&format!("backend/{path}.j2"), &self.context)?;
        self.push(path, content, ArtifactKind::Config);
        Ok(())
    }

    fn push(&mut self, path: &str, content: String, kind: ArtifactKind) {
        self.files.push(GeneratedFile::new(format!("backend/{path}"), content, kind));
    }
}

/// What every template of backend and project may refer to.
pub fn shared_context(spec: &Spec) -> Value {
    project_context(&ProjectView::new(spec))
}

fn project_context(project: &ProjectView) -> Value {
    let kinds: BTreeSet<&str> = project.entities.iter().flat_map(|entity| entity.fields.iter().map(|field| field.kind)).collect();
    let links = || project.entities.iter().flat_map(|entity| entity.links.iter().chain(&entity.manys));
    let extra = context! {
        kinds => kinds.into_iter().collect::<Vec<_>>(),
        searches => project.entities.iter().any(|entity| entity.schema_imports.iter().any(|name| name == "Search")),
        references => links().any(|link| !link.person),
        links => project.entities.iter().any(|entity| !entity.links.is_empty()),
        field_refusals => project.passwords || project.entities.iter().any(|entity| !(entity.uniques.is_empty() && entity.links.is_empty() && entity.manys.is_empty())),
        uniques => project.entities.iter().any(|entity| !entity.uniques.is_empty()),
        manys => project.entities.iter().any(|entity| !entity.manys.is_empty()),
        owned => project.entities.iter().any(|entity| entity.owned),
        writes => project.entities.iter().any(|entity| entity::writer_parameter(project, entity).is_some()),
        role_type => format!("Role = Literal[{}]", quoted(&project.roles)),
        reading_set => format!("{{{}}}", quoted(&project.reading_roles)),
    };
    context! { ..extra, ..Value::from_serialize(project) }
}

/// `"a", "b"`
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn foundation(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    files.config("pyproject.toml")?;
    let mut wanted = vec!["fastapi", "uvicorn", "sqlalchemy", "alembic", "pydantic", "pydantic-settings", "psycopg", "psycopg-binary"];
    let has = |kind: &str| project.entities.iter().any(|entity| entity.fields.iter().any(|field| field.kind == kind));
    wanted.extend(project.realtime.is_some().then_some("websockets").into_iter().chain(project.realtime.is_some().then_some("anyio")));
    wanted.extend((project.jwt || project.oauth).then_some("pyjwt"));
    wanted.extend(has("email").then_some("email-validator"));
    wanted.extend(project.csv.then_some("python-multipart"));
    wanted.extend(project.oauth.then_some("httpx2").into_iter().chain(project.oauth.then_some("cryptography")));
    let runtime = lock::select(templates::verbatim("backend/runtime.lock")?, &wanted, &BTreeSet::new());
    let mut development = vec!["ruff"];
    if project.tests {
        development.extend(["pytest", "pytest-cov", "httpx2"]);
    }
    let rest = lock::select(templates::verbatim("backend/dev.lock")?, &development, &lock::names(&runtime));
    files.push(
        "requirements.lock",
        format!("# What the service needs, all of it, with the hashes that pip checks.\n{runtime}"),
        ArtifactKind::Config,
    );
    files.push("requirements-dev.lock", format!("# What work on the service needs as well.\n-r requirements.lock\n{rest}"), ArtifactKind::Config);
    files.package("app", "The service.");
    for module in ["app/config.py", "app/database.py", "app/errors.py", "app/rows.py", "app/schemas/common.py"] {
        files.module(module)?;
    }
    files.package("app/schemas", "What goes over the wire.");
    Ok(())
}

fn models(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    let mut index: Vec<(String, Vec<String>)> = Vec::new();
    for entity in &project.entities {
        let names = entity.enums.iter().map(|choice| choice.class.clone()).chain([entity.name.class.clone()]).collect();
        index.push((entity.name.snake.clone(), names));
        files.module_from(&format!("app/models/{}.py", entity.name.snake), "app/models/entity.py", context! { e => entity })?;
    }
    if project.accounts {
        files.module("app/models/account.py")?;
        index.push(("account".into(), vec!["Account".into(), "SignIn".into()]));
    }
    if project.audit {
        files.module("app/models/audit_entry.py")?;
        index.push(("audit_entry".into(), vec!["AuditEntry".into()]));
    }
    index.sort();
    let mut names = vec!["Base".to_owned()];
    let mut lines = Vec::new();
    for (module, mut classes) in index {
        classes.sort();
        lines.push(format!("from app.models.{module} import {}", classes.join(", ")));
        names.extend(classes);
    }
    names.sort();
    files.module_from("app/models/__init__.py", "app/models/init.py", context! { model_index => lines, model_names => names })?;
    files.config("alembic.ini")?;
    files.module("migrations/env.py")?;
    let script = templates::verbatim("backend/migrations/script.py.mako")?.to_owned();
    files.push("migrations/script.py.mako", script, ArtifactKind::Config);
    files.module_from("migrations/versions/0001_initial.py", "migrations/initial.py", context! {})
}

fn authentication(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    files.package("app/security", "Who may do what.");
    for module in ["app/security/access.py", "app/security/roles.py", "app/security/sign_ins.py", "app/schemas/accounts.py"] {
        files.module(module)?;
    }
    if project.passwords {
        files.module("app/security/passwords.py")?;
        files.module("app/security/attempts.py")?;
        files.module("app/routers/auth.py")?;
    }
    if project.oauth {
        files.module("app/security/identity.py")?;
        files.module("app/routers/oauth.py")?;
    }
    if project.admin || project.people_options {
        files.module("app/routers/accounts.py")?;
    }
    Ok(())
}

fn api(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    files.package("app/services", "What can be done, whoever asks.");
    files.package("app/routers", "The HTTP interface.");
    files.module("app/routers/health.py")?;
    for entity in &project.entities {
        let more = entity::context(project, entity);
        let EntityView { name, .. } = entity;
        files.module_from(&format!("app/schemas/{}.py", name.snake), "app/schemas/entity.py", more.clone())?;
        files.module_from(&format!("app/services/{}.py", name.plural), "app/services/entity.py", more.clone())?;
        files.module_from(&format!("app/routers/{}.py", name.plural), "app/routers/entity.py", more)?;
    }
    Ok(())
}

fn realtime(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    files.module_from("app/realtime.py", "app/realtime.py", entity::realtime_context(project))
}

fn extras(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    if project.csv {
        files.module("app/csv_exchange.py")?;
    }
    if project.audit {
        files.module("app/audit.py")?;
        files.module("app/routers/audit_log.py")?;
    }
    if project.access_review {
        files.module("app/routers/access_review.py")?;
    }
    if project.frontend {
        files.module("app/pages.py")?;
    }
    files.module("app/openapi.py")?;
    files.module_from("app/main.py", "app/main.py", entity::main_context(project))
}

fn tests(project: &ProjectView, files: &mut Files) -> Result<(), Error> {
    files.package("tests", "Everything that the service promises.");
    files.package("tests/unit", "One module at a time, without HTTP.");
    files.package("tests/integration", "Over HTTP, with a real database.");
    files.module("tests/conftest.py")?;
    files.module_from("tests/factories.py", "tests/factories.py", suite::factories_context(project))?;
    let changes = context! { change_headers => if project.cookie { "{\"X-Requested-With\": \"fetch\"}" } else { "{}" } };
    let mut modules = vec!["unit/test_database", "integration/test_health", "integration/test_migrations"];
    if project.docs {
        modules.push("integration/test_openapi");
    }
    if project.passwords {
        modules.extend(["unit/test_passwords", "unit/test_attempts", "integration/test_auth"]);
    }
    if project.frontend {
        modules.push("integration/test_pages");
    }
    if project.admin || project.people_options {
        modules.push("integration/test_accounts");
    }
    if project.audit {
        modules.push("integration/test_audit_log");
    }
    if project.access_review {
        modules.push("integration/test_access_review");
    }
    if project.realtime.is_some() {
        modules.extend(["unit/test_hub", "unit/test_errors"]);
    }
    if project.csv {
        modules.push("unit/test_csv_exchange");
    }
    if project.oauth {
        files.module("tests/issuer.py")?;
        modules.push("integration/test_oauth");
    }
    for module in modules {
        let path = format!("tests/{module}.py");
        files.module_from(&path, &path, changes.clone())?;
    }
    if project.csv {
        files.module_from("tests/integration/test_csv.py", "tests/integration/test_csv.py", suite::csv_context(project))?;
    }
    if project.realtime.is_some() {
        let path = "tests/integration/test_realtime.py";
        files.module_from(path, path, suite::realtime_context(project))?;
    }
    for entity in &project.entities {
        let path = format!("tests/integration/test_{}.py", entity.name.plural);
        files.module_from(&path, "tests/integration/entity.py", context! { ..changes.clone(), ..suite::entity_context(entity) })?;
    }
    Ok(())
}
