//! Layer 4: takes a commit of a finished build to a running release, and puts the reverse proxy in front of it.
//!
//! It must not know SQL, intents or the status machine: whoever calls it is told of every step through a [`DeployObserver`], stores
//! that, and keeps the pointers to live and previous releases.

mod checkout;
mod connector;
mod digest;
mod docker;
mod local;
mod proxy;
mod relay;
mod supervise;
pub mod terraform;

pub use docker::{Docker, DockerConfig};
pub use local::{DatabaseAccess, DeployJob, DeployObserver, DeployOutcome, Granted, LocalTarget, Place, PlaceDatabase, Promoted, Release};
pub use proxy::{Proxy, Upstream};
pub use relay::ServerAddress;
pub use supervise::LineSink;

use grace_domain::system::Facility;

/// The targets that this version does not have, with the reason and what would help.
pub fn other_targets() -> Vec<Facility> {
    let missing = |name: &str, detail: &str| Facility { name: name.to_owned(), available: false, detail: detail.to_owned() };
    vec![
        missing(
            "kubernetes",
            "No cluster is spoken to yet. The manifests that a build writes are validated against the API's schema, not applied; how that is done by hand is in what it documents.",
        ),
        missing("evm", "Not built in yet. No contracts are generated."),
    ]
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}
