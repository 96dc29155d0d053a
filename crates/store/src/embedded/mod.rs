//! A private Postgres in the data folder, started and ended with Grace, for everybody who has not set `DATABASE_URL`.
//!
//! The data's own major version decides which programs run it; new data gets the newest that are installed (15 or later), else the 17.5 that is
//! part of this program. It listens on a unix socket in a folder that only its user and root can enter, and on no network. It knows no tables.

mod account;
mod binaries;
mod bundled;
mod error;
mod place;
mod process;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use self::{
    account::Account,
    binaries::Binaries,
    place::Place,
    process::{Durability, Keeper},
};

pub use self::error::EmbeddedError;

/// How long the one before may take to end, after a `kill -9` of Grace.
const HOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// How long Postgres may take to answer; replaying its journal after a power cut is the slowest case.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// How long it may fail to run at all.
const RUN_PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// A running cluster. Dropping it ends Postgres in order and blocks for that; [`EmbeddedPostgres::stop`] does not block.
pub struct EmbeddedPostgres {
    keeper: Keeper,
    place: Place,
    major: u32,
}

impl EmbeddedPostgres {
    /// Starts the cluster that belongs to this data folder, and makes it first if there is none. When it returns, the database answers.
    pub async fn start(data_dir: &Path) -> Result<Self, EmbeddedError> {
        Self::start_with(data_dir, Durability::Full).await
    }

    /// For tests: nothing is waited for until it is on the disk.
    pub async fn start_disposable(data_dir: &Path) -> Result<Self, EmbeddedError> {
        Self::start_with(data_dir, Durability::None).await
    }

    async fn start_with(data_dir: &Path, durability: Durability) -> Result<Self, EmbeddedError> {
        let data_dir = data_dir.to_owned();
        let prepared = tokio::task::spawn_blocking(move || prepare(&data_dir, durability, Binaries::choose)).await;
        let (place, binaries, account) = prepared.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Self::run(place, &binaries, account, durability).await
    }

    async fn run(place: Place, binaries: &Binaries, account: Account, durability: Durability) -> Result<Self, EmbeddedError> {
        wait_for_holder(&place).await?;
        let keeper = Keeper::start(&place, binaries, account, durability)?;
        let postgres = Self { keeper, place, major: binaries.major };
        postgres.wait_for_answer().await?;
        Ok(postgres)
    }

    /// Address of Grace's database, for [`crate::Store::connect`].
    pub fn url(&self) -> String {
        self.database_url("grace")
    }

    pub fn database_url(&self, database: &str) -> String {
        format!("postgres://grace@localhost:5432/{database}?host={}", self.place.socket.display())
    }

    /// Major version of the running PostgreSQL.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Where Postgres keeps its data, which is outside the data folder when its user cannot get in there.
    pub fn folder(&self) -> PathBuf {
        self.place.base.clone()
    }

    /// Ends Postgres in order. Close the [`crate::Store`] first.
    pub async fn stop(mut self) {
        if tokio::task::spawn_blocking(move || self.keeper.stop()).await.is_err() {
            tracing::error!("ending the private Postgres panicked");
        }
    }

    async fn wait_for_answer(&self) -> Result<(), EmbeddedError> {
        let options = PgConnectOptions::new_without_pgpass().socket(&self.place.socket).port(5432).username("grace").database("postgres");
        let begun = Instant::now();
        loop {
            let patience = match PgConnection::connect_with(&options).await {
                Ok(conn) => return make_database(conn).await.map_err(EmbeddedError::Database),
                // 57P03: it runs, and is reading its journal.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => ANSWER_PATIENCE,
                Err(_) => RUN_PATIENCE,
            };
            if begun.elapsed() > patience || self.keeper.has_given_up() {
                let output = process::log_end(&self.place.log);
                return Err(EmbeddedError::NoAnswer { log: self.place.log.clone(), output, seconds: begun.elapsed().as_secs() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Removes what a test process has left that was killed. When its Postgres is still ending, that is left to the next test process.
pub fn remove_disposable(data_dir: &Path) {
    let removed = Account::choose().and_then(|account| Place::choose(data_dir, &account)).and_then(|place| {
        if process::holder(&place)?.is_none() {
            place.remove_socket();
            error::At::at(std::fs::remove_dir_all(data_dir), "Removing", data_dir)?;
        }
        Ok(())
    });
    if let Err(error) = removed {
        tracing::debug!(error = %error, "what an earlier test process left could not be removed");
    }
}

/// Which programs run data of a version, or new data.
type Choose = fn(&Place, Option<u32>) -> Result<Binaries, EmbeddedError>;

fn prepare(data_dir: &Path, durability: Durability, choose: Choose) -> Result<(Place, Binaries, Account), EmbeddedError> {
    let account = Account::choose()?;
    let place = Place::choose(data_dir, &account)?;
    let major = place.major()?;
    let binaries = choose(&place, major)?;
    if major.is_none() {
        process::initialise(&place, &binaries, &account, durability)?;
    }
    process::admit(&place, &account)?;
    Ok((place, binaries, account))
}

/// After a `kill -9` of Grace its Postgres is still ending.
async fn wait_for_holder(place: &Place) -> Result<(), EmbeddedError> {
    let begun = Instant::now();
    while let Some(pid) = process::holder(place)? {
        if begun.elapsed() > HOLDER_PATIENCE {
            return Err(EmbeddedError::InUse { cluster: place.cluster.clone(), pid, seconds: HOLDER_PATIENCE.as_secs() });
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn make_database(mut conn: PgConnection) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'grace')").fetch_one(&mut conn).await?;
    if !exists {
        sqlx::query("CREATE DATABASE grace").execute(&mut conn).await?;
    }
    conn.close().await
}

#[cfg(all(test, bundled_postgres))]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::Store;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_postgres_that_is_built_in_holds_our_tables_and_its_data_stays_with_it() {
        let data_dir = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(data_dir.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let (place, binaries, account) =
            prepare(data_dir.path(), Durability::Full, |place, _| bundled::unpack(place)).unwrap_or_else(|error| panic!("{error}"));
        assert!(binaries.postgres.starts_with(data_dir.path()));
        let postgres = EmbeddedPostgres::run(place, &binaries, account, Durability::Full).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(postgres.major(), 17);
        let store = Store::connect(&postgres.url(), 2).await.expect("all tables can be made");
        store.close().await;
        postgres.stop().await;

        let again = EmbeddedPostgres::start(data_dir.path()).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.major(), 17, "whatever else is installed");
        let version: String = sqlx::query_scalar("SHOW server_version_num")
            .fetch_one(&mut PgConnection::connect(&again.url()).await.expect("it answers"))
            .await
            .expect("it says its version");
        assert!(version.starts_with("17"), "{version}");
        again.stop().await;
    }
}
