//! Databases for tests: each test has a fresh one with all tables, made from a template in a few milliseconds.
//!
//! They are on the server of `DATABASE_URL` when that is set (its user must be allowed to make databases), else on one embedded Postgres that lives
//! as long as the test process. What a test process leaves behind, the next one removes.

use std::{
    fs,
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use grace_store::{
    Store,
    embedded::{self, EmbeddedPostgres},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

/// Connections of a test's store: few, because many tests share one server.
const CONNECTIONS: u32 = 8;

/// A fresh database. Keep it as long as the store is used.
pub struct TestDatabase {
    pub store: Store,
    pub url: String,
}

/// Address of a database by its name.
type UrlOf = Box<dyn Fn(&str) -> String + Send + Sync>;

struct Server {
    options: PgConnectOptions,
    url: UrlOf,
    template: String,
    /// Runs until the process ends; the kernel then ends it.
    _postgres: Option<EmbeddedPostgres>,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A fresh database with all tables.
///
/// # Panics
/// When there is no Postgres to be had: then no test can say anything.
pub async fn database() -> TestDatabase {
    let url = empty_database().await;
    let store = Store::connect(&url, CONNECTIONS).await.expect("the template is migrated and the server answers");
    TestDatabase { store, url }
}

/// Address of a fresh database with all tables, for tests that connect themselves.
///
/// # Panics
/// As [`database`].
pub async fn empty_database() -> String {
    let server = SERVER.get_or_init(|| async { server().await.expect("tests need a Postgres") }).await;
    let name = format!("grace_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut admin = server.options.connect().await.expect("the server answers");
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {}", server.template)))
        .execute(&mut admin)
        .await
        .expect("databases can be made");
    (server.url)(&name)
}

/// As if every task that runs now had begun so many minutes earlier, its run included: time need not pass in tests.
///
/// # Panics
/// When the database does not answer.
pub async fn backdate_runs(url: &str, minutes: i32) {
    let mut conn = PgConnection::connect(url).await.expect("the server answers");
    sqlx::query("UPDATE attempts SET started_at = started_at - make_interval(mins => $1) WHERE finished_at IS NULL")
        .bind(minutes)
        .execute(&mut conn)
        .await
        .expect("runs can be changed");
}

async fn server() -> Result<Server, Box<dyn std::error::Error + Send + Sync>> {
    let (options, url, postgres): (PgConnectOptions, UrlOf, _) = match std::env::var("DATABASE_URL") {
        Ok(given) => {
            let options = PgConnectOptions::from_str(&given)?;
            let base = options.clone();
            (options, Box::new(move |name: &str| base.clone().database(name).to_url_lossy().to_string()), None)
        }
        Err(_) => {
            let postgres = EmbeddedPostgres::start_disposable(&folder()?).await?;
            let any = postgres.database_url("{}");
            (PgConnectOptions::from_str(&postgres.url())?, Box::new(move |name: &str| any.replace("{}", name)), Some(postgres))
        }
    };
    let mut admin = options.connect().await?;
    // Other test processes may be doing the same on a shared server; the lock is the connection's and goes with it.
    sqlx::query("SELECT pg_advisory_lock(7226173)").execute(&mut admin).await?;
    remove_left_behind(&mut admin).await?;
    let template = format!("grace_template_{}", std::process::id());
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {template}"))).execute(&mut admin).await?;
    // Connecting makes the tables.
    Store::connect(&url(&template), 1).await?.close().await;
    admin.close().await?;
    Ok(Server { options, url, template, _postgres: postgres })
}

/// A new folder for this process' cluster, after removing those of processes that are gone.
fn folder() -> std::io::Result<PathBuf> {
    let all = std::env::temp_dir().join(format!("grace-tests-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)?.flatten() {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if pid.is_some_and(gone) {
            embedded::remove_disposable(&entry.path());
        }
    }
    let folder = all.join(std::process::id().to_string());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder)?;
    Ok(folder)
}

/// Drops databases of test processes that are gone.
async fn remove_left_behind(admin: &mut PgConnection) -> Result<(), sqlx::Error> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname ~ '^grace_(test|template)_[0-9]'").fetch_all(&mut *admin).await?;
    for name in names {
        let pid: Option<u32> = name.split('_').nth(2).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(gone) {
            sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).execute(&mut *admin).await?;
        }
    }
    Ok(())
}

fn gone(pid: u32) -> bool {
    pid != std::process::id() && !PathBuf::from(format!("/proc/{pid}")).exists()
}
