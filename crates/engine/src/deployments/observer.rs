//! Stores what the target reports about a deployment.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use grace_domain::{
    deployment::{DeploymentStatus, DeploymentStep, ROLLBACK_STEP},
    event::{EventKind, Level},
    id::{DeploymentId, IntentId},
    intent::Environment,
    messages,
    problem::Problem,
};
use grace_operations::{DeployObserver, Place, Release};
use grace_store::{NewRelease, deployment_fetch, deployment_save, intent_save_url, live_release_clear, live_release_set, release_save, releases_of};

use grace_vault::Screen;
use tokio::sync::Mutex;

use super::deployment_event;
use crate::{decide::Decision, error::Result, sink::Sink, start::Inner};

/// Stores what the target reports, before anybody else hears of it.
pub(super) struct Observer {
    pub inner: Arc<Inner>,
    pub id: DeploymentId,
    pub intent: IntentId,
    pub environment: Environment,
    pub place: Place,
    pub back: bool,
    /// In a rollback: what the deployment did before it.
    pub former: Vec<DeploymentStep>,
    pub sink: Sink,
    /// What commands of the release say, each of which is a source.
    pub screen: Mutex<Screen<(Level, String)>>,
}

impl Observer {
    /// Stores what is left and ends.
    pub async fn close(self) {
        for ((level, source), lines) in self.screen.into_inner().end() {
            for line in lines {
                self.sink.log(level, &source, &line).await;
            }
        }
        self.sink.close().await;
    }

    async fn save_status(&self, status: DeploymentStatus, steps: &[DeploymentStep]) -> Result<()> {
        let mut decision = Decision::begin(&self.inner, self.intent).await?;
        let Some(mut deployment) = deployment_fetch(&mut decision.tx, self.id).await? else { return Ok(()) };
        // The end is saved with everything that belongs to it, not here.
        if !status.is_final() {
            deployment.status = status;
        }
        deployment.steps = if self.back { self.after_former(steps) } else { steps.to_vec() };
        deployment_save(&mut decision.tx, &deployment).await?;
        decision.event(deployment_event(&deployment));
        let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
        decision.notify(message).await?;
        decision.finish().await?;
        Ok(())
    }

    /// The steps of a rollback, named as such, after those of its deployment.
    fn after_former(&self, steps: &[DeploymentStep]) -> Vec<DeploymentStep> {
        let own = steps.iter().map(|step| DeploymentStep { name: format!("{ROLLBACK_STEP}{}", step.name), ..step.clone() });
        self.former.iter().cloned().chain(own).collect()
    }

    /// Traffic goes to `release` now: the one that this deployment made, or in a rollback the earlier one.
    async fn save_switch(&self, release: &Release, url: &str) -> Result<()> {
        let mut decision = Decision::begin(&self.inner, self.intent).await?;
        let now = decision.now;
        let row = if self.back {
            self.kept(&mut decision, release).await?
        } else {
            let path = release.path.strip_prefix(&self.inner.config.data_dir).map_or_else(|_| release.path.clone(), PathBuf::from);
            let new = NewRelease {
                intent: self.intent,
                deployment: self.id,
                environment: self.environment,
                name: release.name.clone(),
                commit: release.commit.clone(),
                path: path.to_string_lossy().into_owned(),
                digest: release.digest.clone(),
                schema_revision: release.schema_revision.clone(),
            };
            release_save(&mut decision.tx, &new, now).await?
        };
        live_release_set(&mut decision.tx, self.intent, self.environment, row.id, &self.place.host(), now).await?;
        intent_save_url(&mut decision.tx, self.intent, Some(url), now).await?;
        if let Some(mut deployment) = deployment_fetch(&mut decision.tx, self.id).await? {
            if self.back {
                deployment.url = None;
            } else {
                deployment.url = Some(url.to_owned());
                deployment.release = Some(release.name.clone());
            }
            deployment_save(&mut decision.tx, &deployment).await?;
        }
        decision.log(Level::Info, format!("Traffic of {} goes to release {} now.", self.place.host(), release.name), None);
        decision.finish().await?;
        Ok(())
    }

    /// Traffic is where it was before this deployment or rollback.
    async fn save_taken_back(&self, to: Option<&Release>, url: &str) -> Result<()> {
        let mut decision = Decision::begin(&self.inner, self.intent).await?;
        let now = decision.now;
        let text = match to {
            Some(release) => {
                let row = self.kept(&mut decision, release).await?;
                live_release_set(&mut decision.tx, self.intent, self.environment, row.id, &self.place.host(), now).await?;
                format!("Traffic of {} goes to release {} again.", self.place.host(), release.name)
            }
            None => {
                live_release_clear(&mut decision.tx, self.intent, self.environment).await?;
                format!("Nothing answers at {} any more.", self.place.host())
            }
        };
        intent_save_url(&mut decision.tx, self.intent, to.map(|_| url), now).await?;
        if let Some(mut deployment) = deployment_fetch(&mut decision.tx, self.id).await? {
            // In a rollback that did not hold, the release that has the traffic again is this deployment's own.
            deployment.url = to.filter(|_| self.back).map(|_| url.to_owned());
            deployment_save(&mut decision.tx, &deployment).await?;
        }
        decision.log(Level::Warn, text, None);
        decision.finish().await?;
        Ok(())
    }

    /// The row of a release that was live before.
    async fn kept(&self, decision: &mut Decision<'_>, release: &Release) -> Result<grace_store::Release> {
        let rows = releases_of(&mut decision.tx, self.intent, self.environment).await?;
        Ok(rows.into_iter().find(|row| row.name == release.name).ok_or_else(|| Problem::not_found(format!("release {}", release.name)))?)
    }
}

#[async_trait]
impl DeployObserver for Observer {
    async fn status(&self, status: DeploymentStatus, steps: &[DeploymentStep]) {
        self.sink.flush().await;
        if let Err(error) = self.save_status(status, steps).await {
            tracing::error!(deployment.id = %self.id, error = %error.chain(), "a deployment's step could not be saved");
        }
    }

    async fn log(&self, level: Level, source: &str, message: &str) {
        // Held until the lines are handed on: those of one source stay in their order.
        let mut screen = self.screen.lock().await;
        for line in screen.pass((level, source.to_owned()), message) {
            self.sink.log(level, source, &line).await;
        }
    }

    async fn egress(&self, host: &str, port: u16, allowed: bool, bytes_up: u64, bytes_down: u64) {
        self.sink.event(EventKind::Egress { host: host.to_owned(), port, allowed, bytes_up, bytes_down, task_id: None }).await;
    }

    async fn switched(&self, release: &Release, url: &str) -> Result<(), String> {
        self.save_switch(release, url).await.map_err(|error| {
            let text = error.chain();
            tracing::error!(deployment.id = %self.id, error = %text, "the switch could not be recorded");
            text
        })
    }

    async fn taken_back(&self, to: Option<&Release>, url: &str) {
        if let Err(error) = self.save_taken_back(to, url).await {
            tracing::error!(deployment.id = %self.id, error = %error.chain(), "the way back could not be recorded; traffic went back all the same");
        }
    }
}
