//! The steps of a deployment with their timings.

use grace_domain::deployment::{DeploymentStatus, DeploymentStep, StepState};

use super::{DeployObserver, DeployOutcome, Halt};

/// Steps with their timings; every change is told at once.
pub(super) struct Steps<'a> {
    pub observer: &'a dyn DeployObserver,
    status: DeploymentStatus,
    steps: Vec<DeploymentStep>,
}

const MAKING: &[&str] = &["package", "test"];
const MIGRATING: &[&str] = &["provision_database", "copy_database", "migrate"];
const RUNNING: &[&str] = &["start", "health_check", "switch", "watch"];

impl<'a> Steps<'a> {
    /// A place with a database of its own has steps for it.
    pub fn new(observer: &'a dyn DeployObserver, database: bool) -> Self {
        let step =
            |name: &&str| DeploymentStep { name: (*name).to_owned(), state: StepState::Pending, started_at: None, finished_at: None, detail: None };
        let names = MAKING.iter().chain(MIGRATING.iter().filter(|_| database)).chain(RUNNING);
        Self { observer, status: DeploymentStatus::Initiated, steps: names.map(step).collect() }
    }

    pub async fn begin(&mut self, name: &str, status: DeploymentStatus) {
        self.status = status;
        for step in self.steps.iter_mut().filter(|step| step.name == name) {
            step.state = StepState::Running;
            step.started_at = Some(now());
        }
        self.tell().await;
    }

    pub async fn done(&mut self, detail: &str) {
        self.end(StepState::Done, detail).await;
    }

    pub async fn fail(&mut self, detail: &str) {
        self.end(StepState::Failed, detail).await;
    }

    pub async fn skip(&mut self, name: &str, detail: &str) {
        for step in self.steps.iter_mut().filter(|step| step.name == name) {
            step.state = StepState::Skipped;
            step.detail = Some(detail.to_owned());
        }
        self.tell().await;
    }

    async fn end(&mut self, state: StepState, detail: &str) {
        for step in self.steps.iter_mut().filter(|step| step.state == StepState::Running) {
            step.state = state;
            step.finished_at = Some(now());
            step.detail = Some(detail.to_owned());
        }
        self.tell().await;
    }

    pub async fn halted(&mut self, halt: Halt) -> DeployOutcome {
        match halt {
            Halt::Failed(reason) => {
                self.fail(&reason).await;
                DeployOutcome::Failed { reason }
            }
            Halt::Cancelled => {
                self.fail("cancelled").await;
                DeployOutcome::Cancelled
            }
        }
    }

    async fn tell(&self) {
        self.observer.status(self.status, &self.steps).await;
    }
}

fn now() -> grace_domain::Timestamp {
    std::time::SystemTime::now().into()
}
