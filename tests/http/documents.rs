//! Documents over REST and their pages, without any: what is found of them is tested where they are read.

use serde_json::json;

use crate::client::run;

#[test]
fn nothing_is_found_where_nothing_was_written_and_wrong_words_are_named() {
    run(async |client| {
        let none = client.get("/api/documents?q=wombat").await;
        assert_eq!((none.status.as_u16(), &none.json()["total"], &none.json()["items"]), (200, &json!(0), &json!([])));
        assert_eq!(client.get(&format!("/api/documents?q={}", "x".repeat(201))).await.fields(), ["q"]);
        assert_eq!(client.get("/api/documents?intent=7").await.fields(), ["intent"]);
        assert_eq!(client.get("/api/documents?q=wombat&after=nowhere").await.fields(), ["after"]);
        assert_eq!(client.get("/api/documents?words=wombat").await.fields(), ["words"]);
        assert_eq!(client.get("/api/documents/doc-99999").await.refused(404), "not_found");
        assert_eq!(client.get("/api/documents/export.zip").await.fields(), ["intent"]);
        assert_eq!(client.get("/api/documents/export.zip?intent=int-code-99999").await.refused(404), "not_found");
        assert_eq!(client.get("/api/documents/7").await.refused(404), "not_found");
        assert_eq!(client.get("/api/documents/doc-1?release=7").await.fields(), ["release"]);
    });
}

#[test]
fn pages_say_that_there_is_nothing() {
    run(async |client| {
        let page = client.get("/documents?q=%3Cscript%3Ewombat&intent=int-code-99999").await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("has all of: &lt;script&gt;wombat") && !page.text.contains("<script>wombat"), "{}", page.text);
        assert_eq!(client.get("/documents/doc-99999").await.status, 404);
        let odd = client.get("/documents/README.md").await;
        assert!(odd.text.contains("looks like /documents/doc-14"), "{}", odd.text);
    });
}
