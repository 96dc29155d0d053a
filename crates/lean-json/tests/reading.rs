//! What the lean reader makes of what the server writes, beside what serde_json makes of it.

use grace_domain::{
    event::{Event, EventKind},
    intent::RequestDraft,
    problem::{Problem, ProblemKind},
};
use grace_lean_json::from_value;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn same<T: serde::Serialize + DeserializeOwned>(text: &str) {
    let value: Value = serde_json::from_str(text).expect("the test's text is JSON");
    let plain: T = T::deserialize(value.clone()).expect("serde_json reads it");
    let lean: T = from_value(value).expect("the lean reader reads it");
    assert_eq!(serde_json::to_value(&plain).expect("writes"), serde_json::to_value(&lean).expect("writes"));
}

#[test]
fn what_serde_json_reads_is_read_the_same() {
    same::<Event>(
        r#"{"intent_id":"int-code-001","seq":7,"at":"2025-11-14T10:00:09Z","kind":"progress","payload":{"percent":12.5,"stage":"coding","phase":null,"tasks_done":1,"tasks_total":9}}"#,
    );
    for kind in [
        r#"{"kind":"intent_created","payload":{"title":"Chat"}}"#,
        r#"{"kind":"log","payload":{"level":"warn","source":"npm","message":"late"}}"#,
        r#"{"payload":{"suite":"pytest","passed":3,"failed":0,"skipped":1,"duration_ms":20},"kind":"tests"}"#,
        r#"{"kind":"tests","payload":{"suite":"vitest","passed":1,"failed":1,"skipped":0,"coverage_percent":81.5,"duration_ms":9,"failures":[{"name":"a","message":"b"}]}}"#,
        r#"{"kind":"artifact","payload":{"type":"code","path":"a.py","lines":1,"status":"in_progress","bytes":2,"hash":""}}"#,
        r#"{"kind":"status_changed","payload":{"from":"queued","to":"executing","reason":null}}"#,
        r#"{"kind":"egress","payload":{"host":"h","port":443,"allowed":false,"bytes_up":0,"bytes_down":18446744073709551615,"task_id":null}}"#,
    ] {
        same::<EventKind>(kind);
    }
    same::<RequestDraft>(
        r#"{"project_type":"feature","description":"Todo","constraints":{"environments":["staging"]},"artifacts":{"repository":"https://example.org/a.git"},"options":{"generate_tests":true}}"#,
    );
    same::<Vec<Option<(u8, i64, f64, String)>>>(r#"[null,[1,-2,3,"four"]]"#);
    same::<std::collections::BTreeMap<String, Result<u8, String>>>(r#"{"a":{"Ok":1},"b":{"Err":"no"}}"#);
    let refusal = Problem::new(ProblemKind::Conflict, "taken", "No.");
    same::<Problem>(&serde_json::to_string(&refusal).expect("writes"));
}

#[test]
fn what_does_not_fit_is_refused() {
    for text in [r#"{"seq":"seven"}"#, "[]", "null", r#"{"intent_id":"int-code-001","seq":7,"at":"yesterday","kind":"log","payload":{}}"#] {
        assert!(from_value::<Event>(serde_json::from_str(text).expect("JSON")).is_err(), "{text}");
    }
    for text in [
        r#"{"kind":"log","payload":{"level":"warn","source":"npm"}}"#,
        r#"{"kind":"unheard_of","payload":{}}"#,
        r#"{"kind":"log"}"#,
        r#"{"kind":"log","payload":["warn","npm","late"]}"#,
    ] {
        assert!(from_value::<EventKind>(serde_json::from_str(text).expect("JSON")).is_err(), "{text}");
    }
}
