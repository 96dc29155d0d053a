//! Changing what is left of a plan while its tasks are carried out: when that can be, what a changed plan makes of the tasks, and the way back to the
//! plan before it. It must not know how the rest is made anew.

use grace_domain::{
    copilot::NotificationKind,
    event::Level,
    parallel::works_apart,
    plan_rest::Kept,
    problem::Problem,
    revision::PlanAnswer,
    status::Trigger,
    task::{TaskState, merge_of},
    view::Approval,
};
use grace_store::{
    PlanRow, account_spent_out, plan_approve, plan_approved, plan_fetch, plan_return, plans_reject, rest_replace, tasks_keep_place, tasks_of,
};

use crate::{builds::short, decide::Decision, error::Result, start::Inner};

impl Inner {
    /// Opens what is left of the plan of a build under way for a change: nothing new begins from here on.
    pub(crate) fn open_rest(&self, decision: &mut Decision<'_>, approval: &Approval) -> Result<()> {
        if !self.is_slow(&decision.row.agent) {
            let field = if approval.edits.is_some() { "edits" } else { "modifications" };
            let why = "What the blueprint agent builds follows from the description, and stays while it is built. Stop this build, and start a new one \
                       with the description as it should be; or choose the model agent, whose plan can be changed on the way.";
            return Err(Problem::invalid_field(field, why).into());
        }
        if decision.status().may_run() {
            decision.apply(Trigger::Pause, Some("What is left of the plan is being changed."))?;
        }
        Ok(())
    }
}

impl Decision<'_> {
    /// Which tasks of a plan stay as they are.
    pub async fn kept(&mut self, plan: &PlanRow) -> Result<Kept> {
        let intent = self.intent();
        Ok(Kept::of(&plan.plan, &tasks_of(&mut self.tx, intent).await?))
    }

    /// Keeps what a person said to the current revision.
    pub async fn keep_answer(&mut self, answer: PlanAnswer) -> Result<()> {
        let (intent, current) = (self.intent(), self.row.plan_revision);
        match answer {
            PlanAnswer::Approved => plan_approve(&mut self.tx, intent, current).await?,
            PlanAnswer::Rejected => plans_reject(&mut self.tx, intent, current.saturating_sub(1)).await?,
        }
        Ok(())
    }

    /// Carries on with what was approved, which is the revision that is the current one, or the one before all that were not.
    pub async fn end_rest(&mut self, approved: bool) -> Result<()> {
        if approved {
            self.replace_rest().await?
        } else {
            self.take_back().await?
        }
        let intent = self.intent();
        if self.status().may_run() && account_spent_out(&mut self.tx, intent, false).await? {
            // It is said again should the budget still be spent.
            self.unnotify(NotificationKind::Budget, &intent.to_string()).await?;
        }
        Ok(())
    }

    /// Makes the tasks that have not begun what the current revision says.
    async fn replace_rest(&mut self) -> Result<()> {
        let intent = self.intent();
        let Some(row) = plan_fetch(&mut self.tx, intent).await? else { return Ok(()) };
        let tasks = tasks_of(&mut self.tx, intent).await?;
        // Files of a task under way are where it began, whatever may run beside it from now on.
        let under_way = tasks.iter().filter(|task| task.has_begun() && task.state != TaskState::Done && task.asks.is_none());
        let places: Vec<_> = under_way.map(|task| (task.id, works_apart(&tasks, task))).collect();
        tasks_keep_place(&mut self.tx, &places).await?;
        // A merge is in no plan: it belongs to the task whose work it merges.
        let position = |key: &str| row.plan.tasks().zip(1..).find(|(task, _)| task.key == merge_of(key).unwrap_or(key)).map(|(_, position)| position);
        let is_kept = |key: &str| tasks.iter().any(|task| task.key == key && (task.has_begun() || merge_of(key).is_some()));
        let kept: Vec<_> = tasks.iter().filter(|task| is_kept(&task.key)).filter_map(|task| Some((task.id, position(&task.key)?))).collect();
        let gone: Vec<_> = tasks.iter().filter(|task| !is_kept(&task.key)).map(|task| task.id).collect();
        let rest = self.new_tasks(&row.plan, |key| !is_kept(key));
        let text = format!("Tasks that have begun stay as they are ({}); by revision {}, {} follow.", kept.len(), row.revision, rest.len());
        rest_replace(&mut self.tx, intent, &gone, &rest, &kept).await?;
        self.log(Level::Info, text, None);
        Ok(())
    }

    /// Makes the newest approved revision the current one again.
    async fn take_back(&mut self) -> Result<()> {
        let intent = self.intent();
        let Some(former) = plan_approved(&mut self.tx, intent).await? else { return Ok(()) };
        if former.revision == self.row.plan_revision {
            return Ok(());
        }
        plans_reject(&mut self.tx, intent, former.revision).await?;
        let now = self.now;
        plan_return(&mut self.tx, intent, &former, now).await?;
        let text = format!("The change of what is left is dropped; revision {} ({}) stands.", former.revision, short(&former.hash));
        self.log(Level::Info, text, None);
        self.row.plan_revision = former.revision;
        self.row.plan_hash.clone_from(&former.hash);
        self.row.intent.title.clone_from(&former.plan.title);
        Ok(())
    }
}
