//! The typed topology that the infrastructure blueprint reads out of a description and generates configuration from. It must not know how
//! anything in it is written down or set up. Equal topologies give equal bytes.

use serde::{Deserialize, Serialize};

use crate::{
    intent::choice,
    spec::{Generate, Mark},
};

choice!(
    /// Where a topology is set up. Each has a Terraform configuration of its own.
    Variant {
        Local = "local", "Local stand-in";
        Aws = "aws", "AWS (EKS)";
        Gcp = "gcp", "Google Cloud (GKE)";
        Azure = "azure", "Azure (AKS)";
    }
);

impl Variant {
    /// Folder of its Terraform configuration in the project.
    pub fn folder(self) -> String {
        format!("terraform/{}", self.as_str())
    }

    /// Whether its configuration needs a provider that Terraform must fetch, and an account with it.
    pub fn needs_provider(self) -> bool {
        self != Self::Local
    }
}

choice!(
    /// What keeps data.
    Engine {
        Postgresql = "postgresql", "PostgreSQL";
        Mysql = "mysql", "MySQL";
        Mongodb = "mongodb", "MongoDB";
        Redis = "redis", "Redis";
    }
);

choice!(
    /// What passes messages on.
    Broker {
        Rabbitmq = "rabbitmq", "RabbitMQ";
        Nats = "nats", "NATS";
    }
);

/// A cluster with what runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Topology {
    /// Title in words, `Kubernetes cluster`.
    pub name: String,
    /// Lower-case ASCII letters, digits and `-`, at most 40 characters; names clusters and namespaces.
    pub slug: String,
    /// One sentence for the README.
    pub summary: String,
    pub nodes: Nodes,
    /// At least one; in the order of the description.
    pub services: Vec<Service>,
    pub databases: Vec<Kept<Engine>>,
    pub queues: Vec<Kept<Broker>>,
    /// Prometheus rules and a Grafana dashboard.
    pub monitoring: Option<Mark>,
    /// The provider that was named; first of the variants then.
    pub provider: Option<Variant>,
    /// A region as the named provider writes it, `eu-central-1`.
    pub region: Option<String>,
    pub generate: Generate,
    /// Folder inside a given repository that holds everything generated; `None`: the repository's root is ours.
    pub folder: Option<String>,
    /// Parts of the description that this topology does not have, word for word; the README lists them.
    pub not_covered: Vec<String>,
    /// What was assumed, one sentence each; the README lists them.
    pub assumptions: Vec<String>,
}

impl Topology {
    /// A path of the project relative to the repository.
    pub fn path(&self, inside: &str) -> String {
        self.folder.as_ref().map_or_else(|| inside.to_owned(), |folder| format!("{folder}/{inside}"))
    }

    /// The configurations that are written: a named provider alone besides the stand-in, or all of them.
    pub fn variants(&self) -> Vec<Variant> {
        match self.provider {
            Some(provider) => vec![Variant::Local, provider],
            None => Variant::ALL.to_vec(),
        }
    }

    /// Whether replicas and nodes follow the load.
    pub fn scales(&self) -> bool {
        self.nodes.most > self.nodes.least
    }
}

/// Machines of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nodes {
    /// 1 to 100.
    pub least: u32,
    /// The same as `least` without scaling.
    pub most: u32,
    pub mark: Mark,
}

/// Something that answers requests or works through a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Service {
    /// Lower-case ASCII letters, digits and `-`, at most 30 characters.
    pub name: String,
    /// Where its container is from; a placeholder when nobody said.
    pub image: String,
    pub port: u16,
    /// 1 to 50.
    pub replicas: u32,
    pub mark: Mark,
}

/// A database or a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Kept<K> {
    pub kind: K,
    pub mark: Mark,
}
