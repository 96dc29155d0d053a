//! What is left of a plan while its tasks are carried out: which tasks stay as they are, and how the rest, made anew, joins them. It must not know who
//! makes it anew, nor how tasks are run.

use std::collections::BTreeMap;

use crate::{
    baseline,
    plan::{Phase, Plan, PlannedTask},
    task::{Task, TaskState},
};

/// What Grace plans by itself: questions, and the run of the tests that are there.
pub fn is_graces(task: &PlannedTask) -> bool {
    task.asks.is_some() || task.key == baseline::KEY
}

/// Tasks of a plan that stay as they are whatever is changed: those that have begun, and what Grace plans by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept(BTreeMap<String, Why>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Graces,
    Begun(TaskState),
}

impl Kept {
    /// `tasks`: the build's; none while the plan waits for its first approval.
    pub fn of(plan: &Plan, tasks: &[Task]) -> Self {
        let why = |planned: &PlannedTask| {
            let begun = tasks.iter().find(|task| task.key == planned.key && task.has_begun());
            if is_graces(planned) { Some(Why::Graces) } else { begun.map(|task| Why::Begun(task.state)) }
        };
        Self(plan.tasks().filter_map(|task| Some((task.key.clone(), why(task)?))).collect())
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it is a task of the agent that has begun.
    pub fn has_begun(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Why::Begun(_)))
    }

    /// Whether any task of the agent has begun.
    pub fn is_begun(&self) -> bool {
        self.0.values().any(|why| matches!(why, Why::Begun(_)))
    }

    /// How a task stands, after its name: `is done`.
    pub fn stands(&self, key: &str) -> &'static str {
        match self.0.get(key) {
            Some(Why::Begun(TaskState::Done)) => "is done",
            Some(Why::Begun(TaskState::Running)) => "is being worked on",
            Some(Why::Begun(TaskState::WaitingForPerson)) => "waits for an answer",
            Some(Why::Begun(_)) => "has begun",
            Some(Why::Graces) => "is Grace's own",
            None => "has not begun",
        }
    }

    pub fn is_done(&self, key: &str) -> bool {
        self.0.get(key) == Some(&Why::Begun(TaskState::Done))
    }

    /// Keys of all of them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What new work comes after when nothing else is said: the begun tasks that no other begun one comes after; when none has begun, what Grace plans
    /// by itself.
    pub fn ends(&self, plan: &Plan) -> Vec<String> {
        let begun = || plan.tasks().filter(|task| self.has_begun(&task.key));
        let last = begun().filter(|task| !begun().any(|other| other.depends_on.contains(&task.key)));
        let ends: Vec<String> = last.map(|task| task.key.clone()).collect();
        if ends.is_empty() { self.graces(plan) } else { ends }
    }

    /// What Grace plans by itself, in the order of the plan: nothing begins before it.
    pub fn graces(&self, plan: &Plan) -> Vec<String> {
        plan.tasks().filter(|task| is_graces(task)).map(|task| task.key.clone()).collect()
    }

    /// The phases of `plan` with `rest` in the place of everything that is not kept. A phase of the same name as one that keeps tasks is the rest of it.
    pub fn join(&self, plan: &Plan, rest: Vec<Phase>) -> Vec<Phase> {
        let keeps = |phase: &Phase| phase.tasks.iter().any(|task| self.has(&task.key));
        let begins = plan.phases.iter().position(|phase| phase.tasks.iter().any(|task| !self.has(&task.key)));
        let mut place = plan.phases.iter().take(begins.map_or(plan.phases.len(), |at| at + 1)).filter(|phase| keeps(phase)).count();
        let mut joined: Vec<Phase> = plan.phases.iter().filter(|phase| keeps(phase)).cloned().collect();
        for phase in &mut joined {
            phase.tasks.retain(|task| self.has(&task.key));
        }
        let was_at = |name: &str| plan.phases.iter().position(|phase| phase.name == name);
        for phase in rest {
            match joined.iter().position(|other| other.name == phase.name) {
                Some(at) => {
                    joined[at].tasks.extend(phase.tasks);
                    place = at + 1;
                }
                None => {
                    // What stood before it, and is kept, stays before it.
                    let before = |other: &Phase| was_at(&phase.name).is_some_and(|at| was_at(&other.name).is_some_and(|other| other < at));
                    place = place.max(joined.iter().rposition(before).map_or(0, |at| at + 1));
                    joined.insert(place, phase);
                    place += 1;
                }
            }
        }
        for phase in &mut joined {
            phase.stage = phase.tasks[0].stage;
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan_draft::{PhaseDraft, PlanDraft, TaskDraft},
        status::Stage,
    };

    fn planned(key: &str, after: &[&str]) -> PlannedTask {
        PlannedTask {
            key: key.into(),
            title: format!("Do {key}"),
            stage: Stage::Coding,
            estimated_seconds: 60,
            depends_on: after.iter().map(|key| (*key).to_owned()).collect(),
            asks: None,
            detail: format!("All of {key}"),
            files: Vec::new(),
            verify: Some("true".into()),
        }
    }

    /// A question; `a` before `b` and `c`; `d` after both.
    fn plan() -> Plan {
        let phase = |name: &str, tasks| Phase { name: name.into(), stage: Stage::Coding, estimated_hours: 0.0, tasks };
        let ask = PlannedTask { asks: Some("q".into()), verify: None, ..planned("ask.q", &[]) };
        let phases = vec![
            phase("Questions", vec![ask]),
            phase("Work", vec![planned("a", &["ask.q"]), planned("b", &["a"])]),
            phase("More", vec![planned("c", &["a"])]),
            phase("End", vec![planned("d", &["b", "c"])]),
        ];
        let mut plan = Plan { phases, deliverables: vec!["It".into()], ..Plan::unmade("T") };
        plan.sum_estimates();
        plan
    }

    fn task(key: &str, state: TaskState) -> Task {
        let at = |begun: bool| begun.then(|| "2025-11-14T10:00:00Z".parse().expect("valid"));
        Task { state, started_at: at(!matches!(state, TaskState::Waiting | TaskState::Ready)), ..Task::sample(key) }
    }

    /// `a` is done, `c` is being worked on.
    fn kept() -> Kept {
        use TaskState::{Done, Ready, Running, Waiting};
        Kept::of(&plan(), &[task("ask.q", Done), task("a", Done), task("b", Ready), task("c", Running), task("d", Waiting)])
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let of =
            |phase: &Phase| phase.tasks.iter().map(|task| format!("{}/{}:{}", phase.name, task.key, task.depends_on.join("+"))).collect::<Vec<_>>();
        plan.phases.iter().flat_map(of).collect()
    }

    #[test]
    fn what_is_left_is_edited_and_what_has_begun_stays_as_it_is() {
        let mut draft = PlanDraft::of(&plan(), &kept());
        let left: Vec<&str> = draft.phases.iter().flat_map(|phase| &phase.tasks).filter_map(|task| task.key.as_deref()).collect();
        assert_eq!(left, ["b", "d"]);
        assert_eq!(draft.apply(&plan(), &kept()), Ok(plan()), "without edits it is the plan itself");
        let new = TaskDraft { title: "Docs".into(), minutes: 2.0, verify: "test -e README".into(), ..TaskDraft::default() };
        draft.phases[0].tasks[0] = TaskDraft { after: Some(vec!["c".into()]), ..new.clone() };
        draft.phases[1].tasks[0].title = "Do it all".into();
        draft.phases.insert(1, PhaseDraft { name: "Between".into(), tasks: vec![new] });
        let changed = draft.apply(&plan(), &kept()).unwrap();
        assert_eq!(shown(&changed), ["Questions/ask.q:", "Work/a:ask.q", "Work/docs:c", "Between/docs-2:docs", "More/c:a", "End/d:a+c"]);
        let begun = |plan: &Plan| plan.tasks().filter(|task| kept().has(&task.key)).cloned().collect::<Vec<_>>();
        assert_eq!(begun(&changed), begun(&plan()));
        assert_eq!(changed.tasks().last().unwrap().title, "Do it all");
    }

    #[test]
    fn new_work_comes_after_what_was_begun_last_unless_it_says_otherwise() {
        let new = |after: Option<Vec<String>>| TaskDraft { title: "New".into(), minutes: 1.0, verify: "true".into(), after, ..TaskDraft::default() };
        let after = |after: Option<Vec<String>>| {
            let draft = PlanDraft { phases: vec![PhaseDraft { name: "New".into(), tasks: vec![new(after)] }], deliverables: vec![] };
            draft.apply(&plan(), &kept()).unwrap().tasks().find(|task| task.key == "new").unwrap().depends_on.clone()
        };
        assert_eq!(after(None), ["c"]);
        assert_eq!(after(Some(vec!["a".into()])), ["a"]);
        assert_eq!(after(Some(vec![])), ["ask.q"]);
    }

    #[test]
    fn a_begun_task_may_be_repeated_but_not_changed() {
        let whole = PlanDraft::of(&plan(), &Kept::of(&plan(), &[]));
        assert_eq!(whole.apply(&plan(), &kept()), Ok(plan()));
        let refused = |change: &dyn Fn(&mut PlanDraft)| {
            let mut draft = whole.clone();
            change(&mut draft);
            let error = draft.apply(&plan(), &kept()).unwrap_err().errors.remove(0);
            (error.field, error.message)
        };
        let (field, message) = refused(&|draft| draft.phases[0].tasks[0].verify = "false".into());
        assert_eq!(field, "edits.phases[0].tasks[0].verify");
        assert!(message.starts_with("`a` is done and stays as it is."), "{message}");
        let (field, message) = refused(&|draft| draft.phases[1].tasks[0].after = Some(vec![]));
        assert_eq!(field, "edits.phases[1].tasks[0].after");
        assert!(message.starts_with("`c` is being worked on and stays as it is."), "{message}");
        let (field, _) = refused(&|draft| draft.phases[0].name = "Other".into());
        assert_eq!(field, "edits.phases[0].tasks[0].key", "nor moved to another phase");
    }

    #[test]
    fn nothing_left_an_unknown_task_and_a_circle_are_refused_with_a_remedy() {
        let refused = |change: &dyn Fn(&mut PlanDraft)| {
            let mut draft = PlanDraft::of(&plan(), &kept());
            change(&mut draft);
            let error = draft.apply(&plan(), &kept()).unwrap_err().errors.remove(0);
            format!("{}: {}", error.field, error.message)
        };
        assert!(refused(&|draft| draft.phases.clear()).starts_with("edits.phases: Nothing would be left to do."));
        assert!(
            refused(&|draft| draft.phases[0].tasks[0].key = Some("x".into())).starts_with("edits.phases[0].tasks[0].key: It is the key of no task")
        );
        assert!(
            refused(&|draft| draft.phases[0].tasks[0].after = Some(vec!["x".into()])).starts_with("edits.phases[0].tasks[0].after: `x` is the key")
        );
        assert!(refused(&|draft| draft.phases[0].tasks[0].after = Some(vec!["d".into()])).contains("`b`, `d` wait for each other in a circle."));
    }
}
