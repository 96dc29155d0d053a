//! The learning loop: retrospectives, playbook, templates, figures.

use grace_domain::{
    copilot::Fact,
    id::RetrospectiveId,
    intent::RequestDraft,
    list::{ListQuery, Page},
    problem::Problem,
    retrospective::{Retrospective, RetrospectiveDraft},
    view::Template,
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// Newest first.
    pub async fn retrospectives(&self, query: ListQuery) -> Result<Page<Retrospective>, Problem> {
        let _ = query;
        not_joined()
    }

    pub async fn retrospective(&self, retrospective: RetrospectiveId) -> Result<Retrospective, Problem> {
        let _ = retrospective;
        not_joined()
    }

    /// Stores what a person or client writes down.
    pub async fn record_retrospective(&self, draft: RetrospectiveDraft) -> Result<Retrospective, Problem> {
        let _ = draft;
        not_joined()
    }

    /// Turns a retrospective's insights into playbook entries that later plans cite; answers with those that are new.
    pub async fn apply_learnings(&self, retrospective: RetrospectiveId) -> Result<Vec<String>, Problem> {
        let _ = retrospective;
        not_joined()
    }

    pub async fn learning_stats(&self) -> Result<Vec<Fact>, Problem> {
        not_joined()
    }

    /// Saved forms, by name.
    pub async fn templates(&self) -> Result<Vec<Template>, Problem> {
        not_joined()
    }

    /// Saves a form under a name of 1 to 80 characters; the same name is overwritten.
    pub async fn save_template(&self, name: String, request: RequestDraft) -> Result<Template, Problem> {
        let _ = (name, request);
        not_joined()
    }

    pub async fn delete_template(&self, name: String) -> Result<(), Problem> {
        let _ = name;
        not_joined()
    }
}
