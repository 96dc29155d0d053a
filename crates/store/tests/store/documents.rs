//! What is found of documents, and which versions of them are kept.

use grace_domain::{
    deployment::{DeployTarget, DeploymentConfig},
    document::{Heading, Piece},
    id::{DeploymentId, DocumentId, IntentId},
    intent::Environment,
};
use grace_store::{
    Among, DocumentsOf, NewDeployment, NewDocument, NewRelease, NewSection, PgConnection, StoreError, Wanted, deployment_create, document_fetch,
    document_index_fetch, document_index_save, document_paths, document_releases, documents_builds, documents_kept_of, documents_like, documents_of,
    documents_save, documents_search, documents_unread, intent_save_repository, live_release_set, release_save,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent};

fn section(heading: &str, text: &str) -> NewSection {
    let anchor = format!("s-{}", heading.to_lowercase().replace(' ', "-"));
    let heading = (!heading.is_empty()).then(|| Heading { level: 2, text: heading.to_owned(), anchor });
    NewSection { heading, text: text.to_owned() }
}

fn document(path: &str, title: &str, sections: &[(&str, &str)]) -> NewDocument {
    let text: String = sections.iter().map(|(heading, text)| format!("## {heading}\n\n{text}\n\n")).collect();
    let hash = format!("{:x}", text.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())));
    NewDocument {
        path: path.to_owned(),
        title: title.to_owned(),
        text,
        hash,
        sections: sections.iter().map(|(heading, text)| section(heading, text)).collect(),
    }
}

fn guide() -> NewDocument {
    document("docs/guide.md", "Guide", &[("Install", "Run the installer once."), ("Log in", "Sign in with the token of your account.")])
}

async fn save(conn: &mut PgConnection, intent: IntentId, commit: &str, documents: &[NewDocument], seconds: i64) -> bool {
    documents_save(conn, (intent, commit), documents, DocumentsOf::Repository, at(seconds)).await.unwrap()
}

fn wanted(words: Option<&str>) -> Wanted<'_> {
    Wanted { words, intent: None, limit: 50, after: None }
}

async fn paths(conn: &mut PgConnection, wanted: &Wanted<'_>) -> Vec<String> {
    documents_search(conn, wanted).await.unwrap().items.into_iter().map(|found| found.path).collect()
}

async fn released(conn: &mut PgConnection, intent: IntentId, n: i64) -> DeploymentId {
    let new = NewDeployment {
        intent,
        target: DeployTarget::Local,
        environment: Environment::Staging,
        config: DeploymentConfig::default(),
        promoted_from: None,
    };
    let deployment = deployment_create(conn, &new, at(n)).await.unwrap().deployment_id;
    let new = NewRelease {
        intent,
        deployment,
        environment: Environment::Staging,
        name: format!("abc-{n}"),
        commit: "abc".into(),
        path: format!("releases/{n}"),
        digest: None,
        schema_revision: None,
    };
    let release = release_save(conn, &new, at(n)).await.unwrap();
    live_release_set(conn, intent, Environment::Staging, release.id, &format!("host-{}", intent.0), at(n)).await.unwrap();
    deployment
}

#[tokio::test]
async fn markup_hides_nothing_of_a_document() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let text = "<script>x = \"y\"</script>\n<img src=x onerror=\"z = 'it'\">\n\nA plumicorn is measured before each dive.";
    save(&mut conn, id, "abc", &[document("README.md", "<b title='Gannets", &[("Diving <i class=\"deep", text)])], 1).await;
    for words in ["plumicorn", "gannets", "onerror", "deep"] {
        assert_eq!(paths(&mut conn, &wanted(Some(words))).await, ["README.md"], "{words}");
    }
    let found = documents_search(&mut conn, &wanted(Some("plumicorn"))).await.unwrap();
    let hits: Vec<&str> = found.items[0].passage.iter().filter(|piece| piece.hit).map(|piece| piece.text.as_str()).collect();
    assert_eq!(hits, ["plumicorn"]);
}

#[tokio::test]
async fn words_are_found_in_any_form_and_marked_in_the_section_that_has_them() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    let other = document("README.md", "Chat", &[("", "A chat <b>with</b> rooms."), ("Accounts", "Administrators create them.")]);
    assert!(save(&mut conn, id, "c1", &[other, guide()], 1).await);
    let found = documents_search(&mut conn, &wanted(Some("signing accounts"))).await.unwrap();
    assert_eq!((found.total, found.items.len(), found.next), (1, 1, None));
    let first = &found.items[0];
    assert_eq!((first.path.as_str(), first.title.as_str(), first.build.as_str()), ("docs/guide.md", "Guide", "Chat"));
    assert_eq!(first.section.as_ref().map(|section| (section.text.as_str(), section.anchor.as_str())), Some(("Log in", "s-log-in")));
    let piece = |text: &str, hit| Piece { text: text.to_owned(), hit };
    assert_eq!(first.passage, [piece("Sign", true), piece(" in with the token of your ", false), piece("account", true)]);
    assert_eq!(paths(&mut conn, &wanted(Some("installer token"))).await, ["docs/guide.md"], "the words may be in different sections");
    assert_eq!(paths(&mut conn, &wanted(Some("installer rooms"))).await, [""; 0], "but not in different documents");
    assert_eq!(paths(&mut conn, &wanted(Some("accounts -token"))).await, ["README.md"]);
    assert_eq!(paths(&mut conn, &wanted(Some("\"create them\""))).await, ["README.md"]);
    assert_eq!(paths(&mut conn, &wanted(Some("guide.md"))).await, ["docs/guide.md"], "a path is found by a part of it");
    assert_eq!(paths(&mut conn, &wanted(Some("the"))).await, [""; 0]);
    for odd in ["'", "\\", "&|!():*<->", "\"", "a & b | c", "-", "%_", "\u{1}\u{2}"] {
        documents_search(&mut conn, &wanted(Some(odd))).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
    }
}

#[tokio::test]
async fn the_best_come_first_and_pages_miss_nothing() {
    let db = testing::database().await;
    let (one, two) = (intent(&db.store).await, intent(&db.store).await);
    let mut conn = db.store.connection().await.unwrap();
    let mut documents: Vec<NewDocument> =
        (0..5).map(|n| document(&format!("docs/{n}.md"), &format!("Part {n}"), &[("Text", "Once a webhook is mentioned here.")])).collect();
    documents.push(document("docs/webhook.md", "Webhook", &[("Webhook", "All of the webhook.")]));
    save(&mut conn, one, "c1", &documents, 1).await;
    save(&mut conn, two, "c2", &[document("README.md", "Other", &[("Text", "A webhook too.")])], 2).await;
    for words in [Some("webhook"), None] {
        let all = paths(&mut conn, &wanted(words)).await;
        assert_eq!(all.len(), 7);
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = documents_search(&mut conn, &Wanted { limit: 2, after: after.as_deref(), ..wanted(words) }).await.unwrap();
            assert_eq!(page.total, 7);
            paged.extend(page.items.into_iter().map(|found| found.path));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, all);
    }
    assert_eq!(paths(&mut conn, &wanted(Some("webhook"))).await[0], "docs/webhook.md", "a title counts most");
    assert_eq!(paths(&mut conn, &wanted(None)).await[0], "README.md", "what changed last comes first");
    assert_eq!(paths(&mut conn, &Wanted { intent: Some(two), ..wanted(Some("webhook")) }).await, ["README.md"]);
    let foreign = documents_search(&mut conn, &Wanted { after: Some("t0-1"), ..wanted(Some("webhook")) }).await.unwrap_err();
    assert!(matches!(foreign, StoreError::Cursor(_)), "{foreign:?}");
}

#[tokio::test]
async fn an_address_stays_while_texts_change_and_releases_keep_theirs() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    assert!(save(&mut conn, id, "c1", &[guide()], 1).await);
    assert!(!save(&mut conn, id, "c2", &[guide()], 2).await, "nothing changed");
    let document_id = document_paths(&mut conn, id).await.unwrap()["docs/guide.md"];
    let first = released(&mut conn, id, 3).await;
    assert!(documents_save(&mut conn, (id, "c1"), &[guide()], DocumentsOf::Release(first), at(3)).await.unwrap());
    assert!(!documents_save(&mut conn, (id, "c1"), &[guide()], DocumentsOf::Release(first), at(3)).await.unwrap(), "once");
    let changed = document("docs/guide.md", "Guide", &[("Install", "There is no setup any more.")]);
    assert!(save(&mut conn, id, "c3", std::slice::from_ref(&changed), 4).await);
    let newest = document_fetch(&mut conn, document_id, None).await.unwrap().unwrap();
    assert_eq!((newest.text.as_str(), newest.commit.as_str(), newest.current), (changed.text.as_str(), "c3", true));
    let kept = document_fetch(&mut conn, document_id, Some(first)).await.unwrap().unwrap();
    assert_eq!((kept.text.as_str(), kept.commit.as_str(), kept.current), (guide().text.as_str(), "c1", false));
    assert_eq!(paths(&mut conn, &wanted(Some("token"))).await, [""; 0], "what is not current is not found");
    let releases = document_releases(&mut conn, document_id).await.unwrap();
    assert_eq!(releases.iter().map(|release| (release.deployment_id, release.current, release.newest)).collect::<Vec<_>>(), [(first, true, false)]);
    assert_eq!(documents_kept_of(&mut conn, id).await.unwrap(), [first]);

    // Back to the old text: the same version is current again.
    assert!(save(&mut conn, id, "c4", &[guide()], 5).await);
    assert!(document_releases(&mut conn, document_id).await.unwrap()[0].newest);
    // Removed from the repository: the release has it still.
    assert!(save(&mut conn, id, "c5", &[], 6).await);
    assert_eq!(documents_of(&mut conn, id).await.unwrap(), []);
    assert!(!document_fetch(&mut conn, document_id, None).await.unwrap().unwrap().current);
    assert_eq!(document_fetch(&mut conn, DocumentId(document_id.0 + 1), None).await.unwrap(), None);
    assert_eq!(document_fetch(&mut conn, document_id, Some(DeploymentId(first.0 + 1))).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_releases_the_newest_keep_their_documents() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    for n in 1..=22 {
        let deployment = released(&mut conn, id, n).await;
        let text = document("README.md", "Chat", &[("Version", &format!("Number {n}."))]);
        documents_save(&mut conn, (id, "abc"), &[text], DocumentsOf::Release(deployment), at(n)).await.unwrap();
    }
    let document_id = document_paths(&mut conn, id).await.unwrap()["README.md"];
    let releases = document_releases(&mut conn, document_id).await.unwrap();
    assert_eq!(releases.len(), 20);
    assert_eq!(document_fetch(&mut conn, document_id, None).await.unwrap().unwrap().text, "## Version\n\nNumber 22.\n\n");
}

#[tokio::test]
async fn builds_whose_last_commit_was_not_read_are_known() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    assert_eq!(documents_unread(&mut conn, 10).await.unwrap(), [], "it has no commit");
    intent_save_repository(&mut conn, id, Some("b"), Some("c1"), at(1)).await.unwrap();
    assert_eq!(documents_unread(&mut conn, 10).await.unwrap(), [id]);
    save(&mut conn, id, "c1", &[guide()], 1).await;
    document_index_save(&mut conn, (id, "c1"), 1, &["a.md is not text.".to_owned()], at(1)).await.unwrap();
    assert_eq!(documents_unread(&mut conn, 10).await.unwrap(), []);
    assert_eq!(document_index_fetch(&mut conn, id).await.unwrap(), Some(("c1".to_owned(), vec!["a.md is not text.".to_owned()])));
    let builds = documents_builds(&mut conn, 10).await.unwrap();
    assert_eq!(builds.iter().map(|build| (build.intent_id, build.documents)).collect::<Vec<_>>(), [(id, 1)]);
    intent_save_repository(&mut conn, id, Some("b"), Some("c2"), at(2)).await.unwrap();
    assert_eq!(documents_unread(&mut conn, 10).await.unwrap(), [id]);
}

#[tokio::test]
async fn like_passages_are_of_other_builds_and_not_all_of_one() {
    let db = testing::database().await;
    let (own, shop, chat) = (intent(&db.store).await, intent(&db.store).await, intent(&db.store).await);
    let mut conn = db.store.connection().await.unwrap();
    let payments = "Payments are refunded by a webhook of the payment provider, with an idempotency key.";
    let sections: Vec<(&str, &str)> = vec![("Refunds", payments), ("More", payments), ("Again", payments), ("Weather", "It rains.")];
    save(&mut conn, shop, "c1", &[document("docs/payments.md", "Payments", &sections)], 1).await;
    save(&mut conn, chat, "c1", &[document("README.md", "Chat", &[("Rooms", "A webhook tells of messages, payments and refunds.")])], 1).await;
    save(&mut conn, own, "c1", &[document("README.md", "Own", &[("Refunds", payments)])], 1).await;
    let like =
        documents_like(&mut conn, "Refund payments over a webhook of our provider's API", Among { not: Some(own), ..Among::default() }, (3, 2, 5))
            .await
            .unwrap();
    let seen: Vec<(IntentId, &str)> = like.iter().map(|passage| (passage.intent_id, passage.path.as_str())).collect();
    assert_eq!(seen, [(shop, "docs/payments.md"), (shop, "docs/payments.md"), (chat, "README.md")]);
    assert_eq!(like[0].place(), format!("docs/payments.md of {shop}, “Refunds”"));
    let of_chat = documents_like(&mut conn, "webhook", Among { only: Some(chat), ..Among::default() }, (1, 2, 5)).await.unwrap();
    assert_eq!(of_chat.iter().map(|passage| passage.intent_id).collect::<Vec<_>>(), [chat]);
    assert_eq!(documents_like(&mut conn, "a webhook", Among::default(), (3, 2, 5)).await.unwrap(), [], "one word alone is no likeness");
    for odd in ["", "'", "\\ ' & | ! ( ) : *", "the of"] {
        documents_like(&mut conn, odd, Among::default(), (1, 2, 5)).await.unwrap_or_else(|error| panic!("{odd}: {error:?}"));
    }
}

#[tokio::test]
async fn the_largest_documents_can_be_searched() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    // As many different words as go into 256 KiB, in the forms of which most is kept.
    let words: String = (0..)
        .map(|n: u32| format!("a{n:x}-b{n:x} "))
        .scan(0, |bytes, word| {
            *bytes += word.len();
            (*bytes < 250_000).then_some(word)
        })
        .collect();
    let links: String = (0..)
        .map(|n: u32| format!("h{n:x}.de/p{n:x}?q={n} "))
        .scan(0, |bytes, word| {
            *bytes += word.len();
            (*bytes < 250_000).then_some(word)
        })
        .collect();
    let long = "x".repeat(250_000);
    for (n, text) in [words, links, long].into_iter().enumerate() {
        assert!(save(&mut conn, id, &format!("c{n}"), &[document("large.md", "Large", &[("", &text)])], 1).await);
    }
    assert_eq!(paths(&mut conn, &wanted(Some("large"))).await, ["large.md"]);
}
