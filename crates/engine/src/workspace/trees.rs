//! Folders beside the build's own, in each of which one task works while others do; and how what was made there comes onto the branch.
//!
//! Such a folder is a linked work tree of the build's repository, without the file that links it: nothing in it leads a command to the repository.

use std::path::Path;

use grace_domain::{id::TaskId, parallel::Collision};
use grace_sandbox::Sandbox;

use super::{READY, Workspace, WorkspaceError, git::Call};

/// Its presence says that the branch has commits that the build's own folder does not show yet.
const BEHIND: &str = "grace-behind";
/// Most that is said of a collision, in bytes.
const SAID: u64 = 1 << 20;
/// Files and sentences of a collision that are kept.
const NAMED: usize = 50;

/// What came of bringing a folder's commits onto the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// They are on it as one commit; `None`: they changed nothing.
    Landed(Option<String>),
    /// The branch changed the same places meanwhile, and is as it was.
    Collided(Collision),
}

impl Workspace {
    /// The folder of a task that works beside others, made or not.
    pub fn tree(&self, task: TaskId) -> Self {
        let mut tree = self.clone();
        tree.git.git_dir = self.git.git_dir.join("worktrees").join(task.to_string());
        tree.git.work_tree = self.root.join("trees").join(task.to_string());
        tree
    }

    /// Makes a task's folder, or finds it made: with the files of the branch, or of the commit at which its run goes on. What is ignored stays from
    /// run to run.
    pub async fn prepare_tree(&self, task: TaskId, goes_on_at: Option<&str>, sandbox: &Sandbox) -> Result<(), WorkspaceError> {
        let tree = self.tree(task);
        if tree.exists() && tree.git.work_tree.is_dir() {
            return match goes_on_at {
                Some(commit) if tree.head().await? != commit => {
                    tree.git.run(Call::new("update-ref", &["update-ref", "HEAD", commit])).await?;
                    tree.take_back(sandbox).await
                }
                _ => Ok(()),
            };
        }
        self.remove_tree(task).await?;
        let folder = tree.git.work_tree.to_string_lossy().into_owned();
        let from = match goes_on_at {
            Some(commit) => commit.to_owned(),
            None => self.head().await?,
        };
        self.git.run(Call::new("worktree", &["worktree", "add", "--quiet", "--detach", "--no-checkout", &folder, &from])).await?;
        let link = tree.git.work_tree.join(".git");
        tokio::fs::remove_file(&link).await.map_err(|source| WorkspaceError::Folder { path: link, source })?;
        tree.git.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await?;
        tree.hand_over(sandbox).await?;
        let ready = tree.git.git_dir.join(READY);
        tokio::fs::write(&ready, "").await.map_err(|source| WorkspaceError::Folder { path: ready, source })
    }

    /// Removes a task's folder and what git knows of it.
    pub async fn remove_tree(&self, task: TaskId) -> Result<(), WorkspaceError> {
        let tree = self.tree(task);
        // What git knows goes first: without it, the folder is made anew.
        for path in [tree.git.git_dir, tree.git.work_tree] {
            match tokio::fs::remove_dir_all(&path).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(WorkspaceError::Folder { path, source }),
            }
        }
        Ok(())
    }

    /// The commit of the branch that a task's folder began from.
    pub async fn base_of(&self, tree: &Self) -> Result<String, WorkspaceError> {
        let own = tree.head().await?;
        Ok(self.git.run(Call::new("merge-base", &["merge-base", "HEAD", &own])).await?.text())
    }

    /// Puts what a task committed in its folder onto the branch: one commit on top of whatever has landed there since. No file of any folder is touched;
    /// [`Self::catch_up`] does that when the build's own folder is next needed.
    pub async fn land(&self, task: TaskId, message: &str) -> Result<Landing, WorkspaceError> {
        let (branch, own) = (self.head().await?, self.tree(task).head().await?);
        let tree = match self.merged(&branch, &own).await? {
            Merged::Clean(tree) => tree,
            Merged::Collided(_, collision) => {
                self.git.run(Call::new("update-ref", &["update-ref", &apart(task), &own])).await?;
                self.keep_collision(task, &collision).await?;
                return Ok(Landing::Collided(collision));
            }
        };
        if tree == self.git.run(Call::new("rev-parse", &["rev-parse", "HEAD^{tree}"])).await?.text() {
            return Ok(Landing::Landed(None));
        }
        let call = Call::new("commit-tree", &["commit-tree", &tree, "-p", &branch, "-F", "-"]).input(message.as_bytes().to_vec());
        let commit = self.git.run(call).await?.text();
        let behind = self.git.git_dir.join(BEHIND);
        tokio::fs::write(&behind, "").await.map_err(|source| WorkspaceError::Folder { path: behind, source })?;
        self.git.run(Call::new("update-ref", &["update-ref", "HEAD", &commit, &branch])).await?;
        Ok(Landing::Landed(Some(commit)))
    }

    /// Takes the last landing off the branch again, because it could not be saved.
    pub async fn unland(&self, commit: &str) -> Result<(), WorkspaceError> {
        let before = format!("{commit}^");
        self.git.run(Call::new("update-ref", &["update-ref", "HEAD", &before, commit])).await?;
        Ok(())
    }

    /// Whether the branch has commits that the build's own folder does not show.
    pub fn is_behind(&self) -> bool {
        self.git.git_dir.join(BEHIND).is_file()
    }

    /// Brings the build's own folder up to the branch. Nothing is lost: nobody works in it while something lands.
    pub async fn catch_up(&self, sandbox: &Sandbox) -> Result<(), WorkspaceError> {
        if !self.is_behind() {
            return Ok(());
        }
        self.take_back(sandbox).await?;
        let behind = self.git.git_dir.join(BEHIND);
        tokio::fs::remove_file(&behind).await.map_err(|source| WorkspaceError::Folder { path: behind, source })
    }

    /// Puts what `task` made apart into the build's own folder, beside what the branch has; where they collide, both are in the file between conflict
    /// markers. Nothing is committed.
    pub async fn show_collision(&self, task: TaskId, sandbox: &Sandbox) -> Result<(), WorkspaceError> {
        self.take_back(sandbox).await?;
        let (branch, own) = (self.head().await?, self.git.run(Call::new("rev-parse", &["rev-parse", &apart(task)])).await?.text());
        let (Merged::Clean(tree) | Merged::Collided(tree, _)) = self.merged(&branch, &own).await?;
        self.git.run(Call::new("read-tree", &["read-tree", "--reset", "-u", &tree])).await?;
        self.hand_over(sandbox).await
    }

    /// What [`Self::land`] found in the way of `task`, the last time.
    pub async fn collision(&self, task: TaskId) -> Option<Collision> {
        let bytes = tokio::fs::read(self.collision_file(task)).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    async fn keep_collision(&self, task: TaskId, collision: &Collision) -> Result<(), WorkspaceError> {
        let path = self.collision_file(task);
        let bytes = serde_json::to_vec(collision).unwrap_or_default();
        tokio::fs::write(&path, bytes).await.map_err(|source| WorkspaceError::Folder { path, source })
    }

    fn collision_file(&self, task: TaskId) -> std::path::PathBuf {
        Path::new(&self.git.git_dir).join(format!("grace-collision-{task}"))
    }

    /// Merges two commits without touching a file.
    async fn merged(&self, branch: &str, own: &str) -> Result<Merged, WorkspaceError> {
        let call = Call::new("merge-tree", &["merge-tree", "--write-tree", "-z", "--name-only", "--messages", branch, own]).limit(SAID);
        let (said, clean) = self.git.answer(call).await?;
        let text = String::from_utf8_lossy(&said.bytes);
        // The tree; the files, ended by an empty one; then for each message how many paths, these, a kind and the sentence.
        let mut parts = text.split('\0');
        let tree = parts.next().unwrap_or_default().trim().to_owned();
        if clean {
            return Ok(Merged::Clean(tree));
        }
        let files: Vec<String> = parts.by_ref().take_while(|part| !part.is_empty()).map(str::to_owned).collect();
        let mut told = Vec::new();
        while let Some(count) = parts.next().and_then(|part| part.parse::<usize>().ok()) {
            let mut message = parts.by_ref().skip(count);
            let (Some(kind), Some(sentence)) = (message.next(), message.next()) else { break };
            if kind.starts_with("CONFLICT") {
                told.push(sentence.trim().to_owned());
            }
        }
        let mut files = files;
        files.truncate(NAMED);
        told.truncate(NAMED);
        Ok(Merged::Collided(tree, Collision { files, said: told }))
    }
}

/// Two commits together: the tree, which in a collision has conflict markers in it.
enum Merged {
    Clean(String),
    Collided(String, Collision),
}

/// Keeps what collided.
fn apart(task: TaskId) -> String {
    format!("refs/grace/apart/{task}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::made::tests::workspace, *};

    const ONE: TaskId = TaskId(1);
    const TWO: TaskId = TaskId(2);

    /// A folder as [`Workspace::prepare_tree`] makes it, but for the sandbox's user.
    async fn tree(workspace: &Workspace, task: TaskId) -> Workspace {
        let tree = workspace.tree(task);
        let folder = tree.files().to_string_lossy().into_owned();
        let arguments = ["worktree", "add", "--quiet", "--detach", "--no-checkout", &folder, "HEAD"];
        workspace.git.run(Call::new("worktree", &arguments)).await.expect("a work tree");
        fs::remove_file(tree.files().join(".git")).expect("the link");
        tree.git.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await.expect("files");
        tree
    }

    async fn commit(workspace: &Workspace, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            fs::write(workspace.files().join(path), text).expect("a file");
        }
        let changed = workspace.changed().await.expect("what changed");
        workspace.commit(&changed, "Work").await.expect("a commit")
    }

    async fn shown(workspace: &Workspace, of: &str) -> String {
        workspace.git.run(Call::new("show", &["show", of])).await.expect("an object").text()
    }

    #[tokio::test]
    async fn what_two_tasks_made_apart_lands_as_a_line_of_commits() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = workspace(folder.path()).await;
        let base = commit(&workspace, &[("a", "1\n2\n3\n4\n5\n6\n7\n")]).await;
        let (one, two) = (tree(&workspace, ONE).await, tree(&workspace, TWO).await);
        commit(&one, &[("a", "one\n2\n3\n4\n5\n6\n7\n")]).await;
        commit(&one, &[("b", "of one\n")]).await;
        commit(&two, &[("a", "1\n2\n3\n4\n5\n6\nseven\n"), ("c", "of two\n")]).await;
        assert_eq!(workspace.base_of(&two).await.expect("a base"), base);

        let Landing::Landed(Some(first)) = workspace.land(ONE, "One\n\nwas done.\n").await.expect("a landing") else { panic!("it lands") };
        let Landing::Landed(Some(second)) = workspace.land(TWO, "Two\n").await.expect("a landing") else { panic!("it lands") };
        assert_eq!(workspace.head().await.expect("a head"), second);
        let parents = workspace.git.run(Call::new("rev-list", &["rev-list", "--parents", "-1", &second])).await.expect("a commit").text();
        assert_eq!(parents, format!("{second} {first}"), "no commit of a merge");
        assert_eq!(shown(&workspace, "HEAD:a").await, "one\n2\n3\n4\n5\n6\nseven");
        assert_eq!(shown(&workspace, "HEAD:b").await, "of one");
        assert!(workspace.is_behind() && !workspace.files().join("c").exists(), "no file is touched");
        assert_eq!(workspace.land(TWO, "Two again\n").await.expect("a landing"), Landing::Landed(None));
        workspace.unland(&second).await.expect("a branch");
        assert_eq!(workspace.head().await.expect("a head"), first);
    }

    #[tokio::test]
    async fn what_collides_leaves_the_branch_as_it_was_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = workspace(folder.path()).await;
        commit(&workspace, &[("a", "1\n"), ("gone", "x\n"), ("same", "y\n")]).await;
        let (one, two) = (tree(&workspace, ONE).await, tree(&workspace, TWO).await);
        fs::remove_file(one.files().join("gone")).expect("a file");
        commit(&one, &[("a", "one\n")]).await;
        commit(&two, &[("a", "two\n"), ("gone", "changed\n"), ("new", "n\n")]).await;
        let Landing::Landed(Some(first)) = workspace.land(ONE, "One\n").await.expect("a landing") else { panic!("it lands") };
        let Landing::Collided(collision) = workspace.land(TWO, "Two\n").await.expect("a landing") else { panic!("it collides") };
        assert_eq!(collision.files, ["a", "gone"]);
        assert_eq!(collision.said.len(), 2, "{collision:?}");
        assert!(collision.said[0].contains("Merge conflict in a") && collision.said[1].contains("deleted in"), "{collision:?}");
        assert_eq!(workspace.head().await.expect("a head"), first);
        assert_eq!(workspace.collision(TWO).await, Some(collision));
        assert_eq!(workspace.collision(ONE).await, None);
    }
}
