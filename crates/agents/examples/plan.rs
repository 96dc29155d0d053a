//! Prints the plan for the description on standard input: `cargo run -p grace-agents --example plan < description.txt`.

use std::io::Read as _;

use grace_agents::{BlueprintAgent, Estimates, PlanInputs};
use grace_domain::intent::RequestDraft;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut description = String::new();
    std::io::stdin().read_to_string(&mut description)?;
    let today = chrono::NaiveDate::default();
    let request = RequestDraft { description: Some(description), ..RequestDraft::default() }.parse(today)?;
    let modifications = std::env::args().skip(1).collect();
    let inputs = PlanInputs {
        modifications,
        estimates: Estimates::default(),
        today,
        repository: None,
        given: String::new(),
        policy: grace_agents::policy::bundled(),
        rest: None,
    };
    let started = std::time::Instant::now();
    let plan = BlueprintAgent.propose(&request, &inputs)?;
    eprintln!("{:?}", started.elapsed());
    println!("{}", serde_json::to_string_pretty(&plan)?);
    Ok(())
}
