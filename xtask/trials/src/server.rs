//! A Grace of one's own: started as a user starts it, in a data folder that goes away with it.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    Options, Outcome,
    http::Connection,
    processes::{self, Process},
    scripted,
};

/// What a server started must be gone so long after its end.
pub const ORPHANS_WITHIN: Duration = Duration::from_secs(5);
/// The environment variable that has [`scripted::KEY`].
pub const KEY_VARIABLE: &str = "GRACE_TRIALS_KEY";

/// A folder below the system's temporary one, removed at the end.
pub struct DataFolder(pub PathBuf);

impl DataFolder {
    pub fn new(name: &str) -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("grace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        // The users that Postgres and the sandbox run as must be able to enter it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("note: {} could not be removed: {error}", self.0.display());
        }
    }
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to the first page.
    pub first_page_after: Duration,
}

impl Server {
    /// Starts it on a free port; `core` pins it to one.
    pub async fn start(options: &Options, data: &Path, core: Option<usize>) -> Outcome<Self> {
        Self::start_with(options, data, core, None).await
    }

    /// The same, with so many tasks at the same time; as many as there are cores, when absent.
    pub async fn start_with(options: &Options, data: &Path, core: Option<usize>, workers: Option<usize>) -> Outcome<Self> {
        let began = Instant::now();
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &core.to_string()]).arg(&options.server);
                command
            }
            None => Command::new(&options.server),
        };
        command
            .args(["serve", "--port", "0", "--data-dir"])
            .arg(data)
            .arg("--site")
            .arg(&options.site)
            .args(workers.into_iter().flat_map(|workers| ["--workers".to_owned(), workers.to_string()]))
            // A job that a dead server held is given back with a warning: here, that is the rule.
            .env("RUST_LOG", "warn,graphile_worker_recovery=error")
            .env(KEY_VARIABLE, scripted::KEY)
            .env_remove("DATABASE_URL");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", options.server.display()))?;
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.map_err(|error| format!("its output: {error}"))? {
                if let Some(address) = line.strip_prefix("Grace is at http://") {
                    return address.trim().parse().map_err(|error| format!("{address}: {error}"));
                }
            }
            Err("it ended without starting; its message is above.".to_owned())
        };
        let address: SocketAddr =
            tokio::time::timeout(Duration::from_secs(60), address).await.map_err(|_| "it did not start within 60 s.".to_owned())??;
        let page = Connection::open(address).await?.get("/").await?;
        if page.status != 200 {
            return Err(format!("the first page answered {}", page.status));
        }
        Ok(Self { child, address, first_page_after: began.elapsed() })
    }

    pub fn pid(&self) -> Outcome<i32> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(|| "the server has ended by itself.".to_owned())
    }

    /// `kill -9`, and waits for everything that it started to be gone. The processes that were.
    pub async fn kill(&mut self) -> Outcome<Vec<Process>> {
        let pid = self.pid()?;
        // It does nothing more while its processes are looked for.
        let halted = kill_process(Pid::from_raw(pid).expect("a process has a number"), Signal::STOP);
        halted.map_err(|error| format!("cannot halt the server: {error}"))?;
        let everything = processes::descendants(pid);
        self.child.kill().await.map_err(|error| format!("cannot kill the server: {error}"))?;
        processes::gone(&everything, ORPHANS_WITHIN).await?;
        Ok(everything)
    }

    /// Ctrl-C, and waits for the end.
    pub async fn end(mut self) -> Outcome<Duration> {
        let pid = Pid::from_raw(self.pid()?).expect("a process has a number");
        let began = Instant::now();
        kill_process(pid, Signal::INT).map_err(|error| format!("cannot interrupt the server: {error}"))?;
        tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .map_err(|_| "the server did not end within 30 s of Ctrl-C.".to_owned())?
            .map_err(|error| format!("waiting: {error}"))?;
        Ok(began.elapsed())
    }

    pub async fn connection(&self) -> Outcome<Connection> {
        Connection::open(self.address).await
    }

    /// Creates the specification's chat example and approves it. Returns its id.
    pub async fn begin_chat(&self) -> Outcome<String> {
        let mut connection = self.connection().await?;
        let proposal = connection.post("/api/coding_agent/create", &chat_request()).await?.json()?;
        let intent = text(&proposal, "intent_id")?;
        let approval = json!({ "approved": true, "plan_hash": proposal["plan_hash"] });
        connection.post(&format!("/api/coding_agent/{intent}/approve"), &approval).await?.json()?;
        Ok(intent)
    }

    pub async fn status(&self, intent: &str) -> Outcome<Value> {
        self.connection().await?.get(&format!("/api/coding_agent/status/{intent}")).await?.json()
    }

    /// Answers `JWT` when the build asks. Returns whether it did.
    pub async fn answer_if_asked(&self, intent: &str, status: &Value) -> Outcome<bool> {
        let Some(review) = status["approval_needed"]["review_id"].as_str() else { return Ok(false) };
        let path = format!("/api/coding_agent/{intent}/reviews/{review}/answer");
        let answer = self.connection().await?.post(&path, &json!({ "answer": "JWT" })).await?;
        // Another look at the same question may have answered it before.
        if answer.status == 409 { Ok(false) } else { answer.json().map(|_| true) }
    }

    /// Looks at the build a few times a second until it is as wanted, answering what it asks.
    pub async fn wait_for(&self, intent: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Outcome<Value> {
        let began = Instant::now();
        loop {
            let status = self.status(intent).await?;
            if wanted(&status) {
                return Ok(status);
            }
            if matches!(status["status"].as_str(), Some("failed" | "stopped")) {
                return Err(format!("{intent} is {}: {}", status["status"], status["failure"]));
            }
            self.answer_if_asked(intent, &status).await?;
            if began.elapsed() > within {
                return Err(format!("{intent} is still {} after {} s, at {} %.", status["status"], within.as_secs(), status["progress_percent"]));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The specification's chat example.
pub fn chat_request() -> Value {
    json!({
        "project_type": "feature",
        "description": "Build a real-time chat feature with WebSocket support, user authentication, and message persistence to PostgreSQL database. \
                        Include React frontend and FastAPI backend with comprehensive tests.",
        "target_domain": "full_stack_web",
        "constraints": { "environments": ["development", "staging"], "compliance": [], "stack": "react_fastapi" },
        "options": { "generate_tests": true, "generate_docs": true, "include_deployment": true, "require_review": false }
    })
}

pub fn text(value: &Value, field: &str) -> Outcome<String> {
    value[field].as_str().map(str::to_owned).ok_or_else(|| format!("no {field} in {value}"))
}
