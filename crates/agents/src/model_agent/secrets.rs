//! The model's tool to ask for a secret, and what must hold before its work is committed. It never sees a value.

use grace_domain::{
    plan::Question,
    secret::{ALLOW, MAX_PURPOSE, REFUSE, SecretName, SecretRequest},
};
use serde_json::Value;

use crate::{
    agent::{TaskContext, TaskFailure},
    permits::Standing,
};

/// What a call for a secret came to.
pub enum Asked {
    /// For the model; whether it is a refusal.
    Said(String, bool),
    /// A person is to be asked.
    Person(Box<(Question, SecretRequest)>),
}

/// Asks for a secret, or says how it stands. `key` is the question's.
pub async fn request(context: &dyn TaskContext, arguments: &Value, key: String) -> Asked {
    let request = match read(arguments) {
        Ok(request) => request,
        Err(why) => return Asked::Said(why, true),
    };
    let Some(secrets) = context.secrets() else { return Asked::Said("There are no secrets here. Go on without.".into(), true) };
    match secrets.standing(&request).await {
        Err(why) => Asked::Said(why, true),
        Ok(Standing::Allowed) => Asked::Said(allowed(&request.name), false),
        Ok(Standing::Refused) => Asked::Said(refused(&request.name), true),
        Ok(Standing::Unasked) => {
            let text = format!("May this build use the secret {}?", request.name);
            let question = Question { key, text, options: Vec::new(), default: REFUSE.into(), default_reason: String::new() };
            Asked::Person(Box::new((question, request)))
        }
    }
}

fn read(arguments: &Value) -> Result<SecretRequest, String> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let name = text("name").ok_or("`name` is missing.")?.parse()?;
    let purpose = text("purpose").ok_or("Say in `purpose` what it is for; the person decides by it.")?;
    Ok(SecretRequest { name, purpose: purpose.chars().take(MAX_PURPOSE).collect() })
}

/// What the model is told of a person's answer.
pub fn answered(name: &SecretName, answer: &str) -> String {
    if answer == ALLOW { allowed(name) } else { refused(name) }
}

fn allowed(name: &SecretName) -> String {
    format!(
        "You may use {name}: call `run` with \"secrets\": [\"{name}\"], and that command finds the value in the variable {name}. \
         Where the value would be shown, you see [secret {name}]. Never write it into a file of the project: read the variable at run time."
    )
}

fn refused(name: &SecretName) -> String {
    format!("The person refused {name} for this build. Go on without it: leave the variable for whoever runs the project, and say so in the README.")
}

/// Why what is in the workspace may not be committed; `None`: nothing of it is a secret's value.
pub async fn exposed(context: &dyn TaskContext) -> Result<Option<String>, TaskFailure> {
    let Some(secrets) = context.secrets().filter(|secrets| !secrets.redactor().is_empty()) else { return Ok(None) };
    let Some(exposed) = secrets.exposed().await? else { return Ok(None) };
    let name = &exposed.place.name;
    Ok(Some(format!("{} Take it out: let the program read the variable {name} when it runs. Then call this again.", exposed.sentence())))
}
