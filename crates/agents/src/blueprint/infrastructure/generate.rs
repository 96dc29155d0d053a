//! From a [`Topology`] to the files of a project: pure, the same bytes for the same topology. What a person wrote goes into documents and into JSON that
//! Terraform reads; configuration of Terraform itself is the same for everybody. It must not know a disk or a process.

use grace_domain::event::ArtifactKind;
use grace_domain::topology::{Broker, Engine, Topology, Variant};
use minijinja::context;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::diagram;
use crate::blueprint::generate::{
    Error, GeneratedFile,
    templates::{render, verbatim},
};

/// What is written, and committed, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    Local,
    Providers,
    Kubernetes,
    Monitoring,
    Compose,
    Documents,
}

impl Part {
    pub const ALL: [Self; 6] = [Self::Local, Self::Providers, Self::Kubernetes, Self::Monitoring, Self::Compose, Self::Documents];
}

/// A database or a queue as it runs in a cluster.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Store {
    pub name: &'static str,
    pub image: &'static str,
    pub port: u16,
    pub folder: &'static str,
}

/// Databases, then queues.
pub(super) fn stores(topology: &Topology) -> Vec<Store> {
    let databases = topology.databases.iter().map(|kept| match kept.kind {
        Engine::Postgresql => Store { name: "postgresql", image: "postgres:16", port: 5432, folder: "/var/lib/postgresql/data" },
        Engine::Mysql => Store { name: "mysql", image: "mysql:8.4", port: 3306, folder: "/var/lib/mysql" },
        Engine::Mongodb => Store { name: "mongodb", image: "mongo:8.0", port: 27017, folder: "/data/db" },
        Engine::Redis => Store { name: "redis", image: "redis:7.4", port: 6379, folder: "/data" },
    });
    let queues = topology.queues.iter().map(|kept| match kept.kind {
        Broker::Rabbitmq => Store { name: "rabbitmq", image: "rabbitmq:4.0", port: 5672, folder: "/var/lib/rabbitmq" },
        Broker::Nats => Store { name: "nats", image: "nats:2.10", port: 4222, folder: "/data" },
    });
    databases.chain(queues).collect()
}

/// The files of one part, in the order of their paths; none when the topology does not need it.
///
/// # Errors
/// [`Error::Template`] when a template does not fit: a defect of the blueprint.
pub fn generate(topology: &Topology, part: Part) -> Result<Vec<GeneratedFile>, Error> {
    let mut files = match part {
        Part::Local => terraform(topology, Variant::Local)?,
        Part::Providers => {
            let variants = topology.variants().into_iter().filter(|variant| variant.needs_provider());
            variants.map(|variant| terraform(topology, variant)).collect::<Result<Vec<_>, _>>()?.concat()
        }
        Part::Kubernetes => kubernetes(topology)?,
        Part::Monitoring if topology.monitoring.is_some() => monitoring(topology)?,
        Part::Compose if topology.generate.deployment => vec![templated(topology, "compose.yaml", "kubernetes/compose.yaml", ArtifactKind::Config)?],
        Part::Documents => documents(topology)?,
        Part::Monitoring | Part::Compose => Vec::new(),
    };
    for file in &mut files {
        file.path = topology.path(&file.path);
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn templated(topology: &Topology, path: &str, template: &str, kind: ArtifactKind) -> Result<GeneratedFile, Error> {
    let text = render(&format!("{template}.j2"), shared(topology))?;
    Ok(GeneratedFile::new(path, text, kind))
}

fn shared(topology: &Topology) -> minijinja::Value {
    let variants: Vec<_> = topology
        .variants()
        .into_iter()
        .filter(|variant| variant.needs_provider())
        .map(|variant| context! { folder => variant.folder(), label => variant.label() })
        .collect();
    let first = topology.variants().into_iter().find(|variant| variant.needs_provider()).unwrap_or(Variant::Local);
    context! {
        topology => topology,
        topology_scales => topology.scales(),
        monitored => topology.monitoring.is_some(),
        stores => stores(topology),
        variants => variants,
        first => first.as_str(),
    }
}

fn terraform(topology: &Topology, variant: Variant) -> Result<Vec<GeneratedFile>, Error> {
    let folder = variant.folder();
    let mut files =
        vec![GeneratedFile::new(format!("{folder}/variables.tf"), verbatim("terraform/variables.tf")?.to_owned(), ArtifactKind::Infrastructure)];
    for name in ["versions.tf", "main.tf", "outputs.tf"] {
        let text = verbatim(&format!("{folder}/{name}"))?.to_owned();
        files.push(GeneratedFile::new(format!("{folder}/{name}"), text, ArtifactKind::Infrastructure));
    }
    if variant == Variant::Local && topology.generate.tests {
        let path = "terraform/local/tests/topology.tftest.hcl";
        files.push(GeneratedFile::new(path, verbatim(path)?.to_owned(), ArtifactKind::Test));
    }
    files.push(GeneratedFile::new(format!("{folder}/topology.auto.tfvars.json"), pretty(&values(topology, variant)), ArtifactKind::Infrastructure));
    Ok(files)
}

/// The topology as Terraform's variables.
fn values(topology: &Topology, variant: Variant) -> Value {
    let services: Map<String, Value> = topology
        .services
        .iter()
        .map(|service| (service.name.clone(), json!({ "image": service.image, "port": service.port, "replicas": service.replicas })))
        .collect();
    let usual = match variant {
        Variant::Local => "stand-in",
        Variant::Aws => "eu-central-1",
        Variant::Gcp => "europe-west3",
        Variant::Azure => "germanywestcentral",
    };
    let region = topology.region.as_deref().filter(|_| topology.provider == Some(variant)).unwrap_or(usual);
    json!({
        "name": topology.slug,
        "region": region,
        "nodes": { "least": topology.nodes.least, "most": topology.nodes.most },
        "services": services,
        "databases": topology.databases.iter().map(|kept| kept.kind.as_str()).collect::<Vec<_>>(),
        "queues": topology.queues.iter().map(|kept| kept.kind.as_str()).collect::<Vec<_>>(),
        "monitoring": topology.monitoring.is_some(),
    })
}

fn kubernetes(topology: &Topology) -> Result<Vec<GeneratedFile>, Error> {
    let mut files = Vec::new();
    for name in ["namespace.yaml", "kustomization.yaml"] {
        files.push(templated(topology, &format!("kubernetes/base/{name}"), &format!("kubernetes/{name}"), ArtifactKind::Infrastructure)?);
    }
    let shared = shared(topology);
    for service in &topology.services {
        let text = render("kubernetes/service.yaml.j2", context! { service => service, ..shared.clone() })?;
        files.push(GeneratedFile::new(format!("kubernetes/base/{}.yaml", service.name), text, ArtifactKind::Infrastructure));
    }
    for store in stores(topology) {
        let text = render("kubernetes/store.yaml.j2", context! { store => store, ..shared.clone() })?;
        files.push(GeneratedFile::new(format!("kubernetes/base/{}.yaml", store.name), text, ArtifactKind::Infrastructure));
    }
    Ok(files)
}

/// What watches the cluster, as manifests that are applied beside its own, and as files that `compose.yaml` mounts.
fn monitoring(topology: &Topology) -> Result<Vec<GeneratedFile>, Error> {
    let placed = [
        ("prometheus/prometheus.yml", "prometheus.yml"),
        ("prometheus/prometheus.compose.yml", "prometheus.compose.yml"),
        ("prometheus/rules.yml", "rules.yml"),
        ("grafana/datasources.yml", "datasources.yml"),
        ("grafana/dashboards.yml", "dashboards.yml"),
        ("kustomization.yaml", "kustomization.yaml"),
        ("namespace.yaml", "namespace.yaml"),
        ("prometheus.yaml", "prometheus.yaml"),
        ("kube-state-metrics.yaml", "kube-state-metrics.yaml"),
        ("grafana.yaml", "grafana.yaml"),
    ];
    let mut files = Vec::new();
    for (path, template) in placed {
        files.push(templated(topology, &format!("monitoring/{path}"), &format!("monitoring/{template}"), ArtifactKind::Infrastructure)?);
    }
    files.push(GeneratedFile::new("monitoring/grafana/dashboard.json", pretty(&dashboard(topology)), ArtifactKind::Infrastructure));
    Ok(files)
}

/// A dashboard as Grafana imports it: one row of figures for each service.
fn dashboard(topology: &Topology) -> Value {
    let namespace = &topology.slug;
    let mut panels = Vec::new();
    for (row, service) in topology.services.iter().enumerate() {
        let pods = format!("namespace=\"{namespace}\",pod=~\"{}-.*\"", service.name);
        let figures = [
            ("CPU", "short", format!("sum(rate(container_cpu_usage_seconds_total{{{pods}}}[5m]))")),
            ("Memory", "bytes", format!("sum(container_memory_working_set_bytes{{{pods}}})")),
            (
                "Ready replicas",
                "short",
                format!("kube_deployment_status_replicas_ready{{namespace=\"{namespace}\",deployment=\"{}\"}}", service.name),
            ),
        ];
        for (column, (title, unit, expression)) in figures.into_iter().enumerate() {
            panels.push(json!({
                "id": panels.len() + 1,
                "type": "timeseries",
                "title": format!("{}: {title}", service.name),
                "gridPos": { "h": 7, "w": 8, "x": column * 8, "y": row * 7 },
                "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
                "targets": [{ "refId": "A", "expr": expression }],
            }));
        }
    }
    json!({
        "uid": topology.slug,
        "title": topology.name,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "panels": panels,
    })
}

fn documents(topology: &Topology) -> Result<Vec<GeneratedFile>, Error> {
    let mut files = vec![templated(topology, "README.md", "documents/README.md", ArtifactKind::Doc)?];
    files.push(GeneratedFile::new("docs/topology.svg", diagram::svg(topology), ArtifactKind::Doc));
    files.push(templated(topology, "docs/runbook.md", "documents/runbook.md", ArtifactKind::Doc)?);
    Ok(files)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
