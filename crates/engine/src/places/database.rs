//! A place's PostgreSQL database: made on the server that keeps Grace's own, copied before a migration, put back. Every step may be begun again
//! after a crash in it.

use std::sync::Arc;

use async_trait::async_trait;
use grace_domain::{
    event::Level,
    id::{DeploymentId, IntentId},
    intent::Environment,
    place::{CopyKind, DatabaseCopy, DatabaseState, password_secret},
    problem::Problem,
    secret::{NewSecret, SecretValue},
};
use grace_operations::{DatabaseAccess, PlaceDatabase, ServerAddress};
use grace_store::{
    DatabaseName, DatabaseRow, database_copies_of, database_copy_forget, database_copy_save, database_exchange, place_database_ensure,
    place_database_set_state, secret_find,
};
use grace_vault::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

use crate::{
    decide::Decision,
    error::{Error, Result},
    start::Inner,
};

/// Copies of a database that are kept; the oldest go first.
const KEPT: usize = 3;

/// The database of one place for one deployment, or for its next start.
pub(super) struct Database {
    inner: Arc<Inner>,
    deployment: Option<DeploymentId>,
    row: DatabaseRow,
    name: DatabaseName,
    access: DatabaseAccess,
    /// Role and database are there.
    made: OnceCell<()>,
}

impl Database {
    /// Sees to it that there can be one, and that it has a name and a password. At the server nothing is done yet.
    ///
    /// # Errors
    /// The server, or Grace's role at it, does not do; with the remedy.
    pub async fn open(inner: Arc<Inner>, (intent, environment): (IntentId, Environment), deployment: Option<DeploymentId>) -> Result<Self> {
        let server = match inner.store.server_address() {
            grace_store::ServerAddress::Socket(path) => ServerAddress::Socket(path),
            grace_store::ServerAddress::Tcp(host, port) => ServerAddress::Tcp(host, port),
            grace_store::ServerAddress::Encrypted => {
                let why = "The PostgreSQL of DATABASE_URL is reached over encrypted connections only, which releases cannot speak yet. Allow unencrypted ones on \
                           a private network (sslmode=prefer), or start Grace without DATABASE_URL, so that it runs a PostgreSQL of its own.";
                return Err(Problem::conflict("database_encrypted", why).into());
            }
        };
        let (may, role) = inner.store.may_provision().await?;
        if !may {
            let why = format!(
                "The role {role} of DATABASE_URL may not make roles and databases. Let it (ALTER ROLE {role} CREATEDB CREATEROLE), or start Grace without \
                 DATABASE_URL, so that it runs a PostgreSQL of its own."
            );
            return Err(Problem::conflict("database_forbidden", why).into());
        }
        let secret = password_secret(environment);
        let fresh = format!("app_{}_{}_{}", intent.0, environment.as_str(), random(3)?);
        let mut conn = inner.store.connection().await?;
        let row = place_database_ensure(&mut conn, (intent, environment), &fresh, secret.as_str(), inner.now()).await?;
        let sealed = secret_find(&mut conn, Some(intent), &secret).await?.is_some_and(|known| known.intent == Some(intent));
        drop(conn);
        if row.state == DatabaseState::Dropping {
            return Err(Problem::conflict("database_dropping", format!("{} is being dropped. Deploy again when it is gone.", row.name)).into());
        }
        let name = DatabaseName::parse(&row.name).ok_or_else(|| Problem::internal("database name"))?;
        if !sealed {
            let value = SecretValue::from(random(24)?);
            inner.secret_save(&NewSecret { name: secret.clone(), intent: Some(intent), value }).await?;
        }
        let purpose = format!("the database of {}", environment.as_str());
        let password = inner.secret_for(Some(intent), &secret, &purpose, Some((intent, None))).await?;
        let access = DatabaseAccess { name: row.name.clone(), password, server };
        Ok(Self { inner, deployment, row, name, access, made: OnceCell::new() })
    }

    pub fn password(&self) -> &SecretString {
        &self.access.password
    }

    async fn make(&self) -> Result<()> {
        self.inner.store.database_provision(&self.name, self.access.password.expose_secret()).await?;
        if self.row.state == DatabaseState::Provisioning {
            let DatabaseRow { id, intent, environment, name, secret, .. } = &self.row;
            let mut decision = Decision::begin(&self.inner, *intent).await?;
            place_database_set_state(&mut decision.tx, *id, DatabaseState::Ready).await?;
            let text = format!("{} has a database of its own: {name}. Its password is the secret {secret} of the build.", environment.label());
            decision.log(Level::Info, text, None);
            decision.finish().await?;
        }
        Ok(())
    }

    async fn made(&self) -> Result<()> {
        self.made.get_or_try_init(|| self.make()).await.copied()
    }

    async fn schema(&self) -> Result<Option<String>> {
        self.made().await?;
        Ok(self.inner.store.schema_revision(&self.name, self.access.password.expose_secret()).await?)
    }

    /// The copy that was made before the migration for this deployment.
    async fn made_before(&self) -> Result<Option<DatabaseCopy>> {
        let mut conn = self.inner.store.connection().await?;
        let copies = database_copies_of(&mut conn, self.row.id).await?;
        Ok(copies.into_iter().find(|copy| copy.kind == CopyKind::BeforeMigration && Some(copy.deployment_id) == self.deployment))
    }

    async fn make_copy(&self) -> Result<String> {
        let deployment = self.deployment.ok_or_else(|| Problem::internal("a copy without a deployment"))?;
        let (row, name) = (&self.row, &self.name);
        if let Some(made) = self.made_before().await? {
            return Ok(format!("{} was made before the server ended", made.name));
        }
        let schema_revision = self.schema().await?;
        let copy = name.copy(CopyKind::BeforeMigration, deployment.0);
        let began = std::time::Instant::now();
        self.inner.store.database_copy(name, &copy).await?;
        let (made_at, took) = (self.inner.now(), began.elapsed());
        let kept =
            DatabaseCopy { name: copy.as_str().to_owned(), kind: CopyKind::BeforeMigration, schema_revision, deployment_id: deployment, made_at };
        let mut conn = self.inner.store.connection().await?;
        database_copy_save(&mut conn, row.id, &kept).await?;
        drop(conn);
        self.prune(row.id).await?;
        Ok(format!("{} in {} ms", kept.name, took.as_millis()))
    }

    async fn prune(&self, database: i64) -> Result<()> {
        let mut conn = self.inner.store.connection().await?;
        let copies = database_copies_of(&mut conn, database).await?;
        for old in copies.iter().skip(KEPT) {
            if let Some(name) = DatabaseName::parse(&old.name) {
                self.inner.store.database_drop(&name).await?;
            }
            database_copy_forget(&mut conn, &old.name).await?;
        }
        Ok(())
    }

    async fn restored(&self, revision: &str) -> Result<String> {
        let deployment = self.deployment.ok_or_else(|| Problem::internal("a way back without a deployment"))?;
        let schema_revision = self.schema().await?;
        let (row, name) = (&self.row, &self.name);
        let mut decision = Decision::begin(&self.inner, row.intent).await?;
        let copies = database_copies_of(&mut decision.tx, row.id).await?;
        let Some(copy) = copies.into_iter().find(|copy| copy.schema_revision.as_deref() == Some(revision)) else {
            let why = format!("no copy of the database with the schema's revision {revision} is kept");
            return Err(Problem::conflict("no_copy", why).into());
        };
        let now = decision.now;
        let aside = name.copy(CopyKind::Replaced, now.timestamp_millis());
        let put_back = DatabaseName::parse(&copy.name).ok_or_else(|| Problem::internal("database name"))?;
        database_exchange(&mut decision.tx, name, &put_back, &aside).await?;
        let replaced =
            DatabaseCopy { name: aside.as_str().to_owned(), kind: CopyKind::Replaced, schema_revision, deployment_id: deployment, made_at: now };
        database_copy_save(&mut decision.tx, row.id, &replaced).await?;
        let text = format!(
            "The database {} is again what it was at {} UTC, revision {revision}; what was there, with everything written since, is kept as {}",
            row.name,
            copy.made_at.format("%Y-%m-%d %H:%M:%S"),
            replaced.name
        );
        decision.log(Level::Warn, format!("{text}."), None);
        decision.finish().await?;
        Ok(text)
    }
}

#[async_trait]
impl PlaceDatabase for Database {
    async fn provision(&self) -> Result<DatabaseAccess, String> {
        self.made().await.map(|()| self.access.clone()).map_err(sentence)
    }

    async fn revision(&self) -> Result<Option<String>, String> {
        self.schema().await.map_err(sentence)
    }

    async fn copied(&self) -> Result<Option<String>, String> {
        self.made_before().await.map(|copy| copy?.schema_revision).map_err(sentence)
    }

    async fn copy(&self) -> Result<String, String> {
        self.make_copy().await.map_err(sentence)
    }

    async fn restore(&self, revision: &str) -> Result<String, String> {
        self.restored(revision).await.map_err(sentence)
    }
}

fn sentence(error: Error) -> String {
    match error {
        Error::Refused(problem) => problem.message,
        other => other.chain(),
    }
}

/// So many random bytes in hexadecimal digits.
fn random(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| Error::File(std::io::Error::other(error)))?;
    Ok(hex::encode(random))
}
