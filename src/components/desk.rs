//! What all pages share: the stream, the lists that many places show, dialogs that any place may open, and toasts.

use grace_domain::{
    copilot::Notification,
    id::IntentId,
    intent::RequestDraft,
    list::ListQuery,
    present::live::{Freshness, patch_summary},
    view::BuildList,
};
use leptos::prelude::*;

use super::actions::{Confirmation, Deed};
use crate::{
    calls::{
        builds::{Previewed, list_active},
        copilot::list_notifications,
    },
    live::{Feed, Live},
};

/// Builds of a list that are read at first, and more at a time.
pub const PAGE: u32 = 50;

/// The newest builds, as many as wanted.
pub fn page_of(limit: RwSignal<u32>) -> ListQuery {
    ListQuery { limit: Some(limit.try_get_untracked().unwrap_or(PAGE)), ..ListQuery::default() }
}

/// Most toasts on the screen at once.
const MAX_TOASTS: usize = 4;

/// A short answer that goes away by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    pub id: u32,
    /// Class of its tone.
    pub tone: &'static str,
    pub words: String,
}

/// The shared things.
#[derive(Clone, Copy)]
pub struct Desk {
    pub live: Live,
    pub active: Feed<BuildList>,
    /// How many active builds are wanted at most.
    pub active_limit: RwSignal<u32>,
    pub notifications: Feed<Vec<Notification>>,
    /// The build that the detail dialog shows.
    pub viewed: RwSignal<Option<IntentId>>,
    /// The plan that the modify dialog changes: build and title.
    pub modified: RwSignal<Option<(IntentId, String)>>,
    /// The build that the deploy dialog is about.
    pub deployed: RwSignal<Option<(IntentId, String)>>,
    /// The dialog that deploys everything that is ready is open.
    pub deploying_all: RwSignal<bool>,
    /// What waits for a yes.
    pub asked: RwSignal<Option<(Confirmation, Deed)>>,
    pub toasts: RwSignal<Vec<Toast>>,
    pub palette: RwSignal<bool>,
    pub shortcuts: RwSignal<bool>,
    /// Counts how often the form was wanted, from wherever.
    pub form_wanted: RwSignal<u32>,
    /// A question of the plan beside the form that was answered, with its answer.
    pub decided: RwSignal<Option<String>>,
    /// The co-pilot is open where it is not always on the screen.
    pub copilot_open: RwSignal<bool>,
    /// What the builder form holds.
    pub draft: RwSignal<RequestDraft>,
    /// The plan beside the form, with the draft that it was made for.
    pub preview: RwSignal<Option<(RequestDraft, Previewed)>>,
    /// The build that chat is about.
    pub chat_about: RwSignal<Option<IntentId>>,
}

/// The desk of this app.
pub fn desk() -> Desk {
    expect_context()
}

impl Desk {
    pub fn new() -> Self {
        let live = Live::new();
        let active_limit = RwSignal::new(PAGE);
        let active = Feed::new(move || Box::pin(list_active(page_of(active_limit))));
        let notifications = Feed::new(|| Box::pin(list_notifications()));
        let desk = Self {
            live,
            active,
            active_limit,
            notifications,
            viewed: RwSignal::new(None),
            modified: RwSignal::new(None),
            deployed: RwSignal::new(None),
            deploying_all: RwSignal::new(false),
            asked: RwSignal::new(None),
            toasts: RwSignal::new(Vec::new()),
            palette: RwSignal::new(false),
            shortcuts: RwSignal::new(false),
            form_wanted: RwSignal::new(0),
            decided: RwSignal::new(None),
            copilot_open: RwSignal::new(false),
            draft: RwSignal::new(first_draft()),
            preview: RwSignal::new(None),
            chat_about: RwSignal::new(None),
        };
        live.listen(move |events| desk.take(events));
        // What was read before the stream opened, or while it was lost, may be old.
        Effect::new(move |_| {
            if live.connections.get() > 0 {
                desk.refresh();
            }
        });
        desk
    }

    fn take(self, events: &[grace_domain::event::Event]) {
        use grace_domain::event::EventKind;
        let mut stale = false;
        self.active.patch(|list| {
            let mut changed = false;
            for event in events {
                match list.builds.iter_mut().find(|build| build.intent_id == event.intent_id) {
                    Some(build) => {
                        changed = true;
                        stale |= patch_summary(build, event) == Freshness::Stale;
                    }
                    None => stale |= matches!(event.kind, EventKind::IntentCreated { .. } | EventKind::StatusChanged { .. }),
                }
            }
            changed
        });
        if stale {
            self.active.refresh();
        }
        let tells = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::Notification { .. }
                    | EventKind::ReviewOpened { .. }
                    | EventKind::ReviewAnswered { .. }
                    | EventKind::PlanProposed { .. }
                    | EventKind::StatusChanged { .. }
                    | EventKind::Deployment { .. }
                    | EventKind::Retrospective { .. }
            )
        };
        if events.iter().any(|event| tells(&event.kind)) {
            self.notifications.refresh();
        }
    }

    /// The title of an active build, else its id.
    pub fn title_of(self, intent: IntentId) -> String {
        self.active.map_untracked(|list| list.of(intent).map(|build| build.title.clone())).unwrap_or_else(|| intent.to_string())
    }

    /// Reads the shared lists again.
    pub fn refresh(self) {
        self.active.refresh();
        self.notifications.refresh();
    }

    /// How many notifications wait for a person.
    pub fn waiting(self) -> usize {
        self.notifications.map(|notes| notes.iter().filter(|note| note.waiting).count())
    }

    /// Asks for a yes before `deed` is done.
    pub fn ask(self, confirmation: Confirmation, deed: Deed) {
        self.asked.set(Some((confirmation, deed)));
    }

    /// Shows `words` for some seconds.
    pub fn toast(self, tone: &'static str, words: impl Into<String>) {
        let words = words.into();
        let mut id = 0;
        self.toasts.update(|toasts| {
            id = toasts.last().map_or(1, |last| last.id + 1);
            if toasts.len() == MAX_TOASTS {
                toasts.remove(0);
            }
            toasts.push(Toast { id, tone, words });
        });
        #[cfg(feature = "hydrate")]
        gloo_timers::callback::Timeout::new(if tone == "danger" { 10_000 } else { 5_000 }, move || {
            self.toasts.try_update(|toasts| toasts.retain(|toast| toast.id != id));
        })
        .forget();
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// What the form holds when it is empty: the seed's own choices.
pub fn first_draft() -> RequestDraft {
    use grace_domain::intent::{ArtifactsDraft, ConstraintsDraft, OptionsDraft};
    RequestDraft {
        project_type: Some("feature".into()),
        description: Some(String::new()),
        target_domain: Some("full_stack_web".into()),
        constraints: ConstraintsDraft {
            deadline: None,
            environments: Some(vec!["development".into(), "staging".into()]),
            compliance: Some(Vec::new()),
            stack: Some("react_fastapi".into()),
        },
        artifacts: ArtifactsDraft::default(),
        options: OptionsDraft { generate_tests: Some(true), generate_docs: Some(true), include_deployment: Some(true), require_review: Some(false) },
        agent: Some("any".into()),
        budget: None,
        budget_typed: None,
        plan_hash: None,
    }
}
