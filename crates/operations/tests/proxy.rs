//! The proxy in front of real servers on unix sockets.

use std::{path::Path, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ws::{Message, WebSocketUpgrade},
    http::{HeaderMap, Request, StatusCode, header},
    routing::{any, get},
};
use futures::{SinkExt, StreamExt};
use grace_operations::{Proxy, Upstream};
use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};

const HOST: &str = "chat-staging.localhost";

fn serve(socket: &Path, name: &'static str) {
    let router = Router::new()
        .route("/", get(move || async move { name }))
        .route(
            "/slow",
            get(move || async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                name
            }),
        )
        .route("/headers", get(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .route(
            "/ws",
            any(|upgrade: WebSocketUpgrade| async {
                upgrade.on_upgrade(|mut socket| async move {
                    while let Some(Ok(Message::Text(text))) = socket.recv().await {
                        if socket.send(Message::Text(format!("{text} back").into())).await.is_err() {
                            return;
                        }
                    }
                })
            }),
        );
    let listener = UnixListener::bind(socket).expect("a free socket path");
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn text(proxy: &Proxy, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).header(header::HOST, HOST).body(Body::empty()).expect("a request");
    let response = proxy.handle(HOST, request).await;
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn it_serves_names_right_under_localhost_and_nothing_else() {
    let proxy = Proxy::new();
    assert!(proxy.serves("chat-staging.localhost:3000") && proxy.serves("A-B.localhost"));
    assert!(
        !proxy.serves("localhost:3000")
            && !proxy.serves("127.0.0.1")
            && !proxy.serves("a.b.localhost")
            && !proxy.serves("chat.localhost.example.com")
    );
    let (status, body) = text(&proxy, "/").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("Nothing is deployed at chat-staging.localhost"), "{body}");
}

#[tokio::test]
async fn a_release_that_is_gone_gives_502_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::new();
    proxy.switch(HOST, Upstream::new(&folder.path().join("none.sock")));
    let (status, body) = text(&proxy, "/").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("No such file"), "{body}");
}

#[tokio::test]
async fn a_release_whose_queue_is_full_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("full.sock");
    let queue = UnixSocket::new_stream().expect("a socket");
    queue.bind(&socket).expect("a free socket path");
    let listener = queue.listen(0).expect("it listens");
    let mut first = Vec::new();
    let refused = loop {
        match UnixStream::connect(&socket).await {
            Ok(stream) if first.len() < 100 => first.push(stream),
            other => break other.expect_err("its queue is short"),
        }
    };
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    let proxy = Proxy::new();
    proxy.switch(HOST, Upstream::new(&socket));
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let router = Router::new().route("/", get(|| async { "taken" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
    };
    let (answer, ()) = tokio::join!(text(&proxy, "/"), later);
    assert_eq!(answer, (StatusCode::OK, "taken".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_under_load_lose_no_request_and_the_old_release_drains() {
    let folder = tempfile::tempdir().expect("a folder");
    let sockets = [folder.path().join("a.sock"), folder.path().join("b.sock")];
    serve(&sockets[0], "a");
    serve(&sockets[1], "b");
    let upstreams = sockets.each_ref().map(|socket| Upstream::new(socket));
    let proxy = Proxy::new();
    proxy.switch(HOST, upstreams[0].clone());

    let load = (0..8).map(|_| {
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let mut seen = [0u32; 2];
            for _ in 0..250 {
                let (status, body) = text(&proxy, "/").await;
                assert_eq!(status, StatusCode::OK, "{body}");
                seen[usize::from(body == "b")] += 1;
            }
            seen
        })
    });
    let load: Vec<_> = load.collect();
    for round in 1..=10 {
        tokio::task::yield_now().await;
        proxy.switch(HOST, upstreams[round % 2].clone());
    }
    proxy.switch(HOST, upstreams[1].clone());
    for task in load {
        task.await.expect("no request failed");
    }

    proxy.switch(HOST, upstreams[0].clone());
    let slow = tokio::spawn({
        let proxy = proxy.clone();
        async move { text(&proxy, "/slow").await }
    });
    while upstreams[0].in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    proxy.switch(HOST, upstreams[1].clone());
    assert!(!upstreams[0].drained(Duration::from_millis(1)).await, "the slow request is still on the old release");
    assert!(upstreams[0].drained(Duration::from_secs(10)).await);
    assert_eq!(slow.await.expect("it ends"), (StatusCode::OK, "a".to_owned()));
}

#[tokio::test]
async fn what_a_client_claims_of_earlier_hops_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("a.sock");
    serve(&socket, "a");
    let proxy = Proxy::new();
    proxy.switch(HOST, Upstream::new(&socket));
    let request = Request::get("/headers")
        .header(header::HOST, HOST)
        .header("x-forwarded-for", "6.6.6.6")
        .header("connection", "x-secret")
        .header("x-secret", "of one hop")
        .body(Body::empty())
        .expect("a request");
    let response = proxy.handle(HOST, request).await;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let seen = String::from_utf8_lossy(&body);
    assert!(!seen.contains("6.6.6.6") && !seen.contains("of one hop"), "{seen}");
    assert!(seen.contains(r#""host": "chat-staging.localhost""#), "{seen}");
}

#[tokio::test]
async fn a_websocket_passes_both_ways_and_counts_as_in_flight() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("a.sock");
    serve(&socket, "a");
    let upstream = Upstream::new(&socket);
    let proxy = Proxy::new();
    proxy.switch(HOST, upstream.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let front = Router::new().fallback(move |request: Request<Body>| {
        let proxy = proxy.clone();
        async move { proxy.handle(HOST, request).await }
    });
    tokio::spawn(async move { axum::serve(listener, front).await });

    let (mut client, _) = tokio_tungstenite::connect_async(format!("ws://{address}/ws")).await.expect("an upgrade");
    client.send("hello".into()).await.expect("it is open");
    let answer = client.next().await.expect("an answer").expect("no error");
    assert_eq!(answer.to_text().expect("text"), "hello back");
    assert_eq!(upstream.in_flight(), 1);
    client.close(None).await.expect("it closes");
    drop(client);
    assert!(upstream.drained(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn while_a_release_is_on_trial_its_predecessor_answers_what_fails_and_may_be_asked_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = |name: &str| folder.path().join(name);
    serve(&socket("old"), "old");
    let broken = UnixListener::bind(socket("broken")).expect("a free socket path");
    // Reads the request, and closes instead of an answer.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = broken.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1024]).await;
        }
    });
    let proxy = Proxy::new();
    let post = async |path: &str| {
        let request = Request::post(path).header(header::HOST, HOST).body(Body::from("once")).expect("a request");
        proxy.handle(HOST, request).await.status()
    };
    let gone = Upstream::new(&socket("gone"));
    for (name, posted) in [("broken", StatusCode::BAD_GATEWAY), ("gone", StatusCode::METHOD_NOT_ALLOWED)] {
        proxy.switch(HOST, Upstream::new(&socket("old")));
        let on_trial = Upstream::new(&socket(name));
        proxy.switch_on_trial(HOST, on_trial.clone());
        assert_eq!(text(&proxy, "/").await, (StatusCode::OK, "old".into()), "{name}");
        // What changes something is asked again only where the first never arrived.
        assert_eq!(post("/").await, posted, "{name}");
        assert_eq!(on_trial.rescued(), if name == "gone" { 2 } else { 1 });
        proxy.settle(HOST);
        assert_eq!(text(&proxy, "/").await.0, StatusCode::BAD_GATEWAY, "{name}: the trial is over");
    }
    proxy.switch_on_trial(HOST, gone);
    assert_eq!(text(&proxy, "/").await.0, StatusCode::BAD_GATEWAY, "neither answers");
}

#[tokio::test]
async fn a_front_s_word_counts_for_a_name_of_its_own_and_nobody_else_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("app.sock");
    serve(&socket, "chat");
    let proxy = Proxy::new();
    proxy.switch(HOST, Upstream::new(&socket));
    let ask = async |behind_front: bool, claims: &[(&str, &str)]| {
        let mut request = Request::get("/headers").header(header::HOST, "chat.example.com");
        for (name, value) in claims {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = proxy.handle_for(HOST, "chat.example.com", behind_front, request).await;
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        String::from_utf8_lossy(&body).into_owned()
    };
    let claims = [("x-forwarded-proto", "https"), ("x-forwarded-for", "6.6.6.6, 203.0.113.9"), ("x-forwarded-host", "evil.example")];
    let seen = ask(true, &claims).await;
    for right in [r#""x-forwarded-proto": "https""#, r#""x-forwarded-for": "203.0.113.9""#, r#""x-forwarded-host": "chat.example.com""#] {
        assert!(seen.contains(right), "{right} in {seen}");
    }
    let seen = ask(false, &claims).await;
    for right in [r#""x-forwarded-proto": "http""#, r#""x-forwarded-for": "127.0.0.1""#, r#""x-forwarded-host": "chat.example.com""#] {
        assert!(seen.contains(right), "{right} in {seen}");
    }
    let seen = ask(true, &[("x-forwarded-proto", "gopher"), ("x-forwarded-for", "nobody")]).await;
    assert!(seen.contains(r#""x-forwarded-proto": "http""#) && seen.contains(r#""x-forwarded-for": "127.0.0.1""#), "{seen}");
}
