//! A model for the builds of a trial: a scripted one inside this process, which a server is told of over its API, and what a person does for such a
//! build. It must not know what is measured or checked.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use grace_script_model::{Protocol, Request, Script, ScriptModel, Turn};
use serde_json::{Value, json};

use crate::{
    Outcome,
    http::{Answer, Connection},
    server::{KEY_VARIABLE, Server, text},
};

/// What servers find in [`KEY_VARIABLE`]; it must not stand in the body of a request.
pub const KEY: &str = "the-key-of-the-trials";
/// Tokens that every answer says it took.
pub const TOKENS: u64 = 120;
/// How often a person looks whether something is wanted.
const LOOK: Duration = Duration::from_millis(20);

pub struct Scripted {
    model: ScriptModel,
    asked: Arc<AtomicU64>,
}

impl Scripted {
    pub async fn start(mut answer: impl FnMut(&Request) -> Turn + Send + 'static) -> Outcome<Self> {
        let asked = Arc::new(AtomicU64::new(0));
        let count = asked.clone();
        let script = Script { key: Some(KEY.into()), ..Script::default() };
        let counted = move |request: &Request| {
            count.fetch_add(1, Ordering::Relaxed);
            answer(request)
        };
        let model = ScriptModel::start_with(script, counted).await.map_err(|error| format!("the scripted model: {error}"))?;
        Ok(Self { model, asked })
    }

    /// Makes it the server's only model.
    pub async fn introduce(&self, server: &Server) -> Outcome {
        let profile = json!({
            "name": "scripted", "provider": "anthropic", "base_url": self.model.base_url(Protocol::Anthropic), "model": "script-1",
            "key_variable": KEY_VARIABLE, "context_tokens": 200_000,
        });
        server.connection().await?.post("/api/models", &profile).await?.json().map(|_| ())
    }

    /// Requests that came so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// What a real provider would have refused.
    pub fn no_problems(&self) -> Outcome {
        let problems = self.model.problems();
        if problems.is_empty() { Ok(()) } else { Err(format!("the model was asked wrongly: {}", problems.join("; "))) }
    }
}

/// Asks for a build by the model agent. Returns its id; its plan is being made.
pub async fn begin(server: &Server, description: &str, budget: &Value) -> Outcome<String> {
    let request = json!({
        "project_type": "custom", "target_domain": "cli_tool", "constraints": { "stack": "described" },
        "description": description, "agent": "model", "budget": budget,
    });
    let created = server.connection().await?.post("/api/coding_agent/create", &request).await?.json()?;
    text(&created, "intent_id")
}

/// Does what a person has to do until the build has ended: approves its plan, and answers its questions with `answer`. The build as it is then.
pub async fn accompany(address: SocketAddr, intent: &str, answer: &str, within: Duration) -> Outcome<Value> {
    accompany_looking(address, intent, answer, within, LOOK).await
}

/// The same, with a look at the build every so often.
pub async fn accompany_looking(address: SocketAddr, intent: &str, answer: &str, within: Duration, every: Duration) -> Outcome<Value> {
    let began = Instant::now();
    let mut connection = Connection::open(address).await?;
    loop {
        let status = connection.get(&format!("/api/coding_agent/status/{intent}")).await?.json()?;
        match status["status"].as_str() {
            Some("completed") => return Ok(status),
            Some("failed" | "stopped" | "paused") => return Err(format!("{intent} is {}: {}", status["status"], status["failure"])),
            Some("awaiting_approval") => {
                let approval = json!({ "approved": true, "plan_hash": status["plan_hash"] });
                let said = connection.post(&format!("/api/coding_agent/{intent}/approve"), &approval).await?;
                unless_done(said)?;
            }
            _ => {}
        }
        if let Some(review) = status["approval_needed"]["review_id"].as_str() {
            let said = connection.post(&format!("/api/coding_agent/{intent}/reviews/{review}/answer"), &json!({ "answer": answer })).await?;
            unless_done(said)?;
        }
        if began.elapsed() > within {
            return Err(format!("{intent} is still {} after {} s, at {} %.", status["status"], within.as_secs(), status["progress_percent"]));
        }
        tokio::time::sleep(every).await;
    }
}

/// A look at the build may be a little older than what was done last.
fn unless_done(said: Answer) -> Outcome {
    if said.status == 409 { Ok(()) } else { said.json().map(|_| ()) }
}
