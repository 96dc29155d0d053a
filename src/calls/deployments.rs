//! Layer 4: deploying, promoting, cancelling, rolling back.

use grace_domain::{
    deployment::{DeployRequest, DeployResponse, Deployment, RollbackRequest},
    id::{DeploymentId, IntentId},
    list::{ListQuery, Page},
};

use super::doors;

doors! {
    /// Hands a finished build to an environment.
    deploy_build at "deploy_build" (intent: IntentId, request: DeployRequest) -> DeployResponse => |engine| engine.deploy(intent, request);
    /// Newest first.
    list_deployments at "list_deployments" (query: ListQuery) -> Page<Deployment> => |engine| engine.deployments(query);
    /// Whose releases answer now, newest first.
    list_live at "list_live" () -> Vec<Deployment> => |engine| engine.live_deployments();
    /// Ends a deployment that is under way.
    cancel_deployment at "cancel_deployment" (deployment: DeploymentId) -> Deployment => |engine| engine.cancel_deployment(deployment);
    /// Hands what this deployment made live in staging to production, as it is.
    promote_deployment at "promote" (deployment: DeploymentId) -> DeployResponse => |engine| engine.promote(deployment);
    /// Puts the release before this one back, or an earlier one.
    roll_back at "roll_back" (deployment: DeploymentId, request: RollbackRequest) -> Deployment => |engine| engine.rollback(deployment, request);
}
