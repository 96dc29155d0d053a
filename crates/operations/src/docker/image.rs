//! Images: made from folders by copying alone, so that nothing of a project is carried out while its image is made; looked up, removed.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use bollard::{
    models::ImageInspect,
    query_parameters::{BuildImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder},
};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::{Engine, OWNER, not_found, told};

/// Most bytes of files that an image may add to its base.
const MOST_BYTES: u64 = 2 << 30;
/// Most files, for the same reason.
const MOST_FILES: u64 = 200_000;

/// What an image is made of.
pub struct Recipe {
    pub base: String,
    /// Name and tag, `grace/chat:r7-3f9c2ab`.
    pub tag: String,
    /// Folders of this machine and where their files go: absolute, plain paths.
    pub folders: Vec<(PathBuf, &'static str)>,
    /// Instructions after the copying: nothing that runs a command.
    pub instructions: String,
    pub labels: HashMap<String, String>,
    /// A folder in which the files are gathered meanwhile.
    pub scratch: PathBuf,
}

impl Recipe {
    fn dockerfile(&self) -> String {
        let copies: String = self.folders.iter().enumerate().map(|(number, (_, into))| format!("COPY {number}/ {into}/\n")).collect();
        format!("FROM {}\n{copies}{}", self.base, self.instructions)
    }
}

impl Engine {
    async fn image(&self, name: &str) -> Result<Option<ImageInspect>, String> {
        match self.client.inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if not_found(&error) => Ok(None),
            Err(error) => Err(format!("{} cannot look for the image {name}: {}", self.name, told(&error))),
        }
    }

    /// Id of an image, if it is there.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.image(name).await?.and_then(|image| image.id))
    }

    /// Id of an image that this server made, by its tag.
    pub async fn own_image(&self, tag: &str) -> Result<String, String> {
        let image = self.image(tag).await?.ok_or_else(|| format!("the image {tag} is not on the engine any more"))?;
        let owner = image.config.and_then(|config| config.labels).and_then(|mut labels| labels.remove(OWNER));
        if owner.as_deref() != Some(self.owner.as_str()) {
            return Err(format!("the image {tag} was made by another Grace or by hand; remove it and deploy again"));
        }
        image.id.ok_or_else(|| format!("the image {tag} has no id"))
    }

    /// What an image takes on disk; 0: it is not there, or the engine does not say.
    pub async fn image_bytes(&self, tag: &str) -> Result<u64, String> {
        let size = self.image(tag).await?.and_then(|image| image.size);
        Ok(size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default())
    }

    /// Makes an image; each line that the engine prints goes to `lines`. Dropping the future ends the making.
    pub async fn build(&self, recipe: Recipe, lines: mpsc::Sender<String>) -> Result<String, String> {
        let (scratch, dockerfile) = (recipe.scratch.clone(), recipe.dockerfile());
        let folders: Vec<PathBuf> = recipe.folders.iter().map(|(from, _)| from.clone()).collect();
        let packing = tokio::task::spawn_blocking(move || {
            // Without a name: whatever ends this, nothing of it stays.
            let mut file = tempfile::tempfile_in(&scratch)?;
            pack(&mut file, &dockerfile, &folders)?;
            io::Seek::rewind(&mut file)?;
            Ok::<_, io::Error>(file)
        });
        let packed = packing.await.map_err(|error| error.to_string())?;
        let file = packed.map_err(|error| format!("the image's files could not be gathered: {error}"))?;
        self.send(&recipe, tokio::fs::File::from_std(file), lines).await?;
        self.own_image(&recipe.tag).await
    }

    async fn send(&self, recipe: &Recipe, file: tokio::fs::File, lines: mpsc::Sender<String>) -> Result<(), String> {
        let mut labels = recipe.labels.clone();
        labels.insert(OWNER.to_owned(), self.owner.clone());
        let options = BuildImageOptionsBuilder::default()
            .dockerfile("Dockerfile")
            .t(&recipe.tag)
            .labels(&labels)
            .networkmode("none")
            .rm(true)
            .forcerm(true)
            .build();
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(file, 64 << 10));
        let mut answers = self.client.build_image(options, None, Some(body));
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|error| format!("{} could not make the image: {}", self.name, told(&error)))?;
            if let Some(error) = answer.error_detail {
                return Err(format!("{} could not make the image: {}", self.name, error.message.unwrap_or_default()));
            }
            for line in answer.stream.iter().chain(&answer.status).flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
                // Nobody listening is no reason to stop.
                let _ = lines.send(line.to_owned()).await;
            }
        }
        Ok(())
    }

    /// Gives an image another name.
    pub async fn tag_image(&self, id: &str, tag: &str) -> Result<(), String> {
        let (name, version) = tag.rsplit_once(':').unwrap_or((tag, "latest"));
        let options = TagImageOptionsBuilder::default().repo(name).tag(version).build();
        self.client.tag_image(id, Some(options)).await.map_err(|error| format!("{} did not name the image {tag}: {}", self.name, told(&error)))
    }

    /// Removes an image of this server by its tag, if there is one.
    pub async fn remove_own_image(&self, tag: &str) -> Result<(), String> {
        // Whatever else has this tag is not ours.
        if self.own_image(tag).await.is_err() {
            return Ok(());
        }
        // By its name: an image with another one stays under that.
        match self.client.remove_image(tag, None::<RemoveImageOptions>, None).await {
            Ok(_) => Ok(()),
            Err(error) if not_found(&error) => Ok(()),
            Err(error) => Err(format!("{} keeps the image {tag}: {}", self.name, told(&error))),
        }
    }
}

/// Writes the archive that an image is made from: the instructions, and each folder under its number, so that no file of a project can be one
/// that the engine obeys, such as `.dockerignore`.
fn pack(into: &mut File, dockerfile: &str, folders: &[PathBuf]) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::new(into));
    let mut header = header(tar::EntryType::Regular, dockerfile.len() as u64, 0o644);
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    let mut room = Room { bytes: MOST_BYTES, files: MOST_FILES };
    for (number, folder) in folders.iter().enumerate() {
        pack_folder(&mut archive, folder, Path::new(&number.to_string()), &mut room)?;
    }
    io::Write::flush(&mut archive.into_inner()?)
}

struct Room {
    bytes: u64,
    files: u64,
}

/// Links are kept as links: where they lead is the container's business. What is neither file, folder nor link is left out.
fn pack_folder(archive: &mut tar::Builder<impl io::Write>, folder: &Path, name: &Path, room: &mut Room) -> io::Result<()> {
    archive.append_data(&mut header_of(&folder.symlink_metadata()?, tar::EntryType::Directory, 0), name, io::empty())?;
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        let metadata = path.symlink_metadata()?;
        room.files = room.files.checked_sub(1).ok_or_else(|| io::Error::other(format!("there are more than {MOST_FILES} files")))?;
        if metadata.is_dir() {
            pack_folder(archive, &path, &name, room)?;
        } else if metadata.is_symlink() {
            archive.append_link(&mut header_of(&metadata, tar::EntryType::Symlink, 0), &name, std::fs::read_link(&path)?)?;
        } else if metadata.is_file() {
            let bytes = metadata.len();
            room.bytes = room.bytes.checked_sub(bytes).ok_or_else(|| io::Error::other(format!("they are more than {} MiB", MOST_BYTES >> 20)))?;
            let file = io::Read::take(File::open(&path)?, bytes);
            archive.append_data(&mut header_of(&metadata, tar::EntryType::Regular, bytes), &name, file)?;
        }
    }
    Ok(())
}

/// Everything belongs to root and can be read by everybody; nothing runs with another's rights.
fn header_of(metadata: &std::fs::Metadata, kind: tar::EntryType, size: u64) -> tar::Header {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let executable = kind != tar::EntryType::Regular || metadata.permissions().mode() & 0o100 != 0;
    let mut header = header(kind, size, if executable { 0o755 } else { 0o644 });
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_has_no_owner_no_special_files_and_links_as_links() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join("project");
        std::fs::create_dir_all(project.join("app")).unwrap();
        std::fs::write(project.join("app/main.py"), "x = 1\n").unwrap();
        std::fs::set_permissions(project.join("app/main.py"), std::fs::Permissions::from_mode(0o6700)).unwrap();
        std::fs::write(project.join(".dockerignore"), "**\n").unwrap();
        std::fs::write(place.path().join("secret"), "hidden").unwrap();
        symlink("../secret", project.join("stolen")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(project.join("socket")).unwrap();
        let file = place.path().join("context.tar");
        pack(&mut File::create(&file).unwrap(), "FROM base\n", &[project]).unwrap();

        let mut archive = tar::Archive::new(File::open(&file).unwrap());
        let entries: Vec<(String, u32, u64, tar::EntryType)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let name = entry.path().unwrap().display().to_string();
                (name, header.mode().unwrap(), header.uid().unwrap(), header.entry_type())
            })
            .collect();
        let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["Dockerfile", "0", "0/.dockerignore", "0/app", "0/app/main.py", "0/stolen"]);
        assert!(entries.iter().all(|(_, mode, owner, _)| mode & 0o7000 == 0 && *owner == 0), "{entries:?}");
        assert_eq!(entries[5].3, tar::EntryType::Symlink);
        let text = std::fs::read(&file).unwrap();
        assert!(!text.windows(6).any(|window| window == b"hidden"), "what a link leads to must not be in the image");
    }

    #[test]
    fn the_name_of_a_base_cannot_be_an_instruction() {
        for wrong in ["", "a b", "a\nRUN x", "-x", "$BASE", "a\u{e9}"] {
            assert!(super::super::DockerConfig::new(None, Some(wrong.to_owned())).is_err(), "{wrong:?}");
        }
        for right in ["python:3.11-slim", "localhost:5000/team/base@sha256:00ff", "grace-base:bookworm"] {
            assert!(super::super::DockerConfig::new(None, Some(right.to_owned())).is_ok(), "{right}");
        }
    }
}
