//! What most tests begin with.

use chrono::{DateTime, Duration, Utc};
use grace_domain::{
    Timestamp,
    event::{EventKind, Level, LogLine},
    id::IntentId,
    intent::{IntentRequest, Priority, RequestDraft},
    plan::{Confidence, ConfidenceLevel, Phase, Plan, PlannedTask},
    status::{BuildState, Stage, Status},
    task::Task,
};
use grace_store::{CreatedIntent, NewIntent, NewTask, Store, intent_create, intent_save_state, tasks_insert};

/// A fixed moment, `seconds` after a fixed start: tests have no clock.
pub fn at(seconds: i64) -> Timestamp {
    DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap() + Duration::seconds(seconds)
}

pub fn request(description: &str) -> IntentRequest {
    RequestDraft { description: Some(description.to_owned()), ..RequestDraft::default() }.parse(at(0).date_naive()).unwrap()
}

pub fn new_intent(description: &str) -> NewIntent {
    NewIntent {
        title: "Chat".to_owned(),
        request: request(description),
        agent: "blueprint".to_owned(),
        priority: Priority::Normal,
        idempotency: None,
        at: at(0),
    }
}

pub async fn intent(store: &Store) -> IntentId {
    let mut conn = store.connection().await.unwrap();
    match intent_create(&mut conn, &new_intent("Build a chat.")).await.unwrap() {
        CreatedIntent::New(id) => id,
        CreatedIntent::Existing(id) => panic!("{id} was there before"),
    }
}

pub async fn set_status(store: &Store, id: IntentId, status: Status, seconds: i64) {
    let mut conn = store.connection().await.unwrap();
    let resume_to = (status == Status::Paused).then_some(Status::Executing);
    intent_save_state(&mut conn, id, &BuildState { status, resume_to, released: false }, None, at(seconds)).await.unwrap();
}

pub fn planned(key: &str, depends_on: &[&str]) -> PlannedTask {
    PlannedTask {
        key: key.to_owned(),
        title: format!("Do {key}"),
        stage: Stage::Coding,
        estimated_seconds: 60,
        depends_on: depends_on.iter().map(|key| (*key).to_owned()).collect(),
        asks: None,
        detail: String::new(),
        files: Vec::new(),
        verify: None,
    }
}

pub fn plan() -> Plan {
    let mut plan = Plan {
        title: "Chat service".to_owned(),
        phases: vec![Phase {
            name: "Code".to_owned(),
            stage: Stage::Coding,
            estimated_hours: 0.0,
            tasks: vec![planned("a", &[]), planned("b", &["a"])],
        }],
        deliverables: vec!["API".to_owned()],
        not_covered: vec!["It shall make coffee.".to_owned()],
        assumptions: vec![],
        questions: vec![],
        warnings: vec![],
        compliance: vec![],
        confidence: Confidence { level: ConfidenceLevel::Low, samples: 0, basis: "a prior".to_owned() },
        modifications: vec![],
        spec: None,
        topology: None,
    };
    plan.sum_estimates();
    plan
}

pub fn new_task(position: u32, key: &str) -> NewTask {
    NewTask {
        position,
        phase: "Code".to_owned(),
        key: key.to_owned(),
        title: format!("Do {key}"),
        stage: Stage::Coding,
        priority: Priority::Normal,
        depends_on: vec![],
        asks: None,
        max_attempts: 3,
        estimated_seconds: 60,
        sla_deadline: None,
        deployment: None,
    }
}

pub async fn tasks(store: &Store, id: IntentId, keys: &[&str]) -> Vec<Task> {
    let new: Vec<NewTask> = keys.iter().zip(1..).map(|(key, position)| new_task(position, key)).collect();
    let mut conn = store.connection().await.unwrap();
    tasks_insert(&mut conn, id, &new).await.unwrap()
}

pub fn log(level: Level, message: &str) -> EventKind {
    EventKind::Log(LogLine { level, source: "grace".to_owned(), message: message.to_owned(), task_id: None })
}
