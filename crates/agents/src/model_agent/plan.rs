//! A plan by a model: asked for as JSON of a given shape, checked, sent back with what is wrong at most twice, and turned into our own plan. It
//! must not know how a plan is kept or approved.

use std::{collections::BTreeSet, sync::Arc};

use grace_domain::{
    baseline::KEY as BASELINE,
    intent::IntentRequest,
    model::ModelRole,
    parallel::Graph,
    plan::{Assumption, Choice, Confidence, ConfidenceLevel, Modification, Phase, Plan, PlannedTask, Question},
    present::counted,
    problem::{Problem, ProblemKind},
    spec::Mark,
    status::Stage,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{baseline, prompt, rest};
use crate::{
    agent::{Models, PlanInputs, Unanswered},
    model::{Message, ModelRequest, OutputSchema},
    policy::Verdict,
};

/// How often a plan is sent back.
const REPAIRS: u32 = 2;
/// Bounds of a plan.
const PHASES: usize = 12;
const TASKS: usize = 60;
const QUESTIONS: usize = 6;
const LIST: usize = 30;
const OUTPUT_TOKENS: u32 = 16_000;

/// The plan as a model writes it.
#[derive(Debug, Deserialize)]
struct Written {
    title: String,
    phases: Vec<WrittenPhase>,
    deliverables: Vec<String>,
    #[serde(default)]
    assumptions: Vec<String>,
    #[serde(default)]
    not_covered: Vec<String>,
    #[serde(default)]
    risks: Vec<String>,
    #[serde(default)]
    questions: Vec<WrittenQuestion>,
    #[serde(default)]
    changes: Vec<WrittenChange>,
    #[serde(default)]
    baseline: String,
}

#[derive(Debug, Deserialize)]
struct WrittenPhase {
    name: String,
    tasks: Vec<WrittenTask>,
}

#[derive(Debug, Deserialize)]
struct WrittenTask {
    key: String,
    title: String,
    stage: String,
    detail: String,
    #[serde(default)]
    files: Vec<String>,
    verify: String,
    minutes: f64,
    /// Keys of the tasks that it needs; absent: of the one before it.
    #[serde(default)]
    after: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct WrittenQuestion {
    key: String,
    text: String,
    options: Vec<WrittenOption>,
    default: String,
    default_reason: String,
}

#[derive(Debug, Deserialize)]
struct WrittenOption {
    label: String,
    consequence: String,
}

#[derive(Debug, Deserialize)]
struct WrittenChange {
    applied: bool,
    outcome: String,
}

/// Asks for a plan.
pub async fn plan(request: &IntentRequest, inputs: &PlanInputs, models: &dyn Models) -> Result<Plan, Problem> {
    let mut asked = ModelRequest {
        system: prompt::planning(),
        messages: vec![Message::user(prompt::plan_request(request, inputs))].into(),
        output_schema: Some(OutputSchema { name: "plan".into(), schema: schema() }),
        max_output_tokens: Some(OUTPUT_TOKENS.min(models.context_tokens(ModelRole::Planning).await / 2)),
        ..ModelRequest::default()
    };
    let opening = json!({"system": asked.system, "request": prompt::plan_request(request, inputs), "schema": schema()});
    models.record("opening", &opening).await;
    let mut wrong = String::new();
    for _ in 0..=REPAIRS {
        let answer = models.respond(ModelRole::Planning, &asked, &models.cancel()).await.map_err(unanswered)?;
        models.record("answer", &json!({"parts": answer.parts, "usage": answer.usage})).await;
        match read(&answer.text()).and_then(|written| checked(written, inputs)) {
            Ok(mut plan) => {
                plan.assumptions.extend(assumed(request));
                return Ok(plan);
            }
            Err(problems) => {
                wrong = problems.join(" ");
                let text = format!("The plan cannot be used yet:\n- {}\nAnswer with the whole corrected plan.", problems.join("\n- "));
                models.record("note", &json!({"sent_back": text})).await;
                Arc::make_mut(&mut asked.messages).extend([Message::assistant(answer.parts), Message::user(text)]);
            }
        }
    }
    Err(Problem::new(
        ProblemKind::Unavailable,
        "plan_unusable",
        format!(
            "The model gave no usable plan in {} tries; the last one: {wrong} Try again, describe it in other words, or choose another model for planning.",
            REPAIRS + 1
        ),
    ))
}

/// What Grace itself takes for granted of what was given beside the description, so that the plan says it whatever the model does.
fn assumed(request: &IntentRequest) -> Vec<Assumption> {
    let artifacts = &request.artifacts;
    let mut list = Vec::new();
    if !artifacts.files.is_empty() {
        list.push("The given files are in inputs/ before the first task, byte for byte; they are no work of the build.".to_owned());
    }
    if !artifacts.datasets.is_empty() || !artifacts.docs.is_empty() {
        list.push("Addresses of datasets and documents are passed on as references: nobody opens them.".to_owned());
    }
    list.into_iter().map(|text| Assumption { text, mark: Mark::Default }).collect()
}

fn unanswered(why: Unanswered) -> Problem {
    let code = match &why {
        Unanswered::NoModel(_) => "needs_model",
        Unanswered::OverBudget(_) => "over_budget",
        Unanswered::Failed(_) | Unanswered::Unavailable(_) => "model_failed",
    };
    Problem::unavailable(code, why.to_string())
}

/// Models put JSON into fences and sentences around it, however they are asked.
fn read(text: &str) -> Result<Written, Vec<String>> {
    let start = text.find('{').unwrap_or(0);
    let end = text.rfind('}').map_or(text.len(), |end| end + 1);
    let json = text.get(start..end.max(start)).unwrap_or_default();
    serde_json::from_str(json).map_err(|error| vec![format!("It is not JSON of the given shape: {error}.")])
}

fn checked(written: Written, inputs: &PlanInputs) -> Result<Plan, Vec<String>> {
    let mut wrong = Vec::new();
    // Those of tasks that stay are taken.
    let mut keys: BTreeSet<String> = inputs.rest.iter().flat_map(|rest| rest.kept.keys()).map(str::to_owned).collect();
    let tasks: usize = written.phases.iter().map(|phase| phase.tasks.len()).sum();
    if written.title.trim().is_empty() {
        wrong.push("`title` is empty.".to_owned());
    }
    if tasks == 0 || tasks > TASKS || written.phases.len() > PHASES {
        wrong.push(format!("It has {tasks} tasks in {} phases; 1 to {TASKS} tasks in at most {PHASES} phases are needed.", written.phases.len()));
    }
    for task in written.phases.iter().flat_map(|phase| &phase.tasks) {
        let name = &task.key;
        if name.is_empty() || name.len() > 60 || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)) {
            wrong.push(format!("The key `{}` must be 1 to 60 of a-z, 0-9, dot, line and underscore.", short(name)));
        }
        if name == BASELINE {
            wrong.push(format!("The key `{name}` is Grace's own: it runs the existing tests by itself, with the command in `baseline`."));
        }
        if !keys.insert(name.clone()) {
            wrong.push(format!("The key `{}` is there twice, or that of a task that stays.", short(name)));
        }
        if stage(&task.stage).is_none() {
            wrong.push(format!("`{}`: the stage `{}` is none of designing, coding, testing, documenting.", short(name), short(&task.stage)));
        }
        if task.verify.trim().is_empty() {
            wrong.push(format!("`{}`: `verify` must be a command that fails while the task is not done.", short(name)));
        }
        if let Some(why) = Verdict::of(&inputs.policy, &task.verify).refusal() {
            wrong.push(format!("`{}`: `verify` cannot be `{}`. {why}", short(name), short(&task.verify)));
        }
        if !task.minutes.is_finite() || task.minutes <= 0.0 || task.minutes > 600.0 {
            wrong.push(format!("`{}`: `minutes` must be more than 0 and at most 600.", short(name)));
        }
    }
    if let Some(why) = Verdict::of(&inputs.policy, &written.baseline).refusal() {
        wrong.push(format!("`baseline` cannot be `{}`. {why}", short(&written.baseline)));
    }
    wrong.extend(wrong_order(&written, inputs));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    if !written.questions.is_empty() || inputs.rest.is_some() {
        names.insert("Questions");
    }
    if !written.questions.is_empty() && inputs.rest.is_some() {
        wrong.push("While tasks are carried out, a plan asks nothing: leave `questions` empty, and decide as the person would.".to_owned());
    }
    if inputs.repository.is_some() {
        names.insert("Existing tests");
    }
    for phase in &written.phases {
        if phase.name.trim().is_empty() || !names.insert(phase.name.as_str()) {
            wrong.push(format!("The phase name `{}` is empty, taken or there twice.", short(&phase.name)));
        }
    }
    if written.questions.len() > QUESTIONS {
        wrong.push(format!("{} questions are too many; ask at most {QUESTIONS}, only where the answer changes the work.", written.questions.len()));
    }
    for question in &written.questions {
        let labels: BTreeSet<&str> = question.options.iter().map(|option| option.label.trim()).collect();
        if question.key.trim().is_empty() || !keys.insert(format!("ask.{}", question.key)) {
            wrong.push(format!("The question key `{}` must be there once and not be empty.", short(&question.key)));
        }
        if labels.len() != question.options.len() || !(2..=5).contains(&labels.len()) || labels.contains("") {
            wrong.push(format!("`{}` needs 2 to 5 different options.", short(&question.key)));
        }
        if !labels.contains(question.default.trim()) {
            wrong.push(format!("The default of `{}` must be the label of one of its options.", short(&question.key)));
        }
    }
    if written.changes.len() != inputs.modifications.len() {
        wrong.push(format!("`changes` must have one entry for each of the {} wishes, in their order.", inputs.modifications.len()));
    }
    if !wrong.is_empty() {
        wrong.truncate(20);
        return Err(wrong);
    }
    Ok(ours(written, inputs))
}

/// What is wrong with who comes after whom.
fn wrong_order(written: &Written, inputs: &PlanInputs) -> Vec<String> {
    let mut wrong = Vec::new();
    let tasks: Vec<&WrittenTask> = written.phases.iter().flat_map(|phase| &phase.tasks).collect();
    for task in &tasks {
        for key in task.after.iter().flatten() {
            let stays = inputs.rest.as_ref().is_some_and(|rest| rest.kept.has(key));
            if !stays && !tasks.iter().any(|other| other.key == *key) {
                wrong.push(format!("`{}`: `after` names `{}`, which is no task of the plan.", short(&task.key), short(key)));
            }
        }
    }
    let after: Vec<(&str, Vec<String>)> = tasks.iter().zip(order(&tasks, false)).map(|(task, after)| (task.key.as_str(), after)).collect();
    // What is there twice is said elsewhere.
    if after.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len() < tasks.len() {
        return wrong;
    }
    let circle = Graph::new(after.iter().map(|(key, after)| (*key, after.as_slice()))).circle();
    if !circle.is_empty() {
        wrong.push(format!("The tasks `{}` wait for each other in a circle.", circle.into_iter().map(short).collect::<Vec<_>>().join("`, `")));
    }
    wrong
}

/// What each task comes after. `in_line`: all of them one after another, whatever is said.
fn order(tasks: &[&WrittenTask], in_line: bool) -> Vec<Vec<String>> {
    let before = |place: usize| place.checked_sub(1).map(|before| tasks[before].key.clone()).into_iter().collect();
    let said = |task: &WrittenTask| if in_line { None } else { task.after.clone() };
    tasks.iter().enumerate().map(|(place, task)| said(task).unwrap_or_else(|| before(place))).collect()
}

fn ours(written: Written, inputs: &PlanInputs) -> Plan {
    let mut phases = Vec::new();
    let questions: Vec<Question> = written
        .questions
        .into_iter()
        .map(|question| Question {
            key: question.key,
            text: question.text,
            options: question
                .options
                .into_iter()
                .map(|option| Choice { label: option.label.trim().into(), consequence: option.consequence })
                .collect(),
            default: question.default.trim().into(),
            default_reason: question.default_reason,
        })
        .collect();
    // Answers come before everything that they may change.
    let mut before: Vec<String> = Vec::new();
    let mut warnings: Vec<String> = written.risks.into_iter().take(LIST).collect();
    if let Some(rest) = &inputs.rest {
        before = rest.kept.ends(&rest.plan);
    } else if let Some(repository) = &inputs.repository {
        let written = Some(written.baseline.trim()).filter(|command| !command.is_empty());
        let may_run = |command: &&str| Verdict::of(&inputs.policy, command).refusal().is_none();
        match written.or(repository.tests.iter().map(|named| named.line.as_str()).find(may_run)) {
            Some(command) => {
                phases.push(baseline::phase(command));
                before.push(BASELINE.into());
            }
            None => warnings.push("No command for tests was found in the repository, so nothing says what worked before this build.".into()),
        }
        warnings.extend(repository.missing.iter().map(|missing| format!("Not here: {missing}")));
    }
    if !questions.is_empty() {
        let asks: Vec<PlannedTask> = questions
            .iter()
            .map(|question| PlannedTask {
                key: format!("ask.{}", question.key),
                title: format!("Ask: {}", question.text),
                stage: Stage::Designing,
                estimated_seconds: 60,
                depends_on: Vec::new(),
                asks: Some(question.key.clone()),
                detail: String::new(),
                files: Vec::new(),
                verify: None,
            })
            .collect();
        before.extend(asks.iter().map(|task| task.key.clone()));
        phases.push(Phase { name: "Questions".into(), stage: Stage::Designing, estimated_hours: 0.0, tasks: asks });
    }
    // Submodules are not in the copies of the files in which tasks work at the same time.
    let in_line = inputs.repository.as_ref().is_some_and(|repository| repository.submodules);
    let mut order = order(&written.phases.iter().flat_map(|phase| &phase.tasks).collect::<Vec<_>>(), in_line).into_iter();
    for phase in written.phases {
        let mut tasks = Vec::new();
        for task in phase.tasks {
            let after = order.next().unwrap_or_default();
            let measured = inputs.estimates.seconds.get(&task.key).copied();
            tasks.push(PlannedTask {
                stage: stage(&task.stage).unwrap_or(Stage::Coding),
                estimated_seconds: measured.unwrap_or((task.minutes * 60.0).round() as u32).max(1),
                depends_on: if after.is_empty() { before.clone() } else { after },
                key: task.key,
                title: task.title,
                asks: None,
                detail: task.detail,
                files: task.files.into_iter().take(LIST).collect(),
                verify: Some(task.verify.trim().to_owned()),
            });
        }
        if let Some(first) = tasks.first() {
            phases.push(Phase { name: phase.name, stage: first.stage, estimated_hours: 0.0, tasks });
        }
    }
    let modifications = inputs
        .modifications
        .iter()
        .zip(written.changes)
        .map(|(text, change)| Modification { text: text.clone(), applied: change.applied, outcome: change.outcome })
        .collect();
    let samples = inputs.estimates.samples;
    let mut plan = Plan {
        title: written.title.trim().chars().take(80).collect(),
        phases,
        deliverables: written.deliverables.into_iter().take(LIST).collect(),
        not_covered: written.not_covered.into_iter().take(LIST).collect(),
        assumptions: written.assumptions.into_iter().take(LIST).map(|text| Assumption { text, mark: Mark::Inferred }).collect(),
        questions,
        warnings,
        compliance: Vec::new(),
        confidence: Confidence {
            level: if samples >= 3 { ConfidenceLevel::Medium } else { ConfidenceLevel::Low },
            samples,
            basis: if samples == 0 {
                "the model's own estimate; no like build has finished here yet".into()
            } else {
                format!("the model's estimate, and {} that finished here", counted(samples.into(), "like build", "like builds"))
            },
        },
        modifications,
        spec: None,
        topology: None,
    };
    if let Some(rest) = &inputs.rest {
        plan = rest::joined(rest, plan);
    }
    plan.sum_estimates();
    plan
}

fn stage(text: &str) -> Option<Stage> {
    Stage::parse(text).filter(|stage| matches!(stage, Stage::Designing | Stage::Coding | Stage::Testing | Stage::Documenting))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Every field is required and nothing else allowed, because some providers take no other schemas.
fn schema() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let object = |fields: Vec<(&str, Value)>| {
        let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let properties: serde_json::Map<String, Value> = fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    };
    let list = |items: Value| json!({"type": "array", "items": items});
    let task = object(vec![
        ("key", text.clone()),
        ("title", text.clone()),
        ("stage", json!({"type": "string", "enum": ["designing", "coding", "testing", "documenting"]})),
        ("detail", text.clone()),
        ("files", texts.clone()),
        ("after", texts.clone()),
        ("verify", text.clone()),
        ("minutes", json!({"type": "number"})),
    ]);
    let question = object(vec![
        ("key", text.clone()),
        ("text", text.clone()),
        ("options", list(object(vec![("label", text.clone()), ("consequence", text.clone())]))),
        ("default", text.clone()),
        ("default_reason", text.clone()),
    ]);
    object(vec![
        ("title", text.clone()),
        ("phases", list(object(vec![("name", text.clone()), ("tasks", list(task))]))),
        ("deliverables", texts.clone()),
        ("assumptions", texts.clone()),
        ("not_covered", texts.clone()),
        ("risks", texts),
        ("questions", list(question)),
        ("changes", list(object(vec![("applied", json!({"type": "boolean"})), ("outcome", text.clone())]))),
        ("baseline", text),
    ])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::repository::{Named, Repository};

    pub fn inputs(modifications: &[&str]) -> PlanInputs {
        PlanInputs {
            modifications: modifications.iter().map(|text| (*text).to_owned()).collect(),
            ..PlanInputs::new(chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap())
        }
    }

    pub fn written() -> Value {
        json!({
            "title": "Word counter",
            "phases": [
                {"name": "Code", "tasks": [
                    {"key": "lib", "title": "Count", "stage": "coding", "detail": "Count words.", "files": ["src/lib.rs"], "verify": "cargo build", "minutes": 5},
                    {"key": "tests", "title": "Test", "stage": "testing", "detail": "", "files": [], "verify": "cargo test", "minutes": 1.5}
                ]}
            ],
            "deliverables": ["A library"], "assumptions": ["ASCII"], "not_covered": [], "risks": [],
            "questions": [{"key": "case", "text": "Does case matter?", "options": [{"label": "Yes", "consequence": "A and a differ"}, {"label": "No", "consequence": "same"}], "default": "No", "default_reason": "usual"}],
            "changes": []
        })
    }

    pub fn plan_of(value: &Value, inputs: &PlanInputs) -> Result<Plan, Vec<String>> {
        read(&format!("Here it is:\n```json\n{value}\n```")).and_then(|written| checked(written, inputs))
    }

    #[test]
    fn questions_come_first_and_tasks_follow_one_another() {
        let plan = plan_of(&written(), &inputs(&[])).unwrap();
        let tasks: Vec<(&str, Vec<&str>)> =
            plan.tasks().map(|task| (task.key.as_str(), task.depends_on.iter().map(String::as_str).collect())).collect();
        assert_eq!(tasks, [("ask.case", vec![]), ("lib", vec!["ask.case"]), ("tests", vec!["lib"])]);
        assert_eq!(plan.phases[0].name, "Questions");
        assert_eq!(plan.tasks().nth(1).unwrap().estimated_seconds, 300);
    }

    #[test]
    fn tasks_that_need_nothing_of_each_other_come_after_the_same_ones() {
        let mut value = written();
        let task = |key: &str, after: &[&str]| json!({"key": key, "title": key, "stage": "coding", "detail": "", "verify": "true", "minutes": 1, "after": after});
        value["phases"] =
            json!([{"name": "Code", "tasks": [task("a", &[]), task("b", &["a"]), task("c", &["a"]), task("d", &[]), task("e", &["b", "c", "d"])]}]);
        let order = |value: &Value, inputs: &PlanInputs| -> Vec<String> {
            let plan = plan_of(value, inputs).unwrap();
            plan.tasks().filter(|task| task.asks.is_none()).map(|task| format!("{}:{}", task.key, task.depends_on.join("+"))).collect()
        };
        assert_eq!(order(&value, &inputs(&[])), ["a:ask.case", "b:a", "c:a", "d:ask.case", "e:b+c+d"]);
        let submodules = Repository { submodules: true, ..Repository::default() };
        let within = PlanInputs { repository: Some(submodules), ..inputs(&[]) };
        assert_eq!(order(&value, &within), ["a:ask.case", "b:a", "c:b", "d:c", "e:d"]);
        value["phases"][0]["tasks"][0]["after"] = json!(["e", "nothing"]);
        let wrong = plan_of(&value, &inputs(&[])).unwrap_err();
        assert_eq!(
            wrong,
            ["`a`: `after` names `nothing`, which is no task of the plan.", "The tasks `a`, `e`, `b` wait for each other in a circle."]
        );
    }

    #[test]
    fn what_is_wrong_is_said_all_at_once() {
        let mut value = written();
        value["phases"][0]["tasks"][1]["key"] = json!("lib");
        value["phases"][0]["tasks"][0]["verify"] = json!(" ");
        value["phases"][0]["tasks"][0]["stage"] = json!("deploying");
        value["questions"][0]["default"] = json!("Maybe");
        let wrong = plan_of(&value, &inputs(&["Faster"])).unwrap_err();
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert!(read("I cannot do that.").is_err());
    }

    #[test]
    fn a_repositorys_own_tests_are_run_before_everything_else() {
        let found = Named { line: "make test".into(), from: "Makefile".into() };
        let with = |tests: Vec<Named>| PlanInputs { repository: Some(Repository { tests, ..Repository::default() }), ..inputs(&[]) };
        let mut value = written();
        let commands = |value: &Value, inputs: &PlanInputs| {
            let plan = plan_of(value, inputs).unwrap();
            assert_eq!(plan.tasks().nth(2).unwrap().depends_on, ["baseline", "ask.case"]);
            let first = plan.tasks().next().unwrap();
            (first.key.clone(), first.verify.clone().unwrap())
        };
        assert_eq!(commands(&value, &with(vec![found.clone()])), ("baseline".into(), "make test".into()));
        value["baseline"] = json!("make check");
        assert_eq!(commands(&value, &with(vec![found])), ("baseline".into(), "make check".into()));
        value["baseline"] = json!("");
        let none = plan_of(&value, &with(Vec::new())).unwrap();
        assert!(none.tasks().all(|task| task.key != "baseline") && none.warnings[0].starts_with("No command for tests"), "{:?}", none.warnings);
        value["phases"][0]["tasks"][0]["key"] = json!("baseline");
        assert!(plan_of(&value, &inputs(&[])).unwrap_err()[0].contains("is Grace's own"));
    }
}
