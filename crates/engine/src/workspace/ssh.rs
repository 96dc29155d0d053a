//! Opening a repository over `ssh`: with one key, from a secret, and to the host alone that is asked. It must not know what is fetched.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    net::IpAddr,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use base64::Engine as _;
use grace_domain::secret::{SecretName, field_for};
use grace_vault::{ExposeSecret, SecretString};
use rustix::fs::{MemfdFlags, Mode};
use sha2::{Digest, Sha256};

use super::{WorkspaceError, clone::refused};

/// How long a host may take to answer, in seconds.
const CONNECT: u32 = 20;
/// Most of the list of known hosts that is read, in bytes.
const HOSTS: u64 = 1 << 20;

/// A private key that `ssh` reads from this server's memory: it is never on a disk.
pub(crate) struct Key {
    secret: SecretName,
    memory: File,
    /// The keys that hosts have shown so far. What a host shows first is taken, as people do by hand; another one later is refused.
    hosts: File,
    path: PathBuf,
    known: String,
}

impl Key {
    pub fn new(secret: &SecretName, value: &SecretString, hosts: &Path) -> Result<Self, WorkspaceError> {
        let text = value.expose_secret().replace("\r\n", "\n");
        let text = text.trim();
        if !(text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----")) {
            return Err(refused(format!(
                "the secret {secret} holds no private key. One begins with -----BEGIN OPENSSH PRIVATE KEY-----; paste all of its lines in Settings ({}).",
                field_for(secret.as_str(), None)
            )));
        }
        let kept = || {
            let memory = rustix::fs::memfd_create("key", MemfdFlags::CLOEXEC)?;
            // Whoever else could read a key is refused it by `ssh`.
            rustix::fs::fchmod(&memory, Mode::RUSR | Mode::WUSR)?;
            let mut memory = File::from(memory);
            memory.write_all(text.as_bytes())?;
            memory.write_all(b"\n")?;
            Ok::<File, std::io::Error>(memory)
        };
        let folder = |source| WorkspaceError::Folder { path: hosts.to_owned(), source };
        let memory = kept().map_err(folder)?;
        if let Some(parent) = hosts.parent() {
            std::fs::create_dir_all(parent).map_err(folder)?;
        }
        let mut hosts_file = File::options().read(true).append(true).create(true).open(hosts).map_err(folder)?;
        let known = read(&mut hosts_file).map_err(folder)?;
        Ok(Self { secret: secret.clone(), memory, hosts: hosts_file, path: hosts.to_owned(), known })
    }

    pub fn secret(&self) -> &SecretName {
        &self.secret
    }

    /// The setting that tells git how to connect: to this address, which was looked at, whatever the name leads to by then.
    pub fn command(&self, host: &str, address: IpAddr) -> String {
        let ours = |file: &File| format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        // Nothing in it can hold a space or a quote: numbers, and a name that is a host's.
        let options = [
            format!("UserKnownHostsFile={}", ours(&self.hosts)),
            format!("HostName={address}"),
            format!("HostKeyAlias={host}"),
            format!("ConnectTimeout={CONNECT}"),
            "StrictHostKeyChecking=accept-new".into(),
            "IdentitiesOnly=yes".into(),
            "IdentityAgent=none".into(),
            "BatchMode=yes".into(),
            "ServerAliveInterval=15".into(),
        ];
        let options: String = options.iter().map(|option| format!(" -o {option}")).collect();
        format!("core.sshCommand=ssh -F /dev/null -i {}{options}", ours(&self.memory))
    }

    /// What to do about what `ssh` said, where something is to be done here.
    pub fn remedy(&self, reason: &str) -> Option<String> {
        let Self { secret, path, .. } = self;
        let said = |words: &str| reason.contains(words);
        if said("cannot run ssh") || said("ssh: not found") {
            return Some("The program ssh is not installed on the server's machine; install the package openssh-client.".into());
        }
        if said("IDENTIFICATION HAS CHANGED") || said("Host key verification failed") {
            return Some(format!(
                "Its host shows another key than before, so nothing was sent to it. If that is right, take its line out of {}.",
                path.display()
            ));
        }
        let unfit = said("error in libcrypto") || said("invalid format") || said("incorrect passphrase");
        (unfit || said("Permission denied")).then(|| {
            format!(
                "Its host does not let in who holds the key in the secret {secret}. Replace it in Settings ({}), with a key without a passphrase that may read \
                 this repository.",
                field_for(secret.as_str(), None)
            )
        })
    }

    /// Hosts whose keys were taken because none was known, with what tells the keys apart.
    pub fn news(&self) -> Option<String> {
        let now = read(&mut self.hosts.try_clone().ok()?).ok()?;
        let added: Vec<String> = now.lines().skip(self.known.lines().count()).filter_map(fingerprint).collect();
        (!added.is_empty()).then(|| format!("Its host was not known: {}. It is known now; another key would be refused.", added.join(", ")))
    }
}

fn read(file: &mut File) -> std::io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.take(HOSTS).read_to_string(&mut text)?;
    Ok(text)
}

/// `host kind key`, as `ssh` shows it when it asks a person.
fn fingerprint(line: &str) -> Option<String> {
    let mut parts = line.split_whitespace();
    let (host, kind, key) = (parts.next()?, parts.next()?, parts.next()?);
    let key = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    let digest = base64::engine::general_purpose::STANDARD_NO_PAD.encode(Sha256::digest(key));
    Some(format!("{host} shows the {kind} key SHA256:{digest}"))
}
