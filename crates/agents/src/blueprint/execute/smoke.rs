//! Starts the finished service in the sandbox and uses it: health, sign-in, every resource, the live channel, the pages. The steps are in
//! `smoke.py`; here are the facts for them and the reading of what they print.

use std::time::Duration;

use grace_domain::event::{Level, TestFailure, TestReport};
use grace_domain::spec::{Authentication, Entity, Field, FieldKind, RelationKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Project, install, said};
use crate::agent::{TaskFailure, TaskOutput};
use crate::blueprint::generate::has_frontend;
use crate::command::{Invocation, start};

const SCRIPT: &str = include_str!("smoke.py");
/// Longest time for all steps.
const WALL: Duration = Duration::from_secs(120);

/// One line that the script prints.
#[derive(Deserialize)]
struct StepLine {
    step: String,
    error: Option<String>,
}

/// Runs the steps and reports them as a suite of their own.
pub async fn run(project: &Project<'_>) -> Result<TaskOutput, TaskFailure> {
    install::backend(project).await?;
    let migrate = "import os\nfrom alembic.config import main\nmain(argv=['upgrade', 'head'])\n";
    let script = format!("{migrate}{SCRIPT}");
    let finished = Invocation::new(project.context, "smoke", ".venv/bin/python", &project.path("backend"))
        .args(["-"])
        .stdin(script.as_bytes())
        .env("GRACE_SMOKE", facts(project).to_string())
        .env("DATABASE_URL", "sqlite:////tmp/smoke.db")
        .within(WALL)
        .data()
        .run(project.context)
        .await?;
    let mut report =
        TestReport { suite: "smoke".into(), passed: 0, failed: 0, skipped: 0, coverage_percent: None, duration_ms: 0, failures: Vec::new() };
    report.duration_ms = u64::try_from(finished.wall.as_millis()).unwrap_or(u64::MAX);
    for line in finished.data.lines().filter_map(|line| serde_json::from_str::<StepLine>(line).ok()).take(200) {
        match line.error {
            None => {
                report.passed += 1;
                project.context.log(Level::Info, "smoke", &format!("ok: {}", line.step)).await;
            }
            Some(error) => {
                report.failed += 1;
                let message = start(&error, 4_000);
                project.context.log(Level::Error, "smoke", &format!("failed: {}: {message}", line.step)).await;
                report.failures.push(TestFailure { name: line.step, message });
            }
        }
    }
    if report.passed + report.failed == 0 {
        return Err(finished.failure("the service"));
    }
    project.context.tests(report.clone()).await;
    if let Some(failure) = report.failures.first() {
        return Err(TaskFailure::permanent(format!("The service runs, but “{}” failed: {}", failure.name, start(&failure.message, 500))));
    }
    if !finished.exit.is_success() {
        return Err(finished.failure("the service"));
    }
    Ok(said(format!("The service started and did all {} things that were asked of it.", report.passed)))
}

/// What the script has to know about the project.
fn facts(project: &Project<'_>) -> Value {
    let spec = &project.spec;
    let message = spec.realtime.as_ref().map(|realtime| realtime.message.as_str());
    let entities: Vec<Value> =
        spec.entities.iter().filter(|entity| Some(entity.name.as_str()) != message && !needs(entity, message)).map(entity).collect();
    let realtime = spec.realtime.as_ref().and_then(|realtime| {
        let (channel, message) = (spec.entity(&realtime.channel)?, spec.entity(&realtime.message)?);
        let link = message.relations.iter().find(|link| link.target == channel.name && link.kind == RelationKind::BelongsTo)?;
        Some(json!({ "channel": channel.name, "path": channel.path(), "message_path": message.path(), "link": link.name }))
    });
    let authentication = match spec.authentication {
        Authentication::None => "none",
        Authentication::Oauth => "oauth",
        Authentication::Undecided | Authentication::Jwt | Authentication::Sessions => "password",
    };
    let mut environment = json!({ "SECRET_KEY": "only for this one run of the service, of no value" });
    if has_frontend(spec) {
        environment["STATIC_DIR"] = "../frontend/dist".into();
    }
    json!({
        "folder": "/tmp",
        "authentication": authentication,
        "pages": has_frontend(spec),
        "entities": entities,
        "realtime": realtime,
        "environment": environment,
    })
}

fn needs(entity: &Entity, target: Option<&str>) -> bool {
    entity.relations.iter().any(|link| link.required && Some(link.target.as_str()) == target)
}

fn entity(entity: &Entity) -> Value {
    let values: serde_json::Map<String, Value> =
        entity.fields.iter().filter(|field| field.required).map(|field| (field.name.clone(), sample(field))).collect();
    let links: Vec<Value> = entity
        .relations
        .iter()
        .filter(|link| link.required && link.kind == RelationKind::BelongsTo)
        .map(|link| json!({ "name": link.name, "target": link.target }))
        .collect();
    json!({ "name": entity.name, "path": entity.path(), "values": values, "links": links })
}

/// A value that a field takes.
fn sample(field: &Field) -> Value {
    match &field.kind {
        FieldKind::String { max } => "Smoke".chars().take(*max as usize).collect::<String>().into(),
        FieldKind::Text => "Smoke".into(),
        FieldKind::Integer => 1.into(),
        FieldKind::Decimal => "1.50".into(),
        FieldKind::Boolean => true.into(),
        FieldKind::Date => "2030-01-31".into(),
        FieldKind::DateTime => "2030-01-31T12:00:00Z".into(),
        FieldKind::Email => "smoke@example.com".into(),
        FieldKind::Url => "https://example.com/".into(),
        FieldKind::Enum { values } => values.first().cloned().unwrap_or_default().into(),
    }
}
