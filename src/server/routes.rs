//! Every endpoint of the REST API, with what it takes and answers, in the order in which the document shows them.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use grace_domain::{
    analytics::{AnalyticsQuery, AnalyticsView},
    comment::{Comment, CommentDraft, CommentList},
    copilot::{ActionRequest, ChatMessage, ChatReply, ChatRequest, Notification},
    deployment::{DeployRequest, DeployResponse, Deployment, RollbackRequest},
    document::{DocumentList, DocumentQuery, DocumentView, VersionQuery},
    event::{Artifact, Event},
    input::Uploaded,
    intent::RequestDraft,
    list::{DiffQuery, ListQuery, LogQuery},
    model::{Budget, ConnectionReport, ModelsView, ProfileDraft, Roles},
    place::{DatabaseView, PlaceVariable, ServiceOutput, VariableDraft},
    provisioning::{ProvisionApproval, ProvisionRequest, ProvisioningRun, ResourceChange},
    retrospective::{Feedback, Retrospective, RetrospectiveDraft},
    review::{Answer, Review, ReviewRequest},
    revision::PlanRevision,
    secret::{AuditEntry, SecretDraft, VaultView},
    system::{Catalog, KernelView, QueueView, SystemView},
    task::Task,
    view::{Approval, ApprovalResponse, BuildList, ControlResponse, LogView, Proposal, StatusView, Template},
};
use utoipa::openapi::OpenApi;

use super::{
    ServerState, builds, copilot, deployments,
    document::{Documented, endpoint},
    documents, events, inputs, learning, models, operations, places, provisioning, refusal, results, reviews, secrets, tasks,
};

/// The API with its description at `/api/openapi.json` and `/api/docs`.
pub fn api() -> Router<ServerState> {
    let (router, document) = documented().finish();
    let json = document.to_json().expect("an OpenAPI document has string keys only");
    let page = docs_page(&document);
    router
        .route("/api/openapi.json", get(async move || ([(header::CONTENT_TYPE, "application/json")], json)))
        .route("/api/docs", get(async move || docs(page)))
        .route("/api", get(refusal::no_such_endpoint))
        .route("/api/{*path}", axum::routing::any(refusal::no_such_endpoint))
        .method_not_allowed_fallback(refusal::method_not_allowed)
}

fn documented() -> Documented {
    let with_operations = operations_of(Documented::new());
    let with_builds = build_control(builds_of(with_operations));
    provisioning_of(documents_of(places_of(secrets_of(rest(results_of(with_builds))))))
}

fn provisioning_of(api: Documented) -> Documented {
    let provisioning = |summary: &str| endpoint("provisioning", summary);
    api.get(
        "/api/provisioning",
        provisioning::list_runs,
        provisioning("Runs of provisioning, newest first; `q` filters by environment and variant.").query::<ListQuery>().answers_page::<ProvisioningRun>(),
    )
    .post(
        "/api/provisioning",
        provisioning::provision,
        provisioning("Begins a run: checks and a plan. `kind` is `apply`, `destroy` (with `confirm`, the place's name) or `drift`. Nothing is changed before its plan is approved.")
            .takes::<ProvisionRequest>()
            .answers::<ProvisioningRun>(202),
    )
    .get("/api/provisioning/{id}", provisioning::get_run, provisioning("One run with its steps, facts and outputs; sensitive outputs name their secret.").answers::<ProvisioningRun>(200))
    .get(
        "/api/provisioning/{id}/plan",
        provisioning::list_changes,
        provisioning("What its plan changes, resource by resource; sensitive values and ids are left out.").query::<ListQuery>().answers_page::<ResourceChange>(),
    )
    .post(
        "/api/provisioning/{id}/approve",
        provisioning::approve_run,
        provisioning("Approves the plan of this `plan_hash`; that plan, and no other, is applied.").takes::<ProvisionApproval>().answers::<ProvisioningRun>(200),
    )
    .post("/api/provisioning/{id}/reject", provisioning::reject_run, provisioning("Nothing is changed; the run ends.").answers::<ProvisioningRun>(200))
    .post(
        "/api/provisioning/{id}/cancel",
        provisioning::cancel_run,
        provisioning("Ends a run. One that is changing resources is stopped in the middle, and then needs a person.").answers::<ProvisioningRun>(200),
    )
}

fn places_of(api: Documented) -> Documented {
    let places = |summary: &str| endpoint("provisioning", summary);
    api.get(
        "/api/provisioning/databases",
        places::list_databases,
        places("Databases of places with their copies, newest first; `q` filters by name, environment and title.")
            .query::<ListQuery>()
            .answers_page::<DatabaseView>(),
    )
    .delete(
        "/api/provisioning/databases/{name}",
        places::drop_database,
        places("Drops a database with its copies, its role and its password.").query::<places::ConfirmQuery>().answers_nothing(),
    )
    .get(
        "/api/provisioning/variables",
        places::list_variables,
        places("Variables that services are given, with the names of their secrets; never values.").answers::<Vec<PlaceVariable>>(200),
    )
    .post(
        "/api/provisioning/variables",
        places::save_variable,
        places("Gives the services of a place a variable from their next start on.").takes::<VariableDraft>().answers::<Vec<PlaceVariable>>(201),
    )
    .delete(
        "/api/provisioning/variables/{variable}",
        places::delete_variable,
        places("Takes it from them with their next start.").query::<places::PlaceQuery>().answers_nothing(),
    )
    .get(
        "/api/deployments/output",
        places::read_output,
        endpoint("deployments", "The newest of what the services of a build print in an environment, secrets hidden.")
            .query::<places::OutputQuery>()
            .answers::<ServiceOutput>(200),
    )
}

fn documents_of(api: Documented) -> Documented {
    let documents = |summary: &str| endpoint("documents", summary);
    api.get(
        "/api/documents",
        documents::list_documents,
        documents("Documents of builds: with `q` those that have its words, best first; without it those that changed last.")
            .query::<DocumentQuery>()
            .answers::<DocumentList>(200),
    )
    .get(
        "/api/documents/export.zip",
        documents::export_documents,
        documents("A build's documents as a site: pages with links between them, without a script.")
            .query::<documents::SiteQuery>()
            .answers_with(200, "application/zip"),
    )
    .get(
        "/api/documents/{id}",
        documents::get_document,
        documents("One document: the newest version, or with `release` that of a deployment which went live.")
            .query::<VersionQuery>()
            .answers::<DocumentView>(200),
    )
}

fn secrets_of(api: Documented) -> Documented {
    let secrets = |summary: &str| endpoint("secrets", summary);
    api.get("/api/secrets", secrets::list_secrets, secrets("Names, scopes and uses; never values.").answers::<VaultView>(200))
        .post(
            "/api/secrets",
            secrets::save_secret,
            secrets("Adds a secret, or a new version of it. Its value is in no answer.").takes::<SecretDraft>().answers::<VaultView>(201),
        )
        .get(
            "/api/secrets/audit",
            secrets::list_audit,
            secrets("Who read or changed what, newest first; `q` filters by name.").query::<ListQuery>().answers_page::<AuditEntry>(),
        )
        .post("/api/secrets/rotate", secrets::rotate_vault, secrets("Exchanges the master key.").answers::<VaultView>(200))
        .delete(
            "/api/secrets/{name}",
            secrets::delete_secret,
            secrets("Deletes a secret; builds may not use it any more.").query::<secrets::ScopeQuery>().answers_nothing(),
        )
}

fn builds_of(api: Documented) -> Documented {
    let builds = |summary: &str| endpoint("builds", summary);
    api.post(
        "/api/inputs",
        inputs::upload_inputs,
        builds("Takes files that come with a description, at most 25 MiB each; name what it answers in `artifacts.files` of a request.")
            .takes_files()
            .answers::<Uploaded>(201),
    )
    .delete("/api/inputs/{hash}", inputs::forget_input, builds("Forgets a file that no build and no template refers to.").answers_nothing())
    .get(
        "/api/coding_agent/{id}/inputs/{name}",
        inputs::get_input,
        builds("A file that came with a build's description.").answers_with(200, "application/octet-stream"),
    )
    .post(
        "/api/coding_agent/preview",
        builds::preview_build,
        builds("The plan for a request; nothing is stored.").takes::<RequestDraft>().answers::<Proposal>(200),
    )
    .post(
        "/api/coding_agent/create",
        builds::create_build,
        builds("Stores an intent with its plan. `Idempotency-Key` makes repeats safe; `plan_hash` of a preview approves it at once.")
            .takes::<RequestDraft>()
            .answers::<Proposal>(201),
    )
    .get(
        "/api/coding_agent/active",
        builds::list_active,
        builds("Builds that go on or wait for a person.").query::<ListQuery>().answers::<BuildList>(200),
    )
    .get("/api/coding_agent/completed", builds::list_completed, builds("Builds that have ended.").query::<ListQuery>().answers::<BuildList>(200))
    .get("/api/coding_agent/status/{id}", builds::get_status, builds("Everything about one build.").answers::<StatusView>(200))
    .post(
        "/api/coding_agent/{id}/approve",
        builds::approve_plan,
        builds("Approves, rejects or changes the plan; `plan_hash` binds the approval to one revision. While a build of the model agent is under way, `edits` and `modifications` change what is left: tasks that have begun stay, nothing else begins until the new revision is approved, or rejected and the former one goes on.")
            .takes::<Approval>()
            .answers::<ApprovalResponse>(200),
    )
    .get(
        "/api/coding_agent/{id}/plans",
        builds::list_revisions,
        builds("Revisions of the plan, newest first, each with what it changed of the one that it came from, and what was said to it.").answers_page::<PlanRevision>(),
    )
}

fn build_control(api: Documented) -> Documented {
    let control = |summary: &str| endpoint("control", summary).answers::<ControlResponse>(200);
    api.post("/api/coding_agent/{id}/pause", builds::pause_build, control("No further task begins."))
        .post("/api/coding_agent/{id}/resume", builds::resume_build, control("Goes on where it was paused."))
        .post("/api/coding_agent/{id}/stop", builds::stop_build, control("Ends the build and the commands that run; what is committed stays."))
        .post("/api/coding_agent/{id}/retry", builds::retry_build, control("Runs the failed task of a failed build again."))
        .post(
            "/api/coding_agent/{id}/budget",
            builds::set_budget,
            control("What models may take for the build from now on, in all.").takes::<Budget>(),
        )
        .post("/api/coding_agent/{id}/message", builds::send_message, control("A word to the build's agent.").takes::<builds::MessageBody>())
        .post(
            "/api/coding_agent/{id}/request_review",
            reviews::request_review,
            endpoint("reviews", "Puts a question to a person.").takes::<ReviewRequest>().answers::<Review>(201),
        )
        .post(
            "/api/coding_agent/{id}/reviews/{review}/answer",
            reviews::answer_review,
            endpoint("reviews", "Answers once; `decide` leaves it to Grace.").takes::<Answer>().answers::<Review>(200),
        )
}

fn results_of(api: Documented) -> Documented {
    let results = |summary: &str| endpoint("results", summary);
    api.get(
        "/api/coding_agent/{id}/artifacts",
        results::list_artifacts,
        results("The project's files.").query::<ListQuery>().answers_page::<Artifact>(),
    )
    .get(
        "/api/coding_agent/{id}/artifacts/{*path}",
        results::get_artifact,
        results("One file, never as something that runs.").answers_with(200, "text/plain"),
    )
    .get("/api/coding_agent/{id}/archive.zip", results::get_archive, results("The project.").answers_with(200, "application/zip"))
    .get(
        "/api/coding_agent/{id}/diff",
        results::get_diff,
        results("What the build, one of its tasks or one of its phases changed, as a unified diff.")
            .query::<DiffQuery>()
            .answers_with(200, "text/x-diff"),
    )
    .get(
        "/api/coding_agent/{id}/comments",
        results::list_comments,
        results("Comments on lines of the changes, oldest first, and why no more can be made, if so.").answers::<CommentList>(200),
    )
    .post(
        "/api/coding_agent/{id}/comments",
        results::make_comment,
        results(
            "Comments on a line or a range of the changes. The model agent reads it before its next step; its next commit of the file resolves it.",
        )
        .takes::<CommentDraft>()
        .answers::<Comment>(201),
    )
    .post(
        "/api/coding_agent/{id}/comments/{comment}/resolve",
        results::resolve_comment,
        results("Resolves a comment by hand, or opens it again.").takes::<results::Resolution>().answers::<Comment>(200),
    )
    .get("/api/coding_agent/{id}/patch", results::get_patch, results("All commits, as `git am` takes them.").answers_with(200, "text/x-diff"))
    .get("/api/coding_agent/{id}/logs", results::list_logs, results("Lines of the log.").query::<LogQuery>().answers_page::<LogView>())
    .get(
        "/api/coding_agent/{id}/logs.txt",
        results::export_logs,
        results("The whole log as text.").query::<LogQuery>().answers_with(200, "text/plain"),
    )
    .get(
        "/api/coding_agent/{id}/trajectory.jsonl",
        results::export_trajectory,
        results("What the agent and its model said to each other, a JSON object a line.").answers_with(200, "application/x-ndjson"),
    )
    .get("/api/coding_agent/{id}/report", results::get_report, results("What was built and how it went.").answers_with(200, "text/markdown"))
    .post(
        "/api/coding_agent/{id}/deploy",
        deployments::deploy_build,
        endpoint("deployments", "Hands a finished build to Layer 4.").takes::<DeployRequest>().answers::<DeployResponse>(202),
    )
    .get(
        "/api/deployments",
        deployments::list_deployments,
        endpoint("deployments", "All deployments.").query::<ListQuery>().answers_page::<Deployment>(),
    )
    .get(
        "/api/deployments/live",
        deployments::list_live,
        endpoint("deployments", "Whose releases answer now, at most 200.").answers::<Vec<Deployment>>(200),
    )
    .get("/api/deployments/{id}", deployments::get_deployment, endpoint("deployments", "One deployment with its steps.").answers::<Deployment>(200))
    .post(
        "/api/deployments/{id}/cancel",
        deployments::cancel_deployment,
        endpoint("deployments", "Ends it before the switch.").answers::<Deployment>(200),
    )
    .post(
        "/api/deployments/{id}/promote",
        deployments::promote_deployment,
        endpoint("deployments", "Production takes over what is live in staging, as it is.").answers::<DeployResponse>(202),
    )
    .post(
        "/api/deployments/{id}/rollback",
        deployments::roll_back_deployment,
        endpoint("deployments", "Back to the release before, or to an earlier one that is kept.")
            .may_take::<RollbackRequest>()
            .answers::<Deployment>(200),
    )
}

fn rest(api: Documented) -> Documented {
    let tasks = |summary: &str| endpoint("tasks", summary);
    let learning = |summary: &str| endpoint("learning", summary);
    let copilot = |summary: &str| endpoint("co-pilot", summary);
    api.get("/api/htm/tasks", tasks::list_tasks, tasks("Tasks over all builds.").query::<ListQuery>().answers_page::<Task>())
        .get("/api/htm/queue", tasks::get_queue, tasks("The queue in figures.").answers::<QueueView>(200))
        .post("/api/htm/pause", tasks::pause_queue, tasks("No task begins any more, in any build.").answers::<QueueView>(200))
        .post("/api/htm/resume", tasks::resume_queue, tasks("Tasks begin again.").answers::<QueueView>(200))
        .post(
            "/api/htm/priorities",
            tasks::set_priority,
            tasks("Serves a build sooner or later.").takes::<tasks::PriorityBody>().answers::<ControlResponse>(200),
        )
        .post(
            "/api/learning/retrospective",
            learning::record_retrospective,
            learning("Keeps a retrospective.").takes::<RetrospectiveDraft>().answers::<Retrospective>(201),
        )
        .get(
            "/api/learning/retrospectives",
            learning::list_retrospectives,
            learning("All retrospectives.").query::<ListQuery>().answers_page::<Retrospective>(),
        )
        .get("/api/learning/retrospectives/{id}", learning::get_retrospective, learning("One retrospective.").answers::<Retrospective>(200))
        .post(
            "/api/learning/retrospectives/{id}/feedback",
            learning::give_feedback,
            learning("Keeps what a person thinks of what was built; a later word replaces it.").takes::<Feedback>().answers::<Retrospective>(200),
        )
        .post(
            "/api/learning/retrospectives/{id}/apply",
            learning::apply_learnings,
            learning("Turns its insights, and what a person said of it, into playbook entries.").answers::<learning::Applied>(200),
        )
        .get("/api/learning/stats", learning::get_stats, learning("What finished builds measured.").answers::<learning::Stats>(200))
        .get(
            "/api/learning/analytics",
            learning::get_analytics,
            learning("What builds that have ended came to: over time, by type, by agent.").query::<AnalyticsQuery>().answers::<AnalyticsView>(200),
        )
        .get(
            "/api/learning/analytics.csv",
            learning::export_analytics,
            learning("A part of it as a table.").query::<learning::AnalyticsTable>().answers_with(200, "text/csv"),
        )
        .get("/api/learning/templates", learning::list_templates, learning("Saved forms.").answers_page::<Template>())
        .post(
            "/api/learning/templates",
            learning::save_template,
            learning("Saves a form.").takes::<learning::TemplateBody>().answers::<Template>(201),
        )
        .delete("/api/learning/templates/{name}", learning::delete_template, learning("Forgets a saved form.").answers_nothing())
        .get(
            "/api/copilot/notifications",
            copilot::list_notifications,
            copilot("Open messages, those that wait for a person first.").answers_page::<Notification>(),
        )
        .post("/api/copilot/notifications/read", copilot::mark_all_read, copilot("Marks all as read.").answers_nothing())
        .post(
            "/api/copilot/notifications/{id}/action",
            copilot::act_on_notification,
            copilot("Presses one of its buttons.").takes::<ActionRequest>().answers::<ControlResponse>(200),
        )
        .delete("/api/copilot/notifications/{id}", copilot::dismiss_notification, copilot("Closes a message.").answers_nothing())
        .get("/api/copilot/chat", copilot::list_chat, copilot("The chat so far.").answers_page::<ChatMessage>())
        .post("/api/copilot/chat", copilot::chat, copilot("Asks the co-pilot.").takes::<ChatRequest>().answers::<ChatReply>(200))
}

fn operations_of(api: Documented) -> Documented {
    let operations = |summary: &str| endpoint("operations", summary);
    api.get(
        "/api/events",
        events::stream_events,
        operations("Server-sent events: `data` is an event, `id` resumes.").query::<events::StreamQuery>().answers::<Event>(200),
    )
    .get(
        "/api/ws",
        events::open_socket,
        operations("The same events over a WebSocket, as `{cursor, event}`.").query::<events::StreamQuery>().answers_with(101, "application/json"),
    )
    .get("/api/catalog", operations::get_catalog, operations("What can be built here, and why not the rest.").answers::<Catalog>(200))
    .get("/api/kernels", operations::list_kernels, operations("The kernels and what really runs behind them.").answers_page::<KernelView>())
    .post("/api/kernels/{key}/{command}", operations::control_kernel, operations("Starts or stops one.").answers::<KernelView>(200))
    .get("/api/models", models::list_models, operations("Profiles of language models, and what each serves for.").answers::<ModelsView>(200))
    .post(
        "/api/models",
        models::save_model,
        operations("Keeps a profile; one of the same name is replaced. Names the variable that holds the key, never the key.")
            .takes::<ProfileDraft>()
            .answers::<ModelsView>(201),
    )
    .delete("/api/models/{name}", models::delete_model, operations("Forgets a profile.").answers_nothing())
    .post(
        "/api/models/{name}/test",
        models::test_model,
        operations("Asks the model something, and what its endpoint can do.").answers::<ConnectionReport>(200),
    )
    .post("/api/model_roles", models::set_roles, operations("Says which profiles serve for what.").takes::<Roles>().answers::<ModelsView>(200))
    .get("/healthz", operations::healthz, operations("The process lives.").answers_with(200, "text/plain"))
    .get("/readyz", operations::readyz, operations("Builds can be taken; what is enforced and what is there.").answers::<SystemView>(200))
    .get("/metrics", operations::metrics, operations("Figures for Prometheus.").answers_with(200, "text/plain"))
}

/// One table, without a script: the document itself is what programs read.
fn docs_page(document: &OpenApi) -> String {
    let mut rows = String::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in [("GET", &item.get), ("POST", &item.post), ("DELETE", &item.delete)] {
            let Some(operation) = operation else { continue };
            let tag = operation.tags.as_ref().and_then(|tags| tags.first()).map_or("", String::as_str);
            let summary = operation.summary.as_deref().unwrap_or_default();
            rows.push_str(&format!(
                "<tr><td>{tag}</td><td>{method}</td><td><code>{path}</code></td><td>{}</td></tr>\n",
                summary.replace('<', "&lt;")
            ));
        }
    }
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Grace: REST API</title><meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"stylesheet\" href=\"/pkg/grace.css\"><link rel=\"icon\" href=\"/favicon.svg\"></head><body><main style=\"padding:24px;overflow:auto;height:100vh\">\
         <h1>REST API</h1><p>Shapes and parameters are in <a href=\"/api/openapi.json\">openapi.json</a> (OpenAPI 3.1). Errors are \
         <code>application/problem+json</code> with a stable <code>code</code>.</p>\
         <table><thead><tr><th>Group</th><th>Method</th><th>Path</th><th>What it does</th></tr></thead><tbody>\n{rows}</tbody></table></main></body></html>"
    )
}

fn docs(page: String) -> Response {
    let policy = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; frame-ancestors 'none'";
    let mut response = axum::response::Html(page).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
