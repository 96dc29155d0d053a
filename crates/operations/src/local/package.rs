//! Makes a release out of a commit, and tests it: every command in the sandbox, in a checkout that nothing else uses.

use std::path::{Path, PathBuf};

use grace_domain::{deployment::DeploymentStatus, event::Level};
use grace_sandbox::{Command, Network, Output};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{DeployJob, DeployObserver, Halt, LocalTarget, Promoted, Release, inside, steps::Steps};
use crate::{chain, checkout::checkout, digest::digest};

/// The release's own Python with the locked packages. The machine's own pip fills it where there is one, which saves the seconds of putting pip
/// into it. Wheels that a build has fetched before are taken from the shared cache without a connection; what is missing is fetched.
const INSTALL: &str = r#"
lock=backend/requirements.lock
python=backend/.venv/bin/python
if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv --without-pip backend/.venv
    pip="python3 -m pip --python $python"
else
    python3 -m venv backend/.venv
    pip="$python -m pip"
fi
if [ -s $lock ]; then
    $pip install --quiet --no-index --require-hashes -r $lock 2>/dev/null || {
        $pip download --quiet --require-hashes --only-binary :all: --dest "$WHEELS" -r $lock
        $pip install --quiet --no-index --require-hashes -r $lock
    }
fi
# A running release cannot write beside its files. What does not compile is a matter for the tests.
$python -m compileall -q -x '[.]venv' backend >/dev/null 2>&1 || true
"#;

async fn digest_of(folder: &Path) -> Result<String, String> {
    let of = folder.to_owned();
    let made = tokio::task::spawn_blocking(move || digest(&of)).await.map_err(|error| error.to_string())?;
    made.map_err(|error| format!("the files of {} cannot be read: {error}", folder.display()))
}

/// `sha256:` and the first twelve digits.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

impl LocalTarget {
    /// Makes the release out of its commit and gives its digest.
    pub(super) async fn package(
        &self,
        job: &DeployJob,
        release: &Release,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<String, Halt> {
        steps.begin("package", DeploymentStatus::Packaging).await;
        self.check_out(job, &release.path).await?;
        let root = inside(release.folder.as_deref(), "");
        self.sh(release, &root, INSTALL, Network::Registries, "pip", steps.observer, cancel).await?;
        if release.has_frontend {
            self.build_pages(release, &root, steps.observer, cancel).await?;
        }
        let digest = digest_of(&release.path).await?;
        steps.done(&format!("release {}", release.name)).await;
        Ok(digest)
    }

    /// Makes the release a copy of one of another place, file by file, and gives their common digest.
    pub(super) async fn take_over(
        &self,
        promoted: &Promoted,
        release: &Release,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<String, Halt> {
        steps.begin("package", DeploymentStatus::Packaging).await;
        let (source, from) = (&promoted.release, promoted.from.as_str());
        let Some(digest) = source.digest.clone() else {
            let why = format!("{} was packaged before digests were kept; deploy the build to {from} once more and promote that.", source.name);
            return Err(Halt::Failed(why));
        };
        if !source.path.is_dir() {
            let why = format!("{} is no longer kept in {from}; promote what is live there now.", source.name);
            return Err(Halt::Failed(why));
        }
        let failed = |error: std::io::Error| format!("cannot prepare {}: {error}", release.path.display());
        let _ = tokio::fs::remove_dir_all(&release.path).await;
        tokio::fs::create_dir_all(&release.path).await.map_err(failed)?;
        self.adopt(&release.path).await?;
        // In the sandbox, where a link that a release made can lead to nothing of this machine.
        let mut copy = Command::new("cp", &release.path).args(["--archive", "--reflink=auto", "/from/.", "."]);
        copy.read_only_binds.push((source.path.clone(), PathBuf::from("/from")));
        self.run(copy, "cp", steps.observer, cancel).await?;
        let copied = digest_of(&release.path).await?;
        if copied != digest {
            let why = format!(
                "the files of {} in {from} are not those that were packaged ({copied} instead of {digest}); deploy the build there once more",
                source.name
            );
            return Err(Halt::Failed(why));
        }
        steps.done(&format!("{} of {from} as it is, {}", source.name, short(&digest))).await;
        steps.skip("test", &format!("what is promoted was deployed to {from} first")).await;
        Ok(digest)
    }

    pub(super) async fn build_pages(
        &self,
        release: &Release,
        root: &str,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let build = "cd frontend && npm ci --no-audit --no-fund --prefer-offline && npm run build";
        self.sh(release, root, build, Network::Registries, "npm", observer, cancel).await?;
        // Only the built pages are served; the release stays small.
        let modules = release.path.join(root).join("frontend/node_modules");
        let _ = tokio::fs::remove_dir_all(modules).await;
        Ok(())
    }

    /// Whether the release is to be tested; if not, the step says why.
    pub(super) async fn tests_wanted(&self, job: &DeployJob, steps: &mut Steps<'_>) -> bool {
        let why_not = if !job.config.run_tests {
            "switched off for this deployment"
        } else if !job.has_tests {
            "the project was built without tests"
        } else {
            return true;
        };
        steps.skip("test", why_not).await;
        false
    }

    pub(super) async fn test(&self, job: &DeployJob, steps: &mut Steps<'_>, cancel: &CancellationToken) -> Result<(), Halt> {
        if !self.tests_wanted(job, steps).await {
            return Ok(());
        }
        steps.begin("test", DeploymentStatus::Testing).await;
        // In a checkout of its own: what tests leave behind must not be part of the release.
        let mut scratch = self.release_of(job);
        scratch.path = self.place_dir(&job.place).join(format!("{}-test", scratch.name));
        self.check_out(job, &scratch.path).await?;
        let root = inside(job.folder.as_deref(), "");
        let result = self.sh(&scratch, &root, "./test.sh", Network::Registries, "test", steps.observer, cancel).await;
        let _ = tokio::fs::remove_dir_all(&scratch.path).await;
        result?;
        steps.done("./test.sh passed").await;
        Ok(())
    }

    pub(super) async fn check_out(&self, job: &DeployJob, folder: &Path) -> Result<(), String> {
        checkout(&job.git_dir, &job.commit, folder).await.map_err(|error| chain(&error))?;
        self.adopt(folder).await
    }

    async fn adopt(&self, folder: &Path) -> Result<(), String> {
        let (sandbox, folder) = (self.0.sandbox.clone(), folder.to_owned());
        tokio::task::spawn_blocking(move || sandbox.adopt(&folder).map_err(|error| chain(&error))).await.map_err(|error| error.to_string())?.map(drop)
    }

    /// A command of the package or test step, through a shell, in the sandbox.
    #[expect(clippy::too_many_arguments, reason = "one private call with the parts of a command; a struct for it would be used once")]
    pub(super) async fn sh(
        &self,
        release: &Release,
        root: &str,
        script: &str,
        network: Network,
        source: &str,
        observer: &dyn DeployObserver,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        let mut command = Command::new("sh", &release.path).args(["-euc", script]).env("CI", "true").env("WHEELS", grace_sandbox::WHEELS);
        command.working_dir = PathBuf::from(root);
        command.network = network;
        self.run(command, source, observer, cancel).await
    }

    pub(super) async fn run(&self, command: Command, source: &str, observer: &dyn DeployObserver, cancel: &CancellationToken) -> Result<(), Halt> {
        let (output, mut received) = mpsc::channel(256);
        let forward = async {
            while let Some(output) = received.recv().await {
                match output {
                    Output::Line { text, .. } => observer.log(Level::Info, source, &text).await,
                    Output::Truncated { dropped_bytes } => {
                        observer.log(Level::Warn, source, &format!("{dropped_bytes} bytes of output were left out")).await
                    }
                    Output::Egress { host, port, allowed, bytes_up, bytes_down } => observer.egress(&host, port, allowed, bytes_up, bytes_down).await,
                }
            }
        };
        let (outcome, ()) = tokio::join!(self.0.sandbox.run(command, output, cancel.clone()), forward);
        let outcome = outcome.map_err(|error| Halt::Failed(chain(&error)))?;
        match outcome.exit {
            exit if exit.is_success() => Ok(()),
            grace_sandbox::Exit::Cancelled => Err(Halt::Cancelled),
            exit => Err(Halt::Failed(format!("{source} failed ({exit:?}); the log has its output"))),
        }
    }
}
