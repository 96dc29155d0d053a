//! Secrets for people: what there is, adding, deleting, the audit, and another master key. No answer holds a value.

use grace_domain::{
    id::IntentId,
    list::{ListQuery, Page},
    problem::Problem,
    secret::{AuditEntry, MAX_SECRETS, NewSecret, SecretAction, SecretDraft, VaultView},
};
use grace_store::{
    secret_audit_append, secret_audit_list, secret_delete, secret_rewrap, secrets_count, secrets_list, secrets_sealed_lock, setting_save,
};
use grace_vault::{KeySource, prepare_next};

use crate::{
    Engine,
    error::Result,
    keys::keyed_by,
    provisioning::rewrap_all,
    start::Inner,
    vault::{KEY_ID, audit, binding, scope, unnamed},
};

impl Engine {
    /// All secrets without their values, and how the vault is.
    pub async fn secrets(&self) -> Result<VaultView, Problem> {
        Ok(self.inner.secrets().await?)
    }

    /// Adds a secret, or a new version of it.
    pub async fn save_secret(&self, draft: SecretDraft) -> Result<VaultView, Problem> {
        Ok(self.inner.save_secret(draft.parse()?).await?)
    }

    /// Deletes a secret with all versions; builds that may use it may not any more. `intent` is its scope.
    pub async fn delete_secret(&self, name: &str, intent: Option<IntentId>) -> Result<VaultView, Problem> {
        Ok(self.inner.delete_secret(name, intent).await?)
    }

    /// Who read or changed what, newest first; `q` filters by name.
    pub async fn secret_audit(&self, query: ListQuery) -> Result<Page<AuditEntry>, Problem> {
        Ok(self.inner.secret_audit(&query).await?)
    }

    /// Exchanges the master key; values stay as they are, their data keys are sealed anew.
    pub async fn rotate_vault(&self) -> Result<VaultView, Problem> {
        Ok(self.inner.rotate_vault().await?)
    }
}

impl Inner {
    async fn secrets(&self) -> Result<VaultView> {
        let (profiles, _) = self.known_models().await?;
        let mut conn = self.store.connection().await?;
        let mut secrets = secrets_list(&mut conn).await?;
        for secret in secrets.iter_mut().filter(|secret| secret.intent_id.is_none()) {
            secret.profiles = keyed_by(&profiles, secret.name.as_str());
        }
        let (available, notice, from_file) = match self.vault_key(&mut conn).await {
            Ok(held) => match &held.source {
                KeySource::File(path) => {
                    let text = format!("The master key is in {}. Keep a copy of that file elsewhere: without it, secrets are lost.", path.display());
                    (true, text, true)
                }
                KeySource::Credential(path) => (true, format!("The master key is systemd's credential {}.", path.display()), false),
            },
            Err(error) => (false, Problem::from(error).message, false),
        };
        Ok(VaultView { available, notice, back_up: from_file, can_rotate: from_file, secrets })
    }

    async fn save_secret(&self, new: NewSecret) -> Result<VaultView> {
        let mut conn = self.store.connection().await?;
        if secrets_count(&mut conn).await? >= MAX_SECRETS {
            let known = secrets_list(&mut conn).await?;
            if !known.iter().any(|secret| secret.name == new.name && secret.intent_id == new.intent) {
                return Err(Problem::invalid_field("name", format!("There are {MAX_SECRETS} secrets; delete one first.")).into());
            }
        }
        drop(conn);
        self.secret_save(&new).await?;
        self.secrets().await
    }

    /// One that is a model's key too: what leaked must be gone at once, and a profile of the configuration file cannot be changed here. Whoever deletes it
    /// was shown the profiles; the audit names them.
    async fn delete_secret(&self, name: &str, intent: Option<IntentId>) -> Result<VaultView> {
        let profiles = match intent {
            Some(_) => Vec::new(),
            None => keyed_by(&self.known_models().await?.0, name),
        };
        let purpose = if profiles.is_empty() { String::new() } else { format!("was the key of the model profiles {}", profiles.join(", ")) };
        let mut tx = self.store.begin().await?;
        let shown: String = name.chars().take(64).collect();
        let deleted = secret_delete(&mut tx, intent, name).await?;
        let row = deleted.ok_or_else(|| Problem::not_found(format!("secret `{shown}` for {}", scope(intent))))?;
        secret_audit_append(&mut tx, &audit(SecretAction::Deleted, &row, None, &purpose), self.now()).await?;
        self.store.commit(tx).await?;
        self.secrets().await
    }

    async fn secret_audit(&self, query: &ListQuery) -> Result<Page<AuditEntry>> {
        let mut conn = self.store.connection().await?;
        Ok(secret_audit_list(&mut conn, query).await?)
    }

    async fn rotate_vault(&self) -> Result<VaultView> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let rows = secrets_sealed_lock(&mut tx).await?;
        let held = self.vault_key(&mut tx).await?;
        if !matches!(held.source, KeySource::File(_)) {
            let why = "The master key is systemd's. Delete the secrets, hand in another credential, and add them again.";
            return Err(Problem::conflict("vault_key_not_ours", why).into());
        }
        let unusable =
            |error: &dyn std::fmt::Display| Problem::unavailable("vault_unavailable", format!("The master key was not exchanged: {error}"));
        let next = prepare_next(&self.config.data_dir).map_err(|error| unusable(&error))?;
        for row in &rows {
            let scope = scope(row.secret.intent);
            let data_key = held.key.rewrap(&next.key, binding(&row.secret, row.version, &scope), &row.data_key).map_err(|error| unusable(&error))?;
            secret_rewrap(&mut tx, row.secret.id, row.version, &data_key).await?;
        }
        rewrap_all(&mut tx, &held.key, &next.key).await?;
        setting_save(&mut tx, KEY_ID, &next.key.id(), now).await?;
        secret_audit_append(&mut tx, &unnamed(SecretAction::Rotated, None, ""), now).await?;
        self.store.commit(tx).await?;
        self.vault.let_go();
        next.take_over().map_err(|error| unusable(&error))?;
        self.secrets().await
    }
}
