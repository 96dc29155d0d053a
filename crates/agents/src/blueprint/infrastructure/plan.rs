//! The plan for infrastructure: pure, from the understanding of its description. It must not know how tasks are run or kept.

use grace_domain::intent::IntentRequest;
use grace_domain::plan::{Confidence, Modification, Phase, Plan, PlannedTask};
use grace_domain::problem::Problem;
use grace_domain::topology::{Topology, Variant};

use super::steps::phases;
use super::understand::{Understanding, understand};
use crate::agent::{Estimates, PlanInputs};

/// Most changes to one plan.
const CHANGE_LIMIT: usize = 50;

/// Proposes the plan.
///
/// # Errors
/// A [`Problem`] on `description` when nothing in it names a part of a topology, or on `modifications` when there are too many.
pub fn plan(request: &IntentRequest, inputs: &PlanInputs) -> Result<Plan, Problem> {
    let (Understanding { topology, assumptions }, modifications) = changed(request, &inputs.modifications)?;
    let mut plan = Plan {
        title: topology.name.clone(),
        phases: planned(&topology, &inputs.estimates),
        deliverables: deliverables(&topology),
        not_covered: topology.not_covered.clone(),
        assumptions,
        questions: Vec::new(),
        warnings: Vec::new(),
        compliance: Vec::new(),
        confidence: Confidence::of_like_builds(inputs.estimates.samples),
        modifications,
        spec: None,
        topology: Some(topology),
    };
    plan.sum_estimates();
    plan.warnings = warnings(request, inputs, &plan);
    Ok(plan)
}

/// Each change is read as one more sentence of the description.
fn changed(request: &IntentRequest, changes: &[String]) -> Result<(Understanding, Vec<Modification>), Problem> {
    if changes.len() > CHANGE_LIMIT {
        return Err(Problem::invalid_field("modifications", format!("A plan takes at most {CHANGE_LIMIT} changes; put them into the description.")));
    }
    let mut current = understand(request, &[])?;
    let mut accepted: Vec<String> = Vec::new();
    let mut modifications = Vec::new();
    for change in changes.iter().map(|change| change.trim()).filter(|change| !change.is_empty()) {
        accepted.push(change.to_owned());
        let next = understand(request, &accepted)?;
        let refused: Vec<&String> = next.topology.not_covered.iter().filter(|part| !current.topology.not_covered.contains(part)).collect();
        let text = change.to_owned();
        if refused.is_empty() {
            let outcome = if next.topology == current.topology { "The plan has this already.".into() } else { next.topology.summary.clone() };
            modifications.push(Modification { text, applied: true, outcome });
            current = next;
        } else {
            accepted.pop();
            let outcome = "This blueprint adds and sizes parts of a topology; this needs a model or a person.".into();
            modifications.push(Modification { text, applied: false, outcome });
        }
    }
    for declined in modifications.iter().filter(|modification| !modification.applied) {
        if !current.topology.not_covered.contains(&declined.text) {
            current.topology.not_covered.push(declined.text.clone());
        }
    }
    Ok((current, modifications))
}

fn planned(topology: &Topology, estimates: &Estimates) -> Vec<Phase> {
    phases(topology)
        .into_iter()
        .map(|(name, steps)| Phase {
            name: name.to_owned(),
            stage: steps[0].stage(),
            estimated_hours: 0.0,
            tasks: steps
                .into_iter()
                .map(|step| PlannedTask {
                    key: step.key().to_owned(),
                    title: step.title(topology),
                    stage: step.stage(),
                    estimated_seconds: estimates.seconds.get(step.key()).copied().unwrap_or_else(|| step.prior_seconds()),
                    depends_on: step.waits_for(topology).into_iter().map(|before| before.key().to_owned()).collect(),
                    asks: None,
                    detail: String::new(),
                    files: Vec::new(),
                    verify: None,
                })
                .collect(),
        })
        .collect()
}

fn deliverables(topology: &Topology) -> Vec<String> {
    let nodes = if topology.scales() {
        format!("{} to {} nodes", topology.nodes.least, topology.nodes.most)
    } else {
        format!("{} nodes", topology.nodes.least)
    };
    let mut list = vec![format!("Terraform: a local stand-in of the cluster ({nodes}), without a provider, to be applied here")];
    let providers: Vec<&str> = topology.variants().into_iter().filter(|variant| variant.needs_provider()).map(Variant::label).collect();
    list.push(format!("Terraform for {}: cluster, network, databases; only the syntax is checked here", providers.join(", ")));
    let services: Vec<&str> = topology.services.iter().map(|service| service.name.as_str()).collect();
    list.push(format!("Kubernetes manifests (kustomize) of {}: probes, limits, rolling updates", services.join(", ")));
    if topology.scales() {
        list.push("Auto-scaling: a HorizontalPodAutoscaler for each service, and groups of nodes with their limits".into());
    }
    if topology.monitoring.is_some() {
        list.push("Prometheus monitoring: manifests, what is scraped, and rules for alerts".into());
        list.push("Grafana dashboard".into());
    }
    for name in topology.databases.iter().map(|kept| kept.kind.label()).chain(topology.queues.iter().map(|kept| kept.kind.label())) {
        list.push(format!("{name}: manifest with its volume"));
    }
    if topology.generate.tests {
        list.push("Terraform tests of the local stand-in, run".into());
    }
    if topology.generate.deployment {
        list.push("compose.yaml of the same services for one machine".into());
    }
    list.push("README, runbook and a diagram (SVG)".into());
    list
}

fn warnings(request: &IntentRequest, inputs: &PlanInputs, plan: &Plan) -> Vec<String> {
    let mut warnings = vec![
        "Of configurations for a provider only the syntax is checked here: their schema, a plan and applying need the provider and an account."
            .to_owned(),
    ];
    if !plan.not_covered.is_empty() {
        warnings.push(format!("{} of what you asked for will not be built; the plan lists it word for word.", plan.not_covered.len()));
    }
    if request.constraints.deadline.is_some_and(|deadline| deadline == inputs.today) {
        warnings.push("The deadline is today (until midnight UTC).".into());
    }
    if !request.constraints.compliance.is_empty() {
        warnings.push("Compliance rules add nothing to infrastructure that this agent writes: people must see to them.".into());
    }
    if !(request.artifacts.files.is_empty() && request.artifacts.docs.is_empty() && request.artifacts.datasets.is_empty()) {
        warnings.push("Given files, documents and data sets are not read by this agent; put what matters into the description.".into());
    }
    warnings
}
