//! A plan to be edited by hand: phases, tasks with their minutes, what proves them and what they come after, deliverables; while it is carried out, what
//! is left of it. Saving makes a new revision, which waits for approval like any other.

use grace_domain::{
    id::IntentId,
    plan::Plan,
    plan_draft::{PhaseDraft, PlanDraft, TaskDraft},
    plan_rest::Kept,
    view::Approval,
};
use leptos::prelude::*;

use super::{
    desk::desk,
    form_parts::{field_error, field_error_at},
    icon::small_icon,
    states::problem,
};
use crate::calls::{CallError, builds::approve_plan};

/// A task as it is typed.
#[derive(Clone)]
struct Row {
    id: u32,
    key: Option<String>,
    title: RwSignal<String>,
    minutes: RwSignal<String>,
    detail: RwSignal<String>,
    verify: RwSignal<String>,
    /// Keys with commas; and what is there at first.
    after: RwSignal<String>,
    was_after: String,
}

#[derive(Clone)]
struct Part {
    id: u32,
    name: RwSignal<String>,
    rows: RwSignal<Vec<Row>>,
}

impl Row {
    fn of(id: u32, task: TaskDraft, was_after: String) -> Self {
        let minutes = if task.minutes > 0.0 { format!("{}", (task.minutes * 100.0).round() / 100.0) } else { String::new() };
        Self {
            id,
            key: task.key,
            title: RwSignal::new(task.title),
            minutes: RwSignal::new(minutes),
            detail: RwSignal::new(task.detail),
            verify: RwSignal::new(task.verify),
            after: RwSignal::new(was_after.clone()),
            was_after,
        }
    }

    /// What is no number is refused by the server, which names the field.
    fn read(&self) -> TaskDraft {
        let after = self.after.get_untracked();
        // As it was, it follows when a task that it names is taken out.
        let after = (after != self.was_after).then(|| after.split(',').map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).collect());
        TaskDraft {
            key: self.key.clone(),
            title: self.title.get_untracked(),
            minutes: self.minutes.get_untracked().trim().replace(',', ".").parse().unwrap_or(0.0),
            detail: self.detail.get_untracked(),
            verify: self.verify.get_untracked(),
            after,
        }
    }
}

/// `open` is set to false when the plan was saved or left as it is. `hash` is of the revision that is edited; what is `kept` is shown and not edited.
#[component]
pub fn PlanEditor(intent: IntentId, plan: Plan, kept: Kept, hash: String, open: RwSignal<bool>, saved: Callback<()>) -> AnyView {
    let desk = desk();
    let PlanDraft { phases, deliverables } = PlanDraft::of(&plan, &kept);
    let comes_after = |key: Option<&String>| {
        let planned = plan.tasks().find(|task| Some(&task.key) == key);
        planned.map(|task| task.depends_on.join(", ")).unwrap_or_default()
    };
    let begun = begun_tasks(&plan, &kept);
    let is_rest = kept.is_begun();
    let number = StoredValue::new(0u32);
    let next = move || {
        number.update_value(|number| *number += 1);
        number.get_value()
    };
    let parts: Vec<Part> = phases
        .into_iter()
        .map(|phase| Part {
            id: next(),
            name: RwSignal::new(phase.name),
            rows: RwSignal::new(phase.tasks.into_iter().map(|task| Row::of(next(), task.clone(), comes_after(task.key.as_ref()))).collect()),
        })
        .collect();
    let parts = RwSignal::new(parts);
    let list = RwSignal::new(deliverables.join("\n"));
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let phases = parts.with_untracked(|parts| {
            let read = |part: &Part| PhaseDraft {
                name: part.name.get_untracked(),
                tasks: part.rows.with_untracked(|rows| rows.iter().map(Row::read).collect()),
            };
            parts.iter().map(read).collect()
        });
        let deliverables = list.get_untracked().lines().map(str::to_owned).collect();
        let approval = Approval { edits: Some(PlanDraft { phases, deliverables }), plan_hash: Some(hash.clone()), ..Approval::default() };
        busy.set(true);
        failed.set(None);
        leptos::task::spawn_local(async move {
            match approve_plan(intent, approval).await {
                Ok(answer) => {
                    desk.toast("success", answer.message);
                    desk.refresh();
                    // The news of the new revision may have taken the editor away before the answer came.
                    saved.try_run(());
                    open.try_set(false);
                }
                Err(error) => drop(failed.try_set(Some(error))),
            }
            busy.try_set(false);
        });
    };
    let add_phase = move |_| {
        let new =
            Part { id: next(), name: RwSignal::new(String::new()), rows: RwSignal::new(vec![Row::of(next(), TaskDraft::default(), String::new())]) };
        parts.update(|parts| parts.push(new));
    };
    let body = move |part: Part| {
        let Part { id, name, rows } = part;
        let at = move || parts.with(|parts| parts.iter().position(|part| part.id == id).unwrap_or_default());
        let add = move |_| rows.update(|rows| rows.push(Row::of(next(), TaskDraft::default(), String::new())));
        let take_out = move |_| parts.update(|parts| parts.retain(|part| part.id != id));
        view! {
            <fieldset class="panel plan-part">
                <div class="bar">
                    <label class="grow"><span class="vh">"Name of the phase"</span>
                        <input class="input" maxlength="200" placeholder="Name of the phase" prop:value=name on:input=move |event| name.set(event_target_value(&event))/>
                    </label>
                    <button type="button" class="btn btn-ghost" on:click=take_out>{small_icon("trash")}"Take the phase out"</button>
                </div>
                {field_error_at(failed, move || format!("edits.phases[{}].name", at()))}
                {field_error_at(failed, move || format!("edits.phases[{}].tasks", at()))}
                <ol class="plan-rows">
                    <For each=move || rows.get() key=|row| row.id children=move |row| task_row(&row, rows, failed, Signal::derive(at))/>
                </ol>
                <p><button type="button" class="btn btn-ghost" on:click=add>{small_icon("plus")}"Add a task"</button></p>
            </fieldset>
        }
    };
    // What is wrong with a field is under it; the end of a long form only says that something is.
    let general = move || {
        failed.get().map(|error| {
            if error.0.errors.iter().all(|error| error.field == "edits") {
                return problem(error);
            }
            view! { <p class="field-error" role="alert">{small_icon("fail")}<span>{error.message()}</span></p> }.into_any()
        })
    };
    view! {
        <form class="stack plan-editor" on:submit=submit novalidate aria-label=if is_rest { "Change what is left of the plan" } else { "Edit the plan" }>
            {begun}
            <For each=move || parts.get() key=|part| part.id children=body/>
            <p><button type="button" class="btn" on:click=add_phase>{small_icon("plus")}"Add a phase"</button></p>
            {field_error(failed, "edits.phases")}
            <div class="field">
                <label class="label" for="edit-deliverables">"Deliverables, one per line"</label>
                <textarea class="input" id="edit-deliverables" rows="4" prop:value=list on:input=move |event| list.set(event_target_value(&event))></textarea>
                {field_error(failed, "edits.deliverables")}
            </div>
            {general}
            <div class="bar foot-bar">
                <span class="hint">{if is_rest { "Saving makes a new revision. Nothing of what is left begins before you approve or reject it. Left as it is, the build stays paused until you resume it." } else { "Saving makes a new revision. It waits for your approval." }}</span>
                <div class="tools">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Leave it as it is"</button>
                    <button type="submit" class="btn btn-primary" disabled=move || busy.get() aria-busy=move || busy.get().to_string()>"Save as a revision"</button>
                </div>
            </div>
        </form>
    }
    .into_any()
}

/// What has begun, each with how it stands; nothing before the first approval.
fn begun_tasks(plan: &Plan, kept: &Kept) -> Option<AnyView> {
    let tasks: Vec<_> = plan
        .tasks()
        .filter(|task| kept.has_begun(&task.key))
        .map(|task| view! { <li>{small_icon(if kept.is_done(&task.key) { "check" } else { "right" })}<span>{task.title.clone()}" "<code class="muted">{task.key.clone()}</code>" "<span class="muted">{kept.stands(&task.key)}</span></span></li> })
        .collect();
    (!tasks.is_empty()).then(|| {
        view! {
            <div class="panel plan"><div class="part"><h4>"Stays as it is"</h4><ul class="ticks">{tasks}</ul></div></div>
        }
        .into_any()
    })
}

fn task_row(row: &Row, rows: RwSignal<Vec<Row>>, failed: RwSignal<Option<CallError>>, phase: Signal<usize>) -> AnyView {
    let Row { id, key, title, minutes, detail, verify, after, .. } = row.clone();
    let label = key.map_or_else(|| view! { "Task" }.into_any(), |key| view! { "Task "<code class="muted">{key}</code> }.into_any());
    let place = move || rows.with(|rows| rows.iter().position(|row| row.id == id).unwrap_or_default());
    let is_last = move || place() + 1 >= rows.with(Vec::len);
    let up = move |_| {
        rows.update(|rows| {
            if let Some(at) = rows.iter().position(|row| row.id == id).filter(|at| *at > 0) {
                rows.swap(at - 1, at)
            }
        })
    };
    let down = move |_| {
        rows.update(|rows| {
            if let Some(at) = rows.iter().position(|row| row.id == id).filter(|at| at + 1 < rows.len()) {
                rows.swap(at, at + 1)
            }
        })
    };
    let field = move |name: &'static str| move || format!("edits.phases[{}].tasks[{}].{name}", phase.get(), place());
    let invalid = move |name: &'static str| {
        let field = field(name);
        move || failed.with(|error| error.as_ref().is_some_and(|error| error.field(&field()).is_some())).to_string()
    };
    let take_out = move |_| rows.update(|rows| rows.retain(|row| row.id != id));
    view! {
        <li>
            <div class="plan-row">
                <label class="field"><span class="label">{label}</span>
                    <input class="input" maxlength="200" aria-invalid=invalid("title") prop:value=title on:input=move |event| title.set(event_target_value(&event))/>
                </label>
                <label class="field"><span class="label">"Minutes"</span>
                    <input class="input" inputmode="decimal" maxlength="10" aria-invalid=invalid("minutes") prop:value=minutes on:input=move |event| minutes.set(event_target_value(&event))/>
                </label>
                <div class="row">
                    <button type="button" class="btn btn-icon btn-ghost turned" aria-label=move || format!("Move {} up", title.get()) title="Move it up" disabled=move || place() == 0 on:click=up>{small_icon("down")}</button>
                    <button type="button" class="btn btn-icon btn-ghost" aria-label=move || format!("Move {} down", title.get()) title="Move it down" disabled=is_last on:click=down>{small_icon("down")}</button>
                    <button type="button" class="btn btn-icon btn-ghost" aria-label=move || format!("Take out {}", title.get()) title="Take it out" on:click=take_out>{small_icon("trash")}</button>
                </div>
            </div>
            {field_error_at(failed, field("key"))}
            {field_error_at(failed, field("title"))}
            {field_error_at(failed, field("minutes"))}
            <label class="field"><span class="label">"Proved by this command"</span>
                <input class="input mono" maxlength="4000" aria-invalid=invalid("verify") prop:value=verify on:input=move |event| verify.set(event_target_value(&event))/>
            </label>
            {field_error_at(failed, field("verify"))}
            <label class="field"><span class="label">"Comes after: keys, with commas"</span>
                <input class="input mono" maxlength="1000" placeholder="the task before it" aria-invalid=invalid("after") prop:value=after on:input=move |event| after.set(event_target_value(&event))/>
            </label>
            {field_error_at(failed, field("after"))}
            <label class="field"><span class="label">"What is to be done"</span>
                <textarea class="input" rows="2" maxlength="4000" aria-invalid=invalid("detail") prop:value=detail on:input=move |event| detail.set(event_target_value(&event))></textarea>
            </label>
            {field_error_at(failed, field("detail"))}
        </li>
    }
    .into_any()
}
