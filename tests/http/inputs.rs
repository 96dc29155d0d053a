//! Files with a description over REST: taken in, listed, handed out as they came, and refused with the limit and the remedy.

use axum::{
    body::{Body, Bytes},
    http::{Method, Request},
};
use grace_domain::input::{MAX_ALL_BYTES, MAX_FILE_BYTES};
use serde_json::{Value, json};

use crate::client::{Answer, Client, run};

const EDGE: &str = "-----------------------------edge";

/// A form with these fields and files, as a browser sends it.
fn form(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(format!("--{EDGE}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes());
    }
    for (name, bytes) in files {
        let head = format!("--{EDGE}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: text/html\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{EDGE}--\r\n").as_bytes());
    body
}

fn request(path: &str, body: Vec<u8>) -> Request<Body> {
    let kind = format!("multipart/form-data; boundary={EDGE}");
    Client::request(Method::POST, path).header("content-type", kind).body(Body::from(body)).unwrap()
}

async fn upload(client: &Client, files: &[(&str, &[u8])]) -> Answer {
    client.send(request("/api/inputs", form(&[], files))).await
}

async fn kept(client: &Client, name: &str, bytes: &[u8]) -> Value {
    let answer = upload(client, &[(name, bytes)]).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["items"][0].clone()
}

#[test]
fn uploaded_files_are_listed_with_the_build_and_come_back_byte_for_byte() {
    run(async |client| {
        let table = b"name,age\nAda,36\n".as_slice();
        let image: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let answer = upload(&client, &[("people ü.csv", table), ("<script>.png", &image)]).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let items = answer.json()["items"].clone();
        assert_eq!((&items[0]["name"], &items[0]["kind"], &items[0]["bytes"]), (&json!("people ü.csv"), &json!("dataset"), &json!(16)));
        assert_eq!((&items[1]["kind"], &items[1]["bytes"]), (&json!("document"), &json!(300_000)));

        let body = json!({ "description": "Book has title, author.", "artifacts": { "files": items } });
        let preview = client.post("/api/coding_agent/preview", &body).await;
        assert_eq!(preview.status, 200, "{}", preview.text);
        let preview = preview.json();
        let plan = preview["plan"].to_string();
        assert!(plan.contains("The 2 given files are put into inputs/ and committed before the first task; this agent does not read"), "{plan}");
        let created = client.post("/api/coding_agent/create", &body).await.json();
        assert_eq!(created["plan_hash"], preview["plan_hash"]);
        let intent = created["intent_id"].as_str().unwrap();
        let status = client.status(intent).await;
        assert_eq!(status["request"]["artifacts"]["files"], items);

        for (name, bytes) in [("people%20%C3%BC.csv", table), ("%3Cscript%3E.png", &image)] {
            let path = format!("/api/coding_agent/{intent}/inputs/{name}");
            let request = Client::request(Method::GET, &path).body(Body::empty()).unwrap();
            let (headers, came) = client.bytes(request).await;
            assert!(came == Bytes::copy_from_slice(bytes), "{name}: {} bytes", came.len());
            assert_eq!(headers["content-type"], "application/octet-stream");
            assert_eq!(headers["content-length"], bytes.len().to_string().as_str());
            assert!(headers["content-disposition"].to_str().unwrap().ends_with(&format!("; filename*=UTF-8''{name}")), "{headers:?}");
            assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\""), "{headers:?}");
        }
        assert_eq!(client.get(&format!("/api/coding_agent/{intent}/inputs/other.csv")).await.refused(404), "not_found");
        let page = client.get(&format!("/builds/{intent}")).await;
        assert!(page.text.contains(&format!("/api/coding_agent/{intent}/inputs/people%20%C3%BC.csv")), "the page has a link to it");
        assert!(!page.text.contains("<script>.png"), "names are text on the page");
        let delete = Client::request(Method::DELETE, &format!("/api/inputs/{}", items[0]["hash"].as_str().unwrap())).body(Body::empty());
        assert_eq!(client.send(delete.unwrap()).await.refused(409), "input_in_use");
    });
}

#[test]
fn hostile_names_and_wrong_sizes_are_refused_with_the_remedy() {
    run(async |client| {
        for name in ["../../etc/passwd", "a/b", "..", ".gitattributes", "C:\\\\a.txt", "a\u{202e}b", &"x".repeat(300)] {
            let answer = upload(&client, &[(name, b"x")]).await;
            assert_eq!(answer.fields(), ["files[0]"], "{name}");
            assert!(answer.text.contains("Rename it"), "{}", answer.text);
        }
        let large = vec![b'x'; usize::try_from(MAX_FILE_BYTES).unwrap() + 1];
        let answer = upload(&client, &[("small.txt", b"x"), ("large.txt", &large), ("empty.txt", b"")]).await;
        assert_eq!(answer.fields(), ["files[1]", "files[2]"]);
        assert!(
            answer.text.contains("`large.txt`: It is larger than 25 MiB") && answer.text.contains("`empty.txt`: It is empty."),
            "{}",
            answer.text
        );
        let many: Vec<(&str, &[u8])> = vec![("a.txt", b"x"); 21];
        assert_eq!(upload(&client, &many).await.fields(), ["files[20]"]);
        assert_eq!(upload(&client, &[]).await.fields(), ["files"]);

        let exact = kept(&client, "exact.txt", &large[1..]).await;
        assert_eq!(exact["bytes"], MAX_FILE_BYTES);
        let with = async |files: Value| {
            let body = json!({ "description": "Book has title.", "artifacts": { "files": files } });
            client.post("/api/coding_agent/create", &body).await
        };
        let renamed = |name: &str| {
            let mut file = exact.clone();
            file["name"] = json!(name);
            file
        };
        assert_eq!(with(json!([renamed("../x")])).await.fields(), ["artifacts.files[0]"]);
        assert_eq!(with(json!([exact, exact])).await.fields(), ["artifacts.files[1]"]);
        assert_eq!(with((0..5).map(|number| renamed(&number.to_string())).collect()).await.fields(), ["artifacts.files"]);
        let mut gone = exact.clone();
        gone["hash"] = json!("0".repeat(64));
        let answer = with(json!([gone])).await;
        assert_eq!(answer.fields(), ["artifacts.files[0]"]);
        assert!(answer.text.contains("is not on the server any more"), "{}", answer.text);
    });
}

#[test]
fn only_forms_with_files_of_our_own_pages_may_be_long() {
    run(async |client| {
        let too_long = vec![b'x'; usize::try_from(MAX_ALL_BYTES).unwrap() + (2 << 20)];
        let answer = client.send(request("/api/inputs", too_long.clone())).await;
        assert_eq!(answer.refused(413), "body_too_large");
        assert!(answer.text.contains("more than 100 MiB together"), "{}", answer.text);
        let mut told = request("/api/inputs", Vec::new());
        told.headers_mut().insert("content-length", too_long.len().to_string().parse().unwrap());
        assert_eq!(client.send(told).await.refused(413), "body_too_large");
        let elsewhere =
            Client::request(Method::POST, "/api/learning/retrospective").header("content-type", format!("multipart/form-data; boundary={EDGE}"));
        assert_eq!(client.send(elsewhere.header("content-length", "2000000").body(Body::empty()).unwrap()).await.refused(413), "body_too_large");
        let mut foreign = request("/api/inputs", form(&[], &[("a.txt", b"x")]));
        foreign.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
        assert_eq!(client.send(foreign).await.refused(403), "foreign_origin");
        let json = Client::request(Method::POST, "/api/inputs").header("content-type", "application/json").body(Body::from("{}"));
        assert_eq!(client.send(json.unwrap()).await.refused(400), "malformed_content_type");
        let cut = form(&[], &[("a.txt", b"x")]);
        assert_eq!(client.send(request("/api/inputs", cut[..cut.len() - 60].to_vec())).await.refused(400), "malformed_body");
    });
}

#[test]
fn a_file_that_nobody_refers_to_can_be_forgotten() {
    run(async |client| {
        let file = kept(&client, "forget.txt", b"forget me, please").await;
        let path = format!("/api/inputs/{}", file["hash"].as_str().unwrap());
        let forget = async || client.send(Client::request(Method::DELETE, &path).body(Body::empty()).unwrap()).await;
        assert_eq!(forget().await.status, 204);
        assert_eq!(forget().await.refused(404), "not_found");
    });
}

#[test]
fn a_form_posted_with_files_keeps_its_text_and_those_that_were_taken() {
    run(async |client| {
        let post = async |fields: &[(&str, &str)], files: &[(&str, &[u8])]| {
            let common = [("description", "Book has title.\r\nKept text."), ("project_type", "feature"), ("environments", "development")];
            let answer = {
                let mut posted = request("/", form(&[&common, fields].concat(), files));
                // As browsers do; others are not led to the build's page.
                posted.headers_mut().insert("accept", "text/html".parse().unwrap());
                client.send(posted).await
            };
            (answer.status.as_u16(), answer.headers, answer.text)
        };
        let (status, _, page) = post(&[("action", "start")], &[("books.csv", b"title\nEmma\n"), (".hidden", b"x"), ("", b"")]).await;
        assert_eq!(status, 422, "one file is refused");
        assert!(page.contains("Kept text.</textarea>") && page.contains("Its name begins with a dot."), "{page}");
        let value = page.split("name=\"kept_files\" value=\"").nth(1).unwrap().split('"').next().unwrap().replace("&quot;", "\"");
        assert_eq!(serde_json::from_str::<Value>(&value).unwrap()["name"], "books.csv");
        let (status, headers, page) = post(&[("action", "start"), ("kept_files", &value)], &[("", b"")]).await;
        assert_eq!(status, 302, "{} bytes of page", page.len());
        let intent = headers["location"].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(client.status(&intent).await["request"]["artifacts"]["files"][0]["name"], "books.csv");
    });
}
