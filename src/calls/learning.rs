//! Retrospectives and saved forms.

use grace_domain::{
    analytics::{AnalyticsQuery, AnalyticsView},
    id::RetrospectiveId,
    intent::RequestDraft,
    list::{ListQuery, Page},
    retrospective::{Feedback, Retrospective},
    view::Template,
};

use super::doors;

doors! {
    /// Newest first.
    list_retrospectives at "list_retrospectives" (query: ListQuery) -> Page<Retrospective> => |engine| engine.retrospectives(query);
    /// What builds that have ended came to.
    read_analytics at "read_analytics" (query: AnalyticsQuery) -> AnalyticsView => |engine| engine.analytics(query);
    /// Keeps what a person thinks of what was built.
    give_feedback at "give_feedback" (retrospective: RetrospectiveId, feedback: Feedback) -> Retrospective => |engine| engine.give_feedback(retrospective, feedback);
    /// Turns the insights into playbook entries; answers with the entries.
    apply_learnings at "apply_learnings" (retrospective: RetrospectiveId) -> Vec<String> => |engine| engine.apply_learnings(retrospective);
    /// Saved forms by name.
    list_templates at "list_templates" () -> Vec<Template> => |engine| engine.templates();
    /// Saves a form under a name; an older one of that name is replaced.
    save_template at "save_template" (name: String, request: RequestDraft) -> Template => |engine| engine.save_template(name, request);
    /// Forgets a saved form.
    delete_template at "delete_template" (name: String) -> () => |engine| engine.delete_template(name);
}
