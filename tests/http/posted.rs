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
