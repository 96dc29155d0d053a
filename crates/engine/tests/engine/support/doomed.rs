//! Servers that are killed with SIGKILL: processes of their own, made of this very program, in which the test `MODULE::server_to_be_killed` is the
//! server. Where nobody is to be killed that test does nothing.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use grace_domain::model::ModelProfile;
use grace_engine::EngineConfig;

use super::{Place, config};

const DATA: &str = "GRACE_TEST_DOOMED_DATA";
const DATABASE: &str = "GRACE_TEST_DOOMED_DATABASE";
const MODELS: &str = "GRACE_TEST_DOOMED_MODELS";

/// A server that ends when this is dropped.
pub struct Doomed {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Doomed {
    /// Starts `test` on the place, which is told `more` by variables and asked for nothing else.
    pub fn start(place: &Place, test: &str, models: &[ModelProfile], more: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(DATA, &place.data_dir)
            .env(DATABASE, &place.database_url)
            .env(MODELS, serde_json::to_string(models).unwrap())
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that it says; `None` when it has ended.
    pub fn says(&mut self) -> Option<String> {
        self.lines.next().and_then(Result::ok)
    }

    /// Waits for a line with this in it. False: it ended without.
    pub fn said(&mut self, wanted: &str) -> bool {
        std::iter::from_fn(|| self.says()).any(|line| line.contains(wanted))
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the server that this process is to be is started with; `None` in the process that tests.
pub fn doomed_config() -> Option<EngineConfig> {
    let [data_dir, database_url, models] = [DATA, DATABASE, MODELS].map(std::env::var);
    let config = config(data_dir.ok()?.into(), database_url.ok()?);
    Some(EngineConfig { models: serde_json::from_str(&models.ok()?).unwrap(), ..config })
}
