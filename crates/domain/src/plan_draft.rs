//! A plan as a person edits it: its tasks, what proves each, how long it should take, and what comes out. It must not know how a plan is made or kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    baseline,
    parallel::Graph,
    plan::{Phase, Plan, PlannedTask},
    plan_rest::{Kept, is_graces},
    problem::{FieldError, Problem},
    status::Stage,
};

/// Bounds of an edited plan.
const PHASES: usize = 12;
const TASKS: usize = 60;
const TITLE: usize = 200;
const TEXT: usize = 4_000;
const DELIVERABLES: usize = 30;
const MINUTES: f64 = 600.0;
/// Longest key that is made of a title, in bytes.
const KEY: usize = 40;

/// The whole of what can be edited; what is left out is gone. Tasks that have begun stay as they are and may be left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanDraft {
    pub phases: Vec<PhaseDraft>,
    pub deliverables: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PhaseDraft {
    pub name: String,
    pub tasks: Vec<TaskDraft>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TaskDraft {
    /// Of a task that is in the plan; absent for a new one.
    #[serde(default)]
    pub key: Option<String>,
    pub title: String,
    pub minutes: f64,
    /// What is to be done, for the agent.
    #[serde(default)]
    pub detail: String,
    /// The command that proves it.
    pub verify: String,
    /// Keys of tasks that it comes after, begun ones too. Absent: as it was; for a new task, the one before it.
    #[serde(default)]
    pub after: Option<Vec<String>>,
}

fn minutes(task: &PlannedTask) -> f64 {
    f64::from(task.estimated_seconds) / 60.0
}

impl PlanDraft {
    /// A plan to be edited, without what is kept.
    pub fn of(plan: &Plan, kept: &Kept) -> Self {
        let task = |task: &PlannedTask| TaskDraft {
            key: Some(task.key.clone()),
            title: task.title.clone(),
            minutes: minutes(task),
            detail: task.detail.clone(),
            verify: task.verify.clone().unwrap_or_default(),
            after: None,
        };
        let phases = plan.phases.iter().filter_map(|phase| {
            let tasks: Vec<TaskDraft> = phase.tasks.iter().filter(|task| !kept.has(&task.key)).map(task).collect();
            (!tasks.is_empty()).then(|| PhaseDraft { name: phase.name.clone(), tasks })
        });
        Self { phases: phases.collect(), deliverables: plan.deliverables.clone() }
    }

    /// The plan with the edits in it, and with what is kept as it is.
    ///
    /// # Errors
    /// A [`Problem`] that names every field at fault, `edits.phases[0].tasks[1].minutes`, and what each needs.
    pub fn apply(&self, plan: &Plan, kept: &Kept) -> Result<Plan, Problem> {
        let left = self.left(kept);
        let wrong = self.wrong(plan, kept, &left);
        if !wrong.is_empty() {
            return Err(Problem::invalid(wrong));
        }
        let mut edited = plan.clone();
        edited.deliverables = self.deliverables.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
        let own = kept.graces(plan);
        let keys = left.keys(kept);
        let mut phases = Vec::with_capacity(left.phases.len());
        let mut place: usize = 0;
        for phase in &left.phases {
            let mut tasks = Vec::with_capacity(phase.tasks.len());
            for draft in &phase.tasks {
                let known = draft.key.as_ref().and_then(|key| plan.tasks().find(|task| task.key == *key));
                let mut after = match (&draft.after, known) {
                    (Some(after), _) => after.clone(),
                    (None, Some(task)) => still_before(plan, task, |key| kept.has(key) || keys.iter().any(|left| left == key)),
                    (None, None) => place.checked_sub(1).map_or_else(|| kept.ends(plan), |before| vec![keys[before].clone()]),
                };
                if !after.iter().any(|key| keys.contains(key) || kept.has_begun(key)) {
                    // Nothing begins before it is known what was asked.
                    after.clone_from(&own);
                }
                let was = known.filter(|task| (minutes(task) - draft.minutes).abs() < 0.001).map(|task| task.estimated_seconds);
                tasks.push(PlannedTask {
                    key: keys[place].clone(),
                    title: draft.title.trim().to_owned(),
                    stage: known.map_or(Stage::Coding, |task| task.stage),
                    estimated_seconds: was.unwrap_or((draft.minutes * 60.0).round() as u32).max(1),
                    depends_on: after,
                    asks: None,
                    detail: draft.detail.trim().to_owned(),
                    files: known.map(|task| task.files.clone()).unwrap_or_default(),
                    verify: Some(draft.verify.trim().to_owned()),
                });
                place += 1;
            }
            phases.push(Phase { name: phase.name.trim().to_owned(), stage: tasks[0].stage, estimated_hours: 0.0, tasks });
        }
        edited.phases = kept.join(plan, phases);
        let order = edited.tasks().map(|task| (task.key.as_str(), task.depends_on.as_slice()));
        let circle = Graph::new(order).circle();
        if !circle.is_empty() {
            let text =
                format!("The tasks `{}` wait for each other in a circle. Take one of them out of the `after` of another.", circle.join("`, `"));
            return Err(Problem::invalid_field("edits.phases", text));
        }
        edited.sum_estimates();
        Ok(edited)
    }

    /// The draft without the begun tasks that it repeats.
    fn left(&self, kept: &Kept) -> Self {
        let mut left = self.clone();
        left.phases.retain_mut(|phase| {
            let listed = phase.tasks.len();
            phase.tasks.retain(|task| !task.key.as_ref().is_some_and(|key| kept.has_begun(key)));
            listed == phase.tasks.len() || !phase.tasks.is_empty()
        });
        left
    }

    fn wrong(&self, plan: &Plan, kept: &Kept, left: &Self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        let mut say = |field: String, message: String| wrong.push(FieldError { field: format!("edits.{field}"), message });
        let tasks: usize = left.phases.iter().map(|phase| phase.tasks.len()).sum();
        if tasks == 0 && kept.is_begun() {
            say("phases".into(), "Nothing would be left to do. Leave a task in or add one; to end with what is done, stop the build.".into());
        } else if tasks == 0 || tasks > TASKS || self.phases.len() > PHASES {
            say("phases".into(), format!("1 to {TASKS} tasks in at most {PHASES} phases are needed; these are {tasks} in {}.", self.phases.len()));
        }
        if self.deliverables.len() > DELIVERABLES || self.deliverables.iter().any(|text| text.chars().count() > TITLE) {
            say("deliverables".into(), format!("At most {DELIVERABLES} of at most {TITLE} characters are kept."));
        }
        let graces = plan.phases.iter().filter(|phase| phase.tasks.iter().any(is_graces)).map(|phase| phase.name.as_str());
        let mut names: BTreeSet<&str> = graces.collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let keys: BTreeSet<String> = left.keys(kept).into_iter().chain(kept.keys().map(str::to_owned)).collect();
        for (at, phase) in self.phases.iter().enumerate() {
            if phase.name.trim().is_empty() || phase.name.chars().count() > TITLE || !names.insert(phase.name.trim()) {
                say(format!("phases[{at}].name"), "Give the phase a name of its own.".into());
            }
            if phase.tasks.is_empty() {
                say(format!("phases[{at}].tasks"), "A phase needs a task; take the phase out, or add one.".into());
            }
            for (number, task) in phase.tasks.iter().enumerate() {
                let field = |name: &str| format!("phases[{at}].tasks[{number}].{name}");
                if let Some(key) = task.key.as_ref().filter(|key| kept.has_begun(key)) {
                    if let Some(name) = changed(plan, key, &phase.name, task) {
                        let how = kept.stands(key);
                        say(
                            field(name),
                            format!("`{key}` {how} and stays as it is. Leave it out here, and add a task for what should be different."),
                        );
                    } else if !seen.insert(key) {
                        say(field("key"), "It is there twice.".into());
                    }
                    continue;
                }
                if task.title.trim().is_empty() || task.title.chars().count() > TITLE {
                    say(field("title"), format!("Say in 1 to {TITLE} characters what the task is."));
                }
                if !task.minutes.is_finite() || task.minutes <= 0.0 || task.minutes > MINUTES {
                    say(field("minutes"), format!("Give a number of minutes of more than 0 and at most {MINUTES}."));
                }
                if task.verify.trim().is_empty() || task.verify.chars().count() > TEXT {
                    say(field("verify"), "Give the command that fails while the task is not done.".into());
                }
                if task.detail.chars().count() > TEXT {
                    say(field("detail"), format!("At most {TEXT} characters are kept."));
                }
                if let Some(key) = &task.key
                    && (!plan.tasks().any(|task| task.key == *key && !is_graces(task)) || !seen.insert(key))
                {
                    say(field("key"), "It is the key of no task of the plan, or there twice; leave it out for a new task.".into());
                }
                if let Some(unknown) = task.after.iter().flatten().find(|key| !keys.contains(*key)) {
                    say(field("after"), format!("`{}` is the key of no task here.", unknown.chars().take(KEY).collect::<String>()));
                }
            }
        }
        wrong
    }

    /// A key for each task, in their order: its own, or one made of its title.
    fn keys(&self, kept: &Kept) -> Vec<String> {
        let drafts = || self.phases.iter().flat_map(|phase| &phase.tasks);
        let others = kept.keys().chain([baseline::KEY]).map(str::to_owned);
        let mut taken: BTreeSet<String> = drafts().filter_map(|task| task.key.clone()).chain(others).collect();
        let mut made = |title: &str| {
            let letters = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
            let spelled: String = title.chars().take(KEY).map(letters).collect();
            let words: Vec<&str> = spelled.split('-').filter(|word| !word.is_empty()).collect();
            let stem = if words.is_empty() { "task".to_owned() } else { words.join("-") };
            let key = (1..).map(|number| if number == 1 { stem.clone() } else { format!("{stem}-{number}") }).find(|key| !taken.contains(key));
            let key = key.unwrap_or(stem);
            taken.insert(key.clone());
            key
        };
        drafts().map(|task| task.key.clone().unwrap_or_else(|| made(&task.title))).collect()
    }
}

/// The field in which a draft differs from a task that has begun.
fn changed(plan: &Plan, key: &str, phase: &str, draft: &TaskDraft) -> Option<&'static str> {
    let (was_in, was) = plan.phases.iter().find_map(|phase| phase.tasks.iter().find(|task| task.key == key).map(|task| (&phase.name, task)))?;
    let differs = [
        ("title", draft.title.trim() != was.title),
        ("minutes", (draft.minutes - minutes(was)).abs() >= 0.001),
        ("detail", draft.detail.trim() != was.detail),
        ("verify", draft.verify.trim() != was.verify.as_deref().unwrap_or_default()),
        ("after", draft.after.as_ref().is_some_and(|after| *after != was.depends_on)),
        ("key", phase.trim() != was_in),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(name, _)| name)
}

/// What a task comes after, of the tasks that are `there`: for one that is gone, what that came after.
fn still_before(plan: &Plan, task: &PlannedTask, there: impl Fn(&str) -> bool) -> Vec<String> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut open: Vec<&String> = task.depends_on.iter().rev().collect();
    while let Some(key) = open.pop() {
        if !seen.insert(key) {
            continue;
        }
        let known = plan.tasks().find(|task| task.key == *key);
        match known {
            Some(gone) if !there(key) => open.extend(gone.depends_on.iter().rev()),
            _ => found.push(key.clone()),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let task = |key: &str, after: &[&str], seconds| PlannedTask {
            key: key.into(),
            title: format!("Do {key}"),
            stage: Stage::Coding,
            estimated_seconds: seconds,
            depends_on: after.iter().map(|key| (*key).to_owned()).collect(),
            asks: None,
            detail: String::new(),
            files: vec![format!("{key}.rs")],
            verify: Some("true".into()),
        };
        let phase = |name: &str, tasks| Phase { name: name.into(), stage: Stage::Coding, estimated_hours: 0.0, tasks };
        let ask = PlannedTask { asks: Some("q".into()), verify: None, ..task("ask.q", &[], 60) };
        let work = vec![task("a", &["ask.q"], 90), task("b", &["a"], 60), task("c", &["b"], 60)];
        let mut plan =
            Plan { phases: vec![phase("Questions", vec![ask]), phase("Work", work)], deliverables: vec!["It".into()], ..Plan::unmade("T") };
        plan.sum_estimates();
        plan
    }

    /// Before the plan is approved: nothing has begun.
    fn kept() -> Kept {
        Kept::of(&plan(), &[])
    }

    fn order(plan: &Plan) -> Vec<String> {
        plan.tasks().map(|task| format!("{}:{}", task.key, task.depends_on.join("+"))).collect()
    }

    #[test]
    fn a_draft_without_edits_is_the_plan_itself() {
        assert_eq!(PlanDraft::of(&plan(), &kept()).apply(&plan(), &kept()), Ok(plan()));
    }

    #[test]
    fn tasks_are_taken_out_added_and_changed_and_the_order_holds() {
        let mut draft = PlanDraft::of(&plan(), &kept());
        let tasks = &mut draft.phases[0].tasks;
        tasks.remove(1);
        tasks[0].minutes = 3.0;
        let new = TaskDraft { title: "Write docs, please!".into(), minutes: 1.5, verify: "test -e README".into(), ..TaskDraft::default() };
        tasks.push(new.clone());
        draft.phases.push(PhaseDraft { name: "Later".into(), tasks: vec![TaskDraft { after: Some(vec!["a".into()]), ..new }] });
        draft.deliverables = vec![" Docs ".into(), "  ".into()];
        let edited = draft.apply(&plan(), &kept()).unwrap();
        assert_eq!(order(&edited), ["ask.q:", "a:ask.q", "c:a", "write-docs-please:c", "write-docs-please-2:a"]);
        let seconds: Vec<u32> = edited.tasks().map(|task| task.estimated_seconds).collect();
        assert_eq!(seconds, [60, 180, 60, 90, 90]);
        assert_eq!((edited.tasks().nth(1).unwrap().files.len(), &edited.deliverables), (1, &vec!["Docs".to_owned()]));
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let mut draft = PlanDraft::of(&plan(), &kept());
        let tasks = &mut draft.phases[0].tasks;
        tasks[0] =
            TaskDraft { key: Some("ask.q".into()), title: " ".into(), minutes: f64::NAN, after: Some(vec!["none".into()]), ..TaskDraft::default() };
        tasks[2].key = Some("b".into());
        draft.phases.push(PhaseDraft { name: "Questions".into(), tasks: vec![] });
        let problem = draft.apply(&plan(), &kept()).unwrap_err();
        let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.trim_start_matches("edits.phases")).collect();
        let first = ["title", "minutes", "verify", "key", "after"].map(|name| format!("[0].tasks[0].{name}"));
        let rest = ["[0].tasks[2].key", "[1].name", "[1].tasks"].map(str::to_owned);
        assert_eq!(fields, first.into_iter().chain(rest).collect::<Vec<_>>());
        let mut circle = PlanDraft::of(&plan(), &kept());
        circle.phases[0].tasks[0].after = Some(vec!["c".into()]);
        assert!(circle.apply(&plan(), &kept()).unwrap_err().message.contains("`a`, `c`, `b` wait for each other in a circle"));
        assert_eq!(PlanDraft::default().apply(&plan(), &kept()).unwrap_err().errors[0].field, "edits.phases");
    }
}
