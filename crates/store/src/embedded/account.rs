//! As whom Postgres runs. It refuses root; then it runs as `postgres` or `nobody`, who must be in the passwd file, since it looks itself up there.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::error::EmbeddedError;

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
    /// We are root and change to this user; else we are this user.
    pub change: bool,
}

impl Account {
    pub(super) fn choose() -> Result<Self, EmbeddedError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: rustix::process::getegid().as_raw(), change: false });
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| in_passwd(&passwd, name)).ok_or(EmbeddedError::NoAccount)
    }

    /// Whether this user can go through a folder and all folders above it.
    pub(super) fn reaches(&self, folder: &Path) -> bool {
        !self.change
            || folder.ancestors().all(|folder| folder.as_os_str().is_empty() || fs::metadata(folder).is_ok_and(|found| self.may_enter(&found)))
    }

    fn may_enter(&self, folder: &fs::Metadata) -> bool {
        let bit = if folder.uid() == self.uid {
            0o100
        } else if folder.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        folder.mode() & bit != 0
    }

    /// Makes this user the owner of what root has made.
    pub(super) fn own(&self, path: &Path) -> std::io::Result<()> {
        if self.change { std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }
}

fn in_passwd(passwd: &str, name: &str) -> Option<Account> {
    let fields: Vec<&str> = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
    let uid: u32 = fields.get(2)?.parse().ok()?;
    let gid = fields.get(3)?.parse().ok()?;
    (uid != 0).then_some(Account { uid, gid, change: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_the_passwd_file_and_is_never_root() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\npostgres:x:0:0::/:/bin/sh\nbroken";
        assert_eq!(in_passwd(passwd, "nobody"), Some(Account { uid: 65534, gid: 65533, change: true }));
        assert_eq!(in_passwd(passwd, "postgres"), None, "a postgres that is root");
        assert_eq!(in_passwd(passwd, "broken"), None);
        assert_eq!(in_passwd(passwd, "nobo"), None);
    }
}
