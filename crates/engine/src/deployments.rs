//! Layer 4 from the engine's side: handing a finished build over, following it, taking it back.

use grace_domain::{
    deployment::{DeployRequest, DeployResponse, Deployment},
    id::{DeploymentId, IntentId},
    list::{ListQuery, Page},
    problem::Problem,
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// Begins a deployment, or opens its gate when a person must approve it first.
    pub async fn deploy(&self, intent: IntentId, request: DeployRequest) -> Result<DeployResponse, Problem> {
        let _ = (intent, request);
        not_joined()
    }

    pub async fn deployment(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        let _ = deployment;
        not_joined()
    }

    /// All deployments, newest first.
    pub async fn deployments(&self, query: ListQuery) -> Result<Page<Deployment>, Problem> {
        let _ = query;
        not_joined()
    }

    /// Ends a deployment that is not live yet.
    pub async fn cancel_deployment(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        let _ = deployment;
        not_joined()
    }

    /// Takes a live release back to the one before it, or down when there is none.
    pub async fn rollback(&self, deployment: DeploymentId) -> Result<Deployment, Problem> {
        let _ = deployment;
        not_joined()
    }
}
