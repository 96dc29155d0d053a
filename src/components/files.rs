//! The files of a project: a tree beside the highlighted source.

use grace_domain::{
    event::{Artifact, ArtifactKind, ArtifactStatus},
    id::IntentId,
    present::{bytes, counted},
    view::{FileView, StatusView},
};
use leptos::prelude::*;

use super::{
    actions::{ActButton, Deed},
    build_feed::part,
    icon::{icon, small_icon, state_icon},
    states::{awaited_once, empty, problem, skeleton},
};
use crate::{
    calls::{codec::Json, results::view_file},
    live::Feed,
};

/// Address that shows `path` of a build.
pub fn file_address(intent: IntentId, path: &str) -> String {
    format!("/builds/{intent}?tab=artifacts&file={}", query_value(path))
}

/// A value in an address's query: what would end it, or be read as another character, is escaped. Browsers escape the rest themselves.
pub fn query_value(value: &str) -> String {
    value.replace('%', "%25").replace('&', "%26").replace('#', "%23").replace('+', "%2B").replace(' ', "%20")
}

/// A file's shape by its status.
pub fn artifact_mark(status: ArtifactStatus) -> AnyView {
    let (tone, shape) = match status {
        ArtifactStatus::Pending => ("idle", "pending"),
        ArtifactStatus::InProgress => ("running", "run"),
        ArtifactStatus::Completed => ("success", "check"),
    };
    view! { <span class=format!("mark {tone}")>{state_icon(shape)}</span> }.into_any()
}

/// `12 code files, 8 tests, 2 documents`
pub fn artifact_counts(artifacts: &[Artifact]) -> String {
    let of = |kind: ArtifactKind| artifacts.iter().filter(|artifact| artifact.kind == kind).count() as u64;
    let parts = [
        (of(ArtifactKind::Code), "code file", "code files"),
        (of(ArtifactKind::Test), "test file", "test files"),
        (of(ArtifactKind::Doc), "document", "documents"),
        (of(ArtifactKind::Config) + of(ArtifactKind::Infrastructure), "config file", "config files"),
    ];
    let words: Vec<String> = parts.into_iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| counted(count, one, many)).collect();
    words.join(", ")
}

/// The link to all files in one archive, or why there is none yet.
pub fn download_all(intent: IntentId, some: bool) -> AnyView {
    if some {
        view! { <a class="btn" href=format!("/api/coding_agent/{intent}/archive.zip") rel="external" download="">{small_icon("download")}"Download all"</a> }.into_any()
    } else {
        view! { <button type="button" class="btn" disabled title="No file is finished yet">{small_icon("download")}"Download all"</button> }
            .into_any()
    }
}

/// The links to the commits and to the report.
fn deliveries(intent: IntentId) -> AnyView {
    let link = |what: &'static str, ending: &'static str, title: &'static str, text: &'static str| {
        let (address, name) = (format!("/api/coding_agent/{intent}/{what}"), format!("{intent}{ending}"));
        view! { <a class="btn" href=address rel="external" download=name title=title>{text}</a> }
    };
    let patch = link("patch", ".patch", "All commits, for git am", "Patch");
    let documents = view! { <a class="btn" href=format!("/documents?intent={intent}") title="Its documents, to read and to search">{small_icon("book")}"Documents"</a> };
    view! { {documents}{patch}{link("report", "-report.md", "What was built and how it went", "Report")} }.into_any()
}

/// Tree and source. `path` is what the address names.
#[component]
pub fn Files(intent: IntentId, feed: Feed<StatusView>, path: Memo<Option<String>>) -> AnyView {
    let artifacts = part(feed, |build| build.artifacts_generated.clone());
    // Without a wish, the first file that reads like code.
    let chosen = Memo::new(move |_| {
        path.get().or_else(|| {
            artifacts.with(|artifacts| {
                let done = |artifact: &&Artifact| artifact.status == ArtifactStatus::Completed;
                let code = artifacts.iter().filter(done).find(|artifact| artifact.kind == ArtifactKind::Code && artifact.lines > 20);
                code.or_else(|| artifacts.iter().find(done)).map(|artifact| artifact.path.clone())
            })
        })
    });
    // Its hash is part of the key, so that a rewritten file is read again.
    let key = Memo::new(move |_| {
        chosen.get().map(|path| {
            let hash = artifacts.with(|artifacts| artifacts.iter().find(|artifact| artifact.path == path).map(|artifact| artifact.hash.clone()));
            (path, hash)
        })
    });
    let file: Resource<_, Json> = Resource::new_with_options(
        move || key.get(),
        move |key| async move {
            match key {
                Some((path, _)) => view_file(intent, path).await.map(Some),
                None => Ok(None),
            }
        },
        false,
    );
    let tree = move || {
        let mut artifacts = artifacts.get();
        artifacts.sort_by(|one, other| folder(&one.path).cmp(folder(&other.path)).then(one.path.cmp(&other.path)));
        let mut shown = String::from("\0");
        artifacts
            .into_iter()
            .map(|artifact| {
                let place = folder(&artifact.path).to_owned();
                let heading =
                    (place != shown).then(|| view! { <div class="dir">{if place.is_empty() { "/".to_owned() } else { place.clone() }}</div> });
                shown = place;
                let name = artifact.path.rsplit('/').next().unwrap_or_default().to_owned();
                let note = match artifact.status {
                    ArtifactStatus::Pending => "pending".to_owned(),
                    ArtifactStatus::InProgress => "in progress".to_owned(),
                    ArtifactStatus::Completed => artifact.lines.to_string(),
                };
                let here = artifact.path.clone();
                view! {
                    {heading}
                    <a
                        href=file_address(intent, &artifact.path)
                        title=artifact.path.clone()
                        aria-current=move || chosen.with(|chosen| chosen.as_deref() == Some(here.as_str())).then_some("true")
                    >
                        {artifact_mark(artifact.status)}
                        <span class="clip">{name}</span>
                        <small>{note}</small>
                    </a>
                }
            })
            .collect::<Vec<_>>()
    };
    let content = move || async move {
        match file.await {
            Ok(Some(file)) => source(intent, file),
            Ok(None) => empty("Choose a file."),
            Err(error) => problem(error),
        }
    };
    let some = Memo::new(move |_| artifacts.with(|artifacts| artifacts.iter().any(|artifact| artifact.status == ArtifactStatus::Completed)));
    view! {
        <section aria-labelledby="h-files">
            <div class="head">
                <h2 id="h-files">"Artifacts"</h2>
                <span class="count">{move || artifacts.with(|artifacts| artifact_counts(artifacts))}</span>
                <div class="tools">{move || some.get().then(|| deliveries(intent))}{move || download_all(intent, some.get())}</div>
            </div>
            {move || if artifacts.with(Vec::is_empty) {
                view! { <div class="panel">{empty("No file yet. Files appear here as tasks finish.")}</div> }.into_any()
            } else {
                view! {
                    <div class="panel viewer">
                        <nav class="files" aria-label="Files">{tree}</nav>
                        <div class="source">
                            {awaited_once(skeleton, content)}
                        </div>
                    </div>
                }.into_any()
            }}
        </section>
    }
    .into_any()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file as highlighted on the server. The fragments are escaped there.
fn source(intent: IntentId, file: FileView) -> AnyView {
    let raw = format!("/api/coding_agent/{intent}/artifacts/{}", file.path);
    let text = StoredValue::new(file.html.clone());
    let copy = Deed::new(move || async move {
        // The browser undoes the markup of the highlighter.
        let lines = text.get_value().unwrap_or_default();
        super::clipboard::copy(lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")).await?;
        Ok("Copied the file.".to_owned())
    });
    let body = match (file.html, file.unavailable) {
        (Some(lines), _) => {
            let mut html = String::new();
            for (index, line) in lines.iter().enumerate() {
                let number = index + 1;
                html.push_str(&format!(
                    "<span class=\"ln\"><a href=\"#L{number}\" id=\"L{number}\" tabindex=\"-1\">{number}</a><span>{line} </span></span>"
                ));
            }
            view! { <pre class="code" tabindex="0" aria-label=format!("Source of {}", file.path)><code inner_html=html></code></pre> }.into_any()
        }
        (None, reason) => empty(reason.unwrap_or_else(|| "This file cannot be shown.".to_owned())),
    };
    view! {
        <div class="bar">
            <span class="mono clip">{file.path.clone()}</span>
            <span class="hint nowrap small-hide">{format!("{}, {}", counted(file.lines, "line", "lines"), bytes(file.bytes))}</span>
            <div class="tools">
                <ActButton label="Copy file" icon="copy" class="btn btn-ghost" icon_only=true deed=copy/>
                <a class="btn btn-icon btn-ghost" href=raw rel="external" target="_blank" aria-label="Open the plain file" title="Open the plain file">{icon("ext")}</a>
            </div>
        </div>
        {body}
    }
    .into_any()
}

/// A highlighted line without its markup.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            other if !inside => text.push(other),
            _ => {}
        }
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&#x27;", "'").replace("&amp;", "&")
}
