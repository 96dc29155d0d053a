//! The embedded Postgres, as a user meets it: kill -9, restart, second start, wrong version.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use grace_domain::event::Level;
use grace_store::{
    Store,
    embedded::{EmbeddedError, EmbeddedPostgres},
    event_append, events_of, intent_create,
};

use crate::fixture::{at, intent, log, new_intent};

const PATIENCE: Duration = Duration::from_secs(30);

/// Set for the process that [`start_in_another_process`] makes of this test binary.
const DATA_DIR: &str = "GRACE_TEST_DATA_DIR";

/// Not a test of its own: what the other process runs. It says its database's address and waits to be killed.
#[test]
fn the_other_process() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let postgres = runtime.block_on(EmbeddedPostgres::start(Path::new(&data_dir))).unwrap();
    println!("\nurl={}", postgres.url());
    std::io::stdin().lines().count();
}

fn start_in_another_process(data_dir: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["embedded::the_other_process", "--exact", "--nocapture"])
        .env(DATA_DIR, data_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("url=").map(str::to_owned)).expect("it starts");
    (child, url)
}

/// Processes whose working folder is this cluster: Postgres and all its own.
fn processes_in(cluster: &Path) -> Vec<PathBuf> {
    let cluster = cluster.canonicalize().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == cluster)).collect()
}

fn wait_until_none_in(cluster: &Path) {
    let begun = Instant::now();
    while !processes_in(cluster).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "left behind: {:?}", processes_in(cluster));
        std::thread::yield_now();
    }
}

async fn wait_for_start(data_dir: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(data_dir).await.unwrap_or_else(|error| panic!("{error}"))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    // As a person's data folder is; a temporary one is closed to the user that Postgres runs as.
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_nine_nothing_is_left_running_and_nothing_committed_is_lost() {
    let data_dir = folder();
    let (mut child, url) = start_in_another_process(data_dir.path());
    let store = Store::connect(&url, 2).await.unwrap();
    let id = intent(&store).await;
    event_append(&mut store.connection().await.unwrap(), id, &[log(Level::Info, "kept")], at(1)).await.unwrap();
    let cluster = data_dir.path().join("postgres/cluster");
    assert!(processes_in(&cluster).len() > 3, "Postgres runs with its helpers");
    child.kill().unwrap();
    child.wait().unwrap();

    // At once, as a person or a supervisor would: the old one is still ending.
    let postgres = wait_for_start(data_dir.path()).await;
    assert_eq!(postgres.url(), url);
    let again = Store::connect(&postgres.url(), 2).await.unwrap();
    let kept = events_of(&mut again.connection().await.unwrap(), id, 0, 10).await.unwrap();
    assert_eq!(kept.iter().map(|event| event.kind.clone()).collect::<Vec<_>>(), [log(Level::Info, "kept")]);
    again.close().await;
    store.close().await;
    postgres.stop().await;
    wait_until_none_in(&cluster);

    let (mut child, _) = start_in_another_process(data_dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_none_in(&cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_is_refused_and_a_free_one_starts_again() {
    let data_dir = folder();
    let first = wait_for_start(data_dir.path()).await;
    let store = Store::connect(&first.url(), 2).await.unwrap();
    intent_create(&mut store.connection().await.unwrap(), &new_intent("A chat.")).await.unwrap();
    let second = EmbeddedPostgres::start(data_dir.path()).await;
    assert!(matches!(second, Err(EmbeddedError::InUse { .. })), "{:?}", second.map(|postgres| postgres.url()));
    intent_create(&mut store.connection().await.unwrap(), &new_intent("The first goes on.")).await.unwrap();
    store.close().await;
    first.stop().await;
    wait_until_none_in(&data_dir.path().join("postgres/cluster"));

    // What a power cut leaves, with a number that is some other process' now.
    fs::write(data_dir.path().join("postgres/cluster/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    let begun = Instant::now();
    let third = wait_for_start(data_dir.path()).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "it did not wait for a process that is not Postgres");
    third.stop().await;
}

async fn intent_again(store: &Store) -> grace_store::StoreResult<()> {
    let mut conn = store.connection().await?;
    intent_create(&mut conn, &new_intent("A chat.")).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_is_started_again() {
    let data_dir = folder();
    let postgres = wait_for_start(data_dir.path()).await;
    let store = Store::connect(&postgres.url(), 2).await.unwrap();
    let cluster = data_dir.path().join("postgres/cluster");
    let pid = fs::read_to_string(cluster.join("postmaster.pid")).unwrap().lines().next().unwrap().to_owned();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let begun = Instant::now();
    while intent_again(&store).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not come back");
    }
    store.close().await;
    postgres.stop().await;
    wait_until_none_in(&cluster);
}

#[tokio::test]
async fn data_of_a_version_that_is_not_here_is_left_alone_and_named() {
    let data_dir = folder();
    let cluster = data_dir.path().join("postgres/cluster");
    fs::create_dir_all(&cluster).unwrap();
    fs::write(cluster.join("PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedPostgres::start(data_dir.path()).await.err().expect("there is no PostgreSQL 9 here");
    assert!(matches!(error, EmbeddedError::Version { wanted: 9, .. }), "{error}");
    assert!(error.to_string().contains("install PostgreSQL 9"), "{error}");
    assert_eq!(fs::read_dir(&cluster).unwrap().count(), 1, "nothing was added");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = EmbeddedPostgres::start(&file.path().join("data")).await.err().expect("a file holds no folder");
    assert!(matches!(error, EmbeddedError::Folder { .. }), "{error}");
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

/// As root, Postgres runs as another user, who cannot enter a folder of mode 700; as anybody else it is our own folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_only_its_owner_can_enter_works() {
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("grace");
    let postgres = wait_for_start(&data_dir).await;
    let place = postgres.folder();
    let store = Store::connect(&postgres.url(), 2).await.unwrap();
    let id = intent(&store).await;
    store.close().await;
    postgres.stop().await;
    let postgres = wait_for_start(&data_dir).await;
    assert_eq!(postgres.folder(), place, "the same place again");
    let store = Store::connect(&postgres.url(), 2).await.unwrap();
    assert!(grace_store::intent_fetch(&mut store.connection().await.unwrap(), id).await.unwrap().is_some());
    store.close().await;
    postgres.stop().await;
    assert_eq!(fs::metadata(place.join("cluster")).unwrap().mode() & 0o077, 0, "the data is private");
    if rustix::process::geteuid().is_root() {
        assert!(!place.starts_with(&data_dir));
        assert_eq!(fs::read_to_string(data_dir.join("postgres-location")).unwrap().trim(), place.display().to_string());
        fs::remove_dir_all(place).unwrap();
    }
}
