//! The shapes that the specification's examples show.

use serde_json::{Value, json};

use crate::client::run;

/// The specification's own request; its deadline is past, so it goes without.
fn request() -> Value {
    json!({
        "project_type": "feature",
        "description": "Build a real-time chat feature with WebSocket support, user authentication, and message persistence to PostgreSQL database. \
                        Include React frontend and FastAPI backend with comprehensive tests.",
        "target_domain": "full_stack_web",
        "constraints": { "deadline": null, "environments": ["development", "staging"], "compliance": [], "stack": "react_fastapi" },
        "artifacts": { "repository": null, "datasets": [], "docs": [] },
        "options": { "generate_tests": true, "generate_docs": true, "include_deployment": true, "require_review": false }
    })
}

#[test]
fn a_preview_shows_the_plan_and_stores_nothing() {
    run(async |client| {
        // Other tests create builds of the same request meanwhile.
        let mut request = request();
        request["description"] = json!(format!("{} Previewed alone.", request["description"].as_str().unwrap()));
        let answer = client.post("/api/coding_agent/preview", &request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let proposal = answer.json();
        assert!(proposal.get("intent_id").is_none());
        assert!(proposal["plan"]["questions"].as_array().is_some_and(|questions| !questions.is_empty()), "it will ask which sign-in");
        assert_eq!(client.get("/api/coding_agent/active?q=Previewed%20alone&limit=1").await.json()["total"], 0);
        assert_eq!(client.post("/api/coding_agent/create", &request).await.status, 201);
        assert_eq!(client.get("/api/coding_agent/active?q=Previewed%20alone&limit=1").await.json()["total"], 1);
    });
}

#[test]
fn create_answers_with_the_examples_fields_and_hours_that_add_up() {
    run(async |client| {
        let answer = client.post("/api/coding_agent/create", &request()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let proposal = answer.json();
        assert!(proposal["intent_id"].as_str().unwrap().starts_with("int-code-"));
        assert_eq!(proposal["agent_type"], "coding_agent");
        assert!(proposal["estimated_tasks"].as_u64().unwrap() > 5);
        assert!(proposal["next_step"].is_string() && proposal["plan_hash"].as_str().unwrap().len() == 64);
        let phases = proposal["plan_preview"]["phases"].as_array().unwrap();
        let hours: f64 = phases.iter().map(|phase| hours_of(phase.as_str().unwrap())).sum();
        let total = proposal["estimated_duration_hours"].as_f64().unwrap();
        assert!((hours - total).abs() < 0.000_5, "{hours} is not {total}");
        assert!(proposal["plan_preview"]["deliverables"].as_array().is_some_and(|list| list.len() > 3));
        let status = client.status(proposal["intent_id"].as_str().unwrap()).await;
        for field in [
            "status",
            "current_phase",
            "progress_percent",
            "elapsed_time_minutes",
            "estimated_remaining_minutes",
            "artifacts_generated",
            "logs",
            "blockers",
            "approval_needed",
        ] {
            assert!(status.get(field).is_some(), "{field} is missing");
        }
        assert!(status["tests"].is_null(), "no test has run yet");
    });
}

/// `Testing (0.006h)` → 0.006
fn hours_of(phase: &str) -> f64 {
    phase.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix("h)")).unwrap_or_else(|| panic!("{phase}")).parse().unwrap()
}

#[test]
fn a_change_makes_a_new_revision_that_must_be_approved_by_its_own_hash() {
    run(async |client| {
        let proposal = client.post("/api/coding_agent/create", &request()).await.json();
        let intent = proposal["intent_id"].as_str().unwrap();
        let path = format!("/api/coding_agent/{intent}/approve");
        let changed = client
            .post(&path, &json!({ "modifications": ["Add a field topic to rooms"], "priority": "high", "plan_hash": proposal["plan_hash"] }))
            .await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let changed = changed.json();
        assert_eq!((&changed["plan_updated"], &changed["status"]), (&json!(true), &json!("awaiting_approval")));
        let edits = json!({ "phases": [{ "name": "Work", "tasks": [{ "title": "All", "minutes": 1, "verify": "true" }] }], "deliverables": [] });
        assert_eq!(client.post(&path, &json!({ "edits": edits })).await.fields(), ["edits"], "a blueprint builds what is described");
        let revisions = client.get(&format!("/api/coding_agent/{intent}/plans")).await.json();
        let numbers: Vec<&Value> = revisions["items"].as_array().unwrap().iter().map(|item| &item["revision"]).collect();
        assert_eq!((numbers, &revisions["total"]), (vec![&json!(2), &json!(1)], &json!(2)));
        let newest = &revisions["items"][0];
        assert_eq!((&newest["plan_hash"], &newest["modifications"]), (&changed["plan_hash"], &json!(["Add a field topic to rooms"])));
        assert!(newest["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{newest}");
        assert_eq!(revisions["items"][1]["changes"], json!([]));
        client.post(&path, &json!({ "approved": true, "plan_hash": proposal["plan_hash"] })).await.refused(409);
        let approved = client.post(&path, &json!({ "approved": true, "plan_hash": changed["plan_hash"] })).await;
        assert_eq!(approved.status, 200, "{}", approved.text);
        assert_eq!(client.status(intent).await["priority"], "high");
    });
}

#[test]
fn a_retrospective_is_kept_with_only_what_was_measured() {
    run(async |client| {
        let draft = json!({ "cycle_name": "Chat", "insights": ["Rooms are reusable."], "metrics": { "planned_hours": 8.0, "actual_hours": 4.5 } });
        let kept = client.post("/api/learning/retrospective", &draft).await;
        assert_eq!(kept.status, 201, "{}", kept.text);
        let kept = kept.json();
        assert!(kept["metrics"].get("test_coverage").is_none(), "it was not measured");
        let id = kept["retrospective_id"].as_str().unwrap();
        assert_eq!(client.get(&format!("/api/learning/retrospectives/{id}")).await.json()["cycle_name"], "Chat");
        assert_eq!(
            client.post("/api/learning/retrospective", &json!({ "cycle_name": "Chat", "metrics": { "luck": 1 } })).await.fields(),
            ["metrics.luck"]
        );
    });
}

#[test]
fn what_a_person_thinks_of_a_build_is_kept_and_can_be_applied() {
    run(async |client| {
        let draft = json!({ "cycle_name": "Bicycle shed", "insights": ["The shed was red."] });
        let kept = client.post("/api/learning/retrospective", &draft).await.json();
        let address = format!("/api/learning/retrospectives/{}", kept["retrospective_id"].as_str().unwrap());
        let feedback = format!("{address}/feedback");
        assert_eq!(client.post(&feedback, &json!({ "verdict": "splendid" })).await.fields(), ["verdict"]);
        assert_eq!(client.post(&feedback, &json!({ "verdict": "wanted", "text": "a".repeat(1_001) })).await.fields(), ["text"]);
        assert_eq!(client.post(&feedback, &json!({ "verdict": "wanted", "stars": 5 })).await.fields(), ["stars"]);
        assert!(client.get(&address).await.json().get("feedback").is_none(), "nothing of it was kept");
        let missing = client.post("/api/learning/retrospectives/retro-999999/feedback", &json!({ "verdict": "wanted" })).await;
        assert_eq!(missing.status, 404, "{}", missing.text);
        client.post(&feedback, &json!({ "verdict": "wanted" })).await;
        let said = client.post(&feedback, &json!({ "verdict": "not_quite", "text": "  Bicycle sheds are to be blue. " })).await;
        assert_eq!(said.status, 200, "{}", said.text);
        assert_eq!(client.get(&address).await.json()["feedback"], json!({ "verdict": "not_quite", "text": "Bicycle sheds are to be blue." }));
        let applied = client.post(&format!("{address}/apply"), &json!({})).await.json();
        assert_eq!(applied["entries"], json!(["The shed was red.", "Bicycle sheds are to be blue."]));
    });
}

#[test]
fn a_template_is_saved_listed_and_forgotten() {
    run(async |client| {
        let saved = client.post("/api/learning/templates", &json!({ "name": "Chat", "request": request() })).await;
        assert_eq!(saved.status, 201, "{}", saved.text);
        let names = client.get("/api/learning/templates").await.json();
        assert!(names["items"].as_array().unwrap().iter().any(|template| template["name"] == "Chat"));
        let forget =
            crate::client::Client::request(axum::http::Method::DELETE, "/api/learning/templates/Chat").body(axum::body::Body::empty()).unwrap();
        assert_eq!(client.send(forget).await.status, 204);
    });
}
