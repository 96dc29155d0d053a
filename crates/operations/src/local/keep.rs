//! Which releases of a place stay on this machine, as folders or images, when a newer one has gone live.

use std::path::Path;

use grace_domain::deployment::DeployTarget;

use super::{LocalTarget, Place, Release};

/// The release that is live and the one before it stay whatever they take.
const ALWAYS: usize = 2;

impl LocalTarget {
    /// Keeps of a place's releases, newest first, those that take at most `budget` bytes together, and removes all others, with their images. Answers
    /// with the names of what stays. No deployment to the place may be under way besides the one that is just live.
    pub async fn keep(&self, place: &Place, newest_first: &[Release], budget: u64) -> Vec<String> {
        let mut kept = Vec::new();
        let mut taken = 0_u64;
        for release in newest_first {
            taken = taken.saturating_add(self.bytes_of(place, release).await);
            if kept.len() >= ALWAYS && taken > budget {
                break;
            }
            kept.push(release.name.clone());
        }
        self.keep_only(place, &kept).await;
        kept
    }

    /// What a release takes on disk; of an image, what it takes without looking at what it shares with others.
    async fn bytes_of(&self, place: &Place, release: &Release) -> u64 {
        match release.target {
            DeployTarget::Local => {
                let folder = release.path.clone();
                tokio::task::spawn_blocking(move || bytes_in(&folder)).await.unwrap_or_default()
            }
            DeployTarget::Docker => self.bytes_of_image(place, &release.name).await,
        }
    }

    /// Removes the folders and images of releases that are not kept.
    async fn keep_only(&self, place: &Place, kept: &[String]) {
        let Ok(mut entries) = tokio::fs::read_dir(self.place_dir(place)).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            // The folder of a release's socket has the release's name and an end.
            let release = name.strip_suffix(".run").unwrap_or(&name);
            if name.starts_with('r') && !kept.iter().any(|kept| kept == release) {
                let _ = tokio::fs::remove_dir_all(entry.path()).await;
                if release == name {
                    self.let_go_of_image(place, &name).await;
                }
            }
        }
    }
}

/// Bytes of the files beneath a folder; links are not followed.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
