//! Promotion: what is live in staging goes to production as it is. Nothing is built for it; what arrives is proved to be what was packaged.

use grace_domain::{
    deployment::{DeployResponse, DeploymentConfig},
    event::Level,
    id::DeploymentId,
    intent::Environment,
    problem::Problem,
    spec::Spec,
    status::{Trigger, apply},
};
use grace_operations::Promoted;
use grace_store::{NewDeployment, deployment_create, live_release_fetch, release_of_deployment};

use super::{hand_over, none_under_way, release_of};
use crate::{Engine, decide::Decision, error::Result, start::Inner};

const FROM: Environment = Environment::Staging;
const TO: Environment = Environment::Production;

impl Engine {
    /// Opens the gate of a deployment to production that takes over the release that this deployment made live in staging.
    pub async fn promote(&self, deployment: DeploymentId) -> Result<DeployResponse, Problem> {
        Ok(self.inner.promote(deployment).await?)
    }
}

impl Inner {
    async fn promote(&self, from: DeploymentId) -> Result<DeployResponse> {
        let deployment = self.known(from).await?;
        let mut decision = Decision::begin(self, deployment.intent_id).await?;
        let refused = |decision: &Decision<'_>, code, text| Problem::conflict(code, text).with_status(decision.status());
        if deployment.environment != FROM {
            let text = format!("{from} is a deployment to {}; what is promoted to production is live in staging.", deployment.environment.as_str());
            return Err(refused(&decision, "not_staging", text).into());
        }
        apply(decision.row.state, Trigger::DeployRequested)?;
        let intent = decision.intent();
        let live = live_release_fetch(&mut decision.tx, intent, FROM).await?.map(|live| live.release);
        let Some(release) = live.filter(|release| release.deployment == from) else {
            let text = format!("{from} is not what answers in staging now; promote the deployment that is live there.");
            return Err(refused(&decision, "not_live", text).into());
        };
        if release.digest.is_none() {
            let text = format!("{} was packaged before digests were kept; deploy the build to staging once more and promote that.", release.name);
            return Err(refused(&decision, "no_digest", text).into());
        }
        none_under_way(&mut decision, TO).await?;
        let now = decision.now;
        // Its tests are those of staging.
        let config = DeploymentConfig { run_tests: false, ..deployment.config };
        let new = NewDeployment { intent, target: deployment.target, environment: TO, config, promoted_from: Some(from) };
        let promoted = deployment_create(&mut decision.tx, &new, now).await?;
        decision.log(Level::Info, format!("{} is to take over {} of {from} from staging.", promoted.deployment_id, release.name), None);
        let why = format!("It takes over {} from staging as it is. Production deployments always ask a person.", release.name);
        let response = hand_over(&mut decision, promoted, "Promote to production", Some(&why)).await?;
        decision.finish().await?;
        Ok(response)
    }
}

/// The release that a promotion takes over, as the target knows it.
pub(super) async fn promoted(inner: &Inner, decision: &mut Decision<'_>, from: DeploymentId, spec: Option<&Spec>) -> Result<Promoted> {
    let row = release_of_deployment(&mut decision.tx, from).await?;
    let (Some(row), Some(spec)) = (row, spec) else {
        return Err(Problem::conflict("nothing_to_promote", format!("The release of {from} is not known any more.")).into());
    };
    Ok(Promoted { release: release_of(inner, &mut decision.tx, &row, spec).await?, from: row.environment })
}
