//! The PostgreSQL 17.5 that is part of this program, for machines that have none.

use super::{binaries::Binaries, error::EmbeddedError, place::Place};

#[cfg(bundled_postgres)]
pub(super) const MAJOR: Option<u32> = Some(17);
#[cfg(not(bundled_postgres))]
pub(super) const MAJOR: Option<u32> = None;

#[cfg(not(bundled_postgres))]
pub(super) fn unpack(_place: &Place) -> Result<Binaries, EmbeddedError> {
    Err(EmbeddedError::NoBinaries)
}

/// Unpacks it beside the data, once: the folder appears under its name only when it is complete.
#[cfg(bundled_postgres)]
pub(super) fn unpack(place: &Place) -> Result<Binaries, EmbeddedError> {
    use std::{fs, os::unix::fs::PermissionsExt};

    use sha2::{Digest, Sha256};

    use super::error::At;

    static RUNTIME: &[u8] = include_bytes!(env!("GRACE_POSTGRES_RUNTIME"));
    const SHA256: &str = env!("GRACE_POSTGRES_RUNTIME_SHA256");

    let folder = place.base.join(format!("postgresql-17.5-{}", &SHA256[..12]));
    let binaries = Binaries { major: 17, initdb: folder.join("bin/initdb"), postgres: folder.join("bin/postgres") };
    if binaries.postgres.is_file() {
        return Ok(binaries);
    }
    let failed = |source| EmbeddedError::Unpack { path: folder.clone(), source };
    if hex::encode(Sha256::digest(RUNTIME)) != SHA256 {
        return Err(failed(std::io::Error::other("this program is damaged: its PostgreSQL has another checksum; install Grace again")));
    }
    let unfinished = place.base.join(format!("unpacking-{}", std::process::id()));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).at("Removing", &unfinished)?;
    }
    let tar = ruzstd::decoding::StreamingDecoder::new(RUNTIME).map_err(|error| failed(std::io::Error::other(error)))?;
    tar::Archive::new(tar).unpack(&unfinished).map_err(failed)?;
    // Postgres runs as another user when we are root, whatever our umask is.
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755)).at("Opening", &unfinished)?;
    match fs::rename(&unfinished, &folder) {
        Ok(()) => Ok(binaries),
        // Another server on this folder was quicker.
        Err(_) if binaries.postgres.is_file() => {
            fs::remove_dir_all(&unfinished).at("Removing", &unfinished)?;
            Ok(binaries)
        }
        Err(error) => Err(failed(error)),
    }
}
