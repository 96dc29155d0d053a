//! Questions put to a person, open and answered.

use grace_domain::{
    present::build::words,
    review::{Answer, Review, ReviewType},
    secret::field_for,
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Deed},
    desk::desk,
    icon::{icon, small_icon},
    time::moment,
};
use crate::calls::builds::answer_review;

fn answer_deed(review: &Review, answer: Answer) -> Deed {
    let (intent, id) = (review.intent_id, review.review_id);
    Deed::new(move || {
        let answer = answer.clone();
        async move {
            let review = answer_review(intent, id, answer).await?;
            Ok(format!("Answered: {}.", review.answer.unwrap_or_default()))
        }
    })
}

/// An open question with its answers.
pub fn open_review(review: &Review) -> AnyView {
    let desk = desk();
    let busy = RwSignal::new(false);
    let mut answers: Vec<(String, String, Answer)> = review
        .options
        .iter()
        .map(|choice| (choice.label.clone(), choice.consequence.clone(), Answer { answer: Some(choice.label.clone()), decide: false }))
        .collect();
    if let Some(default) = &review.default {
        let why =
            review.default_reason.clone().map(|reason| format!("Would pick {default}: {reason}")).unwrap_or_else(|| format!("Would pick {default}"));
        answers.push(("Let Grace decide".to_owned(), why, Answer { answer: None, decide: true }));
    }
    let buttons: Vec<_> = answers
        .into_iter()
        .enumerate()
        .map(|(index, (label, consequence, answer))| {
            let deed = answer_deed(review, answer);
            view! {
                <button type="button" disabled=move || busy.get() on:click=move |_| deed.perform(busy, desk)>
                    <kbd>{index + 1}</kbd><span><b>{label}</b><small>{consequence}</small></span>
                </button>
            }
        })
        .collect();
    // A blueprint's questions take one of their options alone.
    let in_words = review.in_words.then(|| {
        let text = RwSignal::new(String::new());
        let (intent, id) = (review.intent_id, review.review_id);
        let deed = Deed::new(move || {
            let answer = Answer { answer: Some(text.get_untracked()), decide: false };
            async move { answer_review(intent, id, answer).await.map(|_| "Answered.".to_owned()) }
        });
        view! {
            <div class="row">
                <input class="input grow" aria-label="Answer in words" placeholder="Answer in words" maxlength="4000" on:input=move |event| text.set(event_target_value(&event))/>
                <ActButton label="Answer" icon="send" deed/>
            </div>
        }
    });
    let artifacts: Vec<_> = review
        .artifacts
        .iter()
        .map(|path| view! { <a class="link mono" href=format!("/builds/{}?tab=artifacts&file={path}", review.intent_id)>{path.clone()}</a>" " })
        .collect();
    view! {
        <div class="review-open waiting">
            {icon("wait")}
            <div class="grow stack">
                <p class="strong">{review.question.clone()}</p>
                {(!review.context.is_empty()).then(|| view! { <p class="soft">{review.context.clone()}</p> })}
                {review.command.as_ref().map(|request| view! { <pre class="command" tabindex="0">{request.command.clone()}</pre> })}
                {(!artifacts.is_empty()).then(|| view! { <p>{artifacts}</p> })}
                {review.secret.as_ref().map(|name| view! { <p><a class="link" href=field_for(name, Some(review.intent_id))>"Add its value in Settings"</a></p> })}
                {(!buttons.is_empty()).then(|| view! { <div class="options" role="group" aria-label=review.question.clone()>{buttons}</div> })}
                {in_words}
            </div>
        </div>
    }
    .into_any()
}

/// A question that has its answer.
pub fn answered_review(review: &Review) -> AnyView {
    let by = if review.decided_by_grace { "Grace decided" } else { "A person answered" };
    view! {
        <li>
            {small_icon("ok")}
            <span><span class="soft">{review.question.clone()}</span>" "<b class="strong">{review.answer.clone()}</b></span>
            <span class="hint nowrap">{by}", "{review.answered_at.map(moment)}</span>
        </li>
    }
    .into_any()
}

/// What kind of question it is, in a word.
pub fn review_word(kind: ReviewType) -> String {
    words(match kind {
        ReviewType::Question => "question",
        ReviewType::CodeReview => "code_review",
        ReviewType::DeploymentGate => "deployment_gate",
        ReviewType::Help => "help",
        ReviewType::Secret => "secret",
        ReviewType::Command => "command",
    })
}
