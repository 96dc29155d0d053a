//! What can be done with a build: approve, pause, resume, stop, retry, deploy. The status machine says when, and why not.

use grace_domain::{
    deployment::NOT_DEPLOYABLE,
    id::IntentId,
    present::build::refusal,
    status::{Status, Trigger},
    view::Approval,
};
use leptos::prelude::*;
use server_fn::ServerFn;

use super::{
    actions::{ActButton, Confirmation, Deed},
    desk::desk,
    icon::small_icon,
};
use crate::calls::builds::{ApprovePlanForm, Control, approve_plan, control_build};

/// Pauses, resumes, stops or retries.
pub fn control_deed(intent: IntentId, control: Control) -> Deed {
    Deed::new(move || async move { control_build(intent, control).await.map(|answer| answer.message) })
}

/// Approves the plan with this hash.
pub fn approve_deed(intent: IntentId, plan_hash: String) -> Deed {
    Deed::new(move || {
        let approval = Approval { approved: Some(true), plan_hash: Some(plan_hash.clone()), ..Approval::default() };
        async move { approve_plan(intent, approval).await.map(|answer| answer.message) }
    })
}

/// What stopping a build means, said before it is done.
pub fn stop_confirmation(title: &str) -> Confirmation {
    Confirmation {
        title: format!("Stop {title}?"),
        consequence:
            "The command that runs now is ended and no further task begins. What is built so far is kept; a stopped build cannot be resumed."
                .to_owned(),
        action: "Stop build",
    }
}

/// Approve as a form, so that it works without JavaScript too.
pub fn approve_button(intent: IntentId, plan_hash: String) -> AnyView {
    let desk = desk();
    let busy = RwSignal::new(false);
    let deed = approve_deed(intent, plan_hash.clone());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        deed.perform(busy, desk);
    };
    view! {
        <form class="inline" method="post" action=ApprovePlanForm::url() on:submit=submit>
            <input type="hidden" name="intent" value=intent.to_string()/>
            <input type="hidden" name="plan_hash" value=plan_hash/>
            <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Approve"</button>
        </form>
    }
    .into_any()
}

/// Opens the dialog that changes a plan.
pub fn modify_button(intent: IntentId, title: String, label: &'static str) -> AnyView {
    let desk = desk();
    view! { <a class="btn" href=format!("/builds/{intent}?tab=plan") on:click=move |event| { event.prevent_default(); desk.modified.set(Some((intent, title.clone()))); }>{label}</a> }
        .into_any()
}

/// Opens what is left of a plan for changes. Nothing new begins from then on: a build that runs is paused first.
pub fn change_rest_button(intent: IntentId, status: Status, editing: RwSignal<bool>) -> AnyView {
    if status == Status::Paused {
        return view! { <button type="button" class="btn needs-script" aria-expanded=move || editing.get().to_string() on:click=move |_| editing.update(|editing| *editing = !*editing)>{small_icon("edit")}"Change what is left"</button> }
            .into_any();
    }
    let deed = Deed::new(move || async move {
        let paused = control_build(intent, Control::Pause).await?;
        editing.set(true);
        Ok(paused.message)
    });
    view! { <ActButton label="Change what is left" icon="edit" class="btn needs-script" deed/> }.into_any()
}

/// Drops a change of what is left that waits for approval.
pub fn reject_rest_button(intent: IntentId) -> AnyView {
    let deed = Deed::new(move || async move {
        let approval = Approval { approved: Some(false), ..Approval::default() };
        approve_plan(intent, approval).await.map(|answer| answer.message)
    });
    view! { <ActButton label="Go on as before" icon="undo" class="btn needs-script" deed/> }.into_any()
}

/// Opens the dialog that chooses an environment; with the reason while the build is not finished, or cannot be started here at all. Infrastructure is set
/// up on Operations.
pub fn deploy_button(intent: IntentId, title: String, status: Status, (deployable, provisionable): (bool, bool), label: &'static str) -> AnyView {
    let desk = desk();
    if provisionable && status.is_built() {
        let href = format!("/operations?provision={intent}#provisioning");
        return view! { <a class="btn" href=href>{small_icon("rocket")}{label}</a> }.into_any();
    }
    let deployable = deployable || provisionable;
    let reason = if deployable { refusal(status, Trigger::DeployRequested) } else { Some(NOT_DEPLOYABLE.to_owned()) };
    view! {
        <button
            type="button"
            class="btn"
            disabled=reason.is_some()
            title=reason
            on:click=move |_| desk.deployed.set(Some((intent, title.clone())))
        >
            {small_icon("rocket")}
            {label}
        </button>
    }
    .into_any()
}

/// Pause or resume, whichever the status allows; pause with the reason when neither.
pub fn pause_button(intent: IntentId, title: &str, status: Status, icon_only: bool) -> AnyView {
    let (control, trigger, icon, verb) = if status == Status::Paused {
        (Control::Resume, Trigger::Resume, "play", "Resume")
    } else {
        (Control::Pause, Trigger::Pause, "pause", "Pause")
    };
    let label = if icon_only { format!("{verb} {title}") } else { verb.to_owned() };
    view! { <ActButton label icon icon_only reason=refusal(status, trigger) deed=control_deed(intent, control)/> }.into_any()
}

/// Stop, after a yes.
pub fn stop_button(intent: IntentId, title: &str, status: Status, icon_only: bool, words: &'static str) -> AnyView {
    let label = if icon_only { format!("{words} {title}") } else { words.to_owned() };
    view! {
        <ActButton
            label
            icon="stop"
            class="btn btn-danger"
            icon_only
            reason=refusal(status, Trigger::Stop)
            confirm=Some(stop_confirmation(title))
            deed=control_deed(intent, Control::Stop)
        />
    }
    .into_any()
}
