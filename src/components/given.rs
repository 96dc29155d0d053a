//! What came with a build's description: files to download, and addresses that were passed on.

use grace_domain::{id::IntentId, intent::Artifacts, present::bytes};
use leptos::prelude::*;

/// The list, or nothing when only a description was given.
pub fn given(intent: IntentId, artifacts: Artifacts) -> AnyView {
    let Artifacts { repository, repository_secret, datasets, docs, files } = artifacts;
    let files: Vec<_> = files
        .into_iter()
        .map(|file| {
            let about = format!("{}, {}", file.kind.label().to_ascii_lowercase(), bytes(file.bytes));
            view! {
                <li>
                    <a class="link" href=file.address(intent) rel="external" download=file.name.clone() title=format!("{} in the workspace", file.path())>{file.name.clone()}</a>
                    " "<span class="hint">{about}</span>
                </li>
            }
        })
        .collect();
    // They were checked to be public https addresses, but what is behind them is not ours to lead to.
    let passed_on = |what: &'static str, addresses: Vec<String>| {
        addresses
            .into_iter()
            .map(move |address| view! { <li><span class="clip">{address}</span>" "<span class="hint">{what}</span></li> })
            .collect::<Vec<_>>()
    };
    let datasets = passed_on("dataset, passed on as a reference", datasets);
    let docs = passed_on("document, passed on as a reference", docs);
    let repository =
        repository.map(|repository| view! { <li><span class="clip">{repository.to_string()}</span>" "<span class="hint">{repository_secret.map_or_else(|| "repository".to_owned(), |name| format!("repository, opened with the secret {name}"))}</span></li> });
    let some = !files.is_empty() || !datasets.is_empty() || !docs.is_empty() || repository.is_some();
    some.then(|| view! { <ul class="given" aria-label="Given with it">{files}{datasets}{docs}{repository}</ul> }).into_any()
}
