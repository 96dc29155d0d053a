//! The package registries that this machine's toolchains are configured for, asked of the toolchains themselves, and
//! the variables with which the same toolchains find them from inside. It must not name a registry of its own: what
//! the operator has configured is what is allowed.
//!
//! The shared package cache is writable by commands that may reach the registries and does not exist for all others.
//! A hostile install can therefore write into it; what keeps it from reaching another build is that the tools check
//! what they take from it: npm against the integrity hashes of `package-lock.json` (`npm ci`), pip with `--require-hashes`.
//! An install without locked hashes trusts the cache as much as it trusts the registry. Cargo does not check what it finds in its cache, so each
//! workspace has a cache of its own, [`CARGO_HOME`](crate::CARGO_HOME), and no build can leave another a changed package.
//!
//! pip keeps what it downloads only if the registry says how long it may, and some do not. Whatever the registry says,
//! `pip download --dest` into [`WHEELS`](crate::WHEELS) does not fetch what is there already, and `pip install --no-index`
//! then finds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{CARGO_HOME, toolchain};

/// How long a toolchain may take to say how it is configured.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where programs are found inside, and so where they are looked for.
const PROGRAM_FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];
/// Where Cargo's packages come from when nothing else is configured: built into it, and the one thing that it does not print.
const CRATES_IO: &str = "crates.io";
/// Its parts: what there is, and the packages.
const CRATES_IO_PARTS: [&str; 2] = ["index", "static"];
/// Bound inside in any case.
const BOUND: &[&str] = &["/usr", "/etc/ssl/certs"];
/// Variables that name a file of certificates.
const CERTIFICATE_VARIABLES: &[&str] = &["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"];
/// Asks pip for its settings and for the hosts it falls back to, as one JSON object.
const PIP_QUESTION: &str = "
import json
from pip._internal.configuration import Configuration
from pip._internal.models.index import PyPI
configuration = Configuration(isolated=False)
configuration.load()
flat = {}
for key, value in configuration.items():
    for name, inner in (value.items() if isinstance(value, dict) else [(key, value)]):
        flat[name.split('.', 1)[-1]] = inner
print(json.dumps({'settings': flat, 'index': PyPI.simple_url, 'files': PyPI.file_storage_domain}))
";

/// One toolchain's package source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// `pip`, `npm` or `cargo`.
    pub toolchain: String,
    /// What may be connected to, as `host:port`.
    pub hosts: Vec<String>,
}

/// What was learnt about the toolchains.
#[derive(Debug, Default)]
pub struct Toolchains {
    registries: Vec<Registry>,
    files: Vec<PathBuf>,
    variables: BTreeMap<String, String>,
    network: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct PipAnswer {
    settings: BTreeMap<String, serde_json::Value>,
    index: String,
    files: String,
}

impl Toolchains {
    /// Asks every toolchain that there is. One that does not answer has no registry.
    pub async fn discover() -> Self {
        let (python, npm, cargo) = (system("python3"), system("npm").or_else(|| toolchain::on_path("npm")), toolchain::on_path("cargo"));
        let (pip, npm, cargo) = tokio::join!(
            ask(python.as_deref(), &["-c", PIP_QUESTION], &[]),
            ask(npm.as_deref(), &["config", "list", "--long", "--json"], &[]),
            // Without the variable, a released Cargo keeps its configuration to itself.
            ask(cargo.as_deref(), &["-Zunstable-options", "config", "get", "--format", "json"], &[("RUSTC_BOOTSTRAP", "1")]),
        );
        let mut toolchains = Self::default();
        for name in CERTIFICATE_VARIABLES {
            if let Ok(value) = std::env::var(name) {
                toolchains.certificate(name, &value);
            }
        }
        match pip.map(|text| serde_json::from_str::<PipAnswer>(&text)) {
            Some(Ok(answer)) => toolchains.learn_pip(&answer),
            Some(Err(error)) => tracing::warn!(%error, "pip does not say how it is configured"),
            None => {}
        }
        match npm.map(|text| serde_json::from_str(&text)) {
            Some(Ok(settings)) => toolchains.learn_npm(&settings),
            Some(Err(error)) => tracing::warn!(%error, "npm does not say how it is configured"),
            None => {}
        }
        match cargo.map(|text| serde_json::from_str(&text)) {
            Some(Ok(settings)) => toolchains.learn_cargo(&settings),
            Some(Err(error)) => tracing::warn!(%error, "cargo does not say how it is configured"),
            None => {}
        }
        toolchains
    }

    /// The registries found.
    pub fn registries(&self) -> &[Registry] {
        &self.registries
    }

    /// Files and folders that must be readable inside under their own path.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Variables for every command.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let cargo = ("CARGO_HOME".to_owned(), CARGO_HOME.to_owned());
        self.variables.clone().into_iter().chain([cargo]).collect()
    }

    /// Variables for commands that may reach the registries through a proxy on `port` of the loopback interface.
    pub fn network_variables(&self, port: u16, cache: &Path) -> BTreeMap<String, String> {
        let proxy = format!("http://127.0.0.1:{port}");
        let mut variables = self.network.clone();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            variables.insert(name.into(), proxy.clone());
        }
        for name in ["npm_config_proxy", "npm_config_https_proxy", "PIP_PROXY"] {
            variables.insert(name.into(), proxy.clone());
        }
        variables.insert("npm_config_noproxy".into(), String::new());
        variables.insert("npm_config_cache".into(), cache.join("npm").display().to_string());
        variables.insert("PIP_CACHE_DIR".into(), cache.join("pip").display().to_string());
        let links = self.variables.get("PIP_FIND_LINKS").map(|links| format!(" {links}")).unwrap_or_default();
        variables.insert("PIP_FIND_LINKS".into(), format!("{}{links}", cache.join("wheels").display()));
        variables
    }

    /// Variables that make the toolchains fail at once instead of trying a network that is not there.
    pub fn offline_variables(&self, home: &str) -> BTreeMap<String, String> {
        [
            ("npm_config_offline", "true".to_owned()),
            ("npm_config_cache", format!("{home}/.npm")),
            ("PIP_NO_INDEX", "1".to_owned()),
            ("PIP_NO_CACHE_DIR", "1".to_owned()),
            ("CARGO_NET_OFFLINE", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn learn_pip(&mut self, answer: &PipAnswer) {
        self.variables.insert("PIP_DISABLE_PIP_VERSION_CHECK".into(), "1".into());
        let setting = |name: &str| answer.settings.get(name).and_then(serde_json::Value::as_str);
        let index = setting("index-url").unwrap_or(&answer.index);
        let extra = setting("extra-index-url").unwrap_or("");
        let mut hosts: BTreeSet<String> = std::iter::once(index).chain(extra.split_whitespace()).filter_map(host).collect();
        if !hosts.is_empty() {
            hosts.insert(format!("{}:443", answer.files));
            self.registries.push(Registry { toolchain: "pip".into(), hosts: hosts.into_iter().collect() });
        }
        for (variable, name) in [("PIP_INDEX_URL", "index-url"), ("PIP_EXTRA_INDEX_URL", "extra-index-url"), ("PIP_DEFAULT_TIMEOUT", "timeout")] {
            if let Some(value) = setting(name) {
                self.network.insert(variable.into(), value.into());
            }
        }
        if let Some(value) = setting("cert") {
            self.certificate("PIP_CERT", value);
        }
        let links = setting("find-links").unwrap_or("").split_whitespace();
        let links: Vec<_> = links.filter(|link| self.readable(Path::new(link))).map(str::to_owned).collect();
        if !links.is_empty() {
            self.variables.insert("PIP_FIND_LINKS".into(), links.join(" "));
        }
    }

    fn learn_npm(&mut self, settings: &BTreeMap<String, serde_json::Value>) {
        for (name, value) in [("npm_config_update_notifier", "false"), ("npm_config_fund", "false")] {
            self.variables.insert(name.into(), value.into());
        }
        let mut hosts = BTreeSet::new();
        for (name, value) in settings {
            let Some(value) = value.as_str() else { continue };
            if name == "registry" || name.ends_with(":registry") {
                hosts.extend(host(value));
                self.network.insert(format!("npm_config_{name}"), value.into());
            }
        }
        if !hosts.is_empty() {
            self.registries.push(Registry { toolchain: "npm".into(), hosts: hosts.into_iter().collect() });
        }
        if let Some(value) = settings.get("cafile").and_then(serde_json::Value::as_str) {
            self.certificate("npm_config_cafile", value);
        }
    }

    fn learn_cargo(&mut self, settings: &serde_json::Value) {
        let elsewhere = settings.pointer("/source/crates-io/replace-with").is_some() || settings.pointer("/net/offline") == Some(&true.into());
        if elsewhere {
            // Where a mirror's downloads are is said by the mirror alone, and its password would have to come along.
            tracing::warn!("cargo is configured not to use crates.io; commands in the sandbox get no registry for it");
            return;
        }
        let hosts = CRATES_IO_PARTS.map(|part| format!("{part}.{CRATES_IO}:443")).into();
        self.registries.push(Registry { toolchain: "cargo".into(), hosts });
    }

    fn certificate(&mut self, variable: &str, file: &str) {
        if self.readable(Path::new(file)) {
            self.variables.insert(variable.into(), file.into());
        }
    }

    /// Whether anybody may read this path; if so it will be there inside.
    fn readable(&mut self, path: &Path) -> bool {
        let anybody = path.is_absolute()
            && path.metadata().is_ok_and(|metadata| {
                let wanted = if metadata.is_dir() { 0o5 } else { 0o4 };
                metadata.permissions().mode() & wanted == wanted
            });
        let bound = BOUND.iter().any(|folder| path.starts_with(folder)) || self.files.iter().any(|file| file == path);
        if anybody && !bound {
            self.files.push(path.to_owned());
        }
        anybody
    }
}

/// `host:port` of a registry that the proxy can reach: by name and over TLS.
fn host(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let name = url.host_str()?.to_ascii_lowercase();
    if url.scheme() != "https" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        tracing::warn!(host = %name, "a registry without TLS or without a name cannot be reached from the sandbox");
        return None;
    }
    Some(format!("{name}:{}", url.port_or_known_default()?))
}

/// Where a program is that commands find under this name among the system's.
fn system(program: &str) -> Option<PathBuf> {
    PROGRAM_FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists())
}

/// Runs a toolchain of this machine as the server's own user and returns what it prints.
pub async fn ask(program: Option<&Path>, arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let program = program?;
    let mut command = tokio::process::Command::new(program);
    command.envs(variables.iter().copied()).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).current_dir("/").kill_on_drop(true);
    match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => String::from_utf8(output.stdout).ok(),
        Ok(Ok(output)) => {
            tracing::warn!(program = %program.display(), status = %output.status, "a toolchain does not answer");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(program = %program.display(), %error, "a toolchain cannot be asked");
            None
        }
        Err(_) => {
            tracing::warn!(program = %program.display(), "a toolchain took too long to answer");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_hosts_over_tls_are_allowed() {
        assert_eq!(host("https://user:word@Packages.example/simple/").as_deref(), Some("packages.example:443"));
        assert_eq!(host("https://packages.example:8443/").as_deref(), Some("packages.example:8443"));
        for refused in ["http://packages.example/", "https://10.0.0.1/", "https://[::1]/", "file:///srv", "packages"] {
            assert_eq!(host(refused), None, "{refused}");
        }
    }

    #[test]
    fn an_index_of_ones_own_replaces_the_default_and_its_credentials_stay_off_the_list() {
        let mut toolchains = Toolchains::default();
        toolchains.learn_pip(&PipAnswer {
            settings: [("index-url".to_owned(), "https://me:secret@mirror.example/simple".into())].into(),
            index: "https://default.example/simple".into(),
            files: "files.example".into(),
        });
        let expected = ["files.example:443", "mirror.example:443"].map(str::to_owned).to_vec();
        assert_eq!(toolchains.registries(), [Registry { toolchain: "pip".into(), hosts: expected }]);
    }

    #[test]
    fn cargo_has_its_own_registry_unless_it_is_configured_away_from_it() {
        for (settings, expected) in [
            (serde_json::json!({"net": {"retry": 3}}), 1),
            (serde_json::json!({"source": {"crates-io": {"replace-with": "mirror"}}}), 0),
            (serde_json::json!({"net": {"offline": true}}), 0),
        ] {
            let mut toolchains = Toolchains::default();
            toolchains.learn_cargo(&settings);
            assert_eq!(toolchains.registries().len(), expected, "{settings}");
        }
    }
}
