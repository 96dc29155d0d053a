//! From a description to a [`Topology`]: deterministic, and honest about what it left out. It must not know tasks, clocks or files.
//!
//! A description is cut into clauses. Words of a clause that name a part of a topology are taken; a clause with any other word that says something is
//! listed as not covered, word for word.

use grace_domain::intent::IntentRequest;
use grace_domain::plan::Assumption;
use grace_domain::problem::Problem;
use grace_domain::spec::{Generate, Mark};
use grace_domain::topology::{Broker, Engine, Kept, Nodes, Service, Topology, Variant};

use super::words::{FILLER, Named, PLACEHOLDER, count, is_region, named};
use crate::blueprint::understand::text::{STATEMENT_LIMIT, Shape, Word, clauses, statements, words};

/// Nodes of a cluster of which nobody said how many.
const USUAL_NODES: u32 = 3;
const MOST_NODES: u32 = 100;
const MOST_REPLICAS: u32 = 50;
const MOST_SERVICES: usize = 20;
const LONGEST_NAME: usize = 30;
const LONGEST_SLUG: usize = 40;

/// A description as understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understanding {
    pub topology: Topology,
    pub assumptions: Vec<Assumption>,
}

/// What was said so far.
#[derive(Default)]
struct Draft {
    name: Option<String>,
    nodes: Option<(u32, Option<u32>)>,
    most: Option<u32>,
    scales: bool,
    cluster: bool,
    monitoring: bool,
    provider: Option<Variant>,
    region: Option<String>,
    services: Vec<Service>,
    databases: Vec<Kept<Engine>>,
    queues: Vec<Kept<Broker>>,
}

/// Reads a request together with sentences that change it.
///
/// # Errors
/// A [`Problem`] on `description` when nothing in it names a part of a topology.
pub fn understand(request: &IntentRequest, more: &[String]) -> Result<Understanding, Problem> {
    let mut draft = Draft::default();
    let mut not_covered: Vec<String> = Vec::new();
    let all = std::iter::once(&request.description).chain(more).flat_map(|text| statements(text));
    for (index, statement) in all.enumerate() {
        if index >= STATEMENT_LIMIT {
            not_covered.push(statement.text);
            continue;
        }
        if statement.shape == Shape::Heading && draft.name.is_none() {
            draft.name = title(&statement.text);
            continue;
        }
        read(&statement.text, &mut draft, &mut not_covered);
    }
    if !draft.says_something() {
        let hint = "Name its parts, for example: Kubernetes cluster with monitoring, 3 nodes, autoscaling; services: api, web; PostgreSQL.";
        return Err(Problem::invalid_field("description", format!("Nothing in it names a part of an infrastructure. {hint}")));
    }
    let mut seen = std::collections::HashSet::new();
    not_covered.retain(|text| seen.insert(text.clone()));
    Ok(settle(request, draft, not_covered))
}

impl Draft {
    fn says_something(&self) -> bool {
        self.cluster || self.monitoring || self.nodes.is_some() || !(self.services.is_empty() && self.databases.is_empty() && self.queues.is_empty())
    }

    fn service(&mut self, name: &str, mark: Mark) -> Option<&mut Service> {
        let name = slug(name, LONGEST_NAME)?;
        let at = match self.services.iter().position(|service| service.name == name) {
            Some(at) => at,
            None if self.services.len() == MOST_SERVICES => return None,
            None => {
                self.services.push(Service { name, image: PLACEHOLDER.into(), port: 8080, replicas: 2, mark });
                self.services.len() - 1
            }
        };
        self.services.get_mut(at)
    }
}

/// `services: api, web` names what a table of known words does not have.
fn listed(text: &str) -> Option<&str> {
    let (head, rest) = text.split_once(':')?;
    let head = head.trim().to_lowercase();
    (head == "services" || head == "service" || head.ends_with(" services")).then_some(rest)
}

fn read(text: &str, draft: &mut Draft, not_covered: &mut Vec<String>) {
    if let Some(rest) = listed(text) {
        for name in rest.split([',', ';']).map(|part| part.trim().trim_end_matches('.')).filter(|part| !part.is_empty()) {
            let found = words(name);
            // One word is a name; more say something about a service whose name comes first.
            let taken = found.first().and_then(|first| draft.service(&name[first.start..first.end], Mark::Stated)).is_some();
            let known = taken && tail(name, &found[1..], draft);
            if !known {
                not_covered.push(name.to_owned());
            }
        }
        return;
    }
    let found = words(text);
    if let Some(at) = found.iter().position(|word| matches!(word.lower.as_str(), "called" | "named")).filter(|at| at + 1 < found.len()) {
        let from = found[at + 1].start;
        let to = found[at + 1..].iter().take(3).take_while(|word| text[word.start..].starts_with(char::is_uppercase)).last().map(|word| word.end);
        if let Some(name) = to.and_then(|to| title(&text[from..to])) {
            draft.name = Some(name);
            let (before, after) = (text[..found[at].start].to_owned(), text[to.unwrap_or(from)..].to_owned());
            read_clauses(&before, draft, not_covered);
            read_clauses(&after, draft, not_covered);
            return;
        }
    }
    read_clauses(text, draft, not_covered);
}

fn read_clauses(text: &str, draft: &mut Draft, not_covered: &mut Vec<String>) {
    for (from, to) in clauses(text) {
        let clause = &text[from..to];
        if !tail(clause, &words(clause), draft) {
            not_covered.push(clause.to_owned());
        }
    }
}

/// Takes what the words of one clause say; false when some of them say something else.
fn tail(text: &str, found: &[Word], draft: &mut Draft) -> bool {
    let lower = |at: usize| found.get(at).map_or("", |word| word.lower.as_str());
    let mut known = true;
    let mut at = 0;
    while at < found.len() {
        let word = lower(at);
        if let Some(nodes) = word.strip_suffix("-node").and_then(count) {
            draft.nodes = Some((nodes, None));
            at += 1;
            continue;
        }
        let numbers = range(word);
        if let Some((least, most)) = numbers.or_else(|| count(word).map(|number| (number, None))) {
            // `2 to 6 nodes`, `2-6 nodes`, `3 replicas`, `up to 6 nodes`.
            let (most, next) = match (most, lower(at + 1), count(lower(at + 2))) {
                (None, "to" | "and" | "–", Some(most)) => (Some(most), at + 3),
                _ => (most, at + 1),
            };
            let filler = usize::from(matches!(lower(next), "worker" | "cluster" | "compute") && is_node(lower(next + 1)));
            let up_to = at > 1 && lower(at - 1) == "to" && lower(at - 2) == "up";
            let port_before = at > 0 && lower(at - 1) == "port";
            match lower(next + filler) {
                noun if is_node(noun) && up_to => {
                    draft.most = Some(least);
                    draft.scales = true;
                    at = next + filler + 1;
                }
                noun if is_node(noun) => {
                    draft.nodes = Some((least, most));
                    draft.scales |= most.is_some();
                    at = next + filler + 1;
                }
                "replica" | "replicas" | "copies" | "instances" if draft.services.last_mut().is_some() => {
                    if let Some(service) = draft.services.last_mut() {
                        service.replicas = least.clamp(1, MOST_REPLICAS);
                    }
                    at = next + 1;
                }
                _ if port_before && u16::try_from(least).is_ok_and(|port| port > 0) && draft.services.last_mut().is_some() => {
                    if let (Some(service), Ok(port)) = (draft.services.last_mut(), u16::try_from(least)) {
                        service.port = port;
                    }
                    at += 1;
                }
                _ => {
                    known = false;
                    at += 1;
                }
            }
            continue;
        }
        if word == "service" && at + 1 < found.len() && !FILLER.contains(&lower(at + 1)) && named(lower(at + 1), "").is_none() {
            let next = &found[at + 1];
            known &= draft.service(&text[next.start..next.end], Mark::Stated).is_some();
            at += 2;
            continue;
        }
        if is_region(word) {
            draft.region = Some(word.to_owned());
            at += 1;
            continue;
        }
        match named(word, lower(at + 1)) {
            Some((what, length)) => {
                known &= take(what, draft);
                at += length;
            }
            None => {
                known &= FILLER.contains(&word);
                at += 1;
            }
        }
    }
    known
}

fn is_node(word: &str) -> bool {
    matches!(word, "node" | "nodes" | "machines" | "workers" | "vms" | "servers")
}

/// `2-6`
fn range(word: &str) -> Option<(u32, Option<u32>)> {
    let (least, most) = word.split_once(['-', '–'])?;
    Some((count(least)?, Some(count(most)?)))
}

fn take(what: Named, draft: &mut Draft) -> bool {
    match what {
        Named::Cluster => draft.cluster = true,
        Named::Monitoring => draft.monitoring = true,
        Named::Scaling => draft.scales = true,
        Named::Provider(provider, is_cluster) => {
            draft.cluster |= is_cluster;
            draft.provider = Some(provider);
        }
        Named::Database(kind, mark) => {
            if draft.databases.iter().all(|known| known.kind != kind) {
                draft.databases.push(Kept { kind, mark });
            }
        }
        Named::Queue(kind, mark) => {
            if draft.queues.iter().all(|known| known.kind != kind) {
                draft.queues.push(Kept { kind, mark });
            }
        }
        Named::Service(name) => return draft.service(name, Mark::Stated).is_some(),
    }
    true
}

/// What nobody said is filled in, and told.
fn settle(request: &IntentRequest, mut draft: Draft, not_covered: Vec<String>) -> Understanding {
    let mut assumptions = Vec::new();
    let mut assume = |text: String, mark: Mark| assumptions.push(Assumption { text, mark });
    let mark = if draft.nodes.is_some() { Mark::Stated } else { Mark::Default };
    let (least, given_most) = draft.nodes.unwrap_or((USUAL_NODES, None));
    let least = least.clamp(1, MOST_NODES);
    if mark == Mark::Default {
        assume(format!("Nobody said how many nodes: the cluster has {least}."), Mark::Default);
    }
    let most = match (draft.most.or(given_most), draft.scales) {
        (Some(most), _) => most.clamp(least, MOST_NODES),
        (None, true) => {
            let most = (least * 2).min(MOST_NODES);
            assume(format!("The cluster grows with the load from {least} to {most} nodes; nobody said how far."), Mark::Default);
            most
        }
        (None, false) => least,
    };
    if draft.services.is_empty() {
        draft.service("app", Mark::Default);
        assume(format!("No service was named: one called app stands in, with the image {PLACEHOLDER}."), Mark::Default);
    } else {
        let names: Vec<&str> = draft.services.iter().map(|service| service.name.as_str()).collect();
        assume(format!("Nobody said where the images of {} are: each has the placeholder {PLACEHOLDER}.", names.join(", ")), Mark::Default);
    }
    for kept in draft.databases.iter().filter(|kept| kept.mark == Mark::Inferred) {
        assume(format!("“database” is taken as {}.", kept.kind.label()), Mark::Inferred);
    }
    for kept in draft.queues.iter().filter(|kept| kept.mark == Mark::Inferred) {
        assume(format!("“queue” is taken as {}.", kept.kind.label()), Mark::Inferred);
    }
    if draft.provider.is_none() {
        assume("No provider was named: configurations for AWS, Google Cloud and Azure are written beside the local stand-in.".into(), Mark::Default);
    }
    let name = draft.name.unwrap_or_else(|| if draft.monitoring { "Monitored cluster".into() } else { "Kubernetes cluster".into() });
    let slug = slug(&name, LONGEST_SLUG).unwrap_or_else(|| "cluster".into());
    let nodes = if most > least { format!("{least} to {most} nodes") } else { format!("{least} {}", if least == 1 { "node" } else { "nodes" }) };
    let services: Vec<&str> = draft.services.iter().map(|service| service.name.as_str()).collect();
    let options = &request.options;
    let topology = Topology {
        summary: format!("A Kubernetes cluster of {nodes} that runs {}.", services.join(", ")),
        name,
        slug,
        nodes: Nodes { least, most, mark },
        services: draft.services,
        databases: draft.databases,
        queues: draft.queues,
        monitoring: draft.monitoring.then_some(Mark::Stated),
        provider: draft.provider,
        region: draft.region,
        generate: Generate { tests: options.generate_tests, docs: options.generate_docs, deployment: options.include_deployment },
        folder: request.artifacts.repository.as_ref().map(|_| "infrastructure".to_owned()),
        not_covered,
        assumptions: assumptions.iter().map(|assumption| assumption.text.clone()).collect(),
    };
    Understanding { topology, assumptions }
}

/// Letters, digits and spaces of a name, on one line.
fn title(text: &str) -> Option<String> {
    let clean: String = text.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { ' ' }).collect();
    let name: String = clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST_SLUG).collect();
    let name = name.trim_end_matches([' ', '-']).to_owned();
    name.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(name)
}

/// Lower-case letters, digits and single `-`, beginning with a letter.
fn slug(text: &str, longest: usize) -> Option<String> {
    let clean: String = text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = clean.split('-').filter(|part| !part.is_empty()).collect();
    let joined: String = parts.join("-").chars().take(longest).collect();
    let joined = joined.trim_end_matches('-').to_owned();
    joined.starts_with(|first: char| first.is_ascii_lowercase()).then_some(joined)
}

#[cfg(test)]
mod tests {
    use grace_domain::intent::RequestDraft;

    use super::*;

    fn of(description: &str) -> Result<Understanding, Problem> {
        let draft = RequestDraft {
            description: Some(description.into()),
            project_type: Some("infrastructure".into()),
            target_domain: Some("infrastructure".into()),
            constraints: grace_domain::intent::ConstraintsDraft { stack: Some("terraform".into()), ..Default::default() },
            ..RequestDraft::default()
        };
        let today = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        understand(&draft.parse(today).unwrap(), &[])
    }

    #[test]
    fn parts_of_a_topology_are_read_and_the_rest_is_listed_word_for_word() {
        // description, nodes, services, databases, queues, monitored, not covered
        type Row = (&'static str, (u32, u32), &'static [&'static str], &'static [Engine], &'static [Broker], bool, &'static [&'static str]);
        let table: &[Row] = &[
            ("Kubernetes cluster with monitoring, 3 nodes, autoscaling", (3, 6), &["app"], &[], &[], true, &[]),
            ("Kubernetes cluster with monitoring", (3, 3), &["app"], &[], &[], true, &[]),
            ("A cluster of 2 to 6 nodes for an api and a worker with PostgreSQL", (2, 6), &["api", "worker"], &[Engine::Postgresql], &[], false, &[]),
            ("5-node k8s cluster. Services: billing, search; a message queue.", (5, 5), &["billing", "search"], &[], &[Broker::Rabbitmq], false, &[]),
            (
                "Kubernetes with five nodes up to 9 nodes and Redis, RabbitMQ, Grafana dashboards",
                (5, 9),
                &["app"],
                &[Engine::Redis],
                &[Broker::Rabbitmq],
                true,
                &[],
            ),
            ("EKS cluster in eu-central-1 with a blockchain oracle", (3, 3), &["app"], &[], &[], false, &["a blockchain oracle"]),
        ];
        for (text, nodes, services, databases, queues, monitored, missing) in table {
            let topology = of(text).unwrap().topology;
            assert_eq!((topology.nodes.least, topology.nodes.most), *nodes, "{text}");
            assert_eq!(topology.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), *services, "{text}");
            assert_eq!(topology.databases.iter().map(|kept| kept.kind).collect::<Vec<_>>(), *databases, "{text}");
            assert_eq!(topology.queues.iter().map(|kept| kept.kind).collect::<Vec<_>>(), *queues, "{text}");
            assert_eq!((topology.monitoring.is_some(), topology.not_covered.as_slice()), (*monitored, missing.map_to_owned().as_slice()), "{text}");
        }
        let eks = of("EKS cluster in eu-central-1").unwrap().topology;
        assert_eq!(
            (eks.provider, eks.region.as_deref(), eks.variants()),
            (Some(Variant::Aws), Some("eu-central-1"), vec![Variant::Local, Variant::Aws])
        );
        assert_eq!(of("Paint my house blue").unwrap_err().errors[0].field, "description");
    }

    trait Owned {
        fn map_to_owned(&self) -> Vec<String>;
    }
    impl Owned for &[&str] {
        fn map_to_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn names_that_people_write_become_names_that_clusters_take() {
        let topology = of("Cluster called Grüße ${x} with 3 nodes. Services: API Gateway, ../../etc, 9lives").unwrap().topology;
        assert!(topology.slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{}", topology.slug);
        for service in &topology.services {
            assert!(service.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{}", service.name);
        }
    }
}
