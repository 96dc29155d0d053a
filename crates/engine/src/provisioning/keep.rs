//! States and plan files at rest: sealed under the vault's master key, each bound to where it belongs, so that an earlier one does not open in place of a
//! later one. And sensitive outputs, which become secrets of the build.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use grace_domain::{
    id::ProvisioningId,
    problem::Problem,
    provisioning::{Output, Place},
    secret::{NewSecret, SecretAction, SecretName},
};
use grace_operations::terraform::{Found, FoundValue};
use grace_store::{
    PgConnection, PlaceRow, SealedText, place_lock, place_save_state, provisioning_rewrap, provisioning_sealed_lock, run_plan, run_save_plan,
    secret_audit_append, secret_delete, secrets_list, setting_save,
};
use grace_vault::{Binding, ExposeSecret, MasterKey, OpenError, Sealed, SecretString};

use crate::{
    error::{Error, Result},
    start::Inner,
    vault::{KEY_ID, audit},
};

const STATE: &str = "TERRAFORM_STATE";
const PLAN: &str = "TERRAFORM_PLAN";

fn unreadable(what: &str) -> impl Fn(OpenError) -> Error {
    let what = what.to_owned();
    move |error| Problem::unavailable("state_unreadable", format!("{what} does not open: {error}. Is the vault's master key another one?")).into()
}

/// Seals everything of provisioning under another master key; part of its exchange.
pub(crate) async fn rewrap_all(conn: &mut PgConnection, held: &MasterKey, next: &MasterKey) -> Result<()> {
    for text in provisioning_sealed_lock(conn).await? {
        let (scope, name, version, data_key) = match &text {
            SealedText::State { place, version, data_key } => (place.name(), STATE, *version, data_key),
            SealedText::Plan { run, data_key } => (run.to_string(), PLAN, 1, data_key),
        };
        let binding = Binding { scope: &scope, name, version };
        let data_key = held.rewrap(next, binding, data_key).map_err(unreadable(name))?;
        provisioning_rewrap(conn, &text, &data_key).await?;
    }
    Ok(())
}

impl Inner {
    /// The place's state in clear, if it has one.
    pub(super) async fn open_state(&self, conn: &mut PgConnection, place: Place, row: &PlaceRow) -> Result<Option<SecretString>> {
        let Some((value, data_key)) = row.state.clone() else { return Ok(None) };
        let held = self.vault_key(conn).await?;
        let scope = place.name();
        let binding = Binding { scope: &scope, name: STATE, version: row.version };
        Ok(Some(held.key.open(binding, &Sealed { value, data_key }).map_err(unreadable("The state"))?))
    }

    /// Keeps what Terraform left as the place's next state.
    pub(super) async fn keep_state(&self, conn: &mut PgConnection, place: Place, state: String, resources: u32) -> Result<()> {
        let now = self.now();
        let row = place_lock(conn, place, now).await?;
        let held = self.vault_key(conn).await?;
        let (scope, version) = (place.name(), row.version + 1);
        let sealed = held.key.seal(Binding { scope: &scope, name: STATE, version }, &SecretString::from(state)).map_err(Error::File)?;
        place_save_state(conn, place, (version, resources), (&sealed.value, &sealed.data_key), now).await?;
        setting_save(conn, KEY_ID, &held.key.id(), now).await?;
        Ok(())
    }

    pub(super) async fn keep_plan(&self, conn: &mut PgConnection, run: ProvisioningId, plan: &[u8]) -> Result<()> {
        let held = self.vault_key(conn).await?;
        let scope = run.to_string();
        let text = SecretString::from(BASE64_STANDARD.encode(plan));
        let sealed = held.key.seal(Binding { scope: &scope, name: PLAN, version: 1 }, &text).map_err(Error::File)?;
        run_save_plan(conn, run, Some((&sealed.value, &sealed.data_key))).await?;
        setting_save(conn, KEY_ID, &held.key.id(), self.now()).await?;
        Ok(())
    }

    pub(super) async fn open_plan(&self, conn: &mut PgConnection, run: ProvisioningId) -> Result<Vec<u8>> {
        let missing = || Problem::conflict("plan_missing", "The plan that was approved is not kept any more; provision again.");
        let (value, data_key) = run_plan(conn, run).await?.ok_or_else(missing)?;
        let held = self.vault_key(conn).await?;
        let scope = run.to_string();
        let text = held.key.open(Binding { scope: &scope, name: PLAN, version: 1 }, &Sealed { value, data_key }).map_err(unreadable("The plan"))?;
        BASE64_STANDARD.decode(text.expose_secret()).map_err(|_| missing().into())
    }

    /// Puts sensitive outputs into the vault, as secrets of this build; the others are shown.
    pub(super) async fn keep_outputs(&self, place: Place, found: Vec<Found>) -> Result<Vec<Output>> {
        let mut kept = Vec::new();
        for Found { name, value } in found {
            let output = match value {
                FoundValue::Shown(value) => Output { name, value: Some(value), secret: None, note: None },
                FoundValue::Sensitive(value) => match (secret_name(place, &name), value.unfit()) {
                    (Ok(secret), None) => {
                        self.secret_save(&NewSecret { name: secret.clone(), intent: Some(place.intent_id), value }).await?;
                        Output { name, value: None, secret: Some(secret.to_string()), note: None }
                    }
                    (Err(why), _) | (_, Some(why)) => {
                        Output { name, value: None, secret: None, note: Some(format!("Not in the vault, only in the sealed state: {why}")) }
                    }
                },
            };
            kept.push(output);
        }
        Ok(kept)
    }

    /// Forgets the secrets that came of a place's outputs; answers with their names.
    pub(super) async fn forget_outputs(&self, conn: &mut PgConnection, place: Place) -> Result<Vec<String>> {
        let prefix = secret_prefix(place);
        let mut gone = Vec::new();
        for secret in secrets_list(conn).await? {
            let name = secret.name.as_str();
            if secret.intent_id == Some(place.intent_id)
                && name.starts_with(&prefix)
                && let Some(row) = secret_delete(conn, secret.intent_id, name).await?
            {
                let purpose = format!("{} was destroyed", place.name());
                secret_audit_append(conn, &audit(SecretAction::Deleted, &row, None, &purpose), self.now()).await?;
                gone.push(name.to_owned());
            }
        }
        Ok(gone)
    }
}

/// `STAGING_LOCAL_TF_`
fn secret_prefix(place: Place) -> String {
    format!("{}_{}_TF_", place.environment.as_str(), place.variant.as_str()).to_uppercase()
}

/// `STAGING_LOCAL_TF_KUBECONFIG`
fn secret_name(place: Place, output: &str) -> Result<SecretName, String> {
    let clean: String = output.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect();
    format!("{}{clean}", secret_prefix(place)).parse()
}
