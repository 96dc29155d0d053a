//! The builder's form without JavaScript, and what a page brings along of what the server read.

use axum::{body::Body, http::Method};
use grace::calls::{CallError, codec::Embedded};
use grace_domain::problem::Problem;
use leptos::server::codee::{Decoder, Encoder};

use crate::client::{Client, run};

#[test]
fn a_posted_form_reads_ticked_boxes_and_keeps_the_text() {
    run(async |client| {
        let posted = async |body: &str| {
            let request = Client::request(Method::POST, "/").header("content-type", "application/x-www-form-urlencoded");
            client.send(request.body(Body::from(body.to_owned())).unwrap()).await
        };
        let body = "project_type=feature&description=A+chat%0Awith+rooms&environments=development&environments=staging&generate_tests=on&deadline=2020-01-01";
        let answer = posted(body).await;
        assert_eq!(answer.status, 422, "the deadline is past");
        let page = &answer.text;
        assert!(page.contains("A chat\nwith rooms</textarea>"), "the text is kept");
        for (name, ticked) in [("generate_tests", true), ("generate_docs", false), ("require_review", false)] {
            assert_eq!(input(page, &format!("name=\"{name}\"")).contains(" checked"), ticked, "{name}");
        }
        for (environment, ticked) in [("development", true), ("staging", true), ("production", false)] {
            assert_eq!(input(page, &format!("value=\"{environment}\"")).contains(" checked"), ticked, "{environment}");
        }
        let answer = posted(&format!("{body}&no_deadline=on")).await;
        assert_eq!(answer.status, 200, "without a deadline a plan is shown");
    });
}

#[test]
fn limits_of_a_posted_form_are_read_kept_and_put_into_templates() {
    run(async |client| {
        let posted = async |body: &str| {
            let request = Client::request(Method::POST, "/").header("content-type", "application/x-www-form-urlencoded");
            client.send(request.body(Body::from(format!("description=Shelf+has+name.&environments=staging&{body}"))).unwrap()).await
        };
        let answer = posted("budget_cost=a+lot&budget_tokens=300%2C000&budget_requests=0&budget_minutes=").await;
        assert_eq!(answer.status, 422);
        for (name, text, wrong) in [("cost", "a lot", true), ("tokens", "300,000", false), ("requests", "0", true), ("minutes", "", false)] {
            let field = input(&answer.text, &format!("name=\"budget_{name}\""));
            assert!(field.contains(&format!("value=\"{text}\"")) || text.is_empty(), "{field}");
            assert!(field.contains(&format!("aria-invalid=\"{wrong}\"")), "{field}");
        }
        assert!(answer.text.contains("Give a number such as 12 or 0.50"), "the remedy stands below");

        let limits = "budget_cost=0.50&budget_tokens=300%2C000&budget_requests=&budget_minutes=90";
        let answer = posted(&format!("{limits}&action=start")).await;
        let place = answer.headers["location"].to_str().unwrap().to_owned();
        let kept = serde_json::json!({ "cost": 500_000, "tokens": 300_000, "requests": null, "minutes": 90 });
        assert_eq!(client.status(place.trim_start_matches("/builds/")).await["budget"], kept);

        assert_eq!(posted(&format!("{limits}&action=template&template_name=Limited")).await.status, 200);
        let templates = client.get("/api/learning/templates").await.json();
        let template = templates["items"].as_array().unwrap().iter().find(|template| template["name"] == "Limited").unwrap();
        let answer = client.post("/api/coding_agent/create", &template["request"]).await;
        assert_eq!(client.status(answer.json()["intent_id"].as_str().unwrap()).await["budget"], kept);
    });
}

/// The tag in which `attribute` stands.
fn input<'page>(page: &'page str, attribute: &str) -> &'page str {
    let at = page.find(attribute).unwrap_or_else(|| panic!("{attribute} is on the page"));
    let begin = page[..at].rfind('<').unwrap();
    let end = at + page[at..].find('>').unwrap();
    &page[begin..end]
}

#[test]
fn what_a_page_brings_is_what_the_server_read() {
    type Brought = Result<Vec<(u8, String)>, CallError>;

    let refusal = CallError(Problem::unavailable("starting", "Grace is still starting."));
    for outcome in [Ok(vec![(1_u8, "!a \u{2028} \"quoted\"".to_owned())]), Err(refusal)] {
        let text = Embedded::encode(&outcome).expect("writes");
        let brought: Brought = Embedded::decode(&text).expect("reads");
        assert_eq!(brought, outcome);
    }
}
