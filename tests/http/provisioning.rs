//! Provisioning over REST: what is asked for wrongly is named, and nothing begins.

use serde_json::json;

use crate::client::run;

#[test]
fn wrong_requests_are_refused_with_the_field_and_the_remedy() {
    run(async |client| {
        let ask = async |body: serde_json::Value| client.post("/api/provisioning", &body).await;
        let good = json!({ "intent_id": "int-code-99999", "environment": "staging", "variant": "local" });
        let with = |field: &str, value: serde_json::Value| {
            let mut body = good.clone();
            body[field] = value;
            body
        };
        assert_eq!(ask(with("environment", json!("moon"))).await.fields(), ["environment"]);
        assert_eq!(ask(with("variant", json!("../etc"))).await.fields(), ["variant"]);
        assert_eq!(ask(with("kind", json!("explode"))).await.fields(), ["kind"]);
        let destroy = ask(with("kind", json!("destroy"))).await;
        assert_eq!(destroy.fields(), ["confirm"]);
        assert!(destroy.text.contains("int-code-99999/staging/local"), "{}", destroy.text);
        for path in ["/api/provisioning/provision-99999", "/api/provisioning/provision-99999/plan"] {
            assert_eq!(client.get(path).await.refused(404), "not_found", "{path}");
        }
        for action in ["reject", "cancel"] {
            let answer = client.post(&format!("/api/provisioning/provision-99999/{action}"), &json!({})).await;
            assert_eq!(answer.refused(404), "not_found", "{action}");
        }
        assert_eq!(client.post("/api/provisioning/provision-99999/approve", &json!({})).await.fields(), ["plan_hash"]);
        let listed = client.get("/api/provisioning?limit=1").await;
        assert_eq!((listed.status.as_u16(), &listed.json()["items"]), (200, &json!([])));
        let page = client.get("/operations").await;
        assert!(page.text.contains("Nothing was provisioned yet."), "the section is there before a script runs");
    });
}
