//! Planning what is left of a plan whose tasks are being carried out: what the model is told of it, and how what it plans joins what stays.

use std::fmt::Write;

use grace_domain::plan::{Plan, PlannedTask};

use crate::agent::Rest;

/// What stays, what was still to be done, and how the rest is planned.
pub fn told(rest: &Rest) -> String {
    let Rest { plan, kept } = rest;
    let mut text =
        "\nA plan for this was approved, and its tasks are being carried out. Plan only what is left: what you plan takes the place of every task \
                    that has not begun.\n"
            .to_owned();
    let (stays, left): (Vec<&PlannedTask>, Vec<&PlannedTask>) = plan.tasks().partition(|task| kept.has(&task.key));
    text.push_str("These stay as they are; plan none of them again, and use none of their keys for a task of yours. `after` may name them:\n");
    for task in stays {
        let _ = writeln!(text, "- {} ({}): {}", task.key, kept.stands(&task.key), task.title);
        if kept.has_begun(&task.key) && !task.detail.is_empty() {
            let _ = writeln!(text, "  {}", task.detail);
        }
    }
    text.push_str("These were still to be done. Of what should stay among them, keep the key and plan it again:\n");
    for task in left {
        let after = task.depends_on.join(", ");
        let proof = task.verify.as_deref().unwrap_or_default();
        let _ = writeln!(text, "- {} (after {after}): {}\n  {}\n  verify: {proof}", task.key, task.title, task.detail);
    }
    text.push_str(
        "A task of yours with an empty `after` begins after all that has begun. Leave `questions` and `baseline` empty. `deliverables`, `not_covered` and \
         `assumptions` are those of the whole.\n",
    );
    text
}

/// The whole plan: what stays, and what the model planned in the place of the rest.
pub fn joined(rest: &Rest, planned: Plan) -> Plan {
    let was = &rest.plan;
    Plan {
        title: was.title.clone(),
        phases: rest.kept.join(was, planned.phases),
        questions: was.questions.clone(),
        compliance: was.compliance.clone(),
        modifications: was.modifications.iter().cloned().chain(planned.modifications).collect(),
        ..planned
    }
}

#[cfg(test)]
mod tests {
    use grace_domain::plan_rest::Kept;
    use serde_json::json;

    use super::*;
    use crate::{
        agent::PlanInputs,
        model_agent::plan::tests::{inputs, plan_of, written},
    };

    /// The question is answered by Grace's own task; nothing else is kept.
    fn rest_inputs() -> PlanInputs {
        let plan = plan_of(&written(), &inputs(&[])).unwrap();
        let kept = Kept::of(&plan, &[]);
        PlanInputs { rest: Some(Rest { plan, kept }), ..inputs(&["Count lines too"]) }
    }

    #[test]
    fn what_the_model_plans_takes_the_place_of_what_has_not_begun() {
        let inputs = rest_inputs();
        let mut value = written();
        value["title"] = json!("Another");
        value["questions"] = json!([]);
        value["changes"] = json!([{"applied": true, "outcome": "Lines are counted."}]);
        value["phases"][0]["tasks"][0] = json!({"key": "lines", "title": "Count lines", "stage": "coding", "detail": "", "files": [], "after": ["ask.case"], "verify": "true", "minutes": 1});
        let plan = plan_of(&value, &inputs).unwrap();
        let order: Vec<String> = plan.tasks().map(|task| format!("{}:{}", task.key, task.depends_on.join("+"))).collect();
        assert_eq!(order, ["ask.case:", "lines:ask.case", "tests:lines"]);
        assert_eq!((plan.title.as_str(), plan.questions.len(), plan.modifications.len()), ("Word counter", 1, 1));
        let told = told(inputs.rest.as_ref().unwrap());
        assert!(told.contains("- ask.case (is Grace's own)") && told.contains("- tests (after lib): Test"), "{told}");
    }

    #[test]
    fn a_rest_that_asks_or_takes_a_key_that_stays_is_sent_back() {
        let mut value = written();
        value["changes"] = json!([{"applied": true, "outcome": "Lines are counted."}]);
        value["phases"][0]["tasks"][0]["key"] = json!("ask.case");
        let wrong = plan_of(&value, &rest_inputs()).unwrap_err();
        assert!(wrong.iter().any(|text| text.contains("asks nothing")), "{wrong:?}");
        assert!(wrong.iter().any(|text| text.contains("or that of a task that stays")), "{wrong:?}");
    }
}
