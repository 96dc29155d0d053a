//! Words that name parts of a topology, words that say nothing, and numbers. A table; it must not know sentences.

use grace_domain::spec::Mark;
use grace_domain::topology::{Broker, Engine, Variant};

/// What stands in for a container's image that nobody named.
pub const PLACEHOLDER: &str = "registry.example.com/replace-me:1.0.0";

/// What one or two words name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Cluster,
    Monitoring,
    Scaling,
    /// Whether the word is the name of the provider's clusters.
    Provider(Variant, bool),
    Database(Engine, Mark),
    Queue(Broker, Mark),
    Service(&'static str),
}

/// What a word, with the one after it, names, and how many of the two it takes.
pub fn named(word: &str, next: &str) -> Option<(Named, usize)> {
    let two = match (word, next) {
        ("auto", "scaling" | "scale") | ("scales", "automatically") | ("scale", "automatically") | ("autoscaling", "groups" | "group") => {
            Some(Named::Scaling)
        }
        ("auto-scaling", "groups" | "group") => Some(Named::Scaling),
        ("google", "cloud") => Some(Named::Provider(Variant::Gcp, false)),
        ("message", "broker" | "queue" | "queues") => Some(Named::Queue(Broker::Rabbitmq, Mark::Inferred)),
        ("kubernetes", "cluster") | ("k8s", "cluster") => Some(Named::Cluster),
        ("api", "gateway") => Some(Named::Service("api-gateway")),
        _ => None,
    };
    if let Some(what) = two {
        return Some((what, 2));
    }
    let one = match word {
        "kubernetes" | "k8s" | "cluster" | "clusters" => Named::Cluster,
        "monitoring" | "monitored" | "monitor" | "prometheus" | "grafana" | "dashboard" | "dashboards" | "alerts" | "alerting" | "metrics"
        | "observability" => Named::Monitoring,
        "autoscaling" | "auto-scaling" | "autoscale" | "autoscaled" | "autoscaler" | "hpa" | "elastic" => Named::Scaling,
        "aws" | "amazon" => Named::Provider(Variant::Aws, false),
        "eks" => Named::Provider(Variant::Aws, true),
        "gcp" | "google" => Named::Provider(Variant::Gcp, false),
        "gke" => Named::Provider(Variant::Gcp, true),
        "azure" => Named::Provider(Variant::Azure, false),
        "aks" => Named::Provider(Variant::Azure, true),
        "postgres" | "postgresql" => Named::Database(Engine::Postgresql, Mark::Stated),
        "database" | "databases" | "db" => Named::Database(Engine::Postgresql, Mark::Inferred),
        "mysql" | "mariadb" => Named::Database(Engine::Mysql, Mark::Stated),
        "mongodb" | "mongo" => Named::Database(Engine::Mongodb, Mark::Stated),
        "redis" | "cache" => Named::Database(Engine::Redis, Mark::Stated),
        "rabbitmq" => Named::Queue(Broker::Rabbitmq, Mark::Stated),
        "nats" => Named::Queue(Broker::Nats, Mark::Stated),
        "queue" | "queues" => Named::Queue(Broker::Rabbitmq, Mark::Inferred),
        "api" => Named::Service("api"),
        "web" | "website" => Named::Service("web"),
        "frontend" => Named::Service("frontend"),
        "backend" => Named::Service("backend"),
        "worker" => Named::Service("worker"),
        "gateway" => Named::Service("gateway"),
        _ => return None,
    };
    Some((one, 1))
}

/// Words that add nothing to a topology.
pub const FILLER: &[&str] = &[
    "a",
    "an",
    "the",
    "with",
    "and",
    "for",
    "of",
    "on",
    "in",
    "to",
    "up",
    "by",
    "from",
    "between",
    "at",
    "port",
    "that",
    "which",
    "has",
    "have",
    "is",
    "are",
    "it",
    "its",
    "our",
    "my",
    "we",
    "i",
    "need",
    "needs",
    "want",
    "please",
    "set",
    "create",
    "build",
    "provision",
    "deploy",
    "make",
    "run",
    "runs",
    "running",
    "use",
    "uses",
    "using",
    "add",
    "new",
    "some",
    "each",
    "service",
    "services",
    "infrastructure",
    "terraform",
    "configuration",
    "configurations",
    "config",
    "configs",
    "manifests",
    "managed",
    "node",
    "nodes",
    "called",
    "named",
    "server",
    "region",
    "also",
    "plus",
    "including",
    "application",
    "app",
];

/// `3`, `three`
pub fn count(word: &str) -> Option<u32> {
    const NUMBERS: &[&str] = &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    if let Some(at) = NUMBERS.iter().position(|number| *number == word) {
        return u32::try_from(at + 1).ok();
    }
    let digits = word.len() <= 6 && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// `eu-central-1`, `europe-west3`, `westeurope`: a region as one of the three providers writes it.
pub fn is_region(word: &str) -> bool {
    const AZURE: &[&str] = &["westeurope", "northeurope", "eastus", "eastus2", "westus2", "germanywestcentral", "uksouth", "southeastasia"];
    const AREAS: &[&str] = &["us", "eu", "ap", "sa", "ca", "me", "af", "europe", "asia", "australia", "northamerica", "southamerica"];
    let mut parts = word.split('-');
    let area = parts.next().is_some_and(|area| AREAS.contains(&area));
    let rest: Vec<&str> = parts.collect();
    let ends = rest.last().is_some_and(|last| last.ends_with(|digit: char| digit.is_ascii_digit()));
    let sound = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    AZURE.contains(&word) || area && ends && sound && (1..=3).contains(&rest.len()) && word.len() <= 30
}
