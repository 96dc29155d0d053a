//! The builder form without JavaScript: it is posted to the page itself, which answers with the plan or the errors beside the kept text.

use grace_domain::{input::InputFile, intent::RequestDraft, problem::FieldError};
use serde::{Deserialize, Serialize};

use super::{CallError, builds::Previewed};

/// The body of a `POST /`, as the server's router hands it in through the context.
#[derive(Debug, Clone, Default)]
pub struct PostedForm {
    pub fields: Vec<(String, String)>,
    /// Files that came with it and are kept, and why others are not.
    pub files: Vec<InputFile>,
    pub refused: Vec<FieldError>,
}

/// What a posted form led to; empty for a page that was asked for without one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FormAnswer {
    pub draft: Option<RequestDraft>,
    pub previewed: Option<Previewed>,
    pub error: Option<CallError>,
    pub notice: Option<String>,
}

/// Does what the posted form asks for. A started build redirects to its page.
pub async fn answer_posted_form() -> FormAnswer {
    #[cfg(feature = "ssr")]
    if let Some(form) = leptos::prelude::use_context::<PostedForm>() {
        return reading::answer(form).await;
    }
    FormAnswer::default()
}

#[cfg(feature = "ssr")]
mod reading {
    use axum::http::StatusCode;
    use grace_domain::intent::{ArtifactsDraft, ConstraintsDraft, OptionsDraft, RequestDraft};
    use grace_domain::{input::InputFile, problem::Problem};
    use leptos::prelude::use_context;

    use super::{FormAnswer, PostedForm};
    use crate::calls::{builds::BUDGET_FIELDS, engine};

    pub(super) async fn answer(PostedForm { fields, files, refused }: PostedForm) -> FormAnswer {
        let mut draft = draft(&fields);
        // The same name again is a newer version of it.
        draft.artifacts.files.retain(|kept| files.iter().all(|file| file.name != kept.name));
        draft.artifacts.files.extend(files);
        let wanted = value(&fields, "action").unwrap_or_else(|| "preview".to_owned());
        let mut answer = FormAnswer { draft: Some(draft.clone()), ..FormAnswer::default() };
        let outcome: Result<(), crate::calls::CallError> = async {
            if !refused.is_empty() {
                return Err(Problem::invalid(refused).into());
            }
            let engine = engine()?;
            match wanted.as_str() {
                "start" => {
                    draft.plan_hash = value(&fields, "plan_hash");
                    let proposal = engine.create(draft, value(&fields, "idempotency_key")).await?;
                    if let Some(intent) = proposal.intent_id {
                        leptos_axum::redirect(&format!("/builds/{intent}"));
                    }
                    answer.previewed = Some(proposal.into());
                }
                "template" => {
                    let name = value(&fields, "template_name").unwrap_or_default();
                    let template = engine.save_template(name, draft).await?;
                    answer.notice = Some(format!("Saved as template \u{201c}{}\u{201d}.", template.name));
                }
                _ => answer.previewed = Some(engine.preview(draft).await?.into()),
            }
            Ok(())
        }
        .await;
        if let Err(error) = outcome {
            if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
                let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
                response.set_status(status);
            }
            answer.error = Some(error);
        }
        answer
    }

    fn value(fields: &[(String, String)], name: &str) -> Option<String> {
        fields.iter().find(|(field, value)| field == name && !value.is_empty()).map(|(_, value)| value.clone())
    }

    fn values(fields: &[(String, String)], name: &str) -> Vec<String> {
        fields.iter().filter(|(field, value)| field == name && !value.trim().is_empty()).map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// Files that an earlier answer listed. What is not of that kind is no file of ours.
    fn kept(fields: &[(String, String)]) -> Vec<InputFile> {
        values(fields, "kept_files").iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// What is typed for the limits, shortened as the build's own form does; `None` when all are empty.
    fn budget_typed(fields: &[(String, String)]) -> Option<[String; 4]> {
        let typed = BUDGET_FIELDS.map(|name| value(fields, &format!("budget_{name}")).unwrap_or_default().chars().take(40).collect::<String>());
        typed.iter().any(|text| !text.trim().is_empty()).then_some(typed)
    }

    /// A posted form names every box that is ticked and none that is not.
    fn draft(fields: &[(String, String)]) -> RequestDraft {
        let ticked = |name: &str| Some(fields.iter().any(|(field, _)| field == name));
        let deadline = value(fields, "deadline").filter(|_| ticked("no_deadline") == Some(false));
        RequestDraft {
            project_type: value(fields, "project_type"),
            description: value(fields, "description"),
            target_domain: value(fields, "target_domain"),
            constraints: ConstraintsDraft {
                deadline,
                environments: Some(values(fields, "environments")),
                compliance: Some(values(fields, "compliance")),
                stack: value(fields, "stack"),
            },
            artifacts: ArtifactsDraft {
                repository: value(fields, "repository"),
                repository_secret: value(fields, "repository_secret"),
                datasets: values(fields, "datasets"),
                docs: values(fields, "docs"),
                files: kept(fields),
            },
            options: OptionsDraft {
                generate_tests: ticked("generate_tests"),
                generate_docs: ticked("generate_docs"),
                include_deployment: ticked("include_deployment"),
                require_review: ticked("require_review"),
            },
            agent: value(fields, "agent"),
            budget: None,
            budget_typed: budget_typed(fields),
            plan_hash: None,
        }
    }
}
