//! Comments on lines of what a build changed, and the form that makes one.

use grace_domain::{
    comment::{Comment, CommentDraft, CommentList, Side, lines, number},
    event::EventKind,
    id::IntentId,
    present::diff::FileDiff,
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Deed},
    desk::desk,
    form_parts::field_error,
    icon::small_icon,
    time::ago,
};
use crate::{
    calls::{
        CallError,
        results::{list_comments, make_comment, resolve_comment},
    },
    live::Feed,
};

/// The lines that a comment is being written on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub path: String,
    pub side: Side,
    pub first: u64,
    pub last: u64,
}

/// The comments of a build and the one that is being written. One per page.
#[derive(Clone, Copy)]
pub struct Comments {
    pub intent: IntentId,
    pub feed: Feed<CommentList>,
    pub chosen: RwSignal<Option<Chosen>>,
    /// Only a part of the changes is shown, whose lines are numbered otherwise: no comment stands there.
    partial: bool,
    /// Kept while lines are chosen anew or the layout changes.
    text: RwSignal<String>,
    error: RwSignal<Option<CallError>>,
}

impl Comments {
    pub fn of(intent: IntentId, partial: bool) -> Self {
        let feed = Feed::new(move || Box::pin(list_comments(intent)));
        let desk = desk();
        desk.live.listen(move |events| {
            let is_news =
                |kind: &EventKind| matches!(kind, EventKind::Comment { .. } | EventKind::StatusChanged { .. } | EventKind::TaskChanged { .. });
            if events.iter().any(|event| event.intent_id == intent && is_news(&event.kind)) {
                feed.refresh();
            }
        });
        Effect::new(move |_| {
            if desk.live.connections.get() > 0 {
                feed.refresh();
            }
        });
        Self { intent, feed, chosen: RwSignal::new(None), partial, text: RwSignal::new(String::new()), error: RwSignal::new(None) }
    }

    /// Why nothing can be commented, if so.
    pub fn closed(self) -> Option<String> {
        if self.partial {
            return Some("Comments are made on all changes.".to_owned());
        }
        self.feed.map(|list| list.closed.clone())
    }

    /// Why no agent reads comments, if so.
    pub fn unread(self) -> Option<String> {
        self.feed.map(|list| list.unread.clone())
    }

    /// What the open ones ask for.
    pub fn asked(self) -> String {
        self.feed.map_untracked(CommentList::asked)
    }

    /// Those on a file.
    pub fn on(self, path: &str) -> Vec<Comment> {
        if self.partial {
            return Vec::new();
        }
        self.feed.map(|list| list.comments.iter().filter(|comment| comment.path == path).cloned().collect())
    }

    /// Those on files that the changes do not have any more.
    pub fn elsewhere(self, files: &[FileDiff]) -> Vec<Comment> {
        if self.partial {
            return Vec::new();
        }
        self.feed.map(|list| list.comments.iter().filter(|comment| files.iter().all(|file| file.path != comment.path)).cloned().collect())
    }

    /// Opens the form for a line; with `extend`, from the line that is chosen to this one.
    pub fn choose(self, path: &str, side: Side, line: u64, extend: bool) {
        if self.partial || self.feed.map_untracked(|list| list.closed.is_some()) {
            return;
        }
        self.error.set(None);
        self.chosen.update(|chosen| {
            let kept = chosen.take().filter(|chosen| extend && chosen.path == path && chosen.side == side);
            let (first, last) = kept.map_or((line, line), |kept| (kept.first.min(line), kept.last.max(line)));
            *chosen = Some(Chosen { path: path.to_owned(), side, first, last });
        });
    }
}

/// Comments that stand together, each with what became of it.
pub fn thread(comments: Vec<Comment>, all: Comments, quoted: bool) -> AnyView {
    let each: Vec<_> = comments.into_iter().map(|comment| said(comment, all, quoted)).collect();
    view! { <div class="comment">{each}</div> }.into_any()
}

fn said(comment: Comment, all: Comments, quoted: bool) -> AnyView {
    let (intent, id, is_resolved) = (comment.intent_id, comment.comment_id, comment.resolved_at.is_some());
    let state = {
        let comment = comment.clone();
        move || comment.state(all.unread().is_some())
    };
    let deed = Deed::new(move || async move {
        resolve_comment(intent, id, !is_resolved).await?;
        all.feed.refresh();
        Ok(String::new())
    });
    let (label, name) = if is_resolved { ("Open again", "undo") } else { ("Resolve", "check") };
    let icon = if is_resolved { "ok" } else { "chat" };
    let Comment { code, text, first_line, last_line, at, .. } = comment;
    let place = lines(first_line, last_line);
    let code =
        quoted.then(|| view! { <pre class="command" tabindex="0" aria-label=format!("The code at the time, {place}")>{code.join("\n")}</pre> });
    view! {
        <article class=if is_resolved { "said resolved" } else { "said" } id=id.to_string() aria-label=format!("Comment on {place}")>
            <span class="avatar" aria-hidden="true">{small_icon(icon)}</span>
            <div class="stack-s">
                <p><span class="strong">"A person"</span>" "<span class="muted">{place.clone()}", "{ago(at)}</span></p>
                {code}
                <p class="prose">{text}</p>
                <p class="hint" role="status">{state}</p>
                <div class="row"><ActButton label icon=name class="btn btn-ghost" deed/></div>
            </div>
        </article>
    }
    .into_any()
}

/// The form under the last of the chosen lines.
pub fn form(all: Comments, file: StoredValue<FileDiff>) -> AnyView {
    let Comments { intent, feed, chosen, text, error, .. } = all;
    let desk = desk();
    let busy = RwSignal::new(false);
    super::keyboard::focus_when_there("comment-text", false);
    let close = move || {
        chosen.set(None);
        text.set(String::new());
        error.set(None);
    };
    let send = move || {
        let Some(Chosen { path, side, first, last }) = chosen.get_untracked().filter(|_| !busy.get_untracked()) else { return };
        let seen = file.with_value(|file| {
            let within = |line: &&_| number(line, side).is_some_and(|number| (first..=last).contains(&number));
            file.lines.iter().filter(within).map(|line| line.text.clone()).collect()
        });
        let draft = CommentDraft { path, side, first_line: first, last_line: Some(last), text: text.get_untracked(), seen: Some(seen) };
        busy.set(true);
        leptos::task::spawn_local(async move {
            match make_comment(intent, draft).await {
                Ok(_) => {
                    close();
                    feed.refresh();
                    let words = match all.feed.map_untracked(|list| list.unread.clone()) {
                        None => "The agent reads it before its next step; its commit of the file resolves it.",
                        Some(_) => "It is kept. “Go on in a new build” takes it along.",
                    };
                    desk.toast("success", words);
                }
                Err(refusal) => error.set(Some(refusal)),
            }
            busy.try_set(false);
        });
    };
    let line_field = move |label: &'static str, id: &'static str, read: fn(&Chosen) -> u64, write: fn(&mut Chosen, u64)| {
        view! {
            <label class="label" for=id>{label}</label>
            <input
                class="input num" id=id inputmode="numeric"
                prop:value=move || chosen.with(|chosen| chosen.as_ref().map(|chosen| read(chosen).to_string()))
                on:change=move |event| {
                    if let Ok(line) = event_target_value(&event).trim().parse() {
                        chosen.update(|chosen| if let Some(chosen) = chosen { write(chosen, line) });
                    }
                }
            />
        }
    };
    // What concerns no field of the form is said as a whole.
    let refusal = move || error.with(|error| error.as_ref().filter(|error| error.field("text").is_none()).map(CallError::message));
    view! {
        <form
            class="comment" aria-label="Comment on the lines"
            on:submit=move |event| { event.prevent_default(); send(); }
            on:keydown=move |event| match event.key().as_str() {
                "Escape" => { event.stop_propagation(); close(); }
                "Enter" if event.ctrl_key() || event.meta_key() => { event.prevent_default(); send(); }
                _ => {}
            }
        >
            <div class="row">
                {line_field("From line", "comment-first", |chosen| chosen.first, |chosen, line| chosen.first = line)}
                {line_field("to line", "comment-last", |chosen| chosen.last, |chosen, line| chosen.last = line)}
                <span class="hint">{move || chosen.with(|chosen| chosen.as_ref().map(|chosen| if chosen.side == Side::Old { "before the build" } else { "as it is now" }))}</span>
            </div>
            <div class="field">
                <label class="label" for="comment-text">"What should be otherwise?"</label>
                <textarea
                    class="input" id="comment-text" rows="3" maxlength="4000"
                    aria-invalid=move || error.with(|error| error.as_ref().is_some_and(|error| error.field("text").is_some())).to_string()
                    prop:value=text on:input=move |event| text.set(event_target_value(&event))
                ></textarea>
                {field_error(error, "text")}
                {move || refusal().map(|words| view! { <p class="field-error" role="alert">{small_icon("fail")}<span>{words}</span></p> })}
            </div>
            <div class="row">
                <button type="submit" class="btn btn-primary" aria-busy=move || busy.get().to_string() disabled=busy>"Comment"</button>
                <button type="button" class="btn btn-ghost" on:click=move |_| close()>"Cancel"</button>
                <span class="hint">"Shift and a click on a number take more lines."</span>
            </div>
        </form>
    }
    .into_any()
}
