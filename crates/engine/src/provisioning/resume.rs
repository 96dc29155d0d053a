//! What a starting server does with runs that an earlier one left. One that checked begins again; one that changed resources needs a person, and what
//! Terraform had written of its state by then is kept.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use grace_domain::{
    event::Level,
    id::ProvisioningId,
    present::counted,
    provisioning::{RunStatus, RunTrigger},
};
use grace_operations::terraform::{Ground, sweep};
use grace_store::{plan_fetch, runs_unfinished};

use super::{enqueue, turn::Turn, work::read_state};
use crate::{
    error::{Error, Result},
    start::Inner,
};

/// Runs that this server carries out now: a job that comes twice finds its run taken.
#[derive(Debug, Default)]
pub(crate) struct Now(Mutex<HashSet<ProvisioningId>>);

/// A run that is carried out, until this is dropped.
pub(crate) struct Entered<'a> {
    now: &'a Now,
    id: ProvisioningId,
}

impl Now {
    pub fn enter(&self, id: ProvisioningId) -> Option<Entered<'_>> {
        let new = self.0.lock().expect("no holder of the lock panics").insert(id);
        new.then_some(Entered { now: self, id })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.now.0.lock().expect("no holder of the lock panics").remove(&self.id);
    }
}

/// Takes up the runs of this server, then removes what is left of their folders.
pub(crate) async fn resume_all(inner: &Arc<Inner>) -> Result<()> {
    let mut conn = inner.store.connection().await?;
    let unfinished = runs_unfinished(&mut conn).await?;
    drop(conn);
    for (run, worker) in unfinished {
        if worker.is_some_and(|worker| worker != inner.worker) {
            continue;
        }
        match run.status {
            RunStatus::Applying => cut_short(inner, run.run_id).await?,
            RunStatus::Queued | RunStatus::Checking | RunStatus::Approved => {
                let mut turn = Turn::begin(inner, run.run_id).await?;
                enqueue(&mut turn.decision, run.run_id).await?;
                let what = if run.status == RunStatus::Approved {
                    "before its plan was applied; it is applied now"
                } else {
                    "while it checked; it begins again"
                };
                turn.decision.log(Level::Warn, format!("The server ended during {}, {what}.", run.run_id), None);
                turn.finish().await?;
            }
            _ => {}
        }
    }
    sweep(&inner.config.data_dir).map_err(Error::File)
}

/// A run that was changing resources when whoever carried it out ended.
pub(super) async fn cut_short(inner: &Arc<Inner>, id: ProvisioningId) -> Result<()> {
    let mut turn = Turn::begin(inner, id).await?;
    if turn.run.status != RunStatus::Applying {
        return Ok(());
    }
    let place = turn.run.place();
    let topology = plan_fetch(&mut turn.decision.tx, place.intent_id).await?.and_then(|row| row.plan.topology);
    let folder = topology.map(|topology| topology.path(&place.variant.folder()));
    let ground = Ground::left(&inner.sandbox, &inner.config.data_dir, id.0);
    let left = ground.as_ref().zip(folder).and_then(|(ground, folder)| read_state(ground, &folder));
    let facts = match left {
        Some((state, resources)) => {
            inner.keep_state(&mut turn.decision.tx, place, state, resources).await?;
            turn.run.resources = Some(resources);
            format!("Its state was kept as Terraform left it: {} there.", counted(u64::from(resources), "resource is", "resources are"))
        }
        None => "What was kept of its state before that stands.".to_owned(),
    };
    // Kept first, then removed, then told.
    turn.save().await?;
    turn.finish().await?;
    if let Some(ground) = ground {
        ground.remove().map_err(Error::File)?;
    }
    let mut turn = Turn::begin(inner, id).await?;
    let why = format!(
        "The server ended while Terraform changed resources. {facts} Look at what is there, then provision again: the plan shows what is missing."
    );
    turn.end(RunTrigger::CutShort, &why).await?;
    turn.finish().await?;
    Ok(())
}
