//! What runs on this server now, and how to reach it: the tokens that end a task's commands or a deployment.

use std::{collections::HashMap, sync::Mutex};

use grace_domain::id::{DeploymentId, IntentId, TaskId};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(crate) struct Running {
    tasks: Mutex<HashMap<TaskId, (IntentId, CancellationToken)>>,
    deployments: Mutex<HashMap<DeploymentId, CancellationToken>>,
    plans: Mutex<HashMap<IntentId, CancellationToken>>,
}

/// Takes its entry away when it is dropped, however the run ends.
pub(crate) struct Registered<'a> {
    running: &'a Running,
    task: Option<TaskId>,
    deployment: Option<DeploymentId>,
    plan: Option<IntentId>,
}

impl Running {
    /// A plan that a model makes.
    pub fn plan(&self, intent: IntentId, cancel: CancellationToken) -> Registered<'_> {
        self.plans.lock().expect("no holder of the lock panics").insert(intent, cancel);
        Registered { running: self, task: None, deployment: None, plan: Some(intent) }
    }

    pub fn task(&self, task: TaskId, intent: IntentId, cancel: CancellationToken) -> Registered<'_> {
        self.tasks.lock().expect("no holder of the lock panics").insert(task, (intent, cancel));
        Registered { running: self, task: Some(task), deployment: None, plan: None }
    }

    pub fn deployment(&self, deployment: DeploymentId, cancel: CancellationToken) -> Registered<'_> {
        self.deployments.lock().expect("no holder of the lock panics").insert(deployment, cancel);
        Registered { running: self, task: None, deployment: Some(deployment), plan: None }
    }

    /// Whether tasks of this build run here.
    pub fn has(&self, intent: IntentId) -> bool {
        self.tasks.lock().expect("no holder of the lock panics").values().any(|(of, _)| *of == intent)
    }

    /// Ends the commands of all tasks of a build, and the making of its plan.
    pub fn cancel_build(&self, intent: IntentId) {
        if let Some(cancel) = self.plans.lock().expect("no holder of the lock panics").get(&intent) {
            cancel.cancel();
        }
        for (of, cancel) in self.tasks.lock().expect("no holder of the lock panics").values() {
            if *of == intent {
                cancel.cancel();
            }
        }
    }

    pub fn cancel_deployment(&self, deployment: DeploymentId) {
        if let Some(cancel) = self.deployments.lock().expect("no holder of the lock panics").get(&deployment) {
            cancel.cancel();
        }
    }

    pub fn cancel_all(&self) {
        for (_, cancel) in self.tasks.lock().expect("no holder of the lock panics").values() {
            cancel.cancel();
        }
        for cancel in self.plans.lock().expect("no holder of the lock panics").values() {
            cancel.cancel();
        }
        for cancel in self.deployments.lock().expect("no holder of the lock panics").values() {
            cancel.cancel();
        }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            self.running.tasks.lock().expect("no holder of the lock panics").remove(&task);
        }
        if let Some(intent) = self.plan {
            self.running.plans.lock().expect("no holder of the lock panics").remove(&intent);
        }
        if let Some(deployment) = self.deployment {
            self.running.deployments.lock().expect("no holder of the lock panics").remove(&deployment);
        }
    }
}
