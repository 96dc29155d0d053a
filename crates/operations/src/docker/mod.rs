//! A container engine of this machine, Docker or Podman: whichever socket answers. Makes images out of folders and runs containers of them,
//! locked down. It must not know what a deployment or a release is.

mod container;
mod image;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use grace_domain::system::Facility;
use tokio::sync::Mutex;

pub use container::{Container, Ended, Mount, Run};
pub use image::Recipe;

/// How long the engine may take to say what it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to begin any other answer; in seconds, as the client wants it.
const BEGIN_WITHIN: u64 = 120;

/// Everything of one Grace has this label with its data folder, so that it finds what is its own and nothing else.
const OWNER: &str = "grace.data";

/// Which engine, and what images are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerConfig {
    /// Socket of the engine's API; `None`: the first of the usual places that answers.
    pub socket: Option<PathBuf>,
    /// An image with Python 3.11 or newer as `python3` that is on the engine.
    pub base: String,
}

impl DockerConfig {
    /// What images are made from when nothing else was said.
    pub const BASE: &str = "python:3.11-slim";

    /// # Errors
    /// What is wrong with the name of the base image.
    pub fn new(socket: Option<PathBuf>, base: Option<String>) -> Result<Self, String> {
        let base = base.unwrap_or_else(|| Self::BASE.to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
        if base.is_empty() || base.len() > 255 || !base.chars().all(plain) || !base.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(format!("`{}` is no name of an image, such as {}", base.escape_debug(), Self::BASE));
        }
        Ok(Self { socket, base })
    }
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self { socket: None, base: Self::BASE.to_owned() }
    }
}

/// The way to the engine. Cheap to clone; connects when it is needed, as the engine may start and end as it likes.
#[derive(Clone)]
pub struct Docker(Arc<Inner>);

struct Inner {
    config: DockerConfig,
    /// Value of the label [`OWNER`].
    owner: String,
    /// Python of the base image with this id, `3.11`.
    python: Mutex<Option<(String, String)>>,
    /// Containers of an earlier run of this server were removed.
    swept: Mutex<bool>,
}

/// An engine that answered.
#[derive(Clone)]
pub struct Engine {
    client: bollard::Docker,
    owner: String,
    name: &'static str,
    version: String,
    socket: PathBuf,
    rootless: bool,
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.rootless { ", rootless," } else { "" };
        write!(f, "{} {}{how} at {}", self.name, self.version, self.socket.display())
    }
}

impl Docker {
    pub fn new(config: DockerConfig, data_dir: &Path) -> Self {
        let owner = data_dir.display().to_string();
        Self(Arc::new(Inner { config, owner, python: Mutex::default(), swept: Mutex::default() }))
    }

    /// Whether images can be made and run here, with the engine, or the reason and what would help.
    pub async fn facility(&self) -> Facility {
        let found = self.ready().await;
        let available = found.is_ok();
        let detail = match found {
            Ok(engine) => format!("{engine}; images from {}", self.0.config.base),
            Err(reason) => reason,
        };
        Facility { name: "docker".to_owned(), available, detail }
    }

    /// The engine, if it has the base image.
    ///
    /// # Errors
    /// What is missing and what would help.
    pub async fn ready(&self) -> Result<Engine, String> {
        let engine = self.connect().await?;
        let base = &self.0.config.base;
        if engine.rootless && engine.name == "Docker" {
            return Err(format!("{engine} maps users so that a container's socket cannot be shared. Use Docker as root, or Podman."));
        }
        match engine.image_id(base).await? {
            Some(_) => Ok(engine),
            None => Err(format!(
                "{engine} answers, but the base image {base} is not there, and Grace pulls nothing by itself. Pull it with `{program} pull {base}`, \
                 or import another one and name it with --docker-base; the README says how.",
                program = engine.name.to_lowercase(),
            )),
        }
    }

    /// The base image's Python, `3.11`.
    ///
    /// # Errors
    /// The engine does not answer, or the image has no Python that a service runs on.
    pub async fn python(&self, engine: &Engine) -> Result<String, String> {
        let base = &self.0.config.base;
        let id = engine.image_id(base).await?.ok_or_else(|| format!("the base image {base} is not there any more"))?;
        let mut known = self.0.python.lock().await;
        if let Some((_, version)) = known.as_ref().filter(|(of, _)| *of == id) {
            return Ok(version.clone());
        }
        let (version, ended) = engine.python_of(&id).await?;
        let text = match ended {
            Ended::Exited(0) => version.trim(),
            other => return Err(format!("the base image {base} has no `python3` that runs: {other}")),
        };
        let enough = text.split_once('.').is_some_and(|(major, minor)| major == "3" && minor.parse::<u32>().is_ok_and(|minor| minor >= 11));
        if !enough {
            return Err(format!("the base image {base} has Python {}; services need 3.11 or newer", text.escape_debug()));
        }
        *known = Some((id, text.to_owned()));
        Ok(text.to_owned())
    }

    pub fn base(&self) -> &str {
        &self.0.config.base
    }

    /// The engine, once what an earlier run of this server left running on it is gone.
    ///
    /// # Errors
    /// The engine does not answer, or keeps what it was asked to remove.
    pub async fn swept(&self) -> Result<Engine, String> {
        let engine = self.connect().await?;
        let mut swept = self.0.swept.lock().await;
        if !*swept {
            let count = engine.remove_containers(&[]).await?;
            if count > 0 {
                tracing::info!(count, "containers that an earlier run left were removed");
            }
            *swept = true;
        }
        Ok(engine)
    }

    async fn connect(&self) -> Result<Engine, String> {
        let places = match &self.0.config.socket {
            Some(socket) => vec![socket.clone()],
            None => usual_places(),
        };
        let mut silent = Vec::new();
        for socket in &places {
            match engine_at(socket, &self.0.owner).await {
                Some(Ok(engine)) => return Ok(engine),
                Some(Err(reason)) => silent.push(format!("{} does not answer: {reason}", socket.display())),
                None => {}
            }
        }
        let remedy = "Start Docker or Podman's API service (`podman system service`), or name its socket with --docker-socket.";
        if silent.is_empty() {
            let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            return Err(format!("No container engine: there is no socket at {}. {remedy}", looked.join(", ")));
        }
        Err(format!("No container engine: {}. {remedy}", silent.join("; ")))
    }
}

/// `None`: there is no such socket.
async fn engine_at(socket: &Path, owner: &str) -> Option<Result<Engine, String>> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let rootless = match tokio::fs::metadata(socket).await {
        // Whoever runs the engine owns its socket; asking the engine itself takes seconds with Podman.
        Ok(metadata) if metadata.file_type().is_socket() => metadata.uid() != 0,
        Ok(_) => return Some(Err("it is no socket".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(error.to_string())),
    };
    let asked = async {
        let client = bollard::Docker::connect_with_unix(&socket.to_string_lossy(), BEGIN_WITHIN, bollard::API_DEFAULT_VERSION)?;
        let client = client.negotiate_version().await?;
        let version = client.version().await?;
        Ok::<_, bollard::errors::Error>((client, version))
    };
    let (client, version) = match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Some(Err(told(&error))),
        Err(_) => return Some(Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
    };
    let components = version.components.unwrap_or_default();
    let podman = components.iter().any(|component| component.name.starts_with("Podman"));
    Some(Ok(Engine {
        client,
        owner: owner.to_owned(),
        name: if podman { "Podman" } else { "Docker" },
        version: version.version.unwrap_or_default().chars().take(40).collect(),
        socket: socket.to_owned(),
        rootless,
    }))
}

/// Where engines put their sockets. An address in `DOCKER_HOST` is the first, if it is a socket.
fn usual_places() -> Vec<PathBuf> {
    let named = std::env::var("DOCKER_HOST").ok().and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let of_user = own.iter().flat_map(|folder| [folder.join("docker.sock"), folder.join("podman/podman.sock")]);
    let of_machine = ["/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from);
    named.into_iter().chain(of_machine).chain(of_user).collect()
}

/// What the engine said, or what became of the connection, on one line and bounded.
fn told(error: &bollard::errors::Error) -> String {
    let text = match error {
        bollard::errors::Error::DockerResponseServerError { message, status_code } if message.trim().is_empty() => {
            format!("it answered {status_code}")
        }
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        other => crate::chain(other),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect()
}

fn not_found(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}
