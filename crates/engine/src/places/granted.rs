//! What the services of a place are granted when one of them starts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use grace_domain::{
    id::{DeploymentId, IntentId},
    intent::Environment,
    problem::Problem,
    spec::{Database as Kind, Spec},
};
use grace_operations::{Granted, LineSink, Place};
use grace_store::place_variables_of;
use grace_vault::{Redactor, SecretString, Stream};

use super::{Outputs, database::Database};
use crate::{
    deployments::release_lost,
    error::Result,
    start::{Inner, now},
};

/// Reads the values of a place's variables and finds its database, if its plan says PostgreSQL. `deployment` is who it is for; `None`: what was live
/// is started again.
///
/// # Errors
/// A secret that is not there or does not open, with what would help.
pub(crate) async fn granted(inner: &Arc<Inner>, intent: IntentId, place: &Place, spec: &Spec, deployment: Option<DeploymentId>) -> Result<Granted> {
    let mut conn = inner.store.connection().await?;
    let wanted = place_variables_of(&mut conn, intent, place.environment).await?;
    drop(conn);
    let mut variables = BTreeMap::new();
    for one in wanted {
        let purpose = format!("variable {} of {}", one.variable, place.name());
        let value = inner.secret_for(Some(intent), &one.secret, &purpose, Some((intent, None))).await.map_err(|error| {
            let problem = Problem::from(error);
            Problem { message: format!("{} is not to be had: {}", purpose, problem.message), ..problem }
        })?;
        variables.insert(one.variable.to_string(), value);
    }
    let database = match spec.database {
        Kind::Postgresql => Some(Arc::new(Database::open(inner.clone(), (intent, place.environment), deployment).await?)),
        Kind::Sqlite => None,
    };
    let password = database.as_ref().map(|database| ("DATABASE_PASSWORD".to_owned(), database.password().clone()));
    inner.secrets_watch(intent).await?;
    let lines = lines(
        inner.outputs.clone(),
        (intent, place.environment),
        variables.iter().map(|(name, value)| (name.clone(), value.clone())).chain(password),
    );
    // Not held by what it starts: a server that is gone is told nothing.
    let (server, environment) = (Arc::downgrade(inner), place.environment);
    let lost = move |release: &str, why: &str| {
        if let Some(inner) = server.upgrade() {
            tokio::spawn(release_lost(inner, (intent, environment), release.to_owned(), why.to_owned()));
        }
    };
    let database = database.map(|database| database as Arc<dyn grace_operations::PlaceDatabase>);
    Ok(Granted { variables, database, lost: Some(Arc::new(lost)), lines: Some(lines) })
}

/// What a release prints is kept with its place, without the values that it was given.
fn lines(outputs: Arc<Outputs>, of: (IntentId, Environment), values: impl Iterator<Item = (String, SecretString)>) -> LineSink {
    let values: Vec<_> = values.collect();
    let redactor = Arc::new(Redactor::new(values.iter().map(|(name, value)| (name.as_str(), value))));
    let stream = Mutex::new(Stream::new(redactor));
    Arc::new(move |line| {
        let lines = stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
        for line in lines {
            outputs.append(of, now(), &line);
        }
    })
}
