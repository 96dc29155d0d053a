//! The files of the builder form: chosen or dropped, sent at once, listed, removed. Without JavaScript they are posted with the form.

use grace_domain::{
    input::{InputFile, MAX_ALL_BYTES, MAX_FILE_BYTES, MAX_FILES},
    present::bytes,
};
use leptos::{html, prelude::*};

use super::{
    builder_form::FormState,
    icon::{icon, small_icon},
};
#[cfg(not(feature = "ssr"))]
use crate::calls::client::upload;
use crate::{
    calls::builds::forget_input,
    parts::{NotLoaded, send_files},
};

/// What is going on with files that are not in the draft yet.
#[derive(Clone, Copy, Default)]
pub struct Sending {
    /// Names on their way.
    names: RwSignal<Vec<String>>,
    refused: RwSignal<Vec<String>>,
}

impl Sending {
    /// Files are on their way, so the draft is not whole.
    pub fn is_busy(self) -> bool {
        self.names.with(|names| !names.is_empty())
    }
}

/// Only a browser has files to send.
#[cfg(feature = "ssr")]
async fn upload(_: &web_sys::File) -> Result<InputFile, crate::calls::CallError> {
    Err(grace_domain::problem::Problem::unavailable("no_browser", "Files are sent by a browser.").into())
}

/// What was chosen, or dropped somewhere on the form.
pub fn take(state: FormState, list: Option<web_sys::FileList>) {
    let files: Vec<web_sys::File> = list.iter().flat_map(|list| (0..list.length()).filter_map(|place| list.get(place))).collect();
    if files.is_empty() {
        return;
    }
    let Sending { names, refused } = state.sending;
    refused.set(Vec::new());
    let coming: Vec<String> = files.iter().map(web_sys::File::name).collect();
    names.update(|names| names.extend(coming.iter().cloned()));
    leptos::task::spawn_local(async move {
        if let Err(NotLoaded) = send_files(state, files).await {
            coming.iter().for_each(|name| arrived(names, name));
            let why =
                "Nothing was sent: the server does not answer, or it was updated since this tab was opened. Reload the page and add the files again.";
            refused.try_update(|list| list.push(why.to_owned()));
        }
    });
}

/// Sends files to the server one after another. Each is taken or refused by itself, and the rest of the form stays as it is.
pub fn send(state: FormState, files: Vec<web_sys::File>) {
    let Sending { names, refused } = state.sending;
    leptos::task::spawn_local(async move {
        for file in files {
            let outcome = match unfit(state, &file) {
                Some(why) => Err(format!("`{}`: {why}", file.name())),
                // What is wrong with the file is said with its name already.
                None => upload(&file).await.map_err(|error| match error.0.errors.is_empty() {
                    true => format!("`{}`: {}", file.name(), error.message()),
                    false => error.message(),
                }),
            };
            match outcome {
                Ok(kept) => state.desk.draft.update(|draft| {
                    let files = &mut draft.artifacts.files;
                    // The same name again is a newer version of it.
                    files.retain(|file| file.name != kept.name);
                    files.push(kept);
                }),
                Err(why) => {
                    refused.try_update(|list| list.push(why));
                }
            }
            arrived(names, &file.name());
        }
    });
}

/// Takes one file off the list of those on their way.
fn arrived(names: RwSignal<Vec<String>>, name: &str) {
    names.try_update(|names| {
        if let Some(place) = names.iter().position(|other| other == name) {
            names.remove(place);
        }
    });
}

/// Why it is not worth sending.
fn unfit(state: FormState, file: &web_sys::File) -> Option<String> {
    // Sizes in browsers are whole numbers far below 2^53.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size is neither negative nor broken")]
    let size = file.size() as u64;
    let (count, all) =
        state.desk.draft.with_untracked(|draft| (draft.artifacts.files.len(), draft.artifacts.files.iter().map(|file| file.bytes).sum::<u64>()));
    if let Some(why) = grace_domain::input::refused_size(size) {
        return Some(why);
    }
    if count >= MAX_FILES {
        return Some(format!("There are {MAX_FILES} files already, the most that one request may have. Remove one first."));
    }
    (all + size > MAX_ALL_BYTES).then(|| format!("All files would have more than {} MiB together. Remove one first.", MAX_ALL_BYTES >> 20))
}

#[component]
pub fn Files(state: FormState) -> AnyView {
    let draft = state.desk.draft;
    let field = NodeRef::<html::Input>::new();
    let chosen = move |_| {
        if let Some(field) = field.get_untracked() {
            take(state, field.files());
            // Else choosing the same file again would say nothing.
            field.set_value("");
        }
    };
    let list = move || draft.with(|draft| draft.artifacts.files.iter().map(|file| chip(state, file)).collect::<Vec<_>>());
    let coming = move || {
        let names = state.sending.names.get();
        names
            .into_iter()
            .map(|name| view! { <span class="chip link-chip" aria-busy="true">{small_icon("run")}<span class="clip">{name}</span><span class="muted">"sending…"</span></span> })
            .collect::<Vec<_>>()
    };
    let refused = move || {
        let mut words = state.sending.refused.get();
        words.extend(state.error.with(|error| {
            let errors = error.iter().flat_map(|error| &error.0.errors).filter(|error| error.field.starts_with("artifacts.files"));
            errors.map(|error| error.message.clone()).collect::<Vec<_>>()
        }));
        words.into_iter().map(|words| view! { <p class="field-error" role="alert">{small_icon("fail")}<span>{words}</span></p> }).collect::<Vec<_>>()
    };
    let hint = format!("Choose or drop documents and datasets: at most {MAX_FILES}, {} MiB each.", MAX_FILE_BYTES >> 20);
    view! {
        <div class="field with-files" role="group" aria-label="Files">
            <div class="row">
                <label class="btn btn-ghost pick">
                    {small_icon("plus")}
                    <span>"Add files"</span>
                    <input type="file" name="files" multiple node_ref=field on:change=chosen/>
                </label>
                {list}
                {coming}
                <span class="hint">{hint}</span>
            </div>
            {refused}
        </div>
    }
    .into_any()
}

fn chip(state: FormState, file: &InputFile) -> AnyView {
    let (name, hash) = (file.name.clone(), file.hash.clone());
    let about = format!("{}, {}", file.kind.label().to_ascii_lowercase(), bytes(file.bytes));
    let remove = {
        let name = name.clone();
        move |_| {
            let hash = hash.clone();
            state.desk.draft.update(|draft| draft.artifacts.files.retain(|file| file.name != name));
            state.sending.refused.set(Vec::new());
            let again = state.desk.draft.with_untracked(|draft| draft.artifacts.files.iter().any(|file| file.hash == hash));
            if !again {
                // A build or a template may refer to the same bytes; then they stay, which is no news.
                leptos::task::spawn_local(async move { drop(forget_input(hash).await) });
            }
        }
    };
    // For the form without JavaScript, which would lose them with every answer.
    let kept = serde_json::to_string(file).unwrap_or_default();
    view! {
        <span class="chip link-chip">
            <input type="hidden" name="kept_files" value=kept/>
            {small_icon("file")}
            <span class="clip">{name.clone()}</span>
            <span class="muted">{about}</span>
            <button type="button" class="needs-script" aria-label=format!("Remove {name}") on:click=remove>{icon("x")}</button>
        </span>
    }
    .into_any()
}
