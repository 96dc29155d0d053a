//! Brings a given repository into a build. A URL may lead anywhere, so the address is resolved first and the connection pinned to it.

use std::{net::IpAddr, time::Duration};

use grace_domain::intent::Repository;

use super::{
    WorkspaceError,
    git::{Call, Git},
};

/// Longest that a clone may take.
const WITHIN: Duration = Duration::from_secs(180);
/// Largest clone that is kept, in bytes.
const LIMIT: u64 = 1 << 30;

pub(super) async fn clone(git: &Git, repository: &Repository) -> Result<(), WorkspaceError> {
    let target = git.git_dir.to_string_lossy().into_owned();
    match repository {
        Repository::Url(url) => {
            let host = url.host_str().unwrap_or_default().to_owned();
            let address = public_address(&host).await?;
            let pin = format!("http.curloptResolve={host}:443:{address}");
            let arguments = [
                "-c",
                &pin,
                "-c",
                "http.followRedirects=false",
                "clone",
                "--quiet",
                "--bare",
                "--no-tags",
                "--single-branch",
                "--depth=50",
                "--",
                url.as_str(),
                &target,
            ];
            run(git, Call::new("clone", &arguments).env("GIT_ALLOW_PROTOCOL", "https").within(WITHIN)).await?;
        }
        Repository::Path(path) => {
            if !std::path::Path::new(path).is_dir() {
                return Err(refused(format!("there is no folder {path} on this machine.")));
            }
            let arguments = [
                "-c",
                "safe.directory=*",
                "clone",
                "--quiet",
                "--bare",
                "--no-tags",
                "--single-branch",
                "--no-hardlinks",
                "--",
                path.as_str(),
                &target,
            ];
            run(git, Call::new("clone", &arguments).env("GIT_ALLOW_PROTOCOL", "file").within(WITHIN)).await?;
        }
    }
    let size = size_of(&git.git_dir).await;
    if size > LIMIT {
        return Err(refused(format!("it has {} MiB; at most {} MiB are taken.", size >> 20, LIMIT >> 20)));
    }
    Ok(())
}

async fn run(git: &Git, call: Call<'_>) -> Result<(), WorkspaceError> {
    match git.clone_with(call).await {
        Ok(()) => Ok(()),
        Err(WorkspaceError::Git { message, .. }) => Err(refused(message)),
        Err(WorkspaceError::Slow { seconds, .. }) => Err(refused(format!("cloning it took longer than {seconds} s."))),
        Err(other) => Err(other),
    }
}

fn refused(reason: String) -> WorkspaceError {
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
}
