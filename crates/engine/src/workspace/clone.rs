//! Brings a given repository into a build. A URL may lead anywhere, so the address is resolved first and the connection pinned to it.

use std::{borrow::Cow, net::IpAddr, path::Path, time::Duration};

use base64::Engine as _;
use grace_domain::{
    intent::Repository,
    secret::{SecretName, field_for},
};
use grace_vault::{ExposeSecret, SecretString};
use url::Url;

use super::{
    WorkspaceError,
    git::{Call, Git},
    ssh::Key,
};

/// How much of a repository is taken.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Longest that a clone may take.
    pub within: Duration,
    /// Largest history that is kept, in bytes; looked at while it comes.
    pub bytes: u64,
    /// Files that are laid out, and their bytes: a small history can hold many large ones.
    pub files: u64,
    pub file_bytes: u64,
}

impl Bounds {
    pub const USUAL: Self = Self { within: Duration::from_secs(180), bytes: 1 << 30, files: 200_000, file_bytes: 2 << 30 };
}

/// How often the size of what comes is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Longest list of files that is read to add up their sizes, in bytes.
const LIST: u64 = 64 << 20;

/// What opens a repository that is not public: shown to its host alone, and kept nowhere.
pub(crate) enum Access {
    Token {
        secret: SecretName,
        /// The setting that it goes into, and the header. Git is told both in its environment, which only the server's own user can read.
        setting: String,
        header: SecretString,
    },
    Key(Key),
}

impl Access {
    /// `value`: for `https` addresses `user:password`, or a token alone, which hosts take with any user's name; for `ssh` ones a private key without a
    /// passphrase. `hosts`: the file of the hosts whose keys are known.
    pub fn new(url: &Url, secret: &SecretName, value: &SecretString, hosts: &Path) -> Result<Self, WorkspaceError> {
        if url.scheme() == "ssh" {
            return Key::new(secret, value, hosts).map(Self::Key);
        }
        let token = value.expose_secret().trim();
        let pair = if token.contains(':') { Cow::Borrowed(token) } else { Cow::Owned(format!("x-access-token:{token}")) };
        let header = format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
        let host = url.origin().ascii_serialization();
        Ok(Self::Token { secret: secret.clone(), setting: format!("http.{host}/.extraHeader"), header: header.into() })
    }

    /// What people should know of the host that was asked, once it was.
    pub fn news(&self) -> Option<String> {
        match self {
            Self::Token { .. } => None,
            Self::Key(key) => key.news(),
        }
    }

    fn secret(&self) -> &SecretName {
        match self {
            Self::Token { secret, .. } => secret,
            Self::Key(key) => key.secret(),
        }
    }
}

pub(super) async fn clone(git: &Git, repository: &Repository, access: Option<&Access>, bounds: &Bounds) -> Result<(), WorkspaceError> {
    clone_from(git, &Origin::of(repository, access).await?, access, bounds).await
}

async fn clone_from(git: &Git, origin: &Origin, access: Option<&Access>, bounds: &Bounds) -> Result<(), WorkspaceError> {
    let target = git.git_dir.to_string_lossy().into_owned();
    let mut arguments = origin.settings();
    arguments.extend(["clone", "--quiet", "--bare", "--no-tags", "--single-branch"]);
    arguments.extend(if origin.protocol == "file" { ["--no-hardlinks", "--"] } else { ["--depth=50", "--"] });
    arguments.extend([origin.address.as_str(), &target]);
    let call = origin.call("clone", &arguments, access).within(bounds.within);
    come(git.clone_with(call), &git.git_dir, bounds).await.map_err(|error| opened(error, access))?;
    bounded(git, "HEAD", bounds).await
}

/// Fetches one commit into a repository that is there.
pub(super) async fn fetch_from(
    git: &Git,
    repository: &Repository,
    access: Option<&Access>,
    commit: &str,
    bounds: &Bounds,
) -> Result<(), WorkspaceError> {
    let origin = Origin::of(repository, access).await?;
    let mut arguments = origin.settings();
    arguments.extend(["fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--", &origin.address, commit]);
    let call = origin.call("fetch", &arguments, access).within(bounds.within);
    come(async { git.run(call).await.map(|_| ()) }, &git.git_dir, bounds).await.map_err(|error| opened(error, access))
}

/// Where a repository is, once that was looked at.
struct Origin {
    address: String,
    protocol: &'static str,
    setting: String,
}

impl Origin {
    async fn of(repository: &Repository, access: Option<&Access>) -> Result<Self, WorkspaceError> {
        match repository {
            Repository::Url(url) if url.scheme() == "ssh" => {
                let host = url.host_str().unwrap_or_default();
                let Some(Access::Key(key)) = access else { return Err(refused(format!("{url} is opened with a private key, and none is named."))) };
                Ok(Self { address: url.to_string(), protocol: "ssh", setting: key.command(host, public_address(host).await?) })
            }
            Repository::Url(url) => {
                let host = url.host_str().unwrap_or_default();
                let address = public_address(host).await?;
                Ok(Self { address: url.to_string(), protocol: "https", setting: format!("http.curloptResolve={host}:443:{address}") })
            }
            // Whoever prepares a workspace knows where other builds are.
            Repository::Build(build) => Err(refused(format!("where {build} is was not looked up."))),
            Repository::Path(path) if !std::path::Path::new(path).is_dir() => Err(refused(format!("there is no folder {path} on this machine."))),
            Repository::Path(path) => Ok(Self { address: path.clone(), protocol: "file", setting: "safe.directory=*".into() }),
        }
    }

    fn settings(&self) -> Vec<&str> {
        vec!["-c", &self.setting, "-c", "http.followRedirects=false"]
    }

    fn call<'a>(&'a self, step: &'static str, arguments: &[&'a str], access: Option<&'a Access>) -> Call<'a> {
        let call = Call::new(step, arguments).env("GIT_ALLOW_PROTOCOL", self.protocol);
        match access {
            None | Some(Access::Key(_)) => call,
            Some(Access::Token { setting, header, .. }) => {
                call.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", setting).env("GIT_CONFIG_VALUE_0", header.expose_secret())
            }
        }
    }
}

/// What to do when a host wants to know who asks, or does not let them in.
fn opened(error: WorkspaceError, access: Option<&Access>) -> WorkspaceError {
    let WorkspaceError::Clone { reason } = error else { return error };
    let reason = reason.trim();
    let remedy = match access {
        Some(Access::Key(key)) => key.remedy(reason),
        _ if !["could not read Username", "Authentication failed", "returned error: 401", "returned error: 403"].iter().any(|words| reason.contains(words)) => {
            None
        }
        None => {
            Some("Its host wants to know who asks. Keep an access token as a secret for all builds in Settings, and name that secret beside the repository.".into())
        }
        Some(access) => Some(format!(
            "Its host does not accept the token in the secret {}. Replace it in Settings ({}), with one that may read this repository.",
            access.secret(),
            field_for(access.secret().as_str(), None)
        )),
    };
    match remedy {
        None => refused(reason.to_owned()),
        Some(remedy) => refused(format!("{remedy} ({reason})")),
    }
}

/// Waits for what git brings, and ends it when it is too much.
async fn come(work: impl Future<Output = Result<(), WorkspaceError>>, folder: &Path, bounds: &Bounds) -> Result<(), WorkspaceError> {
    let too_large = |size: u64| refused(format!("it has more than {} MiB; at most {} MiB are taken.", size >> 20, bounds.bytes >> 20));
    let grown = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let size = size_of(folder).await;
            if size > bounds.bytes {
                return size;
            }
        }
    };
    // Git ends when nobody waits for it any more.
    let done = tokio::select! {
        done = work => done,
        size = grown => return Err(too_large(size)),
    };
    match done {
        Ok(()) => {}
        Err(WorkspaceError::Git { message, .. }) => return Err(refused(message)),
        Err(WorkspaceError::Slow { seconds, .. }) => return Err(refused(format!("cloning it took longer than {seconds} s."))),
        Err(other) => return Err(other),
    }
    let size = size_of(folder).await;
    if size > bounds.bytes { Err(too_large(size)) } else { Ok(()) }
}

/// Refuses a commit with more or larger files than are laid out.
pub(super) async fn bounded(git: &Git, commit: &str, bounds: &Bounds) -> Result<(), WorkspaceError> {
    // A repository without a commit is refused elsewhere, in other words.
    let Some(said) = git.ask(Call::new("ls-tree", &["ls-tree", "-r", "-l", "-z", commit]).limit(LIST)).await? else { return Ok(()) };
    let (mut files, mut bytes) = (0u64, 0u64);
    // `mode type object size\tpath`
    for entry in said.bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        files += 1;
        let about = String::from_utf8_lossy(entry.split(|byte| *byte == b'\t').next().unwrap_or_default()).into_owned();
        bytes = bytes.saturating_add(about.split_whitespace().nth(3).and_then(|size| size.parse().ok()).unwrap_or(0));
    }
    if said.cut || files > bounds.files || bytes > bounds.file_bytes {
        let many = if said.cut { "more files than can be listed".to_owned() } else { format!("{files} files with {} MiB", bytes >> 20) };
        return Err(refused(format!("it has {many}; at most {} files with {} MiB are taken.", bounds.files, bounds.file_bytes >> 20)));
    }
    Ok(())
}

pub(super) fn refused(reason: String) -> WorkspaceError {
    WorkspaceError::Clone { reason }
}

async fn public_address(host: &str) -> Result<IpAddr, WorkspaceError> {
    let found = tokio::time::timeout(Duration::from_secs(10), tokio::net::lookup_host((host, 443))).await;
    let addresses: Vec<IpAddr> = match found {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        Ok(Err(error)) => {
            return Err(refused(format!("{host} cannot be found from this machine ({error}). Clone it here by hand and give its path.")));
        }
        Err(_) => return Err(refused(format!("{host} was not found within 10 s. Clone it here by hand and give its path."))),
    };
    if addresses.is_empty() || addresses.iter().any(|address| !is_public(*address)) {
        return Err(refused(format!("{host} leads to an address of a private network.")));
    }
    Ok(addresses[0])
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (b == 18 || b == 19);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_documentation())
                && !(shared || benchmark || v4.is_multicast() || a == 0 || a >= 240)
        }
        IpAddr::V6(v6) => match v6.to_ipv4() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => {
                let first = v6.segments()[0];
                !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
            }
        },
    }
}

async fn size_of(folder: &std::path::Path) -> u64 {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut waiting = vec![folder];
        let mut total = 0u64;
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(data) if data.is_dir() => waiting.push(entry.path()),
                    Ok(data) => total += data.len(),
                    Err(_) => {}
                }
            }
        }
        total
    })
    .await
    .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_private_networks_are_not_public() {
        for private in
            ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"]
        {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in ["93.184.216.34", "2606:4700::1111"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_with_figures() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| Git { git_dir: folder.path().join(name), work_tree: folder.path().join("given") };
        let given = at("given/.git");
        std::fs::create_dir_all(&given.work_tree).expect("a folder");
        given.run(Call::new("init", &["init", "--quiet"])).await.expect("a repository");
        for number in 0..3 {
            std::fs::write(given.work_tree.join(number.to_string()), vec![b'x'; 1 << 20]).expect("a file");
        }
        given.run(Call::new("add", &["add", "."])).await.expect("files");
        given.run(Call::new("commit", &["commit", "--quiet", "-m", "Begin"])).await.expect("a commit");
        let repository = Repository::Path(given.work_tree.to_string_lossy().into_owned());
        let usual = Bounds::USUAL;
        for (name, bounds, expected) in [
            ("fits", usual.clone(), None),
            ("files", Bounds { files: 2, ..usual.clone() }, Some("it has 3 files with 3 MiB; at most 2 files")),
            ("bytes", Bounds { file_bytes: 1 << 20, ..usual.clone() }, Some("it has 3 files with 3 MiB; at most 200000 files with 1 MiB")),
            ("history", Bounds { bytes: 100, ..usual.clone() }, Some("at most 0 MiB are taken")),
            ("time", Bounds { within: Duration::ZERO, ..usual }, Some("cloning it took longer than 0 s")),
        ] {
            let text = clone(&at(name), &repository, None, &bounds).await.err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(text, None),
                Some(expected) => assert!(text.as_ref().is_some_and(|text| text.contains(expected)), "{name}: {text:?}"),
            }
        }
    }

    /// Makes a repository with one file in one commit.
    async fn begun(given: &Git) {
        std::fs::create_dir_all(&given.work_tree).expect("a folder");
        given.run(Call::new("init", &["init", "--quiet"])).await.expect("a repository");
        std::fs::write(given.work_tree.join("README"), "Code").expect("a file");
        given.run(Call::new("add", &["add", "."])).await.expect("files");
        given.run(Call::new("commit", &["commit", "--quiet", "-m", "Begin"])).await.expect("a commit");
    }

    /// Serves the repositories of a folder as hosts do, by git's own program, to whoever shows this header.
    async fn host(folder: &Path, header: &'static str) -> String {
        use axum::{body::Bytes, extract::State, http::Request, http::StatusCode, response::IntoResponse, response::Response};
        async fn answer(State((folder, header)): State<(std::path::PathBuf, &'static str)>, request: Request<axum::body::Body>) -> Response {
            let (parts, body) = request.into_parts();
            let of = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            if of("authorization") != header {
                return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"code\"")]).into_response();
            }
            let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
            let input = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(input.path(), &body).expect("a file");
            let output = tokio::process::Command::new("git")
                .arg("http-backend")
                .env("GIT_PROJECT_ROOT", &folder)
                .env("GIT_HTTP_EXPORT_ALL", "1")
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", "safe.directory")
                .env("GIT_CONFIG_VALUE_0", "*")
                .env("PATH_INFO", parts.uri.path())
                .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
                .env("REQUEST_METHOD", parts.method.as_str())
                .env("CONTENT_TYPE", of("content-type"))
                .env("CONTENT_LENGTH", body.len().to_string())
                .env("HTTP_CONTENT_ENCODING", of("content-encoding"))
                .env("GIT_PROTOCOL", of("git-protocol"))
                .stdin(std::fs::File::open(input.path()).expect("a file"))
                .output()
                .await
                .expect("git serves");
            let end = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("headers");
            let mut answer = Response::builder();
            for line in String::from_utf8_lossy(&output.stdout[..end]).lines() {
                let (name, value) = line.split_once(": ").expect("a header");
                answer = if name == "Status" { answer.status(value[..3].parse::<u16>().expect("a status")) } else { answer.header(name, value) };
            }
            answer.body(output.stdout[end + 4..].to_vec().into()).expect("an answer")
        }
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let app = axum::Router::new().fallback(answer).with_state((folder.to_owned(), header));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn a_repository_that_is_not_public_is_cloned_with_the_token_of_a_secret_and_its_host_alone_is_shown_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| Git { git_dir: folder.path().join(name), work_tree: folder.path().join("given") };
        begun(&at("given/.git")).await;
        // `x-access-token:tok-canary-5521`
        let host = host(folder.path(), "Basic eC1hY2Nlc3MtdG9rZW46dG9rLWNhbmFyeS01NTIx").await;
        let origin = Origin { address: format!("{host}/given/.git"), protocol: "http", setting: "http.proxy=".into() };
        let name: SecretName = "REPOSITORY_TOKEN".parse().expect("a name");
        let with = |address: &str, token: &str| {
            Access::new(&address.parse().expect("an address"), &name, &token.to_owned().into(), folder.path()).expect("a token is taken as it is")
        };
        let tried = async |target: &str, access: Option<Access>| {
            let done = clone_from(&at(target), &origin, access.as_ref(), &Bounds::USUAL).await;
            done.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let without = tried("without", None).await;
        assert!(without.contains("wants to know who asks") && without.contains("Settings"), "{without}");
        let wrong = tried("wrong", Some(with(&host, "tok-other-9987"))).await;
        assert!(
            wrong.contains("does not accept the token in the secret REPOSITORY_TOKEN") && wrong.contains("/settings?secret=REPOSITORY_TOKEN"),
            "{wrong}"
        );
        assert!(!wrong.contains("9987"), "{wrong}");
        let elsewhere = tried("elsewhere", Some(with("https://example.org/a.git", "tok-canary-5521"))).await;
        assert!(elsewhere.contains("does not accept"), "another host was shown it: {elsewhere}");
        assert_eq!(tried("right", Some(with(&host, " tok-canary-5521\n"))).await, "");
        assert_eq!(tried("pair", Some(with(&host, "x-access-token:tok-canary-5521"))).await, "");
        let said = at("right").run(Call::new("show", &["show", "HEAD:README"])).await.expect("the file").text();
        assert_eq!(said, "Code");
        let kept = std::fs::read_to_string(folder.path().join("right/config")).expect("the settings");
        assert!(!kept.contains("extraHeader") && !kept.contains("5521"), "{kept}");
    }

    /// The machine's own `ssh` server, for one user who comes with this public key; each connection is one process. None where it is not installed.
    async fn ssh_host(folder: &Path) -> Option<(tokio::net::TcpListener, std::path::PathBuf)> {
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].iter().map(std::path::PathBuf::from).find(|path| path.exists())?;
        for name in ["host", "other-host", "key", "other-key"] {
            let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(name)).status();
            assert!(made.expect("ssh-keygen is there with sshd").success());
        }
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        Some((listener, program))
    }

    fn serve_ssh(
        listener: std::sync::Arc<tokio::net::TcpListener>,
        program: std::path::PathBuf,
        folder: &Path,
        host_key: &str,
    ) -> tokio::task::JoinHandle<()> {
        let settings = [
            format!("HostKey {}", folder.join(host_key).display()),
            format!("AuthorizedKeysFile {}", folder.join("key.pub").display()),
            "StrictModes no".into(),
            "UsePAM no".into(),
            "PasswordAuthentication no".into(),
        ];
        let file = folder.join(format!("sshd-{host_key}"));
        std::fs::write(&file, settings.join("\n")).expect("a file");
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let stream = stream.into_std().expect("a socket");
                stream.set_nonblocking(false).expect("a socket");
                let output = std::os::fd::OwnedFd::from(stream.try_clone().expect("a socket"));
                let mut server = tokio::process::Command::new(&program)
                    .args(["-i", "-q", "-f"])
                    .arg(&file)
                    .stdin(std::os::fd::OwnedFd::from(stream))
                    .stdout(output)
                    .stderr(std::process::Stdio::null())
                    .kill_on_drop(true)
                    .spawn()
                    .expect("sshd runs");
                tokio::spawn(async move { server.wait().await });
            }
        })
    }

    #[tokio::test]
    async fn a_repository_is_cloned_over_ssh_with_the_key_of_a_secret_from_the_host_that_was_known_first() {
        let folder = tempfile::tempdir().expect("a folder");
        // As root, sshd wants this folder of its own.
        let _ = std::fs::create_dir_all("/run/sshd");
        let Some((listener, program)) = ssh_host(folder.path()).await else {
            eprintln!("skipped: there is no sshd on this machine (package openssh-server)");
            return;
        };
        let listener = std::sync::Arc::new(listener);
        let at = |name: &str| Git { git_dir: folder.path().join(name), work_tree: folder.path().join("given") };
        let given = at("given/.git");
        begun(&given).await;

        let user = std::process::Command::new("id").arg("-un").output().expect("a user");
        let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
        let port = listener.local_addr().expect("an address").port();
        let url: Url = format!("ssh://{user}@code.test:{port}{}", given.git_dir.display()).parse().expect("an address");
        let address = url.as_str().replace("code.test", "127.0.0.1");
        let name: SecretName = "REPOSITORY_KEY".parse().expect("a name");
        let hosts = folder.path().join("ssh/known hosts");
        let with = |value: String| Access::new(&url, &name, &value.into(), &hosts);
        let key = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a key");
        let tried = async |target: &str, access: &Access| {
            let Access::Key(key) = access else { panic!("an ssh address is opened with a key") };
            let setting = key.command("code.test", IpAddr::from([127, 0, 0, 1]));
            let origin = Origin { address: address.clone(), protocol: "ssh", setting };
            let done = clone_from(&at(target), &origin, Some(access), &Bounds::USUAL).await;
            done.err().map(|error| error.to_string()).unwrap_or_default()
        };

        let first = serve_ssh(listener.clone(), program.clone(), folder.path(), "host");
        // As it comes from a form: with carriage returns and without its last line's end.
        let right = with(key("key").trim().replace('\n', "\r\n")).expect("a key");
        assert_eq!(tried("right", &right).await, "");
        let said = at("right").run(Call::new("show", &["show", "HEAD:README"])).await.expect("the file").text();
        assert_eq!(said, "Code");
        let shown = std::process::Command::new("ssh-keygen").args(["-l", "-f"]).arg(folder.path().join("host.pub")).output().expect("a fingerprint");
        let shown = String::from_utf8_lossy(&shown.stdout).split_whitespace().nth(1).expect("a fingerprint").to_owned();
        let news = right.news().expect("a host that was not known");
        assert!(news.contains("code.test") && news.contains(&shown), "{news} {shown}");

        let again = with(key("key")).expect("a key");
        assert_eq!(tried("again", &again).await, "");
        assert_eq!(again.news(), None);

        let wrong = tried("wrong", &with(key("other-key")).expect("a key")).await;
        assert!(wrong.contains("does not let in who holds the key in the secret REPOSITORY_KEY") && wrong.contains("/settings?secret="), "{wrong}");

        first.abort();
        assert!(first.await.is_err_and(|error| error.is_cancelled()));
        let second = serve_ssh(listener, program, folder.path(), "other-host");
        let changed = tried("changed", &with(key("key")).expect("a key")).await;
        assert!(changed.contains("another key than before") && changed.contains("known hosts"), "{changed}");
        second.abort();

        let token = with("ghp_canary5521".into()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(token.contains("holds no private key") && !token.contains("5521"), "{token}");
        // The first lines say the kind and the public half, which other files have too.
        let secret = key("key").lines().nth(4).expect("a line of the key").to_owned();
        for entry in files_of(folder.path()).into_iter().filter(|path| !path.ends_with("key")) {
            let bytes = std::fs::read(&entry).expect("a file");
            assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{} holds the key", entry.display());
        }
    }

    fn files_of(folder: &Path) -> Vec<std::path::PathBuf> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) { files.extend(files_of(&entry.path())) } else { files.push(entry.path()) }
        }
        files
    }
}
