//! `grace serve | doctor`: reads the command line, starts the engine and the server, and ends both in order.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use grace::server::{AllowedHosts, ServerState, router};
use grace_domain::{
    model::{ModelProfile, ProfileDraft},
    policy::Policy,
    system::SystemView,
};
use grace_engine::{DockerConfig, Engine, EngineConfig, StartError, policy};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "\
grace <command>

  serve    start Grace
    --port N              default 3000
    --bind ADDRESS        default 127.0.0.1; anything else lets other machines in, and Grace has no sign-in yet
    --host-name NAME      answer to this host name too (may be repeated)
    --serve HOST=PLACE    answer to HOST with what is live at PLACE, such as chat.example.com=chat-production (may be repeated);
                          meant for a front with TLS, see the README
    --data-dir PATH       default: /var/lib/grace as root, else $XDG_DATA_HOME/grace or ~/.local/share/grace
    --site PATH           the folder that `cargo xtask bundle` filled; default: `site` beside the executable's folder
    --workers N           tasks that run at the same time; default: the number of cores
    --models FILE         profiles of language models, a JSON list; see the README
    --repositories FOLDER given repositories of this machine must lie in it (may be repeated);
                          default: anywhere, or nowhere with another address than a loopback one
    --terraform PATH      terraform or tofu, to check and provision infrastructure; default: GRACE_TERRAFORM, or
                          the first of both on the PATH
    --policy FILE         rules for the commands of builds besides those that come with Grace; see the README
    --docker-socket PATH  API of the Docker or Podman that runs releases as containers; default: the first of the usual sockets that answers
    --docker-base IMAGE   what their images are made from: it must be on that engine and have Python 3.11 or newer; default python:3.11-slim
    --release-budget N    bytes that the kept releases of one place take together; the live one and the one before it stay in any case; default 4294967296
    --allow-unsandboxed   run agents' commands even where nothing at all can be enforced
  doctor   say what this machine can enforce and what it has
    --data-dir PATH, --docker-socket PATH, --docker-base IMAGE, --allow-unsandboxed as above

Environment: DATABASE_URL names a Postgres to use instead of the embedded one; RUST_LOG sets what is logged.
";

/// How long a new release is watched before its predecessor is let go.
const WATCH: Duration = Duration::from_secs(10);
/// Bytes that the kept releases of a place take together: 4 GiB.
const RELEASE_BUDGET: u64 = 4 << 30;
/// How long open requests may take to end after Ctrl-C.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// The command line of `serve` and `doctor`.
struct Options {
    port: u16,
    bind: IpAddr,
    host_names: Vec<String>,
    served: Vec<String>,
    data_dir: Option<PathBuf>,
    site: Option<PathBuf>,
    workers: Option<usize>,
    models: Option<PathBuf>,
    policy: Option<PathBuf>,
    terraform: Option<PathBuf>,
    repositories: Vec<PathBuf>,
    docker_socket: Option<PathBuf>,
    docker_base: Option<String>,
    release_budget: u64,
    allow_unsandboxed: bool,
}

enum Command {
    Serve(Options),
    Doctor(Options),
    Help,
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Help => {
            print!("{USAGE}");
            Ok(())
        }
        Command::Serve(options) => run(serve(options)),
        Command::Doctor(options) => run(doctor(options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    use lexopt::prelude::{Long, Short, Value, ValueExt};
    let mut options = Options {
        port: 3000,
        bind: IpAddr::from([127, 0, 0, 1]),
        host_names: Vec::new(),
        served: Vec::new(),
        data_dir: None,
        site: None,
        workers: None,
        models: None,
        policy: None,
        terraform: std::env::var_os("GRACE_TERRAFORM").filter(|path| !path.is_empty()).map(PathBuf::from),
        repositories: Vec::new(),
        docker_socket: None,
        docker_base: None,
        release_budget: RELEASE_BUDGET,
        allow_unsandboxed: false,
    };
    let mut command = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => options.port = arguments.value()?.parse()?,
            Long("bind") => options.bind = arguments.value()?.parse()?,
            Long("host-name") => options.host_names.push(arguments.value()?.string()?),
            Long("serve") => options.served.push(arguments.value()?.string()?),
            Long("data-dir") => options.data_dir = Some(arguments.value()?.into()),
            Long("site") => options.site = Some(arguments.value()?.into()),
            Long("workers") => options.workers = Some(arguments.value()?.parse()?),
            Long("models") => options.models = Some(arguments.value()?.into()),
            Long("terraform") => options.terraform = Some(arguments.value()?.into()),
            Long("policy") => options.policy = Some(arguments.value()?.into()),
            Long("repositories") => options.repositories.push(arguments.value()?.into()),
            Long("docker-socket") => options.docker_socket = Some(arguments.value()?.into()),
            Long("docker-base") => options.docker_base = Some(arguments.value()?.string()?),
            Long("release-budget") => options.release_budget = arguments.value()?.parse()?,
            Long("allow-unsandboxed") => options.allow_unsandboxed = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(word) if command.is_none() => command = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match command.as_deref() {
        Some("serve") => Ok(Command::Serve(options)),
        Some("doctor") => Ok(Command::Doctor(options)),
        None => Ok(Command::Help),
        Some(other) => Err(format!("there is no command `{other}`").into()),
    }
}

fn run(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,sqlx=warn,graphile_worker=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(work)
}

async fn serve(options: Options) -> Result<(), String> {
    // First of all, so that a taken port is known before the database starts.
    let listener = TcpListener::bind((options.bind, options.port)).await.map_err(|error| taken(&options, &error))?;
    let address = listener.local_addr().map_err(|error| format!("cannot read the address: {error}"))?;
    let site =
        options.site.clone().or_else(site_beside_executable).ok_or("there is no site folder. Run `cargo xtask bundle`, or name it with --site.")?;
    let hosts = AllowedHosts::new(options.host_names.iter().cloned().chain((!options.bind.is_loopback()).then(|| bound_name(options.bind))));
    let hosts = hosts.serving(&options.served, options.bind.is_loopback())?;
    let engine = Engine::start(configuration(&options, address.port())?).await.map_err(|error| explain(&error))?;
    let shutdown = CancellationToken::new();
    let app = router(ServerState::new(engine.clone(), shutdown.clone(), hosts, site));
    println!("Grace is at http://{address}");
    let stopping = shutdown.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        asked_to_stop().await;
        tracing::info!("ending: no new requests, open streams are closed");
        stopping.cancel();
    });
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE_PERIOD).await;
    };
    let outcome = tokio::select! {
        outcome = server => outcome.map_err(|error| format!("the server ended: {error}")),
        () = late => {
            tracing::warn!("some requests did not end in {} s and are cut off", GRACE_PERIOD.as_secs());
            Ok(())
        }
    };
    engine.shutdown().await;
    outcome
}

async fn doctor(options: Options) -> Result<(), String> {
    let configuration = configuration(&options, options.port)?;
    let data_dir = configuration.data_dir.clone();
    let (outcome, in_use) = match Engine::start(configuration.clone()).await {
        Ok(engine) => (examined(engine).await, false),
        // A server runs there. What the machine can do is the same in another folder.
        Err(StartError::InUse { .. }) => {
            let folder = std::env::temp_dir().join(format!("grace-doctor-{}", std::process::id()));
            // Not one that is there already: names in the temporary folder can be guessed.
            std::fs::create_dir(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
            let outcome = match Engine::start(EngineConfig { data_dir: folder.clone(), ..configuration }).await {
                Ok(engine) => examined(engine).await,
                Err(error) => Err(explain(&error)),
            };
            if let Err(error) = std::fs::remove_dir_all(&folder) {
                tracing::warn!(%error, "{} could not be removed", folder.display());
            }
            (outcome, true)
        }
        Err(error) => (Err(explain(&error)), false),
    };
    let system = outcome?;
    println!("isolation      {}", system.isolation);
    for probe in &system.probes {
        println!("  {}  {:<24} {}", if probe.enforced { "yes" } else { "no " }, probe.name, probe.detail);
    }
    for (title, facilities) in [
        ("database", std::slice::from_ref(&system.database)),
        ("toolchains", &system.toolchains),
        ("agents", &system.agents),
        ("deployment targets", &system.targets),
    ] {
        println!("{title}");
        for facility in facilities {
            println!("  {}  {:<24} {}", if facility.available { "yes" } else { "no " }, facility.name, facility.detail);
        }
    }
    println!("registries     {}", system.registries.join(", "));
    println!("data folder    {}{}", data_dir.display(), if in_use { ", in use by a running server" } else { "" });
    println!("{}", if system.ready { "Ready." } else { "Not ready." });
    Ok(())
}

async fn examined(engine: Engine) -> Result<SystemView, String> {
    let outcome = engine.system().await;
    engine.shutdown().await;
    outcome.map_err(|problem| problem.message)
}

fn configuration(options: &Options, port: u16) -> Result<EngineConfig, String> {
    let data_dir = match &options.data_dir {
        Some(path) => std::path::absolute(path).map_err(|error| format!("--data-dir: {error}"))?,
        None => default_data_dir()?,
    };
    let real = |folder: &PathBuf| std::fs::canonicalize(folder).map_err(|error| format!("--repositories {}: {error}", folder.display()));
    let repositories = options.repositories.iter().map(real).collect::<Result<Vec<_>, _>>()?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(EngineConfig {
        data_dir,
        database_url: std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()),
        workers: options.workers.unwrap_or(cores).clamp(1, 64),
        allow_unsandboxed: options.allow_unsandboxed,
        public_port: port,
        // Who is on this machine can read its repositories anyway; who comes over a network could not.
        repositories: (!repositories.is_empty() || !options.bind.is_loopback()).then_some(repositories),
        watch: WATCH,
        release_budget: options.release_budget,
        docker: DockerConfig::new(options.docker_socket.clone(), options.docker_base.clone()).map_err(|error| format!("--docker-base: {error}"))?,
        models: options.models.as_deref().map(read_models).transpose()?.unwrap_or_default(),
        terraform: options.terraform.clone(),
        policy: options.policy.as_deref().map(read_policy).transpose()?.unwrap_or_else(policy::bundled),
    })
}

/// The profiles of `--models`; what is wrong with one is told with its place and its field.
fn read_models(path: &Path) -> Result<Vec<ModelProfile>, String> {
    let at = |what: &str| format!("--models {}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(&error.to_string()))?;
    let drafts: Vec<ProfileDraft> = serde_json::from_str(&text).map_err(|error| at(&format!("it must be a JSON list of profiles: {error}")))?;
    let mut profiles: Vec<ModelProfile> = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        let profile = draft.parse().map_err(|problem| {
            let fields: Vec<String> = problem.errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
            at(&format!("profile {}: {}", index + 1, fields.join(" ")))
        })?;
        if profiles.iter().any(|earlier| earlier.name == profile.name) {
            return Err(at(&format!("profile {}: name: `{}` is there already", index + 1, profile.name)));
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

/// The rules of `--policy` with those that come with Grace; what is wrong with one is told with its place and its field.
fn read_policy(path: &Path) -> Result<Arc<Policy>, String> {
    let at = |what: &str| format!("--policy {}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(&error.to_string()))?;
    policy::configured(&text).map_err(|error| at(&error.to_string()))
}

/// Root's home is closed to the users that the database and agents' commands run as, so root keeps its data elsewhere.
fn default_data_dir() -> Result<PathBuf, String> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/grace".into());
    }
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home);
    Ok(base.ok_or("neither XDG_DATA_HOME nor HOME is set. Name a folder with --data-dir.")?.join("grace"))
}

fn site_beside_executable() -> Option<PathBuf> {
    let site = std::env::current_exe().ok()?.parent()?.parent()?.join("site");
    site.is_dir().then_some(site)
}

fn bound_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn taken(options: &Options, error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        return format!("port {} is taken, perhaps by another Grace. End that program, or choose another with --port.", options.port);
    }
    format!("cannot listen on {}:{}: {error}", options.bind, options.port)
}

/// An error with all its causes in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
