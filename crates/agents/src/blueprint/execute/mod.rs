//! Does the tasks of a plan: generates parts of the project into the workspace, and runs installers, linters, tests and the service itself
//! in the sandbox. What these say is what is reported. It must not schedule, retry or commit.

mod check;
mod install;
mod reports;
mod smoke;

use grace_domain::event::{ArtifactKind, Level};
use grace_domain::plan::PlannedTask;
use grace_domain::spec::Spec;
use grace_sandbox::beneath::Root;
use grace_sandbox::replace::Content;

use super::generate::{self, GeneratedFile, Part};
use super::manifests;
use super::steps::Step;
use super::understand::decided;
use crate::agent::{TaskContext, TaskFailure, TaskOutput, WrittenFile};

/// A plan's spec with the answers in it, and where its project is.
struct Project<'a> {
    context: &'a dyn TaskContext,
    spec: Spec,
}

/// Does one task.
///
/// # Errors
/// A [`TaskFailure`]: permanent when the project is wrong, transient when the surroundings are.
pub async fn run(task: &PlannedTask, context: &dyn TaskContext) -> Result<TaskOutput, TaskFailure> {
    let Some(step) = Step::of_key(&task.key) else {
        return Err(TaskFailure::permanent(format!("This version of the agent does not know the task `{}`; plan anew.", task.key)));
    };
    let Some(spec) = &context.plan().spec else {
        return Err(TaskFailure::permanent("The plan was made by another agent: it has no specification."));
    };
    if context.cancel().is_cancelled() {
        return Err(TaskFailure::stopped());
    }
    let project = Project { context, spec: decided(spec, context.answers()) };
    match step {
        Step::CheckToolchains => check::toolchains(&project).await,
        Step::AskAuthentication => Err(TaskFailure::permanent("A person answers this task; it cannot be run.")),
        Step::Generate(Part::Deployment) => project.deployment().await,
        Step::Generate(part) => project.generate(part).await,
        Step::InstallBackend => {
            let done = install::backend(&project).await?;
            Ok(said(if done { "Installed the backend's packages from their lock, hashes checked." } else { "The backend's packages are in place." }))
        }
        Step::InstallFrontend => {
            let done = install::frontend(&project).await?;
            Ok(said(if done { "Installed the frontend's packages from their lock." } else { "The frontend's packages are in place." }))
        }
        Step::Migrate => check::migrate(&project).await,
        Step::Lint => check::lint(&project).await,
        Step::Pytest => check::pytest(&project).await,
        Step::Types => check::types(&project).await,
        Step::Bundle => check::bundle(&project).await,
        Step::Vitest => check::vitest(&project).await,
        Step::Smoke => smoke::run(&project).await,
        Step::DescribeApi => check::describe_api(&project).await,
    }
}

/// An output without files.
fn said(summary: impl Into<String>) -> TaskOutput {
    TaskOutput { summary: summary.into(), ..TaskOutput::default() }
}

impl Project<'_> {
    /// A path of the project relative to the workspace.
    fn path(&self, inside: &str) -> String {
        self.spec.folder.as_ref().map_or_else(|| inside.to_owned(), |folder| format!("{folder}/{inside}"))
    }

    fn files(&self, part: Part) -> Result<Vec<GeneratedFile>, TaskFailure> {
        generate::generate(&self.spec, part).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            TaskFailure::permanent(format!("{error}{cause}"))
        })
    }

    async fn generate(&self, part: Part) -> Result<TaskOutput, TaskFailure> {
        let files = self.files(part)?;
        let output = self.write(&files, true).await?;
        let lines: usize = files.iter().map(|file| file.content.iter().filter(|byte| **byte == b'\n').count()).sum();
        let summary = match files.len() {
            0 => "This specification needs nothing of it.".to_owned(),
            1 => format!("Wrote {} ({lines} lines).", files[0].path),
            count => format!("Wrote {count} files ({lines} lines)."),
        };
        Ok(TaskOutput { summary, ..output })
    }

    /// Writes what takes the project to a machine or a cluster, and checks what can be checked of it without one.
    async fn deployment(&self) -> Result<TaskOutput, TaskFailure> {
        let written = self.generate(Part::Deployment).await?;
        let paths: Vec<String> = written.files.iter().map(|file| file.path.clone()).filter(|path| path.contains("deploy/kubernetes/")).collect();
        let said = manifests::check(self.context, &paths).await?;
        Ok(TaskOutput { summary: format!("{} {said}", written.summary), ..written })
    }

    /// Writes files and, if they are results, says so one by one.
    async fn write(&self, files: &[GeneratedFile], announce: bool) -> Result<TaskOutput, TaskFailure> {
        let mut output = TaskOutput::default();
        for file in files {
            if announce {
                self.context.artifact_in_progress(&file.path, file.kind).await;
            }
            self.put(&file.path, &file.content, file.executable)?;
            if announce {
                self.context.log(Level::Info, "grace", &format!("Wrote {}", file.path)).await;
            }
            output.output_bytes += file.content.len() as u64;
            output.files.push(WrittenFile { path: file.path.clone(), kind: file.kind });
        }
        Ok(output)
    }

    /// Writes a file that is not part of the project.
    fn write_bytes(&self, path: &str, content: &[u8]) -> Result<(), TaskFailure> {
        self.put(path, content, false)
    }

    fn put(&self, path: &str, content: &[u8], executable: bool) -> Result<(), TaskFailure> {
        let content = Content { bytes: content.to_vec(), mode: if executable { 0o755 } else { 0o644 } };
        let written = Root::open(self.context.workspace()).and_then(|root| root.put(path, &content, self.context.sandbox().owner()));
        written.map_err(|error| TaskFailure::transient(format!("`{path}` could not be written: {error}.")))
    }

    /// Writes one file of the project that a command made the content of.
    async fn write_one(&self, path: &str, content: &[u8], kind: ArtifactKind) -> Result<TaskOutput, TaskFailure> {
        let file = GeneratedFile { path: path.to_owned(), content: content.to_vec(), executable: false, kind };
        self.write(&[file], true).await
    }
}
