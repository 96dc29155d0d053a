//! What places have besides releases: their databases and the variables of their services. How a deployment uses them is in
//! [`database`] and [`granted`].

mod database;
mod granted;
mod output;

use grace_domain::{
    event::Level,
    id::IntentId,
    intent::Environment,
    list::{ListQuery, Page},
    place::{DatabaseState, DatabaseView, MAX_VARIABLES, PlaceVariable, ServiceOutput, VariableDraft},
    problem::Problem,
    secret::SecretAction,
};
use grace_store::{
    DatabaseName, DatabaseRow, deployments_of, place_database_delete, place_database_named, place_database_set_state, place_databases_in,
    place_databases_list, place_variable_delete, place_variable_save, place_variables_list, place_variables_of, secret_audit_append, secret_delete,
    secret_find,
};

pub(crate) use granted::granted;
pub(crate) use output::Outputs;

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    start::Inner,
    vault::audit,
};

impl Engine {
    /// The databases of places with their copies, newest first.
    pub async fn databases(&self, query: ListQuery) -> Result<Page<DatabaseView>, Problem> {
        Ok(self.inner.databases(&query).await?)
    }

    /// Drops a place's database with its copies, its role and its password; `confirm` is its name once more.
    pub async fn drop_database(&self, name: &str, confirm: &str) -> Result<Page<DatabaseView>, Problem> {
        self.inner.drop_database(name, confirm).await?;
        Ok(self.inner.databases(&ListQuery::default()).await?)
    }

    /// The variables of all places.
    pub async fn place_variables(&self) -> Result<Vec<PlaceVariable>, Problem> {
        Ok(self.inner.place_variables().await?)
    }

    /// Gives the services of a place a variable from their next start on.
    pub async fn save_variable(&self, draft: VariableDraft) -> Result<Vec<PlaceVariable>, Problem> {
        self.inner.save_variable(&draft).await?;
        Ok(self.inner.place_variables().await?)
    }

    /// The newest of what the services of a place printed on this machine: at most `lines`, with `words` in them.
    pub async fn service_output(&self, intent: IntentId, environment: Environment, lines: usize, words: &str) -> Result<ServiceOutput, Problem> {
        Ok(self.inner.service_output(intent, environment, lines, words).await?)
    }

    /// Takes a variable from the services of a place from their next start on.
    pub async fn delete_variable(&self, intent: IntentId, environment: Environment, variable: &str) -> Result<Vec<PlaceVariable>, Problem> {
        self.inner.delete_variable(intent, environment, variable).await?;
        Ok(self.inner.place_variables().await?)
    }
}

impl Inner {
    async fn databases(&self, query: &ListQuery) -> Result<Page<DatabaseView>> {
        let mut conn = self.store.connection().await?;
        Ok(place_databases_list(&mut conn, query).await?)
    }

    async fn drop_database(&self, name: &str, confirm: &str) -> Result<()> {
        let mut conn = self.store.connection().await?;
        let shown: String = name.chars().take(63).collect();
        let row = place_database_named(&mut conn, name).await?.ok_or_else(|| Problem::not_found(format!("database `{shown}`")))?;
        drop(conn);
        if confirm != row.name {
            return Err(Problem::invalid_field("confirm", format!("Write {} to drop it with its copies.", row.name)).into());
        }
        let mut decision = Decision::begin(self, row.intent).await?;
        let deployments = deployments_of(&mut decision.tx, row.intent).await?;
        if let Some(other) = deployments.iter().find(|other| other.environment == row.environment && other.finished_at.is_none()) {
            let text = format!("{} to {} is under way and may need it. Wait for it or cancel it.", other.deployment_id, row.environment.as_str());
            return Err(Problem::conflict("deployment_running", text).with_status(decision.status()).into());
        }
        place_database_set_state(&mut decision.tx, row.id, DatabaseState::Dropping).await?;
        decision.log(Level::Warn, format!("Dropping the database {} of {}.", row.name, row.environment.as_str()), None);
        decision.finish().await?;
        self.finish_dropping(&row).await
    }

    /// From the moment on that a database is said to be dropped, it is only a matter of doing it, however often it is begun.
    async fn finish_dropping(&self, row: &DatabaseRow) -> Result<()> {
        let name = DatabaseName::parse(&row.name).ok_or_else(|| Problem::internal("database name"))?;
        self.store.database_drop_all(&name).await?;
        let mut decision = Decision::begin(self, row.intent).await?;
        let now = decision.now;
        // Everybody's secret of this name would be another one.
        let secret = row.secret.parse().map_err(|_| Problem::internal("secret name"))?;
        if let Some(known) = secret_find(&mut decision.tx, Some(row.intent), &secret).await?.filter(|known| known.intent == Some(row.intent)) {
            secret_delete(&mut decision.tx, known.intent, &known.name).await?;
            let purpose = format!("the database {} was dropped", row.name);
            secret_audit_append(&mut decision.tx, &audit(SecretAction::Deleted, &known, None, &purpose), now).await?;
        }
        place_database_delete(&mut decision.tx, row.id).await?;
        decision.log(Level::Warn, format!("The database {} was dropped with its copies.", row.name), None);
        decision.finish().await?;
        Ok(())
    }

    /// Goes on dropping what a server that ended began to drop.
    pub(crate) async fn drop_databases_left(&self) -> Result<()> {
        let mut conn = self.store.connection().await?;
        let left = place_databases_in(&mut conn, DatabaseState::Dropping).await?;
        drop(conn);
        for row in left {
            self.finish_dropping(&row).await?;
        }
        Ok(())
    }

    async fn service_output(&self, intent: IntentId, environment: Environment, lines: usize, words: &str) -> Result<ServiceOutput> {
        let mut conn = self.store.connection().await?;
        let deployed = deployments_of(&mut conn, intent).await?.iter().any(|deployment| deployment.environment == environment);
        drop(conn);
        if !deployed {
            return Err(Problem::not_found(format!("service of {intent} in {}", environment.as_str())).into());
        }
        let (outputs, words) = (self.outputs.clone(), words.to_owned());
        let read = tokio::task::spawn_blocking(move || outputs.newest((intent, environment), lines, &words)).await;
        read.map_err(std::io::Error::other).and_then(|read| read).map_err(Error::File)
    }

    async fn place_variables(&self) -> Result<Vec<PlaceVariable>> {
        let mut conn = self.store.connection().await?;
        Ok(place_variables_list(&mut conn).await?)
    }

    async fn save_variable(&self, draft: &VariableDraft) -> Result<()> {
        let new = draft.parse()?;
        let mut decision = Decision::begin(self, new.intent).await?;
        let known = place_variables_of(&mut decision.tx, new.intent, new.environment).await?;
        if known.len() >= MAX_VARIABLES && !known.iter().any(|one| one.variable == new.variable) {
            return Err(Problem::invalid_field("variable", format!("A place has at most {MAX_VARIABLES} variables; remove one first.")).into());
        }
        if secret_find(&mut decision.tx, Some(new.intent), &new.secret).await?.is_none() {
            let why = format!("The vault has no secret {} for {} or for all builds. Add it in Settings first.", new.secret, new.intent);
            return Err(Problem::invalid_field("secret", why).into());
        }
        let now = decision.now;
        place_variable_save(&mut decision.tx, &new, now).await?;
        let text = format!("Services in {} get the variable {} from their next start on.", new.environment.as_str(), new.variable);
        decision.log(Level::Info, text, None);
        decision.finish().await?;
        Ok(())
    }

    async fn delete_variable(&self, intent: IntentId, environment: Environment, variable: &str) -> Result<()> {
        let mut decision = Decision::begin(self, intent).await?;
        if !place_variable_delete(&mut decision.tx, intent, environment, variable).await? {
            let shown: String = variable.chars().take(64).collect();
            return Err(Problem::not_found(format!("variable `{shown}` of {intent} in {}", environment.as_str())).into());
        }
        decision.log(Level::Info, format!("Services in {} lose the variable {variable} with their next start.", environment.as_str()), None);
        decision.finish().await?;
        Ok(())
    }
}
