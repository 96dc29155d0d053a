//! Git repositories that a command made within the files. Git takes such a folder for a submodule and commits nothing of it.

use grace_sandbox::{Command, Exit, Sandbox};
use tokio_util::sync::CancellationToken;

use super::{Workspace, WorkspaceError};

/// Where their histories go, in the workspace; ignored by git.
const ASIDE: &str = ".grace/repositories";
/// Repositories within repositories that are looked for.
const ROUNDS: usize = 8;
/// Folders that one command gets; a command line is bounded.
const FOLDERS: usize = 100;
/// Longest name of a history, in bytes; the file system takes 255.
const NAME: usize = 200;
/// Takes pairs of a folder and a name. Says nothing; what could not be moved is found again.
const MOVE: &str = r#"mkdir -p "$0" || exit 1
while [ $# -gt 1 ]; do
  name=$2; number=1
  while [ -e "$0/$name" ] || [ -L "$0/$name" ]; do number=$((number + 1)); name=$2-$number; done
  mv -- "./$1/.git" "$0/$name" || exit 1
  shift 2
done"#;

/// Whether a path that git reports as changed is a repository within: no other path ends like that when files are listed one by one.
pub(super) fn is_repository(path: &str) -> bool {
    path.ends_with('/')
}

impl Workspace {
    /// Makes repositories within the files plain folders: their histories are moved to `.grace/repositories`. Submodules of a given repository
    /// and what is ignored stay as they are. Answers with the folders, for people.
    ///
    /// The sandbox's user moves them: a link put in the way leads nowhere that the agent could not go by itself.
    pub async fn detach_repositories(&self, sandbox: &Sandbox) -> Result<Vec<String>, WorkspaceError> {
        let mut detached: Vec<String> = Vec::new();
        for _ in 0..ROUNDS {
            let found: Vec<String> = self.changed().await?.into_iter().filter(|path| is_repository(path)).collect();
            let folders: Vec<&str> = found.iter().map(|path| path.trim_end_matches('/')).collect();
            let Some(first) = folders.first() else { return Ok(detached) };
            for some in folders.chunks(FOLDERS) {
                let pairs = some.iter().flat_map(|folder| [(*folder).to_owned(), name_of(folder)]);
                let arguments = ["-c", MOVE, ASIDE].map(str::to_owned).into_iter().chain(pairs);
                let command = Command::new("/bin/sh", self.files()).args(arguments);
                let (sender, mut ignored) = tokio::sync::mpsc::channel(16);
                let run = sandbox.run(command, sender, CancellationToken::new());
                let (outcome, ()) = tokio::join!(run, async { while ignored.recv().await.is_some() {} });
                match outcome {
                    Ok(outcome) if outcome.exit == Exit::Code(0) => {}
                    Ok(outcome) => {
                        tracing::warn!(exit = ?outcome.exit, "a repository within a workspace could not be moved aside");
                        return Err(WorkspaceError::Nested { folder: (*first).to_owned() });
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "a repository within a workspace could not be moved aside");
                        return Err(WorkspaceError::Nested { folder: (*first).to_owned() });
                    }
                }
            }
            detached.extend(folders.into_iter().map(str::to_owned));
        }
        let folder = detached.pop().unwrap_or_default();
        Err(WorkspaceError::Nested { folder })
    }
}

/// One name for a path.
fn name_of(folder: &str) -> String {
    let name = folder.replace('/', "+");
    name[..name.floor_char_boundary(NAME)].to_owned()
}
