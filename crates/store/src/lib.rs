//! The only SQL of Grace: rows to domain types and back.
//!
//! It keeps and finds; it decides nothing. Whoever decides opens a transaction ([`Store::begin`]), locks the build ([`intent_lock`]), asks the
//! domain crate, and saves state, events and jobs in that one transaction. Functions are named resource first, then verb, and take the
//! connection or transaction they work in.
//!
//! It must not know agents, sandboxes, HTTP, or what a status may lead to. The clock is the caller's, except in [`embedded`] and [`stream`].

mod artifacts;
mod commands;
mod comments;
mod copilot;
mod deployments;
mod documents;
pub mod embedded;
mod error;
mod events;
mod inputs;
mod intents;
mod jobs;
mod learning;
mod lists;
mod models;
mod places;
mod plans;
mod provisioning;
mod rest;
mod reviews;
mod row;
mod secrets;
mod server;
mod settings;
mod store;
pub mod stream;
mod tasks;

pub use artifacts::{artifact_fetch, artifacts_list, artifacts_of, artifacts_replace, artifacts_save};
pub use commands::{command_answer, command_begin, command_figures};
pub use comments::{comment_reopen, comment_resolve, comment_save, comments_land, comments_of, comments_read, comments_touch};
pub use copilot::{
    ChatLine, NotificationRow, chat_append, chat_history, notification_close, notification_dismiss, notification_fetch, notification_put,
    notifications_close_all, notifications_open, notifications_read_all,
};
pub use deployments::{
    LiveRelease, NewDeployment, NewRelease, Release, Rollback, deployment_cancel_requested, deployment_create, deployment_fetch, deployment_reopen,
    deployment_request_cancel, deployment_rollback, deployment_save, deployments_list, deployments_live, deployments_of, deployments_unfinished,
    live_release_clear, live_release_fetch, live_release_set, live_release_set_down, live_releases, release_fetch, release_of_deployment,
    release_save, releases_before, releases_keep, releases_of,
};
pub use documents::{
    DocumentRow, DocumentsOf, NewDocument, NewSection, document_fetch, document_index_fetch, document_index_save, document_paths, document_releases,
    documents_builds, documents_kept_of, documents_of, documents_save, documents_unread,
    search::{Among, FoundPage, Wanted, documents_like, documents_search},
};
pub use error::{StoreError, StoreResult};
pub use events::{EventsAfter, event_append, events_after, events_of, log_tail, logs_fetch};
pub use inputs::inputs_referenced;
pub use intents::{
    BuildRow, CreatedIntent, NewIntent, Summary, intent_create, intent_fetch, intent_lock, intent_save_baseline, intent_save_priority,
    intent_save_repository, intent_save_state, intent_save_summary, intent_save_tests, intent_save_url, intents_in,
};
pub use jobs::{NewJob, job_enqueue, job_remove};
pub use learning::{
    Estimates, LearningFigures, PlaybookEntry, builds_ended, durations_last, estimates_fetch, learning_figures, playbook_add, playbook_list,
    playbook_of_like, retrospective_feedback, retrospective_fetch, retrospective_measure, retrospective_of, retrospective_record,
    retrospectives_list, template_delete, template_save, templates_list,
};
pub use lists::{Listing, StatusRows, intents_list, status_fetch};
pub use models::{
    Account, Kept, TurnRow, account_fetch, account_open, account_reserve, account_set_budget, account_settle, account_spent_out, account_timed,
    account_warn, conversation_fetch, conversation_save, messages_after, model_profile_delete, model_profile_save, model_profiles_list, turn_append,
    turns_after,
};
pub use places::{
    DatabaseRow, database_copies_of, database_copy_forget, database_copy_save, place_database_delete, place_database_ensure, place_database_named,
    place_database_set_state, place_databases_in, place_databases_list, place_variable_delete, place_variable_save, place_variables_list,
    place_variables_of,
};
pub use plans::{
    PlanRow, answer_save, answers_of, plan_approve, plan_approved, plan_fetch, plan_last, plan_return, plan_save, plans_of, plans_reject,
};
pub use provisioning::{
    NewRun, PlaceRow, SealedText, changes_list, changes_replace, place_hold, place_lock, place_save_state, provisionable_builds, provisioning_rewrap,
    provisioning_sealed_count, provisioning_sealed_lock, run_cancel_requested, run_create, run_fetch, run_plan, run_request_cancel, run_save,
    run_save_plan, run_take, runs_list, runs_unfinished,
};
pub use rest::{rest_replace, tasks_keep_place};
pub use reviews::{NewReview, ReviewRow, review_answer, review_fetch, review_of_task, review_open, reviews_of, reviews_withdraw};
pub use secrets::{
    NewAudit, SealedRow, SecretRow, secret_audit_append, secret_audit_list, secret_delete, secret_find, secret_grant, secret_is_granted, secret_next,
    secret_note_read, secret_rewrap, secret_sealed, secret_version_save, secret_was_refused, secrets_count, secrets_list, secrets_sealed_for,
    secrets_sealed_lock, secrets_sealed_named, secrets_sealed_of_places,
};
pub use server::{DatabaseName, ServerAddress, database_exchange};
pub use settings::{
    WorkerRow, queue_paused, queue_set_paused, setting_fetch, setting_save, worker_beat, worker_remove, workers_list, workers_silent,
};
pub use store::{Store, Transaction};
pub use stream::{Cursor, StoredEvent};
pub use tasks::{
    Attempt, Claim, Lease, NewTask, TaskResult, attempts_of, queue_fetch, task_ask, task_cancelled, task_claim, task_fail, task_fetch, task_finish,
    task_heartbeat, task_of_deployment, task_release, task_retry, tasks_cancel, tasks_insert, tasks_list, tasks_of, tasks_ready, tasks_recover,
    tasks_reopen, tasks_running_on,
};

pub use sqlx::PgConnection;
