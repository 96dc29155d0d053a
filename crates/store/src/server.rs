//! What is done at the database server for places: roles, databases, copies. Names are made by Grace and checked here, because the server takes none
//! as a parameter; a password reaches it only as what it keeps of one.

use std::{path::PathBuf, time::Duration};

use grace_domain::place::CopyKind;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgSslMode};

use crate::{
    error::{During, StoreError, StoreResult},
    places::database_copy_forget,
    store::Store,
};

/// Most connections of a role: those of its services, and Grace's own looks.
const CONNECTIONS: u32 = 50;
/// How long a look into a place's database may take.
const LOOK: Duration = Duration::from_secs(5);

/// Where the server of this store listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    Socket(PathBuf),
    /// Without encryption.
    Tcp(String, u16),
    /// Only encrypted connections are asked for.
    Encrypted,
}

/// Name of a database and its role: letters, digits and `_`, so that it can stand in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// `None`: no name of ours. Room is left for what copies are called.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = text.len() <= 63 && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a copy for a deployment is called.
    #[must_use]
    pub fn copy(&self, kind: CopyKind, deployment: i64) -> Self {
        let letter = match kind {
            CopyKind::BeforeMigration => 'c',
            CopyKind::Replaced => 'r',
        };
        Self(format!("{}_{letter}{deployment}", self.0))
    }
}

impl Store {
    /// Where the server that keeps Grace's own database listens.
    pub fn server_address(&self) -> ServerAddress {
        let (options, port) = (self.options(), self.options().get_port());
        match (options.get_socket(), options.get_ssl_mode()) {
            (Some(folder), _) => ServerAddress::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            (None, _) if options.get_host().starts_with('/') => {
                ServerAddress::Socket(PathBuf::from(options.get_host()).join(format!(".s.PGSQL.{port}")))
            }
            (None, PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull) => ServerAddress::Encrypted,
            (None, _) => ServerAddress::Tcp(options.get_host().to_owned(), port),
        }
    }

    /// What the schema of a place's database says that it is, read as its own role: what stands there is the service's.
    pub async fn schema_revision(&self, name: &DatabaseName, password: &str) -> StoreResult<Option<String>> {
        let options = self.options().clone().database(name.as_str()).username(name.as_str()).password(password);
        let mut conn = options.options([("statement_timeout", "5000")]).connect().await.map_err(StoreError::Connect)?;
        let look = async {
            let there: bool = sqlx::query_scalar("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetch_one(&mut conn).await?;
            if !there {
                return Ok(None);
            }
            sqlx::query_scalar("SELECT left(version_num::text, 64) FROM public.alembic_version ORDER BY 1 LIMIT 1").fetch_optional(&mut conn).await
        };
        let revision = tokio::time::timeout(LOOK, look).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut)).during("schema_revision");
        drop(conn.close().await);
        revision
    }

    /// A role and a database of this name, both made if they are missing: the role may do what it likes in the database, and nothing elsewhere.
    pub async fn database_provision(&self, name: &DatabaseName, password: &str) -> StoreResult<()> {
        let mut conn = self.connection().await?;
        let quoted = name.as_str();
        let kept = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let role: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(quoted)
            .fetch_one(&mut *conn)
            .await
            .during("database_provision")?;
        let verb = if role { "ALTER" } else { "CREATE" };
        run(
            &mut conn,
            format!(
                "{verb} ROLE \"{quoted}\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION CONNECTION LIMIT {CONNECTIONS} PASSWORD '{kept}'"
            ),
        )
        .await?;
        run(&mut conn, format!("ALTER ROLE \"{quoted}\" SET idle_in_transaction_session_timeout = '60s'")).await?;
        if !exists(&mut conn, name).await? {
            run(&mut conn, format!("CREATE DATABASE \"{quoted}\"")).await?;
        }
        open_to_role(&mut conn, name, name).await?;
        // Everybody may connect to a new database unless it is said otherwise; to Grace's own nobody needs to but Grace.
        let own: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut *conn).await.during("database_provision")?;
        run(&mut conn, format!("REVOKE CONNECT ON DATABASE \"{}\" FROM PUBLIC", own.replace('"', "\"\""))).await?;
        let mut inside = self.options().clone().database(quoted).connect().await.map_err(StoreError::Connect)?;
        let granted = run(&mut inside, format!("GRANT ALL ON SCHEMA public TO \"{quoted}\"")).await;
        drop(inside.close().await);
        granted
    }

    /// Whether Grace's role may make roles and databases; its name.
    pub async fn may_provision(&self) -> StoreResult<(bool, String)> {
        let mut conn = self.connection().await?;
        sqlx::query_as("SELECT rolsuper OR (rolcreatedb AND rolcreaterole), rolname::text FROM pg_roles WHERE rolname = current_user")
            .fetch_one(&mut *conn)
            .await
            .during("may_provision")
    }

    /// Makes a copy. Nobody may be connected to the original; what a copy of this name there is without a row is one that was not finished.
    pub async fn database_copy(&self, from: &DatabaseName, to: &DatabaseName) -> StoreResult<()> {
        let mut conn = self.connection().await?;
        run(&mut conn, format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", to.as_str())).await?;
        run(&mut conn, format!("CREATE DATABASE \"{}\" TEMPLATE \"{}\"", to.as_str(), from.as_str())).await?;
        run(&mut conn, format!("REVOKE ALL ON DATABASE \"{}\" FROM PUBLIC", to.as_str())).await
    }

    pub async fn database_drop(&self, name: &DatabaseName) -> StoreResult<()> {
        let mut conn = self.connection().await?;
        run(&mut conn, format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", name.as_str())).await
    }

    /// Drops a place's database with every copy of it, those without a row too, and its role.
    pub async fn database_drop_all(&self, name: &DatabaseName) -> StoreResult<()> {
        let mut conn = self.connection().await?;
        let copies: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database WHERE datname ~ ('^' || $1 || '_[cr][0-9]+$')")
            .bind(name.as_str())
            .fetch_all(&mut *conn)
            .await
            .during("database_drop_all")?;
        for database in copies.iter().filter_map(|copy| DatabaseName::parse(copy)).chain([name.clone()]) {
            run(&mut conn, format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", database.as_str())).await?;
        }
        run(&mut conn, format!("DROP ROLE IF EXISTS \"{}\"", name.as_str())).await
    }
}

/// Puts a copy in its database's place, which takes another name; in one step with whatever else the transaction does. Nobody may be connected to
/// either.
pub async fn database_exchange(conn: &mut PgConnection, name: &DatabaseName, copy: &DatabaseName, aside: &DatabaseName) -> StoreResult<()> {
    run(conn, format!("ALTER DATABASE \"{}\" RENAME TO \"{}\"", name.as_str(), aside.as_str())).await?;
    run(conn, format!("ALTER DATABASE \"{}\" RENAME TO \"{}\"", copy.as_str(), name.as_str())).await?;
    run(conn, format!("REVOKE ALL ON DATABASE \"{}\" FROM \"{}\"", aside.as_str(), name.as_str())).await?;
    open_to_role(conn, name, name).await?;
    database_copy_forget(conn, copy.as_str()).await
}

async fn open_to_role(conn: &mut PgConnection, database: &DatabaseName, role: &DatabaseName) -> StoreResult<()> {
    run(conn, format!("REVOKE ALL ON DATABASE \"{}\" FROM PUBLIC", database.as_str())).await?;
    run(conn, format!("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE \"{}\" TO \"{}\"", database.as_str(), role.as_str())).await
}

async fn exists(conn: &mut PgConnection, name: &DatabaseName) -> StoreResult<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name.as_str())
        .fetch_one(conn)
        .await
        .during("database_exists")
}

/// A statement whose names are checked: none of these can be given as a parameter.
async fn run(conn: &mut PgConnection, statement: String) -> StoreResult<()> {
    sqlx::query(AssertSqlSafe(statement)).execute(conn).await.during("a statement of databases")?;
    Ok(())
}
