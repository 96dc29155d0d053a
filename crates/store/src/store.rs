//! The door to the database: connect, migrate, begin, close.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::broadcast;

use crate::{
    error::{During, StoreError, StoreResult},
    stream::{Live, StoredEvent},
};

/// A transaction; everything done through it happens together at [`Store::commit`], or not at all.
pub type Transaction = sqlx::Transaction<'static, Postgres>;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Longest wait for a free connection; then the database is reported as not answering.
const ACQUIRE: Duration = Duration::from_secs(10);
/// A connection that was used within this time is taken for alive.
const TRUSTED: Duration = Duration::from_secs(1);
/// Most connections that do not wait for the disk: of a store that was connected, and of one beside it, whose runtime has the job queue.
const RELAXED: u32 = 2;
const RELAXED_BESIDE: u32 = 8;

/// The database. Cheap to clone; all clones share the connections and the live stream.
#[derive(Clone)]
pub struct Store {
    options: PgConnectOptions,
    pool: PgPool,
    relaxed: PgPool,
    live: Arc<Live>,
}

impl Store {
    /// Connects with at most `connections` connections (two more are used for the live stream, and up to two by [`Store::relaxed`]), brings the
    /// tables of Grace and of the job queue to this version, and begins to follow the event log.
    pub async fn connect(url: &str, connections: u32) -> StoreResult<Self> {
        let options = PgConnectOptions::from_str(url).map_err(StoreError::Connect)?.application_name("grace");
        let pool = pool_of(connections).connect_with(options.clone()).await.map_err(StoreError::Connect)?;
        migrate(&pool).await?;
        let live = Arc::new(Live::start(options.clone()).await?);
        Ok(Self { relaxed: relaxed_pool(&options, RELAXED), options, pool, live })
    }

    /// The same database over connections of their own, at most this many besides up to eight relaxed ones; the live stream is shared. For another
    /// runtime, in which this must be called: a connection is driven by the runtime that opened it.
    #[must_use]
    pub fn beside(&self, connections: u32) -> Self {
        let pool = pool_of(connections).connect_lazy_with(self.options.clone());
        let relaxed = relaxed_pool(&self.options, RELAXED_BESIDE);
        Self { options: self.options.clone(), pool, relaxed, live: self.live.clone() }
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub async fn begin(&self) -> StoreResult<Transaction> {
        self.pool.begin().await.map_err(acquire)
    }

    /// A transaction for reads that must all see one moment.
    pub async fn snapshot(&self) -> StoreResult<Transaction> {
        self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(acquire)
    }

    pub async fn commit(&self, transaction: Transaction) -> StoreResult<()> {
        transaction.commit().await.during("commit")
    }

    /// A connection for reads that need no transaction.
    pub async fn connection(&self) -> StoreResult<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(acquire)
    }

    /// Connections that do not wait for the disk: a crash of the database may undo what they committed in the last second. For what is only a sign
    /// of life, for the record of an agent's conversation, and for the job queue's own SQL: a job that is there again runs again, and finds nothing to do.
    pub fn relaxed(&self) -> &PgPool {
        &self.relaxed
    }

    /// One of the [`Store::relaxed`] connections.
    pub async fn relaxed_connection(&self) -> StoreResult<PoolConnection<Postgres>> {
        self.relaxed.acquire().await.map_err(acquire)
    }

    /// Every event of every intent from now on, in the order of its [`crate::Cursor`]. A receiver that falls more than
    /// [`crate::stream::BACKLOG`] events behind is told so and reads on with [`crate::events_after`].
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<StoredEvent>> {
        self.live.subscribe()
    }

    /// Ends the live stream and closes all of these connections, in that order: a listening connection would hold up the pool's end.
    pub async fn close(&self) {
        self.live.stop().await;
        self.relaxed.close().await;
        self.pool.close().await;
    }
}

/// Brings a database to this version of Grace and of its job queue.
pub(crate) async fn migrate(pool: &PgPool) -> StoreResult<()> {
    MIGRATIONS.run(pool).await.map_err(StoreError::Migrate)?;
    graphile_worker_migrations::migrate(pool, "graphile_worker").await.map_err(StoreError::MigrateQueue)
}

/// A pool that asks a connection whether it still lives only after a rest: asking each time is one more round trip in everything.
fn pool_of(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).test_before_acquire(false).before_acquire(|connection, resting| {
        Box::pin(async move {
            // Not an error: a connection that is gone is replaced by a new one.
            Ok(resting.idle_for < TRUSTED || connection.ping().await.is_ok())
        })
    })
}

fn relaxed_pool(options: &PgConnectOptions, most: u32) -> PgPool {
    pool_of(most).connect_lazy_with(options.clone().application_name("grace queue").options([("synchronous_commit", "off")]))
}

fn acquire(error: sqlx::Error) -> StoreError {
    StoreError::Connect(error)
}
