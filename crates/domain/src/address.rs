//! Addresses that people give: which of them lead to a public host. It must not know what is fetched from there.

use crate::intent::shown;

/// An `https` URL whose host is not this machine's, not private and not a bare address. Says what is wrong otherwise.
///
/// A public name may still resolve to a private address; whoever connects must check the resolved address too.
pub fn public_https(text: &str) -> Result<url::Url, String> {
    if text.len() > 2_000 {
        return Err("The address is longer than 2 000 characters.".into());
    }
    let url = url::Url::parse(text).map_err(|error| format!("`{}` is not an address ({error}).", shown(text)))?;
    if url.scheme() != "https" {
        return Err(format!("`{}` addresses are not opened.", shown(url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("The address holds a user name or password, which would be shown in the log.".into());
    }
    match url.host() {
        None => Err("The address names no host.".into()),
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Err("The address names a bare IP address.".into()),
        Some(url::Host::Domain(host)) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            let private = !host.contains('.') || [".localhost", ".local", ".internal", ".lan", ".home.arpa"].iter().any(|end| host.ends_with(end));
            if private { Err(format!("`{}` is a host of a private network.", shown(&host))) } else { Ok(url) }
        }
    }
}

/// An address over `ssh` in either of git's forms, `ssh://user@host:port/path` or `user@host:path`, as a URL; `None` for what is of neither form. The user
/// is `git` unless another is named. Says what is wrong with one whose host is not public, as [`public_https`] does.
pub fn ssh_address(text: &str) -> Option<Result<url::Url, String>> {
    let (at, path) = match text.strip_prefix("ssh://") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => {
            let (at, path) = text.split_once(':')?;
            if at.contains('/') || path.starts_with("//") || !at.contains(['@', '.']) {
                return None;
            }
            (at, path.trim_start_matches('/'))
        }
    };
    let (user, host) = at.rsplit_once('@').unwrap_or(("git", at));
    let read = || {
        if user.contains(':') {
            return Err("The address holds a password, which would be shown in the log.".to_owned());
        }
        if user.is_empty() || user.starts_with('-') || !user.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter)) {
            return Err(format!("`{}` is no user's name.", shown(user)));
        }
        if path.is_empty() || path.starts_with('-') || path.chars().any(char::is_control) {
            return Err("The address names no repository.".to_owned());
        }
        let place = public_https(&format!("https://{host}/"))?;
        let port = place.port().map(|port| format!(":{port}")).unwrap_or_default();
        let text = format!("ssh://{user}@{}{port}/{path}", place.host_str().unwrap_or_default());
        url::Url::parse(&text).map_err(|error| format!("`{}` is not an address ({error}).", shown(&text)))
    };
    Some(read())
}
