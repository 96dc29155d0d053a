//! The steps of a place's PostgreSQL database: made sure of, copied before a migration, migrated, and put back when what was migrated for it does
//! not hold. What is done at the server is done by whoever gives the [`PlaceDatabase`].

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use grace_domain::deployment::{DeployTarget, DeploymentStatus};
use grace_sandbox::Limits;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::{
    Granted, Halt, LocalTarget, Place, Release,
    process::{Given, MIGRATE},
    steps::Steps,
};
use crate::relay::{Relay, ServerAddress};

/// Where the database's socket is found inside.
const INSIDE: &str = "/run/database";
/// How long requests may take to let go of the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a release needs to reach its place's database.
#[derive(Debug, Clone)]
pub struct DatabaseAccess {
    /// Of the database and of its role.
    pub name: String,
    pub password: SecretString,
    pub server: ServerAddress,
}

/// The database of one place, for one deployment. Every call may be made again after a crash in it. Errors are sentences for people.
#[async_trait]
pub trait PlaceDatabase: Send + Sync {
    /// Makes sure of role, database and password.
    async fn provision(&self) -> Result<DatabaseAccess, String>;
    /// What the migrations say that the schema is; `None`: there is none yet.
    async fn revision(&self) -> Result<Option<String>, String>;
    /// Revision of the schema in the copy that was made for this deployment, by a server that ended since too; `None`: none was made.
    async fn copied(&self) -> Result<Option<String>, String>;
    /// Makes the copy for this deployment, unless it was made before. Nobody is connected meanwhile. Answers with its name.
    async fn copy(&self) -> Result<String, String>;
    /// Puts the newest copy of this revision in the database's place and keeps what was there as a copy. Nobody is connected meanwhile.
    async fn restore(&self, revision: &str) -> Result<String, String>;
}

/// What the database was before a migration, if it may have to be put back.
pub(super) struct Before {
    pub revision: Option<String>,
}

impl LocalTarget {
    /// What the database was before a server that ended migrated it for this deployment.
    pub(super) async fn left_migrated(&self, granted: &Granted) -> Result<Option<Before>, Halt> {
        let Some(database) = &granted.database else { return Ok(None) };
        Ok(database.copied().await?.map(|revision| Before { revision: Some(revision) }))
    }

    /// Brings the schema of a place's database to what the release needs, a copy first.
    pub(super) async fn migrate_database(
        &self,
        place: &Place,
        release: &Release,
        granted: &Granted,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<Before>, Halt> {
        let Some(database) = granted.database.clone() else { return Ok(None) };
        steps.begin("provision_database", DeploymentStatus::Starting).await;
        let access = database.provision().await?;
        self.reach(place, &access).await?;
        steps.done(&format!("{}: its own role and database", access.name)).await;
        self.note_left_behind(place, steps).await;

        // What is there now may be this deployment's own work, done before the server ended; the copy is what was there before it.
        let copied = database.copied().await?;
        let before = Before { revision: if copied.is_some() { copied } else { database.revision().await? } };
        match &before.revision {
            None => steps.skip("copy_database", "it is empty").await,
            Some(revision) => {
                steps.begin("copy_database", DeploymentStatus::Starting).await;
                let relay = self.relay(place).await?;
                let held = relay.hold(PATIENCE, false).await?;
                let copy = database.copy().await?;
                drop(held);
                steps.done(&format!("{copy}, revision {revision}")).await;
            }
        }
        if cancel.is_cancelled() {
            return Err(Halt::Cancelled);
        }
        steps.begin("migrate", DeploymentStatus::Starting).await;
        if let Err(halt) = self.alembic(place, release, granted, steps, cancel).await {
            let put_back = self.put_back(place, granted, Some(&before)).await;
            return Err(match (halt, put_back) {
                (Halt::Failed(reason), Some(more)) => Halt::Failed(format!("{reason}. {more}")),
                (halt, _) => halt,
            });
        }
        let after = database.revision().await?;
        let said = match (&before.revision, &after) {
            (before, Some(after)) if before.as_ref() == Some(after) => format!("nothing to do at revision {after}"),
            (Some(before), Some(after)) => format!("from revision {before} to {after}"),
            (None, Some(after)) => format!("to revision {after}"),
            (_, None) => "its migrations keep no revision".to_owned(),
        };
        steps.done(&said).await;
        Ok(Some(before))
    }

    /// Before an earlier release is started: its place's database must have the schema that it knows. What it goes back to, should `to` not hold, is
    /// what `from` runs on: the database may have been exchanged already, before the server ended.
    pub(super) async fn schema_of(
        &self,
        place: &Place,
        (from, to): (&Release, &Release),
        granted: &Granted,
        steps: &mut Steps<'_>,
    ) -> Result<Option<Before>, Halt> {
        let Some(database) = &granted.database else { return Ok(None) };
        steps.begin("provision_database", DeploymentStatus::Starting).await;
        let access = database.provision().await?;
        self.reach(place, &access).await?;
        steps.done(&access.name).await;
        steps.skip("copy_database", "what is replaced is kept").await;
        steps.begin("migrate", DeploymentStatus::Starting).await;
        let now = database.revision().await?;
        let before = Before { revision: from.schema_revision.clone().or_else(|| now.clone()) };
        match &to.schema_revision {
            Some(wanted) if now.as_ref() != Some(wanted) => {
                let relay = self.relay(place).await?;
                let held = relay.hold(PATIENCE, true).await?;
                let restored = database.restore(wanted).await?;
                drop(held);
                steps.done(&restored).await;
                Ok(Some(before))
            }
            Some(wanted) => {
                steps.done(&format!("nothing to do at revision {wanted}")).await;
                Ok(Some(before))
            }
            None => {
                steps.done("the release says no revision; the schema stays as it is").await;
                Ok(None)
            }
        }
    }

    /// After a release that did not hold has ended: a schema that was changed for it goes back to what it was. Says what was done.
    pub(super) async fn put_back(&self, place: &Place, granted: &Granted, before: Option<&Before>) -> Option<String> {
        let database = granted.database.as_ref()?;
        let revision = before?.revision.as_ref()?;
        let restored = async {
            let access = database.provision().await?;
            self.reach(place, &access).await?;
            if database.revision().await?.as_ref() == Some(revision) {
                return Ok(None);
            }
            let relay = self.relay(place).await?;
            let held = relay.hold(PATIENCE, true).await?;
            let restored = database.restore(revision).await?;
            drop(held);
            Ok::<_, String>(Some(restored))
        };
        match restored.await {
            Ok(restored) => restored,
            Err(error) => Some(format!("The database could not be put back to revision {revision}: {error}")),
        }
    }

    /// `alembic upgrade head` with the release's own Python.
    pub(super) async fn alembic(
        &self,
        place: &Place,
        release: &Release,
        granted: &Granted,
        steps: &mut Steps<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), Halt> {
        match release.target {
            DeployTarget::Local => {
                let migrate = self.app_command(place, release, granted, &MIGRATE, Limits::default()).await?;
                self.run(migrate, "alembic", steps.observer, cancel).await
            }
            DeployTarget::Docker => self.migrate_image(place, release, granted, steps.observer, cancel).await,
        }
    }

    /// Gives a release the way to its place's database.
    pub(super) async fn give_database(&self, place: &Place, granted: &Granted, given: &mut Given) -> Result<(), String> {
        let Some(database) = &granted.database else {
            given.environment.insert("DATABASE_URL".to_owned(), "sqlite:////data/app.db".to_owned());
            return Ok(());
        };
        let access = database.provision().await?;
        self.reach(place, &access).await?;
        let DatabaseAccess { name, password, .. } = &access;
        let url = format!("postgresql://{name}:{}@/{name}?host={INSIDE}", encoded(password.expose_secret()));
        given.secrets.insert("DATABASE_URL".to_owned(), SecretString::from(url));
        given.read_only.push((self.database_dir(place), INSIDE));
        Ok(())
    }

    fn database_dir(&self, place: &Place) -> PathBuf {
        self.place_dir(place).join("database")
    }

    /// Makes sure that the place's relay leads to this database.
    async fn reach(&self, place: &Place, access: &DatabaseAccess) -> Result<(), String> {
        let folder = self.database_dir(place);
        self.writable(&folder)?;
        let mut relays = self.0.relays.lock().await;
        if relays.get(&place.name()).is_some_and(|relay| relay.leads_to(&access.server, &access.name)) {
            return Ok(());
        }
        let relay = Relay::start(&folder, access.server.clone(), &access.name)
            .map_err(|error| format!("cannot listen for connections to the database in {}: {error}", folder.display()))?;
        relays.insert(place.name(), Arc::new(relay));
        Ok(())
    }

    async fn relay(&self, place: &Place) -> Result<Arc<Relay>, String> {
        self.0.relays.lock().await.get(&place.name()).cloned().ok_or_else(|| format!("no way leads to the database of {}", place.name()))
    }

    /// Data of a time when the place had no PostgreSQL is not taken over, and not silently so.
    async fn note_left_behind(&self, place: &Place, steps: &Steps<'_>) {
        let file = self.place_dir(place).join("data/app.db");
        if tokio::fs::try_exists(&file).await.unwrap_or(false) {
            let text = format!("{} holds data of earlier releases on SQLite; it stays there and is not in the new database.", file.display());
            steps.observer.log(grace_domain::event::Level::Warn, "deploy", &text).await;
        }
    }
}

/// For a place in an address where letters, digits and a few signs stand for themselves.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
