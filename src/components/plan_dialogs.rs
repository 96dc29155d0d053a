//! Two decisions that need more than a button: how a plan should change, and where a build should go.

use grace_domain::{
    deployment::{DeployRequest, DeploymentConfig},
    intent::Environment,
    view::Approval,
};
use leptos::{html, prelude::*};

use super::{
    container_choice::container_choice,
    desk::desk,
    dialog::{Dialog, open_while},
    states::problem,
};
use crate::calls::{CallError, builds::approve_plan, deployments::deploy_build};

/// Changes a plan: each line of the text is one wish, and the answer is a new revision.
#[component]
pub fn ModifyDialog() -> AnyView {
    let desk = desk();
    let open = open_while(desk.modified);
    let title = Signal::derive(move || {
        desk.modified.with(|subject| subject.as_ref().map(|(_, title)| format!("Modify the plan of {title}")).unwrap_or_default())
    });
    view! { <Dialog open title><ModifyForm/></Dialog> }.into_any()
}

#[component]
fn ModifyForm() -> AnyView {
    let desk = desk();
    let text = NodeRef::<html::Textarea>::new();
    let start = NodeRef::<html::Input>::new();
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some((intent, _)) = desk.modified.get_untracked() else { return };
        let wishes = text.get_untracked().map(|node| node.value()).unwrap_or_default();
        let modifications: Vec<String> = wishes.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        // Without "start", the new revision waits to be read first.
        let approved = start.get_untracked().is_some_and(|node| node.checked()).then_some(true);
        busy.set(true);
        failed.set(None);
        leptos::task::spawn_local(async move {
            let approval = Approval { approved, modifications, ..Approval::default() };
            match approve_plan(intent, approval).await {
                Ok(answer) => {
                    desk.toast("success", answer.message);
                    desk.refresh();
                    desk.modified.set(None);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    view! {
        <form on:submit=submit>
            <div class="dialog-body">
                <div class="field">
                    <label class="label" for="modifications">"What should be different? One change per line."</label>
                    <textarea class="input" id="modifications" rows="5" maxlength="4000" placeholder="Add field priority to Task\nUse sessions instead of JWT" node_ref=text></textarea>
                    <span class="hint">"Each change is answered in the new revision: done, or why it cannot be. While tasks are carried out, what has begun stays as it is, and nothing else begins meanwhile."</span>
                </div>
                <label class="check"><input type="checkbox" node_ref=start/>"Start, or go on, at once without showing me the new revision"</label>
                {move || failed.get().map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| desk.modified.set(None)>"Leave it as it is"</button>
                <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Change plan"</button>
            </footer>
        </form>
    }
    .into_any()
}

/// Chooses an environment and deploys.
#[component]
pub fn DeployDialog() -> AnyView {
    let desk = desk();
    let open = open_while(desk.deployed);
    let title =
        Signal::derive(move || desk.deployed.with(|subject| subject.as_ref().map(|(_, title)| format!("Deploy {title}")).unwrap_or_default()));
    view! { <Dialog open title class="dialog-s"><DeployForm/></Dialog> }.into_any()
}

#[component]
fn DeployForm() -> AnyView {
    let desk = desk();
    let environment = RwSignal::new(Environment::Staging);
    let tests = RwSignal::new(true);
    let rollback = RwSignal::new(true);
    let image = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some((intent, _)) = desk.deployed.get_untracked() else { return };
        busy.set(true);
        failed.set(None);
        let request = DeployRequest {
            target_environment: environment.get_untracked().as_str().to_owned(),
            deployment_config: DeploymentConfig {
                docker_build: image.get_untracked(),
                run_tests: tests.get_untracked(),
                auto_rollback: rollback.get_untracked(),
            },
        };
        leptos::task::spawn_local(async move {
            match deploy_build(intent, request).await {
                Ok(answer) => {
                    desk.toast("success", answer.message);
                    desk.refresh();
                    desk.deployed.set(None);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let choices: Vec<_> = Environment::ALL
        .iter()
        .map(|choice| {
            let choice = *choice;
            let hint = match choice {
                Environment::Development => "for yourself",
                Environment::Staging => "to try it as others will",
                Environment::Production => "always asks a person first",
            };
            view! {
                <label class="check tall">
                    <input type="radio" name="environment" value=choice.as_str() prop:checked=move || environment.get() == choice on:change=move |_| environment.set(choice)/>
                    <span>{choice.label()}<small class="hint">{hint}</small></span>
                </label>
            }
        })
        .collect();
    view! {
        <form on:submit=submit>
            <div class="dialog-body">
                <fieldset class="field"><legend class="label">"Environment"</legend>{choices}</fieldset>
                <fieldset class="field">
                    <legend class="label">"Before and after the switch"</legend>
                    <label class="check"><input type="checkbox" prop:checked=move || tests.get() on:change=move |event| tests.set(event_target_checked(&event))/>"Run the project's tests on the release first"</label>
                    <label class="check"><input type="checkbox" prop:checked=move || rollback.get() on:change=move |event| rollback.set(event_target_checked(&event))/>"Roll back by itself when it turns unhealthy"</label>
                    {container_choice(image, busy.into())}
                </fieldset>
                {move || failed.get().map(problem)}
            </div>
            <footer class="dialog-foot">
                <button type="button" class="btn" on:click=move |_| desk.deployed.set(None)>"Not now"</button>
                <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>
                    {move || format!("Deploy to {}", environment.get().as_str())}
                </button>
            </footer>
        </form>
    }
    .into_any()
}
