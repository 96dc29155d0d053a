//! The tests that a given repository brought with it, run before anything is changed. Whatever they say, the build goes on: what was red before
//! is not its fault, but people and the model must know. It must not know how the outcome is kept.

use std::time::Duration;

use grace_domain::{
    baseline::{Baseline, KEY},
    event::Level,
    plan::{Phase, PlannedTask},
    policy::CommandFate,
    status::Stage,
};
use grace_sandbox::Exit;

use super::{commands, reports, work::SOURCE};
use crate::{
    agent::{TaskContext, TaskFailure, TaskOutput},
    tools::{ToolCall, Tools},
};

/// Longest that the tests may take.
const SECONDS: u64 = 900;
const LAST_LINES: usize = 20;
const LINE_CHARS: usize = 300;

/// The phase that comes before all others.
pub fn phase(command: &str) -> Phase {
    let task = PlannedTask {
        key: KEY.into(),
        title: "Run the existing tests first".into(),
        stage: Stage::Designing,
        estimated_seconds: 60,
        depends_on: Vec::new(),
        asks: None,
        detail: "What they say is shown and told to the agent; tests that fail already do not stop the build.".into(),
        files: Vec::new(),
        verify: Some(command.to_owned()),
    };
    Phase { name: "Existing tests".into(), stage: Stage::Designing, estimated_hours: 0.0, tasks: vec![task] }
}

pub async fn run(task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
    let command = task.verify.clone().ok_or_else(|| TaskFailure::permanent("The plan names no command for the existing tests."))?;
    let tools = Tools::new(context).map_err(|error| TaskFailure::transient(format!("The workspace cannot be opened: {error}.")))?;
    let call = ToolCall::Run { command: command.clone(), working_dir: None, timeout_seconds: Some(SECONDS), background: None, secrets: None };
    let verdict = tools.verdict(&call).await;
    if let Some(why) = verdict.refusal() {
        commands::note(context, CommandFate::Forbidden, &command, &verdict.reason).await;
        return Err(TaskFailure::permanent(format!("`{command}` is to run the existing tests. {why} Change the plan.")));
    }
    context.log(Level::Info, SOURCE, &format!("$ {command}")).await;
    let said = tools.call_allowed(&call, context.cancel()).await;
    if context.cancel().is_cancelled() {
        return Err(TaskFailure::stopped());
    }
    // It could not be run at all, which says nothing of the tests.
    let Some(ended) = said.exit else { return Err(TaskFailure::transient(said.text)) };
    let succeeded = ended.exit.is_success();
    let duration_ms = u64::try_from(ended.wall.as_millis()).unwrap_or(u64::MAX);
    let last_lines = if succeeded { Vec::new() } else { last_lines(&said.text) };
    let suites = reports::test_reports(&said.text, duration_ms);
    let baseline = Baseline { command, succeeded, end: end(ended.exit, ended.wall), suites, duration_ms, last_lines };
    let summary = baseline.sentence();
    context.log(if succeeded { Level::Info } else { Level::Warn }, SOURCE, &summary).await;
    Ok(TaskOutput { summary, baseline: Some(Box::new(baseline)), ..TaskOutput::default() })
}

fn end(exit: Exit, wall: Duration) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::TimedOut => format!("no end within {} s", wall.as_secs()),
        Exit::OutOfMemory => "more memory than a command may use".into(),
        Exit::OutputLimit => "more output than a command may write".into(),
        Exit::Cancelled => "a stop".into(),
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| line.chars().take(LINE_CHARS).collect()).collect()
}
