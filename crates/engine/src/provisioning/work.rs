//! One run at work: its folder, and each step of it with what is recorded of it. A step that fails says why; what follows is decided by who asked.

use std::sync::Arc;

use grace_domain::{
    id::ProvisioningId,
    problem::Problem,
    provisioning::{Fact, Place, ProvisioningRun},
};
use grace_operations::terraform::{Ground, PLAN_FILE, Planned, RULES, Ran, STATE_FILE, planned, resources, sensitive, violations};
use grace_sandbox::Exit;
use grace_store::place_lock;
use grace_vault::{ExposeSecret, Redactor, Screen, SecretString};
use tokio_util::sync::CancellationToken;

use super::{log::Log, turn::Turn};
use crate::{
    error::{Error, Result},
    start::Inner,
};

const SHOWN_PLAN: &str = ".grace-plan.json";
const SHOWN_OUTPUTS: &str = ".grace-outputs.json";

/// Why a run does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// A step failed; the words are for people.
    Failed { step: &'static str, why: String },
    /// The configuration's provider cannot be had here.
    NoProvider(String),
    /// A person or the server's end stopped it.
    Stopped,
    /// Our own trouble: the job is tried again.
    Ours(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

/// A run with its folder laid out.
pub(super) struct Work<'a> {
    inner: &'a Arc<Inner>,
    pub id: ProvisioningId,
    pub run: ProvisioningRun,
    pub ground: Ground,
    pub cancel: CancellationToken,
    /// The configuration's folder in the ground.
    folder: String,
    /// Keeps the sensitive outputs of what is there out of what is logged.
    redactor: Arc<Redactor>,
    /// Resources in the state that it began with.
    pub there: u32,
}

impl<'a> Work<'a> {
    /// Lays out the commit and the state of the place.
    pub async fn lay_out(inner: &'a Arc<Inner>, run: ProvisioningRun, cancel: CancellationToken) -> Result<Self, Halt> {
        inner.secrets_watch(run.intent_id).await?;
        let place = run.place();
        let mut tx = inner.store.begin().await?;
        let row = place_lock(&mut tx, place, inner.now()).await?;
        let state = inner.open_state(&mut tx, place, &row).await?;
        let inside = grace_store::plan_fetch(&mut tx, run.intent_id).await?.and_then(|row| row.plan.topology);
        inner.store.commit(tx).await?;
        let topology = inside.ok_or_else(|| Problem::conflict("not_provisionable", "The build's plan has no topology."))?;
        let workspace = inner.workspace(run.intent_id);
        let ground = Ground::lay_out(&inner.sandbox, &inner.config.data_dir, run.run_id.0, workspace.git_dir(), &run.commit)
            .await
            .map_err(|why| Halt::Failed { step: "initialise", why: format!("The commit could not be laid out: {why}") })?;
        let folder = topology.path(&run.variant.folder());
        let mut redactor = Arc::default();
        if let Some(state) = state {
            let values: Vec<SecretString> = sensitive(state.expose_secret().as_bytes())
                .into_iter()
                // A short value also stands in harmless texts.
                .filter(|value| value.unfit().is_none())
                .map(|value| SecretString::from(value.expose()))
                .collect();
            redactor = Arc::new(Redactor::new(values.iter().map(|value| ("OUTPUT", value))));
            ground.write(&format!("{folder}/{STATE_FILE}"), state.expose_secret().as_bytes().to_vec()).map_err(Error::File)?;
        }
        Ok(Self { inner, id: run.run_id, run, ground, cancel, folder, redactor, there: row.resources })
    }

    pub fn place(&self) -> Place {
        self.run.place()
    }

    pub async fn begin(&mut self, step: &'static str) -> Result<(), Halt> {
        if self.cancel.is_cancelled() {
            return Err(Halt::Stopped);
        }
        let mut turn = Turn::begin(self.inner, self.id).await?;
        turn.step_begun(step);
        turn.save().await?;
        self.run = turn.finish().await?;
        Ok(())
    }

    pub async fn done(&mut self, step: &'static str, detail: &str, fact: Option<Fact>) -> Result<(), Halt> {
        let mut turn = Turn::begin(self.inner, self.id).await?;
        turn.step_done(step, detail);
        if let Some(fact) = fact {
            turn.run.learn(fact);
        }
        turn.save().await?;
        self.run = turn.finish().await?;
        Ok(())
    }

    /// Runs terraform; what it says is logged.
    pub async fn terraform(&self, step: &'static str, arguments: &[&str]) -> Result<Ran, Halt> {
        let (said, log) = Log::open(self.inner.clone(), self.run.intent_id, self.redactor.clone());
        let ran = self.inner.terraform.run(&self.ground, &self.folder, arguments, said, self.cancel.clone()).await;
        log.close().await;
        self.checked(step, ran)
    }

    async fn terraform_into(&self, step: &'static str, arguments: &[&str], into: &str) -> Result<Vec<u8>, Halt> {
        let ran = self.inner.terraform.run_into(&self.ground, &self.folder, arguments, into, self.cancel.clone()).await;
        let ran = self.checked(step, ran)?;
        if !ran.exit.is_success() {
            return Err(Halt::Failed { step, why: self.redactor.redact(&ran.failure(arguments[0])).into_owned() });
        }
        self.ground
            .read(&format!("{}/{into}", self.folder))
            .map_err(|error| Halt::Failed { step, why: format!("What terraform wrote cannot be read: {error}.") })
    }

    fn checked(&self, step: &'static str, ran: Result<Ran, String>) -> Result<Ran, Halt> {
        match ran {
            Ok(ran) if ran.exit == Exit::Cancelled => Err(Halt::Stopped),
            Ok(ran) => {
                let mut screen = Screen::new([self.redactor.clone()]);
                let mut tail: Vec<String> = ran.tail.iter().flat_map(|line| screen.pass((), line)).collect();
                tail.extend(screen.end().into_iter().flat_map(|((), last)| last));
                Ok(Ran { tail, ..ran })
            }
            Err(why) => Err(Halt::Failed { step, why: format!("Terraform cannot be run: {why}") }),
        }
    }

    fn succeeded(step: &'static str, what: &str, ran: &Ran) -> Result<(), Halt> {
        if ran.exit.is_success() { Ok(()) } else { Err(Halt::Failed { step, why: ran.failure(what) }) }
    }

    /// Reads every file of the configuration: the fact "syntax checked".
    pub async fn format(&mut self) -> Result<(), Halt> {
        self.begin("format").await?;
        let ran = self.terraform("format", &["fmt", "-check", "-recursive", "-no-color"]).await?;
        // 3: all could be read, and some are laid out otherwise.
        let detail = match ran.exit {
            Exit::Code(0) => "syntax checked, and laid out as terraform does",
            Exit::Code(3) => "syntax checked; some files are laid out otherwise",
            _ => return Self::succeeded("format", "fmt", &ran),
        };
        self.done("format", detail, Some(Fact::SyntaxChecked)).await
    }

    pub async fn initialise(&mut self) -> Result<(), Halt> {
        self.begin("initialise").await?;
        let ran = self.terraform("initialise", &["init", "-input=false", "-no-color"]).await?;
        if !ran.exit.is_success() && self.run.variant.needs_provider() && ran.wants_a_provider() {
            return Err(Halt::NoProvider(ran.failure("init")));
        }
        Self::succeeded("initialise", "init", &ran)?;
        self.done("initialise", "its providers are there", None).await
    }

    pub async fn validate(&mut self) -> Result<(), Halt> {
        self.begin("validate").await?;
        let ran = self.terraform("validate", &["validate", "-no-color"]).await?;
        Self::succeeded("validate", "validate", &ran)?;
        self.done("validate", "schema validated", Some(Fact::SchemaValidated)).await
    }

    pub async fn policy(&mut self) -> Result<(), Halt> {
        self.begin("policy").await?;
        let files = self.ground.texts(&self.folder, &[".tf", ".tf.json", ".tofu", ".tofu.json"]);
        let files = files.map_err(|error| Halt::Failed { step: "policy", why: format!("The configuration cannot be read: {error}.") })?;
        let found = violations(&files);
        if !found.is_empty() {
            let shown: Vec<&str> = found.iter().take(5).map(String::as_str).collect();
            return Err(Halt::Failed { step: "policy", why: format!("{} rules are broken. {}.", found.len(), shown.join("; ")) });
        }
        let count = grace_domain::present::counted(files.len() as u64, "file", "files");
        self.done("policy", &format!("{count}: {RULES}"), None).await
    }

    /// Makes the plan, and reads what it would change.
    pub async fn plan(&mut self, destroy: bool) -> Result<(Planned, Vec<u8>), Halt> {
        self.begin("plan").await?;
        let out = format!("-out={PLAN_FILE}");
        let mut arguments = vec!["plan", "-input=false", "-json", out.as_str()];
        if destroy {
            arguments.push("-destroy");
        }
        let ran = self.terraform("plan", &arguments).await?;
        Self::succeeded("plan", "plan", &ran)?;
        let shown = self.terraform_into("plan", &["show", "-json", PLAN_FILE], SHOWN_PLAN).await?;
        let read = planned(&shown).map_err(|why| Halt::Failed { step: "plan", why })?;
        let file = self.ground.read(&format!("{}/{PLAN_FILE}", self.folder));
        let file = file.map_err(|error| Halt::Failed { step: "plan", why: format!("The plan file cannot be read: {error}.") })?;
        Ok((read, file))
    }

    pub fn write_plan(&self, plan: Vec<u8>) -> Result<(), Halt> {
        Ok(self.ground.write(&format!("{}/{PLAN_FILE}", self.folder), plan).map_err(Error::File)?)
    }

    /// Reads the state as Terraform left it, and how many resources it has.
    pub fn state(&self) -> Option<(String, u32)> {
        read_state(&self.ground, &self.folder)
    }

    /// Names and values of the outputs.
    pub async fn outputs(&self) -> Result<Vec<grace_operations::terraform::Found>, Halt> {
        let shown = self.terraform_into("outputs", &["output", "-json", "-no-color"], SHOWN_OUTPUTS).await?;
        grace_operations::terraform::outputs(&shown).map_err(|why| Halt::Failed { step: "outputs", why })
    }

    /// Compares what is there with the state and the configuration: whether anything differs.
    pub async fn drifted(&mut self) -> Result<bool, Halt> {
        let ran = self.terraform("drift_check", &["plan", "-input=false", "-json", "-detailed-exitcode"]).await?;
        match ran.exit {
            Exit::Code(0) => Ok(false),
            Exit::Code(2) => Ok(true),
            _ => Err(Halt::Failed { step: "drift_check", why: ran.failure("plan") }),
        }
    }
}

/// The state in the folder of a run, if Terraform left one that can be read.
pub(super) fn read_state(ground: &Ground, folder: &str) -> Option<(String, u32)> {
    let bytes = ground.read(&format!("{folder}/{STATE_FILE}")).ok()?;
    let count = resources(&bytes)?;
    Some((String::from_utf8(bytes).ok()?, count))
}
