//! One task by a model: it calls tools until it says that it is done, and it is done when the task's own command succeeds after its last change.
//! Everything is bounded: steps, rounds of mending, repeats, the size of the conversation. It must not know budgets, providers or the database.

use std::sync::Arc;

use grace_domain::{
    event::Level,
    input::InputFile,
    model::ModelRole,
    plan::{Choice, PlannedTask, Question},
    policy::CommandFate,
    review::Wish,
    task::FailureKind,
};
use grace_sandbox::beneath::Root;
use serde_json::{Value, json};

use super::context::{self, Fit};
use super::kind::kind_of;
use super::session::{Session, Waiting};
use super::{commands, own_tools, prompt, reports, secrets, summary};
use crate::{
    agent::{Conversing, TaskContext, TaskFailure, TaskOutput, Unanswered, WrittenFile},
    inputs,
    model::{Failure, Message, ModelAnswer, ModelRequest, Part, ToolCall as Called, ToolDefinition, ToolResult, json_bytes},
    repository::Repository,
    tools::{self, ToolCall, Tools, map::Focus},
};

/// Answers of the model in one task.
const STEPS: u32 = 500;
/// How often a failing check goes back to the model.
const FIXES: u32 = 6;
/// Answers in a row without a usable call.
const IDLE: u32 = 4;
/// Equal calls with equal results in a row, before the model is told and before a person is asked.
const REPEATS_TOLD: u32 = 3;
const REPEATS: u32 = 5;
const OUTPUT_TOKENS: u32 = 16_000;
/// Longest that a task's command may take.
const VERIFY_SECONDS: u64 = 1_800;
/// Who speaks in the log.
pub const SOURCE: &str = "agent";
const GIVE_UP: &str = "Give up";

/// What a call came to.
enum Came {
    Result(ToolResult),
    Finished(TaskOutput),
    /// A person is to be asked, whether something is allowed or something else.
    Asks(Question, Option<Wish>),
}

struct Work<'a> {
    task: &'a PlannedTask,
    context: &'a dyn TaskContext,
    conversing: &'a dyn Conversing,
    tools: Tools<'a>,
    definitions: Arc<Vec<ToolDefinition>>,
    session: Session,
    /// The last call ended a round that was gone too often.
    goes_round: bool,
}

pub async fn run(task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
    let conversing = context.conversing().ok_or_else(|| TaskFailure::permanent("This task needs a model, and none can be reached from here."))?;
    let tools = Tools::new(context).map_err(|error| TaskFailure::transient(format!("The workspace cannot be opened: {error}.")))?;
    let mut work =
        Work { task, context, conversing, tools, definitions: Arc::new(own_tools::definitions()), session: Session::default(), goes_round: false };
    if work.open().await? {
        // Something was to be asked, and then the server ended.
        return work.waits().await;
    }
    loop {
        if context.cancel().is_cancelled() {
            return Err(work.unfinished(TaskFailure::stopped()));
        }
        match work.step().await {
            Ok(None) => {}
            Ok(Some(output)) => return Ok(output),
            Err(failure) => return Err(work.unfinished(failure)),
        }
    }
}

impl Work<'_> {
    /// A failure that is not for good, with the conversation for the run that goes on.
    fn unfinished(&self, failure: TaskFailure) -> TaskFailure {
        if failure.kind == FailureKind::Permanent {
            return failure;
        }
        TaskFailure { conversation: serde_json::to_value(&self.session).ok(), ..failure }
    }

    /// Ends the run with the question that the session waits for.
    async fn waits(&self) -> Result<TaskOutput, TaskFailure> {
        let conversation =
            serde_json::to_value(&self.session).map_err(|error| TaskFailure::permanent(format!("The conversation cannot be kept: {error}.")))?;
        let (question, wish) = self.session.waits.as_ref().map(|waiting| (waiting.question.clone(), waiting.wish.clone())).unzip();
        let summary = format!("Waits for an answer: {}", question.as_ref().map_or("", |question| question.text.as_str()));
        Ok(TaskOutput { summary, asks: question, wish: wish.flatten(), conversation: Some(conversation), ..self.output().await? })
    }

    /// Begins a conversation, or goes on with the one that was kept; whether that still waits for its answer.
    async fn open(&mut self) -> Result<bool, TaskFailure> {
        if let Some(kept) = self.conversing.kept() {
            self.session = serde_json::from_value(kept.clone())
                .map_err(|error| TaskFailure::permanent(format!("The conversation that was kept cannot be read: {error}. Retry the build.")))?;
            return self.answered().await;
        }
        let root =
            Root::open(self.context.workspace()).map_err(|error| TaskFailure::transient(format!("The workspace cannot be opened: {error}.")))?;
        let request = self.conversing.request();
        let focus = Focus::new(&self.task.files, &format!("{} {} {}", self.task.title, self.task.detail, request.description));
        let is_given = request.artifacts.repository.is_some();
        let files = request.artifacts.files.clone();
        let read = tokio::task::spawn_blocking(move || {
            let given = inputs::told(&root, &files, InputFile::path);
            let found = if is_given {
                Repository::read(&root, prompt::OVERVIEW, &focus)
            } else {
                tools::map::overview(&root, prompt::OVERVIEW, &focus).map(|overview| Repository { overview, ..Repository::default() })
            };
            (given, found)
        });
        let (given, found) = read.await.expect("reading files does not panic");
        let found = found.unwrap_or_else(|error| Repository { overview: format!("(It could not be read: {error}.)"), ..Repository::default() });
        let (overview, told) = (&found.overview, found.told());
        let knowledge = self.conversing.knowledge(self.task).await;
        let situation = prompt::Situation { overview, told: &told, given: &given, baseline: self.context.baseline(), knowledge: &knowledge };
        let plan = self.context.plan();
        let answers: Vec<(String, String)> =
            plan.questions.iter().filter_map(|question| Some((question.text.clone(), self.context.answers().get(&question.key)?.clone()))).collect();
        let mut text = prompt::task_request(request, plan, self.task, &answers, &situation);
        for (number, said) in self.conversing.messages(0).await {
            self.session.heard = number;
            text.push_str(&format!("\nEarlier the person said: {said}"));
        }
        self.conversing.turn("opening", &json!({"system": prompt::working(), "request": text, "tools": *self.definitions})).await;
        self.session.messages.push(Message::user(text));
        Ok(false)
    }

    /// Gives the model the answer that it waited for; whether there is none yet.
    async fn answered(&mut self) -> Result<bool, TaskFailure> {
        let Some(waiting) = &self.session.waits else { return Ok(false) };
        let Some(answer) = self.context.answers().get(&waiting.question.key).cloned() else { return Ok(true) };
        let (content, is_error) = match (&waiting.wish, &waiting.call) {
            (Some(Wish::Secret(request)), _) => (secrets::answered(&request.name, &answer), false),
            (Some(Wish::Command { .. }), Some(call)) => {
                // Cut off, the question and its answer are kept, and with them that it has begun.
                let done = self.asked_for(call, &waiting.question.key, &answer).await.map_err(|failure| self.unfinished(failure))?;
                self.conversing.turn("results", &json!([done])).await;
                (done.content, done.is_error)
            }
            _ => (format!("{}{answer}", context::PERSON_ANSWERED), false),
        };
        let Some(Waiting { call, mut results, .. }) = self.session.waits.take() else { return Ok(false) };
        match call {
            Some(call_id) => {
                let place = results.iter().position(|result| result.call_id == call_id);
                let result = ToolResult { call_id, content, is_error };
                match place {
                    Some(place) => results[place] = result,
                    None => results.push(result),
                }
                self.session.messages.push(Message::results(results));
            }
            None if answer == GIVE_UP => {
                return Err(TaskFailure::permanent("It was given up, because the agent repeated itself."));
            }
            None => self.session.messages.push(Message::user(format!("You repeated yourself. The person says: {answer}. Try another way."))),
        }
        Ok(false)
    }

    /// Does the call that a person was asked about, as they answered.
    async fn asked_for(&self, id: &str, key: &str, answer: &str) -> Result<ToolResult, TaskFailure> {
        let result = |content: String, is_error| ToolResult { call_id: id.to_owned(), content, is_error };
        let calls = self.session.messages.iter().rev().flat_map(|message| &message.parts);
        let call = calls.into_iter().find_map(|part| match part {
            Part::ToolCall(call) if call.id == id => ToolCall::parse(&call.name, &call.arguments).ok(),
            _ => None,
        });
        let Some(call) = call else { return Ok(result("The command is not known any more. Call it again if it is still wanted.".into(), true)) };
        if let Some(why) = commands::not_begun(self.context, key, answer).await? {
            return Ok(result(why, true));
        }
        self.context.log(Level::Info, SOURCE, &call.described()).await;
        let done = self.tools.call_allowed(&call, self.context.cancel()).await;
        if self.context.cancel().is_cancelled() {
            return Err(TaskFailure::stopped());
        }
        let text = match self.context.secrets() {
            Some(secrets) => secrets.redactor().redact(&done.text).into_owned(),
            None => done.text,
        };
        Ok(result(text, done.is_error))
    }

    /// Gives the model what people have said since; whether there was something.
    async fn listen_to_people(&mut self) -> bool {
        let said = self.conversing.messages(self.session.heard).await;
        for (number, text) in &said {
            self.session.heard = *number;
            self.session.messages.push(Message::user(format!("{}{text}", context::PERSON_SAYS)));
            self.conversing.turn("note", &json!({"person": text})).await;
        }
        !said.is_empty()
    }

    /// One answer of the model and what follows from it; the output when the task is done or waits.
    async fn step(&mut self) -> Result<Option<TaskOutput>, TaskFailure> {
        self.session.steps += 1;
        if self.session.steps > STEPS {
            return Err(TaskFailure::permanent(format!(
                "It was not done after {STEPS} answers of the model. Split it up, or say more exactly what is wanted."
            )));
        }
        self.listen_to_people().await;
        let answer = self.respond().await?;
        self.conversing.turn("answer", &json!({"parts": answer.parts, "usage": answer.usage})).await;
        let said = answer.text();
        if !said.trim().is_empty() {
            self.context.log(Level::Info, SOURCE, said.trim()).await;
        }
        let parts = answer.parts.clone();
        self.session.messages.push(Message::assistant(answer.parts));
        let calls: Vec<Result<Called, ToolResult>> = parts
            .into_iter()
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(Ok(call)),
                Part::InvalidArguments(call) => {
                    let content = "The arguments are no JSON object; they may have been cut short. Call again with less at once.".into();
                    Some(Err(ToolResult { call_id: call.id, content, is_error: true }))
                }
                _ => None,
            })
            .collect();
        if calls.is_empty() {
            self.idle()?;
            let text = "Go on with the tools. When the task is done, call `finish`; if you cannot go on, call `ask_person`.";
            self.session.messages.push(Message::user(text));
            return Ok(None);
        }
        self.carry_out(calls).await
    }

    fn idle(&mut self) -> Result<(), TaskFailure> {
        self.session.idle += 1;
        if self.session.idle >= IDLE {
            return Err(TaskFailure::permanent(format!(
                "The model gave {IDLE} answers in a row without a usable call. Another model may do better."
            )));
        }
        Ok(())
    }

    async fn respond(&mut self) -> Result<ModelAnswer, TaskFailure> {
        let window = self.conversing.models().context_tokens(ModelRole::Building).await;
        let output = OUTPUT_TOKENS.min(window / 4);
        // What is sent with every request is not in the messages.
        let fixed = prompt::working().len() + self.definitions.iter().map(|tool| tool.description.len() + json_bytes(&tool.schema)).sum::<usize>();
        let mut room = ((window - output) as usize * 9 / 10).saturating_sub(fixed / 3).max(1_000);
        for _ in 0..3 {
            self.fit(room).await?;
            let request = ModelRequest {
                system: prompt::working(),
                messages: Arc::new(std::mem::take(&mut self.session.messages)),
                tools: self.definitions.clone(),
                max_output_tokens: Some(output),
                ..ModelRequest::default()
            };
            let cancel = self.context.cancel();
            let asked = self.conversing.models().respond(ModelRole::Building, &request, &cancel);
            let answer = tokio::select! {
                answer = asked => answer,
                // What background commands write is logged while the model thinks.
                () = self.tools.listen() => unreachable!("listening never ends"),
            };
            self.session.messages = Arc::unwrap_or_clone(request.messages);
            match answer {
                // The stop came with the answer: nothing of it is begun any more.
                Ok(_) if cancel.is_cancelled() => return Err(TaskFailure::stopped()),
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Failed(error)) if error.failure == Failure::ContextOverflow => room /= 2,
                Err(Unanswered::Failed(error)) if error.failure == Failure::Cancelled => return Err(TaskFailure::stopped()),
                Err(Unanswered::Failed(error)) if error.failure.passes() => return Err(TaskFailure::transient(error.message)),
                Err(Unanswered::OverBudget(why)) => return Err(TaskFailure::over_budget(why)),
                Err(Unanswered::Unavailable(why)) => return Err(TaskFailure::transient(why)),
                Err(why) => return Err(TaskFailure::permanent(why.to_string())),
            }
        }
        Err(TaskFailure::permanent(
            "The task does not fit into the model's context, however much of the conversation is left out. Split it up, or choose a model with more context.",
        ))
    }

    /// Makes the conversation fit into `room` tokens.
    async fn fit(&mut self, room: usize) -> Result<(), TaskFailure> {
        match context::shorten(&mut self.session.messages, &mut self.session.left_out, room) {
            Fit::AsItIs => return Ok(()),
            Fit::Shortened => {}
            Fit::Without(oldest, room_for_summary) => {
                let steps = &self.session.messages[oldest.clone()];
                let summary = match room_for_summary {
                    Some(tokens) => summary::ask(self.conversing, self.task, steps, tokens, &self.context.cancel()).await?,
                    None => None,
                };
                context::leave_out(&mut self.session.messages, &mut self.session.left_out, oldest, summary.as_deref(), room);
            }
        }
        self.conversing.turn("note", &json!({"shortened": context::tokens(&self.session.messages)})).await;
        Ok(())
    }

    /// Does the calls of one answer in their order. When it fails midway, the calls that were done keep their results, and the others say that they
    /// were not: whoever goes on must not do again what is done.
    async fn carry_out(&mut self, calls: Vec<Result<Called, ToolResult>>) -> Result<Option<TaskOutput>, TaskFailure> {
        let mut results = Vec::new();
        let mut question = None;
        let mut failed = None;
        let usable = calls.iter().any(Result::is_ok);
        for call in calls {
            let call = match call {
                Ok(call) => call,
                Err(result) => {
                    results.push(result);
                    continue;
                }
            };
            if question.is_some() {
                let content = "Not done: the person was asked something first. Call again if it is still wanted.".into();
                results.push(ToolResult { call_id: call.id, content, is_error: true });
                continue;
            }
            if failed.is_some() {
                results.push(not_done(call.id));
                continue;
            }
            match self.one(&call).await {
                Err(failure) => {
                    failed = Some(failure);
                    results.push(not_done(call.id));
                }
                Ok(Came::Result(mut result)) => {
                    if let Some(secrets) = self.context.secrets() {
                        result.content = secrets.redactor().redact(&result.content).into_owned();
                    }
                    results.push(self.watched(&call, result));
                }
                Ok(Came::Finished(output)) => {
                    // Whoever spoke while the check ran is heard first.
                    let said = self.conversing.messages(self.session.heard).await;
                    if said.is_empty() {
                        return Ok(Some(output));
                    }
                    let content = "The check succeeded, but the person has said something meanwhile. Heed it, then call `finish` again.".into();
                    results.push(ToolResult { call_id: call.id.clone(), content, is_error: false });
                }
                Ok(Came::Asks(asked, wish)) => {
                    results.push(ToolResult { call_id: call.id.clone(), content: String::new(), is_error: false });
                    question = Some((asked, Some(call.id), wish));
                }
            }
        }
        self.conversing.turn("results", &json!(results)).await;
        if let Some(failure) = failed {
            self.session.messages.push(Message::results(results));
            return Err(failure);
        }
        if question.is_none() && std::mem::take(&mut self.goes_round) {
            self.session.circle.forget();
            question = Some((self.repeats_itself(), None, None));
        }
        if let Some((question, call, wish)) = question {
            if call.is_none() {
                self.session.messages.push(Message::results(std::mem::take(&mut results)));
            }
            self.session.waits = Some(Waiting { question, call, results, wish });
            return self.waits().await.map(Some);
        }
        self.session.messages.push(Message::results(results));
        if usable {
            self.session.idle = 0;
        } else {
            self.idle()?;
        }
        Ok(None)
    }

    /// Counts calls with their results that come again and again.
    fn watched(&mut self, call: &Called, mut result: ToolResult) -> ToolResult {
        let (round, times) = self.session.circle.turn(&call.name, &call.arguments.to_string(), &result.content);
        self.goes_round = times >= REPEATS;
        if times >= REPEATS_TOLD {
            let what = if round == 1 {
                "This very call gave this very result".to_owned()
            } else {
                format!("These {round} calls in turn gave these very results")
            };
            result.content.push_str(&format!("\n({what} {times} times in a row. Do something else.)"));
        }
        result
    }

    /// A key that no earlier question of this task had, whichever run asked it.
    fn question_key(&self) -> String {
        let before = format!("{}#", self.task.key);
        let asked = self.context.answers().keys().filter(|key| key.starts_with(&before)).count();
        format!("{before}{}", asked + 1)
    }

    fn repeats_itself(&self) -> Question {
        Question {
            key: self.question_key(),
            text: format!("The agent repeats itself at “{}” and gets no further. What now?", self.task.title),
            options: vec![
                Choice { label: "Try another way".into(), consequence: "it goes on where it is".into() },
                Choice { label: GIVE_UP.into(), consequence: "the build fails; what is committed stays".into() },
            ],
            default: "Try another way".into(),
            default_reason: "A hint that it goes in circles is often enough.".into(),
        }
    }

    async fn one(&mut self, call: &Called) -> Result<Came, TaskFailure> {
        let result = |content: String, is_error| Came::Result(ToolResult { call_id: call.id.clone(), content, is_error });
        // What is in the workspace is committed while the task waits.
        if matches!(call.name.as_str(), "ask_person" | "request_secret")
            && let Some(why) = secrets::exposed(self.context).await?
        {
            return Ok(result(why, true));
        }
        match call.name.as_str() {
            "finish" => return self.finish(call).await,
            "ask_person" => {
                return Ok(match self.question(&call.arguments) {
                    Ok(question) => Came::Asks(question, None),
                    Err(why) => result(why, true),
                });
            }
            "request_secret" => {
                return Ok(match secrets::request(self.context, &call.arguments, self.question_key()).await {
                    secrets::Asked::Said(said, is_error) => result(said, is_error),
                    secrets::Asked::Person(asked) => Came::Asks(asked.0, Some(Wish::Secret(asked.1))),
                });
            }
            "update_tasks" => {
                let lines = own_tools::listed(&call.arguments);
                for line in &lines {
                    self.context.log(Level::Info, SOURCE, line).await;
                }
                return Ok(result(format!("Noted: {} items.", lines.len()), false));
            }
            _ => {}
        }
        let parsed = match ToolCall::parse(&call.name, &call.arguments) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(result(format!("{error} There are also `finish`, `ask_person`, `request_secret` and `update_tasks`."), true)),
        };
        let verdict = self.tools.verdict(&parsed).await;
        match commands::permitted(self.context, &parsed, &verdict, self.question_key()).await? {
            commands::Permitted::Yes => {}
            commands::Permitted::No(why) => return Ok(result(why, true)),
            commands::Permitted::Person(asked) => return Ok(Came::Asks(asked.0, Some(asked.1))),
        }
        self.context.log(Level::Info, SOURCE, &parsed.described()).await;
        let done = self.tools.call_allowed(&parsed, self.context.cancel()).await;
        for file in &done.changed {
            self.context.artifact_in_progress(&file.path, kind_of(&file.path)).await;
        }
        Ok(result(done.text, done.is_error))
    }

    fn question(&self, arguments: &Value) -> Result<Question, String> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let question = text("question").ok_or("`question` is missing.")?;
        let options: Vec<Choice> = arguments
            .get("options")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(|option| {
                let part = |name: &str| option.get(name).and_then(Value::as_str).map(str::trim);
                Some(Choice {
                    label: part("label").filter(|label| !label.is_empty())?.into(),
                    consequence: part("consequence").unwrap_or_default().into(),
                })
            })
            .collect();
        let labels: std::collections::BTreeSet<&str> = options.iter().map(|option| option.label.as_str()).collect();
        if !(2..=5).contains(&labels.len()) || labels.len() != options.len() {
            return Err("Give 2 to 5 different `options`, each with `label` and `consequence`.".into());
        }
        let default = text("default").filter(|default| labels.contains(default)).ok_or("`default` must be the label of one of the options.")?;
        let default = default.to_owned();
        let default_reason = text("default_reason").ok_or("Say in `default_reason` why the default is the best guess.")?.to_owned();
        let question: String = question.chars().take(1_000).collect();
        Ok(Question { key: self.question_key(), text: question, options, default, default_reason })
    }

    /// The model says that it is done: the task's command decides.
    async fn finish(&mut self, call: &Called) -> Result<Came, TaskFailure> {
        let summary = call.arguments.get("summary").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        let summary: String = if summary.is_empty() { self.task.title.clone() } else { summary.chars().take(1_000).collect() };
        let Some(verify) = &self.task.verify else { return self.finished(call, summary).await };
        let command =
            ToolCall::Run { command: verify.clone(), working_dir: None, timeout_seconds: Some(VERIFY_SECONDS), background: None, secrets: None };
        let verdict = self.tools.verdict(&command).await;
        if let Some(why) = verdict.refusal() {
            commands::note(self.context, CommandFate::Forbidden, verify, &verdict.reason).await;
            return Err(TaskFailure::permanent(format!("`{verify}` is to prove this task. {why} Change the plan.")));
        }
        self.context.log(Level::Info, SOURCE, &format!("$ {verify}")).await;
        let checked = self.tools.call_allowed(&command, self.context.cancel()).await;
        if self.context.cancel().is_cancelled() {
            return Err(TaskFailure::stopped());
        }
        let wall = checked.exit.map_or(0, |exit| u64::try_from(exit.wall.as_millis()).unwrap_or(u64::MAX));
        if super::counts(self.context.plan(), self.task) {
            for report in reports::test_reports(&checked.text, wall) {
                self.context.tests(report).await;
            }
        }
        let succeeded = checked.exit.is_some_and(|exit| exit.exit.is_success());
        self.conversing.turn("note", &json!({"verified": verify, "succeeded": succeeded, "output": checked.text})).await;
        if succeeded {
            let summary = format!("{summary} (`{verify}` succeeded in {:.1} s)", wall as f64 / 1_000.0);
            return self.finished(call, summary).await;
        }
        self.session.fixes += 1;
        if self.session.fixes >= FIXES {
            let last: Vec<&str> = checked.text.lines().rev().take(5).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            return Err(TaskFailure::permanent(format!(
                "`{verify}` still fails after {FIXES} rounds of mending. Its last lines: {}",
                last.join(" / ")
            )));
        }
        self.context.log(Level::Warn, SOURCE, &format!("Not done: `{verify}` failed; mending, round {} of {}.", self.session.fixes, FIXES - 1)).await;
        let content = format!("{}{verify}` failed. Mend the cause and call `finish` again.\n{}", context::CHECK_FAILED, checked.text);
        Ok(Came::Result(ToolResult { call_id: call.id.clone(), content, is_error: true }))
    }

    /// The task is done, unless what would be committed holds a secret's value.
    async fn finished(&self, call: &Called, summary: String) -> Result<Came, TaskFailure> {
        if let Some(why) = secrets::exposed(self.context).await? {
            self.context.log(Level::Warn, SOURCE, &format!("Not done: {why}")).await;
            return Ok(Came::Result(ToolResult { call_id: call.id.clone(), content: format!("Not done: {why}"), is_error: true }));
        }
        Ok(Came::Finished(TaskOutput { summary, ..self.output().await? }))
    }

    async fn output(&self) -> Result<TaskOutput, TaskFailure> {
        let files = self.conversing.changed().await?.into_iter().map(|path| WrittenFile { kind: kind_of(&path), path }).collect();
        Ok(TaskOutput { files, ..TaskOutput::default() })
    }
}

/// The result of a call that the end of the run came before.
fn not_done(call_id: String) -> ToolResult {
    ToolResult { call_id, content: "Not done: the work was interrupted. Call again if it is still wanted.".into(), is_error: true }
}
