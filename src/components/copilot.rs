//! The co-pilot: what needs a decision, chat that answers from facts, and quick actions.

use grace_domain::{
    copilot::{Action, ActionStyle, ChatMessage, ChatReply, ChatRequest, ChatView, Notification, NotificationKind},
    event::Author,
    id::IntentId,
    status::Status,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::use_navigate;

use super::{
    actions::{ActButton, Deed},
    desk::{Desk, desk},
    icon::{icon, small_icon},
    states::{loaded, once_loaded},
    time::{age, clock_time},
};
use crate::{
    calls::{
        CallError,
        copilot::{act_on_notification, dismiss_notification, list_chat, mark_all_read, send_chat},
    },
    live::Feed,
};

/// Lines of a notification that are shown unfolded.
const LINES_AT_FIRST: usize = 3;

/// The pane on the right: beside the page, a rail, an overlay or a bottom sheet.
#[component]
pub fn Copilot() -> AnyView {
    let desk = desk();
    let chat = Feed::new(|| Box::pin(list_chat()));
    let read_all = Deed::new(|| async { mark_all_read().await.map(|()| String::new()) });
    let collapse = move |_| {
        #[cfg(feature = "hydrate")]
        if let Some(root) = document().document_element() {
            let rail = root.get_attribute("data-copilot").is_some();
            if rail {
                root.remove_attribute("data-copilot").ok();
            } else {
                root.set_attribute("data-copilot", "rail").ok();
            }
            super::frame::remember("copilot", (!rail).then_some("rail"));
        }
    };
    view! {
        <button
            type="button"
            class="scrim"
            aria-label="Close co-pilot"
            tabindex="-1"
            hidden=move || !desk.copilot_open.get()
            on:click=move |_| desk.copilot_open.set(false)
        ></button>
        <aside class=move || if desk.copilot_open.get() { "copilot is-open" } else { "copilot" } id="copilot" aria-label="Co-pilot">
            <header>
                <h2>"Co-pilot"</h2>
                {once_loaded(chat, move || {
                    let (title, words) = match chat.map_untracked(|chat| chat.model) {
                        true => ("Chat answers from Grace's own records; what they do not say, the model for small jobs is asked.", "facts, then a model"),
                        false => ("Chat answers from Grace's own records, without a model. Add one in Settings.", "facts only, no model"),
                    };
                    view! { <span class="chip" title=title>{words}</span> }.into_any()
                })}
                <div class="tools">
                    <ActButton label="Mark all as read" icon="check" class="btn btn-ghost" icon_only=true deed=read_all/>
                    <button type="button" class="btn btn-icon btn-ghost collapse" aria-label="Collapse or open the co-pilot" title="Collapse or open the co-pilot" on:click=collapse>
                        {icon("panel")}
                    </button>
                    <button type="button" class="btn btn-icon btn-ghost cp-close" aria-label="Close co-pilot" on:click=move |_| desk.copilot_open.set(false)>
                        {icon("x")}
                    </button>
                </div>
                <div class="railbadge" aria-hidden="true">
                    {super::frame::waiting_badge(desk)}
                    <span>"Co-pilot"</span>
                </div>
            </header>
            <Notifications/>
            <Chat history=chat/>
            <QuickActions/>
        </aside>
    }
    .into_any()
}

#[component]
fn Notifications() -> AnyView {
    let desk = desk();
    let feed = desk.notifications;
    // What waits for a person comes first; otherwise the newest.
    let ids = move || {
        feed.map(|notes| {
            let (waiting, told): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.waiting);
            waiting.into_iter().chain(told).map(|note| note.notification_id).collect::<Vec<_>>()
        })
    };
    let list = move || {
        view! {
            <ul>
                <For each=ids key=|id| *id let:id>
                    {
                        let note = Memo::new(move |old: Option<&Option<Notification>>| {
                            feed.map(|notes| notes.iter().find(|note| note.notification_id == id).cloned()).or_else(|| old.cloned().flatten())
                        });
                        move || note.get().map(notification)
                    }
                </For>
            </ul>
            {move || feed.map(|notes| notes.is_empty()).then(|| view! {
                <p class="quiet">"Nothing needs you. Plans to approve, questions and results appear here."</p>
            })}
        }
        .into_any()
    };
    view! {
        <div class="notes" tabindex="0" role="region" aria-label="Notifications">
            <h3>
                <span>"Notifications"</span>
                <span class="row" aria-live="polite">
                    // Each in an element of its own: a browser finds no border between two texts.
                    <span>{once_loaded(desk.active, move || (move || building(desk)).into_any())}</span>
                    <span>{once_loaded(feed, move || (move || waiting(desk)).into_any())}</span>
                </span>
            </h3>
            {loaded(feed, list)}
        </div>
    }
    .into_any()
}

/// How many builds are worked on, "50+" where more are active than were read.
fn building(desk: Desk) -> Option<String> {
    let (count, is_part) = desk.active.map(|list| {
        let count = list.builds.iter().filter(|build| build.status == Status::Executing).count();
        (count, (list.builds.len() as u64) < list.total)
    });
    (count > 0).then(|| format!("{count}{} building", if is_part { "+" } else { "" }))
}

/// How many messages wait for a person.
fn waiting(desk: Desk) -> Option<String> {
    match desk.waiting() {
        0 => None,
        1 => Some("1 needs you".to_owned()),
        many => Some(format!("{many} need you")),
    }
}

fn notification(note: Notification) -> AnyView {
    let desk = desk();
    let id = note.notification_id;
    let (tone, shape) = match note.kind {
        NotificationKind::PlanReady | NotificationKind::InputNeeded => ("waiting", "wait"),
        NotificationKind::BuildComplete => ("success", "ok"),
        NotificationKind::BuildFailed => ("danger", "fail"),
        NotificationKind::Deployment => ("running", "rocket"),
        NotificationKind::Provisioning if note.waiting => ("waiting", "wait"),
        NotificationKind::Provisioning => ("running", "ops"),
        NotificationKind::Budget => ("warning", "warn"),
        NotificationKind::Learning => ("idle", "book"),
    };
    let tone = if !note.waiting && tone == "waiting" { "idle" } else { tone };
    let facts = (!note.facts.is_empty()).then(|| {
        let facts: Vec<_> = note.facts.iter().map(|fact| view! { <div><dt>{fact.name.clone()}</dt><dd>{fact.value.clone()}</dd></div> }).collect();
        view! { {over(&note.facts_heading)}<dl class="facts">{facts}</dl> }
    });
    let lines = (!note.lines.is_empty()).then(|| {
        let list = |lines: &[String]| {
            let lines: Vec<_> = lines.iter().map(|line| view! { <li>{small_icon("right")}<span>{line.clone()}</span></li> }).collect();
            view! { <ul class="ticks">{lines}</ul> }
        };
        let (first, rest) = note.lines.split_at(if note.lines.len() > LINES_AT_FIRST + 1 { LINES_AT_FIRST } else { note.lines.len() });
        let rest =
            (!rest.is_empty()).then(|| view! { <details class="sub-fold"><summary>{format!("{} more", rest.len())}</summary>{list(rest)}</details> });
        view! { {over(&note.lines_heading)}<div>{list(first)}{rest}</div> }
    });
    let decide = note.actions.iter().find(|action| action.action == "decide").cloned();
    let options = (!note.options.is_empty()).then(|| {
        // Leaving it to Grace may be among the options, with what it would pick, or only among the actions.
        let mut decide = decide;
        let mut answers: Vec<(String, String, String)> = Vec::new();
        for choice in &note.options {
            let action = match decide.take_if(|action| action.label == choice.label) {
                Some(action) => action.action,
                None => format!("answer:{}", choice.label),
            };
            answers.push((action, choice.label.clone(), choice.consequence.clone()));
        }
        if let Some(action) = decide {
            answers.push((action.action, action.label, "Takes the option that the plan names".to_owned()));
        }
        let busy = RwSignal::new(false);
        let buttons: Vec<_> = answers
            .into_iter()
            .enumerate()
            .map(|(index, (action, label, consequence))| {
                let deed = press_deed(note.notification_id, action);
                view! {
                    <button type="button" disabled=move || busy.get() on:click=move |_| deed.perform(busy, desk)>
                        <kbd>{index + 1}</kbd>
                        <span><b>{label}</b><small>{consequence}</small></span>
                    </button>
                }
            })
            .collect();
        view! { {over("Options")}<div class="options" role="group" aria-label=note.text.clone()>{buttons}</div> }
    });
    let has_options = !note.options.is_empty();
    let buttons: Vec<_> = note
        .actions
        .iter()
        .filter(|action| !(has_options && (action.action.starts_with("answer:") || action.action == "decide")))
        .map(|action| notification_button(id, note.intent_id, action))
        .collect();
    let dismiss = Deed::new(move || async move { dismiss_notification(id).await.map(|()| String::new()) });
    view! {
        <li class=format!("note {tone}{}", if note.read { "" } else { " unread" })>
            {icon(shape)}
            <div class="in">
                <div class="who">
                    <h4 class="clip" title=note.title.clone()>{note.title.clone()}</h4>
                    {age(note.at)}
                    {(!note.waiting).then(|| view! { <ActButton label="Dismiss" icon="x" class="btn btn-ghost btn-xs" icon_only=true deed=dismiss/> })}
                </div>
                <p>{note.text.clone()}</p>
                {facts}
                {lines}
                {options}
                {(!buttons.is_empty()).then(|| view! { <div class="row">{buttons}</div> })}
            </div>
        </li>
    }
    .into_any()
}

/// What stands over facts, lines or options.
fn over(heading: &str) -> AnyView {
    (!heading.is_empty()).then(|| view! { <p class="over">{heading.to_owned()}</p> }).into_any()
}

fn press_deed(id: grace_domain::id::NotificationId, action: String) -> Deed {
    Deed::new(move || {
        let action = action.clone();
        async move { act_on_notification(id, action).await.map(|answer| answer.message) }
    })
}

fn notification_button(id: grace_domain::id::NotificationId, intent: IntentId, action: &Action) -> AnyView {
    let desk = desk();
    let class = match action.style {
        ActionStyle::Primary => "btn btn-primary",
        ActionStyle::Normal => "btn",
        ActionStyle::Ghost => "btn btn-ghost",
        ActionStyle::Danger => "btn btn-ghost btn-danger",
    };
    let label = action.label.clone();
    if action.action.starts_with("modify") {
        return view! {
            <a class=class href=format!("/builds/{intent}?tab=plan") on:click=move |event| {
                event.prevent_default();
                desk.modified.set(Some((intent, desk.title_of(intent))));
            }>{label}</a>
        }
        .into_any();
    }
    if let Some(href) = action.href.clone() {
        // Files and reports are served outside of the pages.
        let outside = href.starts_with("/api/") || href.starts_with("http");
        return view! { <a class=class href=href rel=outside.then_some("external") target=outside.then_some("_blank") on:click=move |_| desk.copilot_open.set(false)>{label}</a> }.into_any();
    }
    let busy = RwSignal::new(false);
    let deed = press_deed(id, action.action.clone());
    view! { <button type="button" class=class disabled=move || busy.get() aria-busy=move || busy.get().to_string() on:click=move |_| deed.perform(busy, desk)>{label}</button> }
        .into_any()
}

/// A line of the chat on the screen.
#[derive(Clone, PartialEq)]
struct Said {
    message: ChatMessage,
    actions: Vec<Action>,
}

#[component]
fn Chat(history: Feed<ChatView>) -> AnyView {
    let desk = desk();
    // What was said since the history was read, with the commands of each answer.
    let said: RwSignal<Vec<Said>> = RwSignal::new(Vec::new());
    let text = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let failed: RwSignal<Option<CallError>> = RwSignal::new(None);
    let pane = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        said.track();
        history.track();
        if let Some(pane) = pane.get() {
            pane.set_scroll_top(pane.scroll_height());
        }
    });
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let message = text.get_untracked().trim().to_owned();
        if message.is_empty() || busy.get_untracked() {
            return;
        }
        busy.set(true);
        failed.set(None);
        let own = ChatReply { text: message.clone(), sources: Vec::new(), model: false, actions: Vec::new(), intent_id: None };
        say(said, Author::Person, own);
        let request = ChatRequest { message, intent_id: desk.chat_about.get_untracked() };
        leptos::task::spawn_local(async move {
            match send_chat(request).await {
                Ok(reply) => {
                    text.set(String::new());
                    if reply.intent_id.is_some() {
                        desk.chat_about.set(reply.intent_id);
                    }
                    say(said, Author::Grace, reply);
                }
                Err(error) => failed.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let earlier = move || {
        let messages = history.map_untracked(|chat| chat.messages.clone());
        let empty = messages.is_empty();
        let messages: Vec<_> = messages.into_iter().map(|message| chat_line(Said { message, actions: Vec::new() })).collect();
        view! {
            {messages}
            {empty.then(|| view! { <p class="quiet">"Ask how far a build is, why it failed, or say \u{201c}pause int-code-001\u{201d}, or \u{201c}build\u{201d} with what it should be. Answers come from Grace's records."</p> })}
        }
        .into_any()
    };
    let mute = move || text.with(|text| text.trim().is_empty());
    view! {
        <div class="chat" tabindex="0" role="log" aria-label="Chat" node_ref=pane>
            <h3>
                <span>"Chat"</span>
                {move || desk.chat_about.get().map(|intent| view! {
                    <button type="button" class="chip" title="Speak of all builds again" on:click=move |_| desk.chat_about.set(None)>{intent.to_string()}{icon("x")}</button>
                })}
            </h3>
            <div class="msgs">
                {once_loaded(history, earlier)}
                <For each=move || said.get() key=|said| (said.message.seq, said.message.from == Author::Person) let:line>{chat_line(line)}</For>
                {move || busy.get().then(|| view! { <p class="hint">"Looking it up\u{2026}"</p> })}
                {move || failed.get().map(|error| view! { <p class="t-danger">{error.message()}</p> })}
            </div>
        </div>
        <form class="compose" on:submit=send>
            <div>
                <input
                    id="chat-input"
                    aria-label="Message to Grace"
                    placeholder=move || match desk.chat_about.get() {
                        Some(intent) => format!("Ask about {intent}, or tell its agent"),
                        None => "Ask about a build, or give a command".to_owned(),
                    }
                    maxlength="4000"
                    autocomplete="off"
                    prop:value=move || text.get()
                    on:input=move |event| text.set(event_target_value(&event))
                />
                <button type="submit" class="btn btn-icon btn-ghost" aria-label="Send" title=move || if mute() { "Write something first" } else { "Send" } disabled=move || busy.get() || mute()>{icon("send")}</button>
            </div>
        </form>
    }
    .into_any()
}

fn say(said: RwSignal<Vec<Said>>, from: Author, reply: ChatReply) {
    said.update(|said| {
        // Numbers of our own, after any in the history; they only keep the lines apart.
        let seq = i64::MAX / 2 + said.len() as i64;
        let ChatReply { text, sources, model, actions, .. } = reply;
        let message = ChatMessage { seq, from, text, sources, model, at: super::time::current() };
        said.push(Said { message, actions });
    });
}

fn chat_line(said: Said) -> AnyView {
    let Said { message, actions } = said;
    if message.from == Author::Person {
        return view! { <p class="msg-you">{message.text}</p> }.into_any();
    }
    let sources: Vec<_> =
        message.sources.iter().map(|source| view! { ", "<a class="link" href=source.href.clone()>{source.label.clone()}</a> }).collect();
    let actions: Vec<_> = actions
        .into_iter()
        .map(|action| match action.href {
            Some(href) => view! { <a class="btn" href=href>{action.label}</a> }.into_any(),
            None => view! { <button type="button" class="btn" on:click=move |_| put_in_chat(&action.action)>{action.label}</button> }.into_any(),
        })
        .collect();
    // What stands between fences is code: its lines and spaces stay. The first line of it may name a language.
    let blocks: Vec<_> =
        message.text.split("```").enumerate().map(|(index, block)| if index % 2 == 1 { code(block) } else { paragraphs(block) }).collect();
    view! {
        <div class="msg-grace">
            {blocks}
            {(!actions.is_empty()).then(|| view! { <div class="row row-tight">{actions}</div> })}
            <span class="by">{if message.model { "A model, " } else { "Grace, " }}{clock_time(message.at)}{sources}</span>
        </div>
    }
    .into_any()
}

fn paragraphs(text: &str) -> AnyView {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| view! { <p>{line.to_owned()}</p> }).collect_view().into_any()
}

fn code(block: &str) -> AnyView {
    let text = block.split_once('\n').map_or(block, |(_, lines)| lines).trim_end();
    view! { <pre tabindex="0">{text.to_owned()}</pre> }.into_any()
}

/// Writes a command into the chat's field, for the person to send.
fn put_in_chat(command: &str) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        if let Some(input) = document().get_element_by_id("chat-input").and_then(|node| node.dyn_into::<web_sys::HtmlInputElement>().ok()) {
            input.set_value(command);
            if let Ok(event) = web_sys::Event::new("input") {
                input.dispatch_event(&event).ok();
            }
            input.focus().ok();
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = command;
}

#[component]
fn QuickActions() -> AnyView {
    let desk = desk();
    let navigate = use_navigate();
    let to = move |address: &'static str, form: bool| {
        let navigate = navigate.clone();
        move |_| {
            desk.copilot_open.set(false);
            navigate(address, Default::default());
            if form {
                super::keyboard::focus_form();
            }
        }
    };
    view! {
        <div class="quick">
            <h3>"Quick actions"</h3>
            <button type="button" class="btn btn-ghost" on:click=to("/", true)>{small_icon("plus")}"New build"</button>
            <button type="button" class="btn btn-ghost" on:click=to("/#active-builds", false)>{small_icon("list")}"View plans"</button>
            <button type="button" class="btn btn-ghost" on:click=move |_| desk.deploying_all.set(true)>{small_icon("rocket")}"Deploy all"</button>
            <button type="button" class="btn btn-ghost" on:click=to("/#retrospectives", false)>{small_icon("book")}"Review"</button>
        </div>
    }
    .into_any()
}
