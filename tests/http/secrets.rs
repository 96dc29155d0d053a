//! Secrets over REST: values go in, and no answer holds one.

use axum::{body::Body, http::Method};
use serde_json::json;

use crate::client::{Client, run};

const VALUE: &str = "quokka-4711-zebra";

#[test]
fn a_value_goes_in_and_never_comes_out() {
    run(async |client| {
        let added = client.post("/api/secrets", &json!({ "name": "HTTP_TOKEN", "value": VALUE })).await;
        assert_eq!(added.status, 201, "{}", added.text);
        let replaced = client.post("/api/secrets", &json!({ "name": "HTTP_TOKEN", "value": VALUE })).await;
        let listed = client.get("/api/secrets").await;
        let of_it = listed.json()["secrets"].as_array().unwrap().iter().find(|one| one["name"] == "HTTP_TOKEN").cloned().unwrap();
        assert_eq!((&of_it["version"], of_it.get("last_read_at")), (&json!(2), None));
        let audit = client.get("/api/secrets/audit?q=HTTP_TOKEN&limit=1").await;
        assert_eq!((&audit.json()["total"], &audit.json()["items"][0]["action"]), (&json!(2), &json!("replaced")));
        let page = client.get("/settings").await;
        assert!(page.text.contains("HTTP_TOKEN"), "Settings lists it");
        for answer in [&added, &replaced, &listed, &audit, &page] {
            assert!(!answer.text.contains(VALUE), "{}", answer.text);
        }
        let delete = || client.send(Client::request(Method::DELETE, "/api/secrets/HTTP_TOKEN").body(Body::empty()).unwrap());
        assert_eq!(delete().await.status, 204);
        assert_eq!(delete().await.refused(404), "not_found");
    });
}

#[test]
fn wrong_fields_are_named_and_the_value_is_not_repeated() {
    run(async |client| {
        let answer = client.post("/api/secrets", &json!({ "name": "http token", "intent_id": "7", "value": "quokka" })).await;
        assert_eq!(answer.fields(), ["name", "intent_id", "value"]);
        assert!(!answer.text.contains("quokka"));
        assert_eq!(
            client.post("/api/secrets", &json!({ "name": "A_TOKEN", "intent_id": "int-code-99999", "value": VALUE })).await.fields(),
            ["intent_id"]
        );
        let number = client.post("/api/secrets", &json!({ "name": "A_TOKEN", "value": 4711471147_u64 })).await;
        assert_eq!(number.fields(), ["value"]);
        assert!(!number.text.contains("4711"), "{}", number.text);
        assert_eq!(client.post("/api/secrets", &json!({ "name": "A_TOKEN", "value": VALUE, "scope": "x" })).await.fields(), ["scope"]);
    });
}
