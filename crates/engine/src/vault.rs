//! The vault of this server: its master key, and for each build that runs what must be kept out of its texts. Values leave it for one command or
//! one request to a model at a time, and each time is noted.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use grace_domain::{
    id::{IntentId, ReviewId, TaskId},
    problem::Problem,
    secret::{ALLOW, NewSecret, SecretAction, SecretName, field_for},
};
use grace_store::{
    NewAudit, PgConnection, SealedRow, SecretRow, provisioning_sealed_count, secret_audit_append, secret_find, secret_grant, secret_next,
    secret_note_read, secret_sealed, secret_version_save, secrets_count, secrets_sealed_for, secrets_sealed_of_places, setting_fetch, setting_save,
};
use grace_vault::{Binding, KeySource, MasterKey, Redactor, Sealed, SecretString, find};

use crate::{
    error::{Error, Result},
    start::Inner,
};

/// The setting that says which master key the values are sealed under.
pub(crate) const KEY_ID: &str = "vault_key";
/// Longest purpose in the audit.
const PURPOSE: usize = 300;

/// The key that is held, and what is kept out of the texts of builds that run.
pub(crate) struct Vault {
    data_dir: PathBuf,
    /// systemd's folder for this service.
    credentials: Option<PathBuf>,
    held: Mutex<Option<Arc<Held>>>,
    watched: Mutex<HashMap<IntentId, Watched>>,
}

/// A build of which something runs here.
#[derive(Default)]
struct Watched {
    /// How much of it runs.
    runs: usize,
    redactor: Arc<Redactor>,
}

/// While one of these lives, what the build may use is kept out of its texts; with the last of them the values leave the memory.
pub(crate) struct Watch<'a> {
    vault: &'a Vault,
    intent: IntentId,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut watched = self.vault.watched();
        if let Some(build) = watched.get_mut(&self.intent) {
            build.runs -= 1;
            if build.runs == 0 {
                watched.remove(&self.intent);
            }
        }
    }
}

/// A usable key.
pub(crate) struct Held {
    pub key: MasterKey,
    pub source: KeySource,
}

impl Vault {
    pub fn new(data_dir: &Path) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Self { data_dir: data_dir.to_owned(), credentials, held: Mutex::default(), watched: Mutex::default() }
    }

    /// What is kept out of this build's texts now.
    pub fn redactor(&self, intent: IntentId) -> Arc<Redactor> {
        self.watched().get(&intent).map(|build| build.redactor.clone()).unwrap_or_default()
    }

    /// Something of the build begins to run.
    pub fn watch(&self, intent: IntentId) -> Watch<'_> {
        self.watched().entry(intent).or_default().runs += 1;
        Watch { vault: self, intent }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<IntentId, Watched>> {
        self.watched.lock().expect("no holder of the lock panics")
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().expect("no holder of the lock panics").clone()
    }

    /// The key is looked for anew at the next use.
    pub fn let_go(&self) {
        *self.held.lock().expect("no holder of the lock panics") = None;
    }
}

impl Inner {
    /// The key under which values are sealed now. One that could not be used is looked for again each time, so that mending it needs no restart.
    pub(crate) async fn vault_key(&self, conn: &mut PgConnection) -> Result<Arc<Held>> {
        let sealed = secrets_count(conn).await? + provisioning_sealed_count(conn).await? > 0;
        let expected: Option<String> = if sealed { setting_fetch(conn, KEY_ID).await? } else { None };
        if let Some(held) = self.vault.held().filter(|held| expected.as_ref().is_none_or(|expected| *expected == held.key.id())) {
            return Ok(held);
        }
        let found = find(self.vault.credentials.as_deref(), &self.vault.data_dir, expected.as_deref())
            .map_err(|error| Problem::unavailable("vault_unavailable", format!("The vault cannot be used: {error}")))?;
        if found.made {
            tracing::warn!(file = %found.source.path().display(), "made the vault's master key; keep a copy of this file elsewhere: without it, secrets are lost");
        }
        let held = Arc::new(Held { key: found.key, source: found.source });
        *self.vault.held.lock().expect("no holder of the lock panics") = Some(held.clone());
        Ok(held)
    }

    /// Seals and keeps a value as the next version of its secret.
    pub(crate) async fn secret_save(&self, new: &NewSecret) -> Result<SecretRow> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        if let Some(intent) = new.intent
            && grace_store::intent_fetch(&mut tx, intent).await?.is_none()
        {
            return Err(Problem::invalid_field("intent_id", format!("There is no build {intent}. Leave it empty for all builds.")).into());
        }
        let held = self.vault_key(&mut tx).await?;
        let row = secret_next(&mut tx, new.intent, &new.name, now).await?;
        let value = SecretString::from(new.value.expose());
        let sealed = held.key.seal(binding(&row, row.version, &scope(row.intent)), &value).map_err(Error::File)?;
        secret_version_save(&mut tx, row.id, row.version, &sealed.value, &sealed.data_key, now).await?;
        setting_save(&mut tx, KEY_ID, &held.key.id(), now).await?;
        let action = if row.version == 1 { SecretAction::Added } else { SecretAction::Replaced };
        secret_audit_append(&mut tx, &audit(action, &row, None, ""), now).await?;
        self.store.commit(tx).await?;
        Ok(row)
    }

    /// Reads which values must be kept out of the build's texts while it is [watched](Vault::watch): those that it and its services may use, and
    /// keys of models.
    ///
    /// # Errors
    /// The build may use secrets, and they do not open: nothing of it may run unseen.
    pub(crate) async fn secrets_watch(&self, intent: IntentId) -> Result<()> {
        let (profiles, _) = self.known_models().await?;
        let keys = self.key_values(&profiles).await?;
        let mut conn = self.store.connection().await?;
        let mut rows = secrets_sealed_for(&mut conn, intent).await?;
        rows.extend(secrets_sealed_of_places(&mut conn, intent).await?);
        let opened = self.opened(&mut conn, &rows).await?;
        let granted = rows.iter().zip(&opened).map(|(row, value)| (row.secret.name.as_str(), value));
        let redactor = Redactor::new(granted.chain(keys.iter().map(|key| (key.name.as_str(), &key.value))));
        if let Some(build) = self.vault.watched().get_mut(&intent) {
            build.redactor = Arc::new(redactor);
        }
        Ok(())
    }

    async fn opened(&self, conn: &mut PgConnection, rows: &[SealedRow]) -> Result<Vec<SecretString>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let held = self.vault_key(conn).await?;
        rows.iter().map(|row| open(&held.key, row)).collect()
    }

    /// The values that a command is given, each noted as read.
    pub(crate) async fn secrets_read(
        &self,
        (intent, task): (IntentId, TaskId),
        names: &[SecretName],
        purpose: &str,
    ) -> Result<BTreeMap<String, SecretString>> {
        self.secrets_watch(intent).await?;
        let purpose = short(&self.vault.redactor(intent).redact(purpose));
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let rows = secrets_sealed_for(&mut tx, intent).await?;
        let mut values = BTreeMap::new();
        for name in names {
            // A build's own comes before everybody's.
            let newest = |row: &&SealedRow| row.secret.name == name.as_str() && row.version == row.secret.version;
            let Some(row) = rows.iter().filter(newest).max_by_key(|row| row.secret.intent.is_some()) else {
                let why = format!("This build was not allowed to use {name}; call `request_secret` first.");
                return Err(Problem::new(grace_domain::problem::ProblemKind::Forbidden, "secret_not_allowed", why).into());
            };
            let held = self.vault_key(&mut tx).await?;
            values.insert(name.to_string(), open(&held.key, row)?);
            secret_note_read(&mut tx, row.secret.id, now).await?;
            secret_audit_append(&mut tx, &audit(SecretAction::Read, &row.secret, Some((intent, Some(task))), &purpose), now).await?;
        }
        self.store.commit(tx).await?;
        Ok(values)
    }

    /// Carries out a person's answer to a build that asks for a secret; what it may use is opened once, so that a broken one is noticed now.
    pub(crate) async fn secret_decided(
        &self,
        conn: &mut PgConnection,
        (intent, task, review): (IntentId, Option<TaskId>, ReviewId),
        name: &str,
        (answer, purpose): (&str, &str),
    ) -> Result<()> {
        let now = self.now();
        let name: SecretName = name.parse().map_err(|why: String| Problem::conflict("secret_name", why))?;
        let found = secret_find(conn, Some(intent), &name).await?;
        if answer != ALLOW {
            let row = NewAudit { name: Some(name.as_str()), ..unnamed(SecretAction::Refused, Some((intent, task)), purpose) };
            secret_audit_append(conn, &row, now).await?;
            return Ok(());
        }
        let missing = || {
            let field = field_for(name.as_str(), Some(intent));
            Problem::conflict("secret_missing", format!("The vault has no value for {name} yet. Add it in Settings ({field}), then allow it here."))
        };
        let row = found.ok_or_else(missing)?;
        let sealed = secret_sealed(conn, row.id).await?.ok_or_else(missing)?;
        let held = self.vault_key(conn).await?;
        open(&held.key, &sealed)?;
        secret_grant(conn, intent, row.id, review, purpose, now).await?;
        secret_audit_append(conn, &audit(SecretAction::Allowed, &row, Some((intent, task)), purpose), now).await?;
        Ok(())
    }

    /// The value of everybody's secret of this name, noted as read for the purpose.
    pub(crate) async fn shared_secret(&self, name: &SecretName, purpose: &str, of: Option<(IntentId, Option<TaskId>)>) -> Result<SecretString> {
        self.secret_for(None, name, purpose, of).await
    }

    /// The value of a build's own secret of this name, else of everybody's, noted as read for the purpose.
    pub(crate) async fn secret_for(
        &self,
        scope: Option<IntentId>,
        name: &SecretName,
        purpose: &str,
        of: Option<(IntentId, Option<TaskId>)>,
    ) -> Result<SecretString> {
        let missing = || {
            let field = field_for(name.as_str(), scope);
            let whom = if scope.is_some() { "for the build or for all builds" } else { "for all builds" };
            Problem::conflict("secret_missing", format!("The vault has no value for the secret {name}. Add it in Settings ({field}), {whom}."))
        };
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let row = secret_find(&mut tx, scope, name).await?.ok_or_else(missing)?;
        // From here on the value stays as it is, and so does the master key: its exchange waits for the secret.
        secret_note_read(&mut tx, row.id, now).await?;
        let sealed = secret_sealed(&mut tx, row.id).await?.ok_or_else(missing)?;
        let held = self.vault_key(&mut tx).await?;
        let value = open(&held.key, &sealed)?;
        secret_audit_append(&mut tx, &audit(SecretAction::Read, &sealed.secret, of, purpose), now).await?;
        self.store.commit(tx).await?;
        Ok(value)
    }
}

pub(crate) fn open(key: &MasterKey, row: &SealedRow) -> Result<SecretString> {
    let sealed = Sealed { value: row.value.clone(), data_key: row.data_key.clone() };
    key.open(binding(&row.secret, row.version, &scope(row.secret.intent)), &sealed).map_err(|error| {
        let text = format!("The secret {} (version {}) does not open: {error}. Replace it in Settings.", row.secret.name, row.version);
        Problem::unavailable("secret_unreadable", text).into()
    })
}

/// What a secret's seals are bound to.
pub(crate) fn scope(intent: Option<IntentId>) -> String {
    intent.map_or_else(|| "global".to_owned(), |intent| intent.to_string())
}

pub(crate) fn binding<'a>(row: &'a SecretRow, version: u32, scope: &'a str) -> Binding<'a> {
    Binding { scope, name: &row.name, version }
}

pub(crate) fn audit<'a>(action: SecretAction, row: &'a SecretRow, of: Option<(IntentId, Option<TaskId>)>, purpose: &'a str) -> NewAudit<'a> {
    NewAudit { name: Some(&row.name), scope: row.intent, version: Some(row.version), ..unnamed(action, of, purpose) }
}

pub(crate) fn unnamed(action: SecretAction, of: Option<(IntentId, Option<TaskId>)>, purpose: &str) -> NewAudit<'_> {
    let (intent, task) = of.map_or((None, None), |(intent, task)| (Some(intent), task));
    NewAudit { action, name: None, scope: None, version: None, intent, task, purpose }
}

fn short(text: &str) -> String {
    text.chars().take(PURPOSE).collect()
}
