//! The files that a person gave with the description, laid out before anything is built.
//!
//! They are committed, whatever their size: tests and releases run in checkouts of commits, where a file beside git would be missing, and 100 MiB
//! at most are few enough. Their commit is the base of the build, because what was given is not what the build made.

use std::{io, path::Path};

use grace_domain::input::{FOLDER, InputFile};

use super::{BASE, Workspace, WorkspaceError, blocking, git::Call};

impl Workspace {
    /// Copies the given files into `inputs/` and commits them on top of the base, which becomes that commit.
    pub(super) async fn place_inputs(&self, files: &[InputFile]) -> Result<(), WorkspaceError> {
        let mut paths = Vec::new();
        for file in files {
            let path = file.path();
            let object = format!("{BASE}:{path}");
            if self.git.ask(Call::new("cat-file", &["cat-file", "-e", &object])).await?.is_some() {
                return Err(WorkspaceError::Given(format!("The repository has {path} already. Rename the file that you give, and add it again.")));
            }
            paths.push(path);
        }
        if files.is_empty() {
            return Ok(());
        }
        let (folder, kept, files) = (self.git.work_tree.join(FOLDER), self.inputs.clone(), files.to_vec());
        blocking(move || {
            // A repository may have a link of this name, which would lead elsewhere.
            match std::fs::symlink_metadata(&folder) {
                Ok(data) if data.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::create_dir(&folder)?,
                Err(error) => return Err(error),
            }
            files.iter().try_for_each(|file| copy(&kept.join(&file.hash), &folder.join(&file.name)))?;
            Ok(true)
        })
        .await?
        .then_some(())
        .ok_or_else(|| WorkspaceError::Given(format!("The repository has a file or link called {FOLDER}, where given files go. Rename it there.")))?;
        self.commit(&paths, "Add the files that were given with the description").await?;
        self.git.run(Call::new("update-ref", &["update-ref", BASE, "HEAD"])).await?;
        Ok(())
    }
}

/// Copies a file to where none is in git; what a crash left there is replaced, and a link is not followed.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::remove_file(to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut from = std::fs::File::open(from)?;
    let mut to = std::fs::File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut from, &mut to).map(|_| ())
}
