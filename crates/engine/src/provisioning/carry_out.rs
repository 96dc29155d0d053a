//! Carries a run out: first the checks and the plan, and once a person has approved that plan, what it says. Whatever has to go is gone before the end is
//! told.

use std::{sync::Arc, time::Duration};

use grace_domain::{
    event::Level,
    id::ProvisioningId,
    provisioning::{ChangeCounts, Fact, ProvisioningRun, RunKind, RunStatus, RunTrigger},
};
use grace_operations::terraform::PLAN_FILE;
use grace_store::{changes_replace, place_lock, run_cancel_requested, run_take};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    resume::cut_short,
    turn::Turn,
    work::{Halt, Work},
};
use crate::{
    error::{Error, Result},
    start::Inner,
};

/// How often a run looks whether it is to be cancelled, and a job whether it may begin.
const LOOK: Duration = Duration::from_millis(250);

/// Carries a run out as far as it goes by itself. One that has ended, waits for a person or is carried out already is left alone.
pub(crate) async fn carry_out(inner: &Arc<Inner>, id: ProvisioningId) -> Result<()> {
    // The job before it may be about to end: what it left is then seen here.
    let _alone = loop {
        if inner.shutdown.is_cancelled() {
            return Ok(());
        }
        match inner.provisioning_now.enter(id) {
            Some(entered) => break entered,
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let run = inner.known_run(id).await?;
    let _watched = inner.vault.watch(run.intent_id);
    let cancel = inner.shutdown.child_token();
    let watch = tokio::spawn(watch_cancel(inner.clone(), id, cancel.clone()));
    let ended = match run.status {
        RunStatus::Queued | RunStatus::Checking => check(inner, run, cancel).await,
        RunStatus::Approved => change(inner, run, cancel).await,
        // Whoever carried it out is gone.
        RunStatus::Applying => cut_short(inner, id).await,
        _ => Ok(()),
    };
    watch.abort();
    ended
}

async fn watch_cancel(inner: Arc<Inner>, id: ProvisioningId, cancel: CancellationToken) {
    loop {
        let asked = async {
            let mut conn = inner.store.connection().await?;
            run_cancel_requested(&mut conn, id).await
        };
        match asked.await {
            Ok(true) => {
                cancel.cancel();
                return;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(provisioning.id = %id, error = %error, "could not look whether the run is to be cancelled"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Checks and plans; the run then waits for a person, or has ended.
async fn check(inner: &Arc<Inner>, run: ProvisioningRun, cancel: CancellationToken) -> Result<()> {
    let (id, kind) = (run.run_id, run.kind);
    let mut turn = Turn::begin(inner, id).await?;
    turn.apply(RunTrigger::Begin)?;
    run_take(&mut turn.decision.tx, id, &inner.worker).await?;
    let (place, now) = (turn.run.place(), turn.decision.now);
    turn.run.resources = Some(place_lock(&mut turn.decision.tx, place, now).await?.resources);
    turn.save().await?;
    let run = turn.finish().await?;
    let mut work = match Work::lay_out(inner, run, cancel).await {
        Ok(work) => work,
        Err(halt) => return halted(inner, id, halt, None).await,
    };
    let steps = async {
        if kind == RunKind::Apply {
            work.format().await?;
        }
        work.initialise().await?;
        if kind == RunKind::Apply {
            work.validate().await?;
        }
        work.policy().await?;
        match kind {
            RunKind::Drift => compare(inner, &mut work).await,
            _ => plan(inner, &mut work).await,
        }
    };
    let ended = steps.await;
    match ended {
        Ok(turn) => {
            // Nothing of the run is on the disk any more when it is told what became of it.
            work.ground.remove().map_err(Error::File)?;
            turn.finish().await?;
            Ok(())
        }
        Err(halt) => halted(inner, id, halt, Some(work)).await,
    }
}

async fn compare<'a>(inner: &'a Arc<Inner>, work: &mut Work<'_>) -> Result<Turn<'a>, Halt> {
    work.begin("drift_check").await?;
    let drifted = work.drifted().await?;
    let mut turn = Turn::begin(inner, work.id).await?;
    turn.step_done("drift_check", if drifted { "something differs" } else { "nothing differs" });
    turn.run.resources = Some(work.there);
    let why = if drifted {
        "What is there, or the configuration, differs from the state. Provision again: the plan shows what."
    } else {
        "What is there is what was applied."
    };
    turn.end(RunTrigger::Compared { drifted }, why).await?;
    Ok(turn)
}

async fn plan<'a>(inner: &'a Arc<Inner>, work: &mut Work<'_>) -> Result<Turn<'a>, Halt> {
    let destroys = work.run.kind == RunKind::Destroy;
    let (read, file) = work.plan(destroys).await?;
    let nothing = read.changes.is_empty() && (destroys || !read.outputs_change);
    // A run that was cut short may have left resources whose outputs nobody has kept.
    let outputs = if nothing && !destroys { inner.keep_outputs(work.place(), work.outputs().await?).await? } else { Vec::new() };
    let mut turn = Turn::begin(inner, work.id).await?;
    turn.run.learn(Fact::Planned);
    turn.run.counts = ChangeCounts::of(&read.changes);
    turn.run.resources = Some(work.there);
    changes_replace(&mut turn.decision.tx, work.id, &read.changes).await?;
    let words = turn.run.counts.words();
    turn.step_done("plan", &words);
    if read.more > 0 {
        turn.decision.log(Level::Warn, format!("The plan has {} more changes than are listed.", read.more), None);
    }
    if nothing {
        turn.run.outputs = outputs;
        let why = if destroys { "Nothing is set up there any more." } else { "The plan changes nothing: what is there is as it should be." };
        turn.end(RunTrigger::NothingToChange, why).await?;
        return Ok(turn);
    }
    turn.run.blast_radius = Some(turn.run.counts.blast_radius(work.there));
    turn.run.plan_hash = Some(hex::encode(Sha256::digest(&file)));
    inner.keep_plan(&mut turn.decision.tx, work.id, &file).await?;
    turn.apply(RunTrigger::Planned)?;
    turn.step_begun("approval");
    turn.open_gate().await?;
    turn.save().await?;
    turn.decision.log(Level::Info, format!("{} would {words}. It waits for a person.", work.id), None);
    turn.tell().await?;
    Ok(turn)
}

/// Applies the plan that was approved.
async fn change(inner: &Arc<Inner>, run: ProvisioningRun, cancel: CancellationToken) -> Result<()> {
    let (id, kind) = (run.run_id, run.kind);
    let mut work = match Work::lay_out(inner, run, cancel).await {
        Ok(work) => work,
        Err(halt) => return halted(inner, id, halt, None).await,
    };
    let step = if kind == RunKind::Destroy { "destroy" } else { "apply" };
    let steps = async {
        let mut tx = inner.store.begin().await?;
        let file = inner.open_plan(&mut tx, id).await?;
        inner.store.commit(tx).await?;
        if work.run.plan_hash.as_deref() != Some(hex::encode(Sha256::digest(&file)).as_str()) {
            return Err(Halt::Failed { step, why: "The plan that is kept is not the one that was approved. Provision again.".into() });
        }
        let ran = work.terraform(step, &["init", "-input=false", "-no-color"]).await?;
        if !ran.exit.is_success() {
            return Err(Halt::Failed { step, why: ran.failure("init") });
        }
        work.write_plan(file)?;
        let mut turn = Turn::begin(inner, id).await?;
        turn.apply(RunTrigger::ApplyBegun)?;
        run_take(&mut turn.decision.tx, id, &inner.worker).await?;
        turn.step_begun(step);
        turn.save().await?;
        turn.tell().await?;
        work.run = turn.finish().await?;
        let applied = work.terraform(step, &["apply", "-input=false", "-json", PLAN_FILE]).await;
        // Whatever came of it: what is there now is what the state says.
        keep(inner, &work).await?;
        let ran = applied?;
        if !ran.exit.is_success() {
            return Err(Halt::Failed { step, why: ran.failure("apply") });
        }
        work.done(step, &format!("done: {}", work.run.counts.words()), Some(Fact::Applied)).await?;
        if kind == RunKind::Apply { after_applying(inner, &mut work).await } else { after_destroying(inner, &work).await }
    };
    match steps.await {
        Ok(turn) => {
            work.ground.remove().map_err(Error::File)?;
            turn.finish().await?;
            Ok(())
        }
        Err(halt) => halted(inner, id, halt, Some(work)).await,
    }
}

/// Keeps the state as Terraform left it, and how many resources it has.
async fn keep(inner: &Arc<Inner>, work: &Work<'_>) -> Result<(), Halt> {
    let Some((state, resources)) = work.state() else { return Ok(()) };
    let mut turn = Turn::begin(inner, work.id).await?;
    inner.keep_state(&mut turn.decision.tx, work.place(), state, resources).await?;
    turn.run.resources = Some(resources);
    turn.save().await?;
    turn.finish().await?;
    Ok(())
}

async fn after_applying<'a>(inner: &'a Arc<Inner>, work: &mut Work<'_>) -> Result<Turn<'a>, Halt> {
    work.begin("outputs").await?;
    let found = work.outputs().await?;
    let outputs = inner.keep_outputs(work.place(), found).await?;
    let stored = outputs.iter().filter(|output| output.secret.is_some()).count();
    let mut turn = Turn::begin(inner, work.id).await?;
    turn.step_done("outputs", &format!("{} shown, {stored} in the vault", outputs.iter().filter(|output| output.value.is_some()).count()));
    turn.run.outputs = outputs;
    turn.save().await?;
    work.run = turn.finish().await?;
    work.begin("drift_check").await?;
    let drifted = work.drifted().await?;
    let mut turn = Turn::begin(inner, work.id).await?;
    turn.step_done("drift_check", if drifted { "something differs right after applying" } else { "nothing differs" });
    let secrets: Vec<&str> = turn.run.outputs.iter().filter_map(|output| output.secret.as_deref()).collect();
    let vault = if secrets.is_empty() { String::new() } else { format!(" Stored {} in the vault.", secrets.join(", ")) };
    let drift = if drifted { " A second plan would change something again: look at the configuration." } else { "" };
    let resources = grace_domain::present::counted(u64::from(turn.run.resources.unwrap_or_default()), "resource is", "resources are");
    let reason = format!("{resources} there.{vault}{drift}");
    turn.end(RunTrigger::ApplyEnded, &reason).await?;
    Ok(turn)
}

async fn after_destroying<'a>(inner: &'a Arc<Inner>, work: &Work<'_>) -> Result<Turn<'a>, Halt> {
    let mut turn = Turn::begin(inner, work.id).await?;
    let gone = inner.forget_outputs(&mut turn.decision.tx, work.place()).await?;
    let vault = if gone.is_empty() { String::new() } else { format!(" {} left the vault.", gone.join(", ")) };
    let left = turn.run.resources.unwrap_or_default();
    turn.end(RunTrigger::ApplyEnded, &format!("{left} resources are left.{vault}")).await?;
    Ok(turn)
}

/// Saves how a run ended that did not go on.
async fn halted(inner: &Arc<Inner>, id: ProvisioningId, halt: Halt, work: Option<Work<'_>>) -> Result<()> {
    let at = inner.known_run(id).await?.status;
    if matches!(halt, Halt::Stopped) && at == RunStatus::Applying && work.is_some() {
        // Its state was kept when Terraform had ended.
        let why = "Terraform was stopped while it changed resources. Its state was kept as it left it: look at what is there, then provision again; the \
                   plan shows what is missing.";
        drop(work);
        let mut turn = Turn::begin(inner, id).await?;
        turn.end(RunTrigger::CutShort, why).await?;
        turn.finish().await?;
        return Ok(());
    }
    drop(work);
    let (trigger, step, why) = match halt {
        // The server's end is not the run's: the next start takes it up again.
        Halt::Stopped if inner.shutdown.is_cancelled() => return Ok(()),
        Halt::Stopped => (RunTrigger::Cancel, None, "Cancelled by a person; nothing was changed.".to_owned()),
        Halt::Ours(Error::Refused(problem)) => (RunTrigger::Fail, None, problem.message),
        Halt::Ours(error) => return Err(error),
        Halt::NoProvider(said) => (RunTrigger::NoProvider, Some("initialise"), no_provider(&said)),
        Halt::Failed { step, why } => (RunTrigger::Fail, Some(step), why),
    };
    let mut turn = Turn::begin(inner, id).await?;
    if let Some(step) = step {
        let short: String = why.chars().take(300).collect();
        turn.step_failed(step, &short);
    }
    let why = match turn.run.status {
        RunStatus::Applying => format!(
            "{why} {} are there now.",
            grace_domain::present::counted(u64::from(turn.run.resources.unwrap_or_default()), "resource", "resources")
        ),
        _ => why,
    };
    turn.end(trigger, &why).await?;
    turn.finish().await?;
    Ok(())
}

fn no_provider(said: &str) -> String {
    format!(
        "Ended at what could be checked here: syntax checked; its schema was not validated, nothing was planned and nothing applied. The provider cannot \
         be had: Grace runs Terraform without network. Take the archive, and run terraform init, plan and apply where the provider's registry and your \
         account can be reached. Terraform said: {}",
        said.chars().take(500).collect::<String>()
    )
}
