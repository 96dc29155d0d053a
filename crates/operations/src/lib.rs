//! Layer 4: takes a commit of a finished build to a running release, and puts the reverse proxy in front of it.
//!
//! It must not know SQL, intents or the status machine: whoever calls it is told of every step through a [`DeployObserver`], stores
//! that, and keeps the pointers to live and previous releases.

mod checkout;
mod digest;
mod local;
mod proxy;
mod relay;
mod supervise;
pub mod terraform;

pub use local::{DatabaseAccess, DeployJob, DeployObserver, DeployOutcome, Granted, LocalTarget, Place, PlaceDatabase, Promoted, Release};
pub use proxy::{Proxy, Upstream};
pub use relay::ServerAddress;
pub use supervise::LineSink;

use grace_domain::system::Facility;

/// The targets that this version does not have, with the reason and what would help.
pub fn other_targets() -> Vec<Facility> {
    let missing = |name: &str, detail: &str| Facility { name: name.to_owned(), available: false, detail: detail.to_owned() };
    vec![
        missing("docker", "Not built in yet. The generated Dockerfile and compose.yaml run on any Docker engine by hand."),
        missing("kubernetes", "Not built in yet. The manifests of an infrastructure build are applied by hand with kubectl."),
        missing("evm", "Not built in yet. No contracts are generated."),
    ]
}
