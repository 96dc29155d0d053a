//! What shows how far infrastructure is right: Terraform, kubectl and promtool in the sandbox where they are there, and reading every document. What a
//! tool did not say is not claimed: each report names the one fact that it holds for. It must not know how files were made.

use std::path::Path;

use grace_domain::event::{CheckReport, Level, TestFailure, TestReport};
use grace_domain::topology::{Topology, Variant};
use grace_sandbox::beneath::Root;
use serde_json::Value;
use yaml_rust2::YamlLoader;

use super::generate::{Part, generate};
use crate::agent::{TaskContext, TaskFailure, TaskOutput};
use crate::blueprint::manifests;
use crate::command::{Finished, Invocation, start};

/// Longest document that is read.
const DOCUMENT_BYTES: u64 = 4 << 20;

/// What a check needs.
pub struct Tools<'a> {
    pub terraform: Option<&'a Path>,
    pub topology: &'a Topology,
    pub context: &'a dyn TaskContext,
}

fn said(summary: impl Into<String>) -> TaskOutput {
    TaskOutput { summary: summary.into(), ..TaskOutput::default() }
}

impl Tools<'_> {
    fn invocation(&self, program: &Path, folder: &str) -> Invocation {
        let mut invocation = Invocation::new(self.context, "terraform", &program.to_string_lossy(), &self.topology.path(folder));
        invocation.command.read_only_binds.push((program.to_owned(), program.to_owned()));
        invocation.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1").env("TF_DATA_DIR", "/tmp/terraform")
    }

    async fn not_checked(&self, what: &str) -> TaskOutput {
        let text = format!("{what}: not checked. Neither terraform nor tofu is on this machine; install one, or name it with --terraform.");
        self.context.log(Level::Warn, "terraform", &text).await;
        said(text)
    }

    async fn optional(&self, program: &str) -> Option<String> {
        let finished = Invocation::new(self.context, "grace", program, "").args(["--version"]).data().silent().run(self.context).await.ok()?;
        finished.exit.is_success().then(|| finished.data.lines().next().unwrap_or(program).to_owned())
    }
}

/// Which tools there are.
pub async fn tools(tools: &Tools<'_>) -> Result<TaskOutput, TaskFailure> {
    let mut found = Vec::new();
    let mut missing = vec![];
    match tools.terraform {
        Some(program) => {
            let finished = tools.invocation(program, "").args(["version"]).data().succeed(tools.context).await;
            match finished {
                Ok(finished) => found.push(finished.data.lines().next().unwrap_or("terraform").to_owned()),
                Err(failure) if failure.cancelled => return Err(failure),
                Err(failure) => missing.push(format!("terraform ({})", start(&failure.message, 200))),
            }
        }
        None => missing.push("terraform".to_owned()),
    }
    if kubectl_version(tools).await {
        found.push("kubectl".to_owned());
    } else {
        missing.push("kubectl".to_owned());
    }
    match tools.optional("promtool").await {
        Some(version) => found.push(version),
        None => missing.push("promtool".to_owned()),
    }
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Ok(said(format!("Found: {}. Not here: {}.", list(&found), list(&missing))))
}

async fn kubectl_version(tools: &Tools<'_>) -> bool {
    let asked = Invocation::new(tools.context, "grace", "kubectl", "").args(["version", "--client"]).data().silent().run(tools.context).await;
    asked.is_ok_and(|finished| finished.exit.is_success())
}

fn millis(finished: &Finished) -> u64 {
    u64::try_from(finished.wall.as_millis()).unwrap_or(u64::MAX)
}

async fn report(tools: &Tools<'_>, tool: String, findings: usize, duration_ms: u64) -> Result<(), TaskFailure> {
    let findings = u32::try_from(findings).unwrap_or(u32::MAX);
    tools.context.check(CheckReport { tool: tool.clone(), findings, duration_ms }).await;
    if findings == 0 { Ok(()) } else { Err(TaskFailure::permanent(format!("{tool} has {findings} findings; the log lists them."))) }
}

/// Reads every Terraform file, and compares its format: this is the fact "syntax checked".
pub async fn syntax(tools: &Tools<'_>) -> Result<TaskOutput, TaskFailure> {
    let Some(program) = tools.terraform else { return Ok(tools.not_checked("Syntax").await) };
    let finished = tools.invocation(program, "terraform").args(["fmt", "-check", "-recursive", "-diff", "-no-color"]).run(tools.context).await?;
    let folders: Vec<&str> = tools.topology.variants().into_iter().map(Variant::as_str).collect();
    let findings = if finished.exit.is_success() { 0 } else { finished.tail.len().max(1) };
    report(tools, format!("terraform fmt (syntax checked: {})", folders.join(", ")), findings, millis(&finished)).await?;
    Ok(said(format!("Syntax checked: {}.", folders.join(", "))))
}

/// Initialises the stand-in and validates it: this is the fact "schema validated", for the stand-in alone.
pub async fn schema(tools: &Tools<'_>) -> Result<TaskOutput, TaskFailure> {
    let Some(program) = tools.terraform else { return Ok(tools.not_checked("Schema").await) };
    // Both in one sandbox: what initialising leaves is in its temporary folder.
    let finished = tools.script(program, "\"$0\" init -backend=false -input=false -no-color >&2 && \"$0\" validate -json -no-color").await?;
    let answer: Option<Value> = serde_json::from_str(&finished.data).ok();
    let Some(answer) = answer else { return Err(finished.failure("terraform validate")) };
    let diagnostics = answer["diagnostics"].as_array().map(Vec::as_slice).unwrap_or_default();
    for diagnostic in diagnostics.iter().take(50) {
        let text = format!("{}: {}", diagnostic["summary"].as_str().unwrap_or("?"), diagnostic["detail"].as_str().unwrap_or_default());
        tools.context.log(Level::Error, "terraform", &text).await;
    }
    let findings = if answer["valid"] == true { 0 } else { diagnostics.len().max(1) };
    report(tools, "terraform validate (schema validated: local)".into(), findings, millis(&finished)).await?;
    let rest: Vec<&str> = tools.topology.variants().into_iter().filter(|variant| variant.needs_provider()).map(Variant::as_str).collect();
    Ok(said(format!("Schema validated: local. Syntax checked only: {}, whose providers are not here.", rest.join(", "))))
}

impl Tools<'_> {
    /// A shell line in the stand-in's folder, with the program as `$0`.
    async fn script(&self, program: &Path, line: &str) -> Result<Finished, TaskFailure> {
        let path = program.to_string_lossy().into_owned();
        let mut invocation = self.invocation(program, "terraform/local");
        invocation.command.program = "sh".into();
        invocation.args(["-c", line, &path]).data().run(self.context).await
    }
}

/// Runs the stand-in's tests.
pub async fn tests(tools: &Tools<'_>) -> Result<TaskOutput, TaskFailure> {
    let Some(program) = tools.terraform else { return Ok(tools.not_checked("Tests").await) };
    let finished = tools.script(program, "\"$0\" init -backend=false -input=false -no-color >&2 && \"$0\" test -json -no-color").await?;
    let Some(mut read) = read_tests(&finished.data) else { return Err(finished.failure("terraform test")) };
    read.duration_ms = millis(&finished);
    let (passed, failed) = (read.passed, read.failed);
    tools.context.tests(read).await;
    if failed > 0 || passed == 0 || !finished.exit.is_success() {
        return Err(TaskFailure::permanent(format!("terraform test: {failed} of {} runs failed; the log lists them.", failed + passed)));
    }
    Ok(said(format!("terraform test: {passed} runs passed.")))
}

/// The report of `terraform test -json`: a JSON object a line. Without a summary there is none.
fn read_tests(output: &str) -> Option<TestReport> {
    let mut report =
        TestReport { suite: "terraform test".into(), passed: 0, failed: 0, skipped: 0, coverage_percent: None, duration_ms: 0, failures: Vec::new() };
    let mut summed = false;
    for line in output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let number = |value: &Value| u32::try_from(value.as_u64().unwrap_or_default()).unwrap_or(u32::MAX);
        if let Some(summary) = line.get("test_summary") {
            summed = true;
            report.passed = number(&summary["passed"]);
            report.failed = number(&summary["failed"]).saturating_add(number(&summary["errored"]));
            report.skipped = number(&summary["skipped"]);
        }
        if line["diagnostic"]["severity"] == "error" && report.failures.len() < 50 {
            let text = |value: &Value| start(value.as_str().unwrap_or_default(), 2_000);
            let name = line["@testrun"].as_str().unwrap_or("terraform test").to_owned();
            let message = format!("{}: {}", text(&line["diagnostic"]["summary"]), text(&line["diagnostic"]["detail"]));
            report.failures.push(TestFailure { name, message });
        }
    }
    summed.then_some(report)
}

/// Reads every YAML and JSON document from the disk, and checks manifests against the schema of the API; what kubectl and promtool say where they are there.
pub async fn documents(tools: &Tools<'_>) -> Result<TaskOutput, TaskFailure> {
    let begun = std::time::Instant::now();
    let mut paths = Vec::new();
    for part in [Part::Local, Part::Providers, Part::Kubernetes, Part::Monitoring, Part::Compose] {
        let files = generate(tools.topology, part).map_err(|error| TaskFailure::permanent(error.to_string()))?;
        paths.extend(files.into_iter().map(|file| file.path));
    }
    let mut findings = Vec::new();
    let mut read = 0;
    for path in &paths {
        let is_json = path.ends_with(".json");
        if !is_json && !path.ends_with(".yaml") && !path.ends_with(".yml") {
            continue;
        }
        read += 1;
        let bytes = Root::open(tools.context.workspace()).and_then(|root| root.read(path, DOCUMENT_BYTES));
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match text {
            None => findings.push(format!("{path}: it could not be read as text")),
            Some(text) if is_json => findings.extend(serde_json::from_str::<Value>(&text).err().map(|error| format!("{path}: {error}"))),
            Some(text) => findings.extend(YamlLoader::load_from_str(&text).err().map(|error| format!("{path}: {error}"))),
        }
    }
    for finding in findings.iter().take(100) {
        tools.context.log(Level::Error, "grace", finding).await;
    }
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    report(tools, "YAML and JSON read".into(), findings.len(), took).await?;
    let folders = ["kubernetes/", "monitoring/"].map(|folder| tools.topology.path(folder));
    let of_cluster: Vec<String> = paths.iter().filter(|path| folders.iter().any(|folder| path.starts_with(folder))).cloned().collect();
    let fits = manifests::check(tools.context, &of_cluster).await?;
    let mut also = Vec::new();
    if kubectl_version(tools).await {
        let folder = tools.topology.path("kubernetes/base");
        let rendered = Invocation::new(tools.context, "kubectl", "kubectl", &folder).args(["kustomize", "."]).data().run(tools.context).await?;
        if !rendered.exit.is_success() {
            return Err(rendered.failure("kubectl kustomize"));
        }
        report(tools, "kubectl kustomize (rendered, not applied)".into(), 0, millis(&rendered)).await?;
        also.push("rendered by kubectl kustomize");
    }
    if tools.topology.monitoring.is_some() && tools.optional("promtool").await.is_some() {
        let folder = tools.topology.path("monitoring/prometheus");
        let checked =
            Invocation::new(tools.context, "promtool", "promtool", &folder).args(["check", "rules", "rules.yml"]).run(tools.context).await?;
        if !checked.exit.is_success() {
            return Err(checked.failure("promtool check rules"));
        }
        report(tools, "promtool check rules".into(), 0, millis(&checked)).await?;
        also.push("rules checked by promtool");
    }
    let also = if also.is_empty() { String::new() } else { format!(" Besides: {}.", also.join(", ")) };
    Ok(said(format!("Read {read} YAML and JSON documents. {fits}{also}")))
}

#[cfg(test)]
mod tests_of_reading {
    use super::*;

    #[test]
    fn a_report_of_terraform_s_tests_is_counted_and_none_is_made_up() {
        let output = "{\"type\":\"diagnostic\",\"@testrun\":\"plans\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"Test assertion failed\",\"detail\":\"no node\"}}\n\
                      {\"type\":\"test_summary\",\"test_summary\":{\"status\":\"fail\",\"passed\":2,\"failed\":1,\"errored\":1,\"skipped\":3}}";
        let report = read_tests(output).unwrap();
        assert_eq!((report.passed, report.failed, report.skipped), (2, 2, 3));
        assert_eq!(report.failures[0].name, "plans");
        assert_eq!(read_tests("{\"type\":\"version\"}\nnot json"), None);
    }
}
