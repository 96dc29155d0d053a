//! The way of a release to its database: a unix socket in its sandbox, behind which connections are passed on to the server for one role and one
//! database alone. It reads how a connection begins and where it pauses; what is said over it, password included, is between the two ends.
//!
//! It can be held: connections that rest, or that are being looked at before their next use, are closed and new ones wait, so that the database has
//! nobody in it for a moment and no request fails.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::AbortHandle,
    time::Instant,
};

/// Name that clients look for in the folder that they are given as host.
pub const SOCKET: &str = ".s.PGSQL.5432";
/// Most connections of one place. The role's own limit at the server is not above this.
const CONNECTIONS: usize = 40;
/// Longest first message.
const STARTUP_MOST: u32 = 10_000;
/// What a connection has to begin.
const STARTUP_WITHIN: Duration = Duration::from_secs(10);
/// What pools of connections ask before they hand one out, SQLAlchemy's over psycopg 3 the second; a connection that is gone then is replaced without
/// anybody noticing.
const PINGS: [&[u8]; 2] = [b"SELECT 1", b";"];
/// A connection that has rested for so long is between two requests, not between two statements of one.
const RESTED: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_millis(10);

const VERSION_3: u32 = 3 << 16;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// Where the database server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAddress {
    Socket(PathBuf),
    Tcp(String, u16),
}

/// A relay that runs. It ends when it is dropped, with every connection over it.
pub struct Relay {
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    server: ServerAddress,
    /// The role, and the database of the same name.
    name: String,
    held: watch::Sender<bool>,
    open: AtomicUsize,
    places: Arc<Semaphore>,
    /// Ends every connection when it is dropped.
    end: watch::Sender<()>,
}

/// While one of these lives, nobody is connected over the relay.
pub struct Held<'a>(&'a Relay);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.shared.held.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.end.send_replace(());
    }
}

impl Relay {
    /// Listens in `folder` for whoever may enter it. `name` is the only role, and the only database, that is passed on.
    pub fn start(folder: &Path, server: ServerAddress, name: &str) -> io::Result<Self> {
        let socket = folder.join(SOCKET);
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&socket)?;
        // Who may enter the folder may connect; the folder is the release's alone.
        std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        let shared = Arc::new(Shared {
            server,
            name: name.to_owned(),
            held: watch::Sender::new(false),
            open: AtomicUsize::new(0),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            end: watch::Sender::new(()),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Ok(Self { shared, accepting })
    }

    pub fn leads_to(&self, server: &ServerAddress, name: &str) -> bool {
        self.shared.server == *server && self.shared.name == name
    }

    /// Holds new connections and waits until those that are open rest and are closed. After `patience` those at work are ended too, when `force` says
    /// so.
    ///
    /// # Errors
    /// How many are still at work; then nothing is held any more.
    pub async fn hold(&self, patience: Duration, force: bool) -> Result<Held<'_>, String> {
        self.shared.held.send_replace(true);
        let held = Held(self);
        let mut until = Instant::now() + patience;
        let mut force = force;
        while self.shared.open.load(Ordering::Acquire) > 0 {
            if Instant::now() > until {
                if std::mem::take(&mut force) {
                    self.shared.end.send_replace(());
                    until += patience;
                    continue;
                }
                let open = self.shared.open.load(Ordering::Acquire);
                return Err(format!("{open} connections to the database were in the middle of something for {} s", patience.as_secs()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(held)
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // No descriptors are left for the moment.
            tokio::time::sleep(LOOK).await;
            continue;
        };
        let Ok(place) = shared.places.clone().acquire_owned().await else { return };
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = place;
            let mut end = shared.end.subscribe();
            tokio::select! {
                passed = pass(client, &shared) => if let Err(error) = passed {
                    tracing::debug!(%error, database = shared.name, "a connection to a database ended");
                },
                _ = end.changed() => {}
            }
        });
    }
}

/// Counts a connection that reaches the server.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn pass(mut client: UnixStream, shared: &Shared) -> io::Result<()> {
    let startup = tokio::time::timeout(STARTUP_WITHIN, startup(&mut client)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if let Err(why) = permitted(&startup, &shared.name) {
        return refuse(&mut client, "28000", &why).await;
    }
    let mut held = shared.held.subscribe();
    let _open = loop {
        held.wait_for(|held| !held).await.map_err(io::Error::other)?;
        shared.open.fetch_add(1, Ordering::AcqRel);
        let open = Open(&shared.open);
        // Whoever holds looks at the number after it has said so: one of both sees the other.
        if !*held.borrow_and_update() {
            break open;
        }
    };
    match &shared.server {
        ServerAddress::Socket(path) => match UnixStream::connect(path).await {
            Ok(server) => through(client, server, &startup, held).await,
            Err(error) => refuse(&mut client, "08001", &format!("the database server does not answer: {error}")).await,
        },
        ServerAddress::Tcp(host, port) => match TcpStream::connect((host.as_str(), *port)).await {
            Ok(server) => {
                server.set_nodelay(true)?;
                through(client, server, &startup, held).await
            }
            Err(error) => refuse(&mut client, "08001", &format!("the database server does not answer: {error}")).await,
        },
    }
}

/// The first message that is one of a connection. Encryption is declined: the socket leaves the machine's memory nowhere.
async fn startup(client: &mut UnixStream) -> io::Result<Vec<u8>> {
    // One request each for two kinds of encryption, then the message.
    for _ in 0..3 {
        let length = client.read_u32().await?;
        if !(8..=STARTUP_MOST).contains(&length) {
            return Err(io::Error::other("no PostgreSQL client"));
        }
        let code = client.read_u32().await?;
        let mut message = vec![0; length as usize];
        message[..4].copy_from_slice(&length.to_be_bytes());
        message[4..8].copy_from_slice(&code.to_be_bytes());
        client.read_exact(&mut message[8..]).await?;
        match code {
            SSL_REQUEST | GSS_REQUEST => client.write_all(b"N").await?,
            // Asking to cancel is refused like everything that is no connection: a number alone says whose statement it is.
            _ if code >> 16 == VERSION_3 >> 16 => return Ok(message),
            _ => return Err(io::Error::other(format!("a first message of kind {code}"))),
        }
    }
    Err(io::Error::other("no first message"))
}

/// Whether a first message asks for this role and database and nothing special.
fn permitted(startup: &[u8], name: &str) -> Result<(), String> {
    let mut words = startup.get(8..).unwrap_or_default().split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let (mut user, mut database) = (None, None);
    while let (Some(key), Some(value)) = (words.next().filter(|key| !key.is_empty()), words.next()) {
        match &*key {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "replication" => return Err("replication is not for services".to_owned()),
            _ => {}
        }
    }
    match (user, database) {
        (Some(user), database) if user == name && database.as_deref().unwrap_or(name) == name => Ok(()),
        _ => Err(format!("only the role {name} and its database are reached here")),
    }
}

/// An answer of the relay's own, as a server gives it.
async fn refuse(client: &mut UnixStream, code: &str, why: &str) -> io::Result<()> {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{why}\0\0");
    let length = u32::try_from(fields.len() + 4).map_err(io::Error::other)?;
    let mut answer = vec![b'E'];
    answer.extend_from_slice(&length.to_be_bytes());
    answer.extend_from_slice(fields.as_bytes());
    client.write_all(&answer).await
}

/// What is known of a connection's state.
struct Pulse {
    /// When the server last said that it is ready and in no transaction, if nothing was said since.
    ready: Option<Instant>,
}

async fn through(
    client: UnixStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    startup: &[u8],
    mut held: watch::Receiver<bool>,
) -> io::Result<()> {
    server.write_all(startup).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let pulse = Mutex::new(Pulse { ready: None });
    let beat = |ready| pulse.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ready = ready;
    let (holding, mut pings) = (held.clone(), Pings::default());
    let asking = async {
        let mut part = vec![0; 16 << 10];
        loop {
            let read = from_client.read(&mut part).await?;
            let ready = pulse.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ready.is_some();
            let looked_at = pings.see(&part[..read], ready);
            if read == 0 || (looked_at && *holding.borrow()) {
                return io::Result::Ok(());
            }
            beat(None);
            to_server.write_all(&part[..read]).await?;
        }
    };
    let answering = async {
        let (mut part, mut reading) = (vec![0; 16 << 10], Reading::default());
        loop {
            let read = from_server.read(&mut part).await?;
            if read == 0 {
                return io::Result::Ok(());
            }
            let ready = reading.read(&part[..read]);
            to_client.write_all(&part[..read]).await?;
            beat(ready.then(Instant::now));
        }
    };
    let rested = async {
        loop {
            if held.wait_for(|held| *held).await.is_err() {
                return std::future::pending::<()>().await;
            }
            let since = pulse.lock().unwrap_or_else(std::sync::PoisonError::into_inner).ready;
            if since.is_some_and(|since| since.elapsed() >= RESTED) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
        () = rested => Ok(()),
    }
}

/// Knows the question that a pool asks before it hands a connection out, also once its client has prepared it under a name.
#[derive(Default)]
struct Pings {
    prepared: Option<Vec<u8>>,
}

impl Pings {
    /// Whether this, said by a client, is such a question of a connection at rest. A service may ask the same within a transaction, and prepare it there.
    fn see(&mut self, said: &[u8], at_rest: bool) -> bool {
        self.is_ping(said) && at_rest
    }

    fn is_ping(&mut self, said: &[u8]) -> bool {
        let Some((kind, body)) = said.split_first().and_then(|(kind, rest)| Some((*kind, rest.get(4..)?))) else { return false };
        let mut words = body.split(|byte| *byte == 0);
        match kind {
            b'Q' => words.next().is_some_and(asks_nothing),
            b'P' => {
                let name = words.next().unwrap_or_default();
                let is = words.next().is_some_and(asks_nothing);
                if is && !name.is_empty() {
                    self.prepared = Some(name.to_owned());
                }
                is
            }
            // Of which portal comes first.
            b'B' => words.nth(1).is_some_and(|name| self.prepared.as_deref() == Some(name)),
            _ => false,
        }
    }
}

fn asks_nothing(statement: &[u8]) -> bool {
    PINGS.contains(&statement)
}

/// Follows the server's messages: a letter, a length of four bytes that counts itself, and as much as it says.
#[derive(Default)]
struct Reading {
    head: Vec<u8>,
    /// Bytes of the message's body that are still to come.
    left: usize,
}

impl Reading {
    /// Whether what was read so far ends with `ReadyForQuery` outside of a transaction.
    fn read(&mut self, mut part: &[u8]) -> bool {
        let mut ready = false;
        while !part.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(part.len());
                let last = part[taken - 1];
                self.left -= taken;
                part = &part[taken..];
                if self.left == 0 {
                    ready = self.head.first() == Some(&b'Z') && last == b'I';
                    self.head.clear();
                }
                continue;
            }
            self.head.push(part[0]);
            part = &part[1..];
            ready = false;
            if let [_, a, b, c, d] = self.head[..] {
                self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                if self.left == 0 {
                    self.head.clear();
                }
            }
        }
        ready && self.left == 0 && self.head.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(words: &[&str]) -> Vec<u8> {
        let mut message = vec![0, 0, 0, 0, 0, 3, 0, 0];
        for word in words {
            message.extend_from_slice(word.as_bytes());
            message.push(0);
        }
        message.push(0);
        let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
        message[..4].copy_from_slice(&length);
        message
    }

    #[test]
    fn only_the_places_own_role_and_database_are_passed_on() {
        let cases: [(&[&str], bool); 8] = [
            (&["user", "app_1", "database", "app_1"], true),
            (&["user", "app_1"], true),
            (&["application_name", "x", "user", "app_1", "database", "app_1"], true),
            (&["user", "grace", "database", "app_1"], false),
            (&["user", "app_1", "database", "grace"], false),
            (&["user", "app_1", "user", "grace"], false),
            (&["user", "app_1", "replication", "database"], false),
            (&[], false),
        ];
        for (words, may) in cases {
            assert_eq!(permitted(&first(words), "app_1").is_ok(), may, "{words:?}");
        }
    }

    fn said(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &u32::try_from(body.len() + 4).expect("it is short").to_be_bytes(), body].concat()
    }

    #[test]
    fn the_question_of_a_pool_is_known_plain_and_prepared() {
        let mut pings = Pings::default();
        assert!(!pings.see(&said(b'B', b"\0_pg3_0\0\0\0"), true), "nothing is prepared yet");
        let cases: [(&str, u8, &[u8], bool); 10] = [
            ("plain", b'Q', b"SELECT 1\0", true),
            ("SQLAlchemy's", b'P', b"\0;\0\0\0", true),
            ("nothing at all", b'Q', b"\0", false),
            ("something that begins like it", b'Q', b"SELECT 1 FROM items\0", false),
            ("the begin of a transaction", b'Q', b"BEGIN\0", false),
            ("prepared without a name", b'P', b"\0SELECT 1\0\0\0", true),
            ("prepared", b'P', b"_pg3_0\0SELECT 1\0\0\0", true),
            ("used", b'B', b"\0_pg3_0\0\0\0", true),
            ("another one", b'B', b"\0_pg3_1\0\0\0", false),
            ("the end", b'X', b"", false),
        ];
        for (what, kind, body, is) in cases {
            assert_eq!(pings.see(&said(kind, body), true), is, "{what}");
            assert!(!pings.see(&said(kind, body), false), "{what}, in the middle of something");
        }
        assert!(!pings.see(b"", true) && !pings.see(b"Q", true));
    }

    #[test]
    fn the_question_of_a_pool_is_known_also_where_a_transaction_prepared_it() {
        let mut pings = Pings::default();
        assert!(!pings.see(&said(b'P', b"_pg3_0\0SELECT 1\0\0\0"), false));
        assert!(pings.see(&said(b'B', b"\0_pg3_0\0\0\0"), true));
    }

    #[test]
    fn a_connection_rests_after_ready_for_query_outside_of_a_transaction() {
        let ready = |status: u8| vec![b'Z', 0, 0, 0, 5, status];
        let row = [b'D', 0, 0, 0, 7, b'Z', b'I', b'I'].to_vec();
        let cases: [(Vec<Vec<u8>>, bool); 7] = [
            (vec![ready(b'I')], true),
            (vec![ready(b'T')], false),
            (vec![ready(b'E')], false),
            (vec![row.clone()], false),
            (vec![row.clone(), ready(b'I')], true),
            (vec![ready(b'I'), row], false),
            (vec![ready(b'I'), vec![b'n', 0, 0]], false),
        ];
        for (messages, rests) in cases {
            let all = messages.concat();
            assert_eq!(Reading::default().read(&all), rests, "{messages:?}");
            // However the bytes come.
            let mut reading = Reading::default();
            let last = all.iter().map(|byte| reading.read(std::slice::from_ref(byte))).last();
            assert_eq!(last, Some(rests), "{messages:?}, one by one");
        }
    }
}
