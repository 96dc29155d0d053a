//! What this machine can do, the kernels, and Layer 2's queue.

use std::{sync::atomic::Ordering, time::Duration};

use grace_domain::{
    copilot::Fact,
    intent::{AgentChoice, ProjectType, Stack, TargetDomain},
    list::{ListQuery, Page},
    policy::CommandFate,
    present::time::duration,
    problem::Problem,
    status::Status,
    system::{Catalog, CatalogEntry, Facility, KernelCommand, KernelState, KernelView, ProbeView, QueueView, SystemView},
    task::Task,
};
use grace_sandbox::Sandbox;
use grace_store::{command_figures, durations_last, intents_in, learning_figures, queue_fetch, queue_paused, queue_set_paused, tasks_list};

use crate::{
    Engine,
    error::{Error, Result},
    recovery,
    start::Inner,
};

/// Finished builds whose durations a kernel shows.
const DURATIONS: u32 = 12;

impl Engine {
    /// What the form offers, and why something cannot be built here.
    pub async fn catalog(&self) -> Result<Catalog, Problem> {
        Ok(self.inner.catalog().await?)
    }

    /// What this machine has and enforces.
    pub async fn system(&self) -> Result<SystemView, Problem> {
        Ok(self.inner.system().await)
    }

    /// The subsystems with a console.
    pub async fn kernels(&self) -> Result<Vec<KernelView>, Problem> {
        Ok(self.inner.kernels().await?)
    }

    /// Starts or stops the coding agent: stopped, it begins no task any more, on any server.
    pub async fn kernel_control(&self, key: &str, command: KernelCommand) -> Result<KernelView, Problem> {
        let kernels = self.inner.kernels().await?;
        let kernel = kernels.into_iter().find(|kernel| kernel.key == key).ok_or_else(|| Problem::not_found(format!("kernel `{key}`")))?;
        if let Some(why) = kernel.control_unavailable {
            return Err(Problem::conflict("kernel_not_controllable", why));
        }
        self.inner.set_paused(command == KernelCommand::Stop).await?;
        let kernels = self.inner.kernels().await?;
        kernels.into_iter().find(|kernel| kernel.key == key).ok_or_else(|| Problem::not_found(format!("kernel `{key}`")))
    }

    /// Figures of the queue over all servers.
    pub async fn queue(&self) -> Result<QueueView, Problem> {
        Ok(self.inner.queue().await?)
    }

    /// No task is begun any more, on any server; what runs is finished.
    pub async fn queue_pause(&self) -> Result<QueueView, Problem> {
        Ok(self.inner.set_paused(true).await?)
    }

    /// Tasks are begun again.
    pub async fn queue_resume(&self) -> Result<QueueView, Problem> {
        Ok(self.inner.set_paused(false).await?)
    }

    /// Tasks over all builds, newest first.
    pub async fn tasks(&self, query: ListQuery) -> Result<Page<Task>, Problem> {
        let mut conn = self.inner.store.connection().await.map_err(Error::from)?;
        Ok(tasks_list(&mut conn, &query).await.map_err(Error::from)?)
    }
}

fn fact(name: &str, value: impl Into<String>) -> Fact {
    Fact { name: name.into(), value: value.into() }
}

impl Inner {
    async fn catalog(&self) -> Result<Catalog> {
        let model = self.has_model().await?;
        let able: Vec<_> = self.agents.iter().filter(|agent| model.is_ok() || !agent.needs_model()).collect();
        // A choice is open when an agent can build it together with some choice of the other two; the closest combination says why not.
        let offered = |project_type: Option<ProjectType>, domain: Option<TargetDomain>, stack: Option<Stack>| {
            let mut reason = None;
            for agent in &able {
                for project_type in project_type.map_or(ProjectType::ALL, |_| &[]).iter().copied().chain(project_type) {
                    for domain in domain.map_or(TargetDomain::ALL, |_| &[]).iter().copied().chain(domain) {
                        for stack in stack.map_or(Stack::ALL, |_| &[]).iter().copied().chain(stack) {
                            match agent.supports(project_type, domain, stack) {
                                Ok(()) => return None,
                                Err(why) => reason.get_or_insert(why),
                            };
                        }
                    }
                }
            }
            Some(reason.unwrap_or_else(|| "No agent is installed here.".into()))
        };
        // Both blueprints are one agent to whoever fills the form in.
        let mut labels: Vec<&str> = able.iter().map(|agent| agent.label()).collect();
        labels.dedup();
        Ok(Catalog {
            agent: if labels.is_empty() { "none".into() } else { labels.join("; ") },
            project_types: ProjectType::ALL
                .iter()
                .map(|value| CatalogEntry { value: *value, label: value.label().into(), unavailable: offered(Some(*value), None, None) })
                .collect(),
            target_domains: TargetDomain::ALL
                .iter()
                .map(|value| CatalogEntry { value: *value, label: value.label().into(), unavailable: offered(None, Some(*value), None) })
                .collect(),
            stacks: Stack::ALL
                .iter()
                .map(|value| CatalogEntry { value: *value, label: value.label().into(), unavailable: offered(None, None, Some(*value)) })
                .collect(),
            agents: AgentChoice::ALL
                .iter()
                .map(|value| CatalogEntry {
                    value: *value,
                    label: value.label().into(),
                    unavailable: if *value == AgentChoice::Model { model.clone().err() } else { None },
                })
                .collect(),
            unavailable_inputs: ["datasets", "docs"]
                .into_iter()
                .map(|name| Facility {
                    name: name.into(),
                    available: false,
                    detail: "An address is passed on as a reference: nobody opens it. Add a file to have what is in it.".into(),
                })
                .collect(),
        })
    }

    async fn system(&self) -> SystemView {
        let (database, toolchains, here) = tokio::join!(self.database_facility(), toolchains(&self.sandbox), self.target.facilities());
        let isolation = serde_json::to_value(self.sandbox.isolation()).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
        let model = self.has_model().await.unwrap_or_else(|_| Err("The profiles of models cannot be read.".into()));
        let mut agents: Vec<Facility> = self
            .agents
            .iter()
            .map(|agent| {
                let missing = if agent.needs_model() { model.clone().err() } else { None };
                Facility { name: agent.name().into(), available: missing.is_none(), detail: missing.unwrap_or_else(|| agent.label().into()) }
            })
            .collect();
        agents.push(Facility { name: "external".into(), available: false, detail: "This version starts no external coding agents.".into() });
        let mut targets = Vec::from(here);
        targets.push(self.terraform.facility().await);
        targets.extend(grace_operations::other_targets());
        SystemView {
            ready: database.available && !self.shutdown.is_cancelled(),
            version: env!("CARGO_PKG_VERSION").into(),
            isolation,
            probes: self
                .sandbox
                .probes()
                .iter()
                .map(|probe| ProbeView { name: probe.name.clone(), enforced: probe.enforced, detail: probe.detail.clone() })
                .collect(),
            database,
            toolchains,
            agents,
            targets,
            data_dir: self.config.data_dir.display().to_string(),
            registries: self
                .sandbox
                .registries()
                .iter()
                .flat_map(|registry| registry.hosts.iter().map(|host| format!("{}: {host}", registry.toolchain)))
                .collect(),
            workers: u32::try_from(self.config.workers).unwrap_or(u32::MAX),
            workers_busy: self.busy.load(Ordering::Relaxed),
            policy: self.config.policy.view(),
        }
    }

    async fn database_facility(&self) -> Facility {
        let place = if self.config.database_url.is_some() { "given by DATABASE_URL" } else { "embedded, in the data folder" };
        let ask = async {
            let mut conn = self.store.connection().await?;
            queue_paused(&mut conn).await
        };
        match tokio::time::timeout(Duration::from_secs(3), ask).await {
            Ok(Ok(_)) => Facility { name: "postgres".into(), available: true, detail: format!("answers; {place}") },
            Ok(Err(error)) => Facility { name: "postgres".into(), available: false, detail: format!("{error}; {place}") },
            Err(_) => Facility { name: "postgres".into(), available: false, detail: format!("does not answer within 3 s; {place}") },
        }
    }

    async fn queue(&self) -> Result<QueueView> {
        let mut conn = self.store.connection().await?;
        Ok(queue_fetch(&mut conn, self.now()).await?)
    }

    async fn set_paused(self: &std::sync::Arc<Self>, paused: bool) -> Result<QueueView> {
        let mut conn = self.store.connection().await?;
        queue_set_paused(&mut conn, paused, self.now()).await?;
        let waiting = if paused { Vec::new() } else { intents_in(&mut conn, &[Status::Queued, Status::Executing, Status::AwaitingReview]).await? };
        drop(conn);
        // Jobs that came while the queue was paused did nothing; what is ready is put in again.
        for intent in waiting {
            recovery::drive(self, intent).await?;
        }
        self.queue().await
    }

    async fn kernels(&self) -> Result<Vec<KernelView>> {
        let mut conn = self.store.connection().await?;
        let queue = queue_fetch(&mut conn, self.now()).await?;
        let today = self.now().date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        let figures = learning_figures(&mut conn, today).await?;
        let durations = durations_last(&mut conn, DURATIONS).await?;
        let commands = command_figures(&mut conn).await?;
        let active = intents_in(&mut conn, &[Status::Queued, Status::Executing, Status::AwaitingReview, Status::Paused]).await?.len();
        let open = intents_in(&mut conn, &[Status::Planning, Status::AwaitingApproval]).await?.len();
        drop(conn);
        let ended = figures.completed + figures.failed;
        let mut coding = vec![
            fact("Active builds", active.to_string()),
            fact("Completed today", figures.completed_since.to_string()),
            fact("Completed", figures.completed.to_string()),
        ];
        if ended > 0 {
            coding.push(fact("Success rate", format!("{:.0} %", figures.completed as f64 * 100.0 / ended as f64)));
        }
        if !durations.is_empty() {
            coding.push(fact("Average duration", duration(durations.iter().sum::<f64>() / durations.len() as f64)));
        }
        coding.push(fact("Tasks running", queue.running.to_string()));
        let state = match (queue.paused, queue.running > 0) {
            (true, _) => KernelState::Stopped,
            (false, true) => KernelState::Active,
            (false, false) => KernelState::Idle,
        };
        let shown = |key: &str, name: &str, state, facts, why: &str| KernelView {
            key: key.into(),
            name: name.into(),
            state,
            facts,
            control_unavailable: Some(why.into()),
            durations: Vec::new(),
        };
        let always = "It works whenever a build needs it; there is nothing to start or stop.";
        let learning = vec![
            fact("Retrospectives", figures.retrospectives.to_string()),
            fact("Playbook entries", figures.playbook_entries.to_string()),
            fact("Templates", figures.templates.to_string()),
        ];
        let enforced = self.sandbox.probes().iter().filter(|probe| probe.enforced).count();
        let came_to =
            |fates: &[CommandFate]| commands.iter().filter(|(fate, _)| fates.contains(fate)).map(|(_, count)| count).sum::<u64>().to_string();
        let policy = vec![
            fact("Sandbox probes enforced", format!("{enforced} of {}", self.sandbox.probes().len())),
            fact("Rules", self.config.policy.rules().len().to_string()),
            fact("Asked", came_to(&[CommandFate::Asked])),
            fact("Allowed", came_to(&[CommandFate::AllowedOnce, CommandFate::AllowedForBuild])),
            fact("Refused", came_to(&[CommandFate::Refused])),
            fact("Forbidden", came_to(&[CommandFate::Forbidden])),
        ];
        let absent = "Nothing runs behind it in this version.";
        Ok(vec![
            KernelView { key: "coding_agent".into(), name: "Coding Agent".into(), state, facts: coding, control_unavailable: None, durations },
            shown("learning_loop", "Learning Loop", KernelState::Idle, learning, always),
            shown("intent_engine", "Intent Engine", KernelState::Idle, vec![fact("Plans waiting for approval", open.to_string())], always),
            shown("policy", "Policy", KernelState::Active, policy, "The sandbox cannot be switched off while the server runs."),
            shown("enrichment", "Enrichment", KernelState::Unavailable, Vec::new(), absent),
            shown("trust", "Trust", KernelState::Unavailable, Vec::new(), absent),
            shown(
                "playbook",
                "Playbook",
                KernelState::Idle,
                vec![fact("Entries", figures.playbook_entries.to_string())],
                "Entries come from applied learnings; there is nothing to start or stop.",
            ),
        ])
    }
}

/// What helps where a program is missing; the others are wanted by few projects.
const REMEDIES: &[(&str, &str)] = &[
    ("python3", "Install Python 3.11 or later with venv (Debian: python3-venv)."),
    ("node", "Install Node 20 or later."),
    ("npm", "Install npm; it comes with Node."),
    ("rustc", "Install Rust with rustup."),
    ("cargo", "Install Rust with rustup."),
];

/// The programs that projects need, as commands in the sandbox find them; and git, which is the server's own.
async fn toolchains(sandbox: &Sandbox) -> Vec<Facility> {
    let (programs, git) = tokio::join!(sandbox.programs(), git());
    let shown = programs.iter().map(|program| {
        let remedy = REMEDIES.iter().find(|(name, _)| *name == program.name).map_or("", |(_, remedy)| remedy);
        let detail = match &program.version {
            Ok(version) => version.chars().take(80).collect(),
            Err(why) => format!("unavailable: {why}. {remedy}").trim_end().to_owned(),
        };
        Facility { name: program.name.clone(), available: program.version.is_ok(), detail }
    });
    shown.chain([git]).collect()
}

async fn git() -> Facility {
    let run = tokio::process::Command::new("git").arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let missing = |why: String| Facility {
        name: "git".into(),
        available: false,
        detail: format!("unavailable: {why}. Install git; builds cannot keep their files without it."),
    };
    match tokio::time::timeout(Duration::from_secs(3), run).await {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Facility { name: "git".into(), available: true, detail: format!("{}, of the server", text.trim().chars().take(60).collect::<String>()) }
        }
        Ok(Ok(output)) => missing(format!("it ends with {}", output.status)),
        Ok(Err(_)) => missing("it was not found on the path".into()),
        Err(_) => missing("it did not answer within 3 s".into()),
    }
}
