//! What a task may have of the build's secrets, and how their values are kept out of what commands write. It must not know where secrets are kept
//! or who allows them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use grace_domain::secret::{SecretName, SecretRequest};
use grace_sandbox::{Output, Stream as Side};
use grace_vault::{Place, Redactor, Screen as Sides, SecretString};

use crate::{
    agent::{TaskContext, TaskFailure},
    permits::Standing,
    tools::plain,
};

/// A build's secrets, for one task.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Looks for the values of every secret that the build may use.
    fn redactor(&self) -> Arc<Redactor>;

    /// # Errors
    /// Why nobody can be asked, for the model.
    async fn standing(&self, request: &SecretRequest) -> Result<Standing, String>;

    /// The values of secrets that the build may use, by name, for the one command that `purpose` is. Each is noted as read.
    ///
    /// # Errors
    /// Which of them it may not have and what to do, for the model; then none is handed out.
    async fn values(&self, names: &[SecretName], purpose: &str) -> Result<BTreeMap<String, SecretString>, String>;

    /// The first file with a value in it of those that the next commit would take.
    async fn exposed(&self) -> Result<Option<Exposed>, TaskFailure>;
}

/// A file that holds a value, or whose name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    pub path: String,
    pub place: Place,
}

impl Exposed {
    /// For the model and for people.
    pub fn sentence(&self) -> String {
        let Self { path, place: Place { name, line } } = self;
        format!("`{path}` has the value of the secret {name} in line {line}, and what is committed can be read by everybody who sees the project.")
    }
}

/// Takes the values out of what one command writes.
pub struct Screen {
    redactor: Arc<Redactor>,
    sides: Sides<Side>,
}

impl Screen {
    pub fn of(context: &dyn TaskContext) -> Self {
        let redactor = context.secrets().map(Secrets::redactor).unwrap_or_default();
        Self { sides: Sides::new([redactor.clone()]), redactor }
    }

    /// What can be shown now; a line may wait for the next one of its stream.
    pub fn pass(&mut self, output: Output) -> Vec<Output> {
        if self.redactor.is_empty() {
            return vec![output];
        }
        match output {
            Output::Line { stream, text } => shown(stream, self.sides.pass(stream, &plain(&text))).collect(),
            Output::Egress { host, port, allowed, bytes_up, bytes_down } => {
                vec![Output::Egress { host: self.redactor.redact(&host).into_owned(), port, allowed, bytes_up, bytes_down }]
            }
            other @ Output::Truncated { .. } => vec![other],
        }
    }

    /// What still waited when the command ended.
    pub fn end(self) -> Vec<Output> {
        self.sides.end().into_iter().flat_map(|(stream, lines)| shown(stream, lines)).collect()
    }
}

fn shown(stream: Side, lines: Vec<String>) -> impl Iterator<Item = Output> {
    lines.into_iter().map(move |text| Output::Line { stream, text })
}
