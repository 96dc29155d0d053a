//! The co-pilot's chat: what it does by rules alone, and what it says with a model.

use crate::support::{Act, Place, Scripted, start_build, step, until_status, with_model};
use grace_domain::{
    copilot::{ChatReply, ChatRequest},
    id::IntentId,
    list::ListQuery,
    status::{Stage, Status},
};
use grace_engine::Engine;
use grace_script_model::{Fault, Script, ScriptModel, Turn, When};

const QUESTION: &str = "Which of its files would have to change so that drawers may also have a colour?";

async fn ask(engine: &Engine, message: &str, about: Option<IntentId>) -> ChatReply {
    engine.chat(ChatRequest { message: message.into(), intent_id: about }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_from_facts_and_carries_out_commands() {
    let place = Place::new().await;
    let agent = Scripted::new(vec![step("code", Stage::Coding, &[], Act::Gate)]);
    let engine = place.start(&agent).await;
    let intent = start_build(&engine, "Talk to me").await;
    until_status(&engine, intent, Status::Executing).await;
    let paused = ask(&engine, &format!("pause {intent}"), None).await;
    assert!(!paused.model && paused.text.contains("Paused"), "{paused:?}");
    assert_eq!(engine.status(intent).await.unwrap().status, Status::Paused);
    let far = ask(&engine, "how far is it?", None).await;
    assert!(far.text.contains("paused") && !far.sources.is_empty(), "{far:?}");
    let unknown = ask(&engine, "pause int-code-999", None).await;
    assert!(unknown.text.contains("There is no build int-code-999"), "{unknown:?}");
    // Without a model a question that no rule knows is not made up an answer to.
    let unworded = ask(&engine, "Sing me a song of drawers", Some(intent)).await;
    assert!(!unworded.model && unworded.text.contains("without a model"), "{unworded:?}");
    let told = ask(&engine, &format!("tell {intent} to use tabs"), None).await;
    assert!(told.text.starts_with(&format!("{intent}: Noted in the build's history, and nothing else")), "{told:?}");
    assert_eq!(engine.chat_history().await.unwrap().len(), 10);
    assert!(!engine.chat_view().await.unwrap().model);
    engine.stop(intent).await.unwrap();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_said_in_it_becomes_a_plan_that_waits() {
    let place = Place::new().await;
    let engine = place.start(&Scripted::new(vec![step("code", Stage::Coding, &[], Act::Gate)])).await;
    let begun = ask(&engine, "Build a catalogue of drawers with name and depth", None).await;
    let intent = begun.intent_id.unwrap();
    assert_eq!(begun.actions[0].href, Some(format!("/builds/{intent}?tab=plan")));
    let status = engine.status(intent).await.unwrap();
    assert_eq!((status.status, status.request.description.as_str()), (Status::AwaitingApproval, "Build a catalogue of drawers with name and depth"));
    // About a build the same words are not a new one.
    let about = ask(&engine, "Build a catalogue of drawers with name and depth", Some(intent)).await;
    assert_eq!(about.intent_id, Some(intent), "{about:?}");
    assert_eq!(engine.active(ListQuery::default()).await.unwrap().total, 1);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_model_it_words_what_no_rule_knows_from_the_facts_and_the_build_pays() {
    let place = Place::new().await;
    let when = |text: &str| When { last_contains: Some(text.into()), ..When::default() };
    let turns = [
        Turn::say("Its model and its form:\n- src/drawer.py").when(when("may also have a colour")),
        Turn::say("Nothing is being built.").when(when("Which of all these builds")),
    ];
    let model = ScriptModel::start(Script::of(turns)).await.unwrap();
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    assert!(engine.chat_view().await.unwrap().model);
    let intent = ask(&engine, "Build a catalogue: Drawer has name and depth.", None).await.intent_id.unwrap();
    let before = engine.status(intent).await.unwrap();
    assert_eq!((before.status, before.spent.usage.requests), (Status::AwaitingApproval, 0));

    let worded = ask(&engine, QUESTION, Some(intent)).await;
    assert!(worded.model && worded.text.contains("src/drawer.py"), "{worded:?}");
    assert_eq!(worded.intent_id, Some(intent));
    let after = engine.status(intent).await.unwrap();
    assert_eq!((after.status, after.spent.usage.requests), (Status::AwaitingApproval, 1), "it is asked within the build's budget, and does nothing");
    let asked = model.journal().last().unwrap().body.to_string();
    for fact in ["Drawer has name and depth", "int-code-001", "awaiting approval", "Planned: ", "Estimate", QUESTION] {
        assert!(asked.contains(fact), "{fact}: {asked}");
    }
    // What a rule knows costs nothing.
    assert!(!ask(&engine, "how far is it?", Some(intent)).await.model);
    assert_eq!(engine.status(intent).await.unwrap().spent.usage.requests, 1);

    let all = ask(&engine, "Which of all these builds do you think went best and why?", None).await;
    assert!(all.model, "{all:?}");
    let history = engine.chat_history().await.unwrap();
    assert_eq!(history.iter().filter(|line| line.model).count(), 2, "the history tells a model's words apart");

    engine.shutdown().await;
    assert_eq!(model.problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_or_may_not_be_asked_is_said_to() {
    let place = Place::new().await;
    let model = ScriptModel::start(Script::of([Turn::fail(Fault::ContentFilter)])).await.unwrap();
    let engine = Engine::start(with_model(&place, &model)).await.unwrap();
    let intent = ask(&engine, "Build a catalogue: Drawer has name and depth.", None).await.intent_id.unwrap();
    let failed = ask(&engine, QUESTION, Some(intent)).await;
    assert!(!failed.model && failed.text.starts_with("The model did not answer: "), "{failed:?}");
    engine.set_budget(intent, grace_domain::model::Budget { requests: Some(1), ..Default::default() }).await.unwrap();
    let refused = ask(&engine, QUESTION, Some(intent)).await;
    assert!(refused.text.contains("could pass the budget of requests"), "{refused:?}");
    assert_eq!(model.journal().len(), 1, "nothing was sent beyond the budget");
    engine.shutdown().await;
}
