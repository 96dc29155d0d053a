//! Places, runs and what their plans change, as they are kept.

use grace_domain::{
    id::IntentId,
    intent::Environment,
    list::ListQuery,
    provisioning::{AttributeChange, ChangeAction, Fact, Place, ResourceChange, RunKind, RunStatus},
    topology::Variant,
};
use grace_store::{
    NewRun, SealedText, changes_list, changes_replace, place_hold, place_lock, place_save_state, provisioning_rewrap, provisioning_sealed_count,
    provisioning_sealed_lock, run_cancel_requested, run_create, run_fetch, run_plan, run_request_cancel, run_save, run_save_plan, run_take,
    runs_list, runs_unfinished,
};
use grace_store_testing as testing;

use crate::fixture::{at, intent};

fn place(intent_id: IntentId) -> Place {
    Place { intent_id, environment: Environment::Staging, variant: Variant::Local }
}

fn change(address: &str) -> ResourceChange {
    let attribute = AttributeChange { name: "input.name".into(), before: None, after: Some("with a \0 in it".into()) };
    ResourceChange { address: address.into(), action: ChangeAction::Create, attributes: vec![attribute] }
}

#[tokio::test]
async fn a_place_has_one_holder_and_its_newest_state() {
    let db = testing::database().await;
    let place = place(intent(&db.store).await);
    let mut tx = db.store.begin().await.unwrap();
    let empty = place_lock(&mut tx, place, at(1)).await.unwrap();
    assert_eq!((empty.holder, empty.version, empty.resources, empty.state), (None, 0, 0, None));
    let run = run_create(&mut tx, &NewRun { place, kind: RunKind::Apply, commit: "abc".into() }, at(1)).await.unwrap();
    place_hold(&mut tx, place, Some(run), at(1)).await.unwrap();
    place_save_state(&mut tx, place, (1, 9), (b"sealed", b"key"), at(2)).await.unwrap();
    let held = place_lock(&mut tx, place, at(3)).await.unwrap();
    assert_eq!((held.holder, held.version, held.resources), (Some(run), 1, 9));
    assert_eq!(held.state, Some((b"sealed".to_vec(), b"key".to_vec())));
    run_save_plan(&mut tx, run, Some((b"plan", b"plan key"))).await.unwrap();
    assert_eq!(provisioning_sealed_count(&mut tx).await.unwrap(), 2);
    // Another master key: only data keys change.
    for text in provisioning_sealed_lock(&mut tx).await.unwrap() {
        let next: &[u8] = match &text {
            SealedText::State { place: of, version: 1, data_key } if *of == place && data_key == b"key" => b"next key",
            SealedText::Plan { run: of, data_key } if *of == run && data_key == b"plan key" => b"next plan key",
            other => panic!("{other:?}"),
        };
        provisioning_rewrap(&mut tx, &text, next).await.unwrap();
    }
    assert_eq!(place_lock(&mut tx, place, at(3)).await.unwrap().state, Some((b"sealed".to_vec(), b"next key".to_vec())));
    assert_eq!(run_plan(&mut tx, run).await.unwrap(), Some((b"plan".to_vec(), b"next plan key".to_vec())));
    run_save_plan(&mut tx, run, None).await.unwrap();
    place_hold(&mut tx, place, None, at(4)).await.unwrap();
    assert_eq!((run_plan(&mut tx, run).await.unwrap(), place_lock(&mut tx, place, at(4)).await.unwrap().holder), (None, None));
    db.store.commit(tx).await.unwrap();
}

#[tokio::test]
async fn a_run_is_read_as_it_was_saved_and_lists_are_paged() {
    let db = testing::database().await;
    let place = place(intent(&db.store).await);
    let mut tx = db.store.begin().await.unwrap();
    place_lock(&mut tx, place, at(1)).await.unwrap();
    let new = NewRun { place, kind: RunKind::Apply, commit: "abc".into() };
    let (first, second) = (run_create(&mut tx, &new, at(1)).await.unwrap(), run_create(&mut tx, &new, at(2)).await.unwrap());
    run_take(&mut tx, first, "here").await.unwrap();
    run_request_cancel(&mut tx, first).await.unwrap();
    assert_eq!((run_cancel_requested(&mut tx, first).await.unwrap(), run_cancel_requested(&mut tx, second).await.unwrap()), (true, false));
    let mut run = run_fetch(&mut tx, first).await.unwrap().unwrap();
    assert_eq!((run.status, run.steps.len(), run.title.as_str()), (RunStatus::Queued, 9, "Chat"));
    run.learn(Fact::SyntaxChecked);
    (run.status, run.reason, run.resources) = (RunStatus::Applying, Some("so far".into()), Some(3));
    run_save(&mut tx, &run).await.unwrap();
    assert_eq!(run_fetch(&mut tx, first).await.unwrap(), Some(run.clone()));
    let unfinished = runs_unfinished(&mut tx).await.unwrap();
    let workers: Vec<_> = unfinished.iter().map(|(run, worker)| (run.run_id, worker.as_deref())).collect();
    assert_eq!(workers, [(first, Some("here")), (second, None)]);
    run.finished_at = Some(at(9));
    run_save(&mut tx, &run).await.unwrap();
    assert_eq!(runs_unfinished(&mut tx).await.unwrap().len(), 1);

    let one = |after| ListQuery { limit: Some(1), after, ..ListQuery::default() };
    let page = runs_list(&mut tx, &one(None)).await.unwrap();
    assert_eq!((page.items[0].run_id, page.total), (second, 2));
    let rest = runs_list(&mut tx, &one(page.next)).await.unwrap();
    assert_eq!((rest.items[0].run_id, rest.next), (first, None));
    let none = runs_list(&mut tx, &ListQuery { q: Some("azure".into()), ..ListQuery::default() }).await.unwrap();
    assert_eq!(none.total, 0);

    changes_replace(&mut tx, first, &[change("a"), change("b"), change("c")]).await.unwrap();
    changes_replace(&mut tx, first, &[change("a"), change("b")]).await.unwrap();
    let page = changes_list(&mut tx, first, &one(None)).await.unwrap();
    assert_eq!((page.items[0].address.as_str(), page.total), ("a", 2));
    let rest = changes_list(&mut tx, first, &one(page.next)).await.unwrap();
    assert_eq!((rest.items[0].address.as_str(), rest.next.as_deref()), ("b", None));
    assert_eq!(rest.items[0].attributes[0].after.as_deref(), Some("with a \u{fffd} in it"));
    db.store.commit(tx).await.unwrap();
}
