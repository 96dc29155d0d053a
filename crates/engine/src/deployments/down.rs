//! Live releases that do not run: their deployments say so, and people are told.

use std::sync::Arc;

use grace_domain::{event::Level, id::IntentId, intent::Environment, messages};
use grace_store::{deployment_fetch, live_release_fetch, live_release_set_down};

use super::deployment_event;
use crate::{decide::Decision, error::Result, start::Inner};

/// A release that was live has ended, and is not started again.
pub(crate) async fn release_lost(inner: Arc<Inner>, place: (IntentId, Environment), release: String, why: String) {
    if let Err(error) = set_down(&inner, place, &release, Some(&why)).await {
        tracing::error!(release, why, error = %error.chain(), "a live release that does not run any more could not be recorded");
    }
}

/// Records why the live release of a place does not run, or that it does. One that is not live any more is nobody's concern.
pub(super) async fn set_down(inner: &Inner, (intent, environment): (IntentId, Environment), release: &str, why: Option<&str>) -> Result<()> {
    let mut decision = Decision::begin(inner, intent).await?;
    let live = live_release_fetch(&mut decision.tx, intent, environment).await?;
    let Some(live) = live.filter(|live| live.release.name == release) else { return Ok(()) };
    if !live_release_set_down(&mut decision.tx, live.release.id, why).await? {
        return Ok(());
    }
    let Some(deployment) = deployment_fetch(&mut decision.tx, live.release.deployment).await? else { return Ok(()) };
    if let Some(why) = why {
        decision.log(Level::Error, format!("Release {release} does not run any more, and {} answers nothing: {why}.", live.host), None);
    }
    decision.event(deployment_event(&deployment));
    let message = messages::deployment_handoff(&decision.row.intent.title, &deployment);
    decision.notify(message).await?;
    decision.finish().await?;
    Ok(())
}
