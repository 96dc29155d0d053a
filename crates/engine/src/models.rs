//! The language models that a person has: profiles kept and changed, which serves for what, and whether they answer. Keys are read from this
//! server's environment or from the vault when a request is made, and never leave it.

use grace_agents::model::test_connection;
use grace_domain::{
    copilot::NotificationKind,
    event::Level,
    id::IntentId,
    model::{Budget, ConnectionReport, MAX_PROFILES, ModelProfile, ModelRole, ModelsView, ProfileDraft, ProfileView, RoleChoice, Roles},
    problem::{FieldError, Problem},
    status::{Status, Trigger},
    view::ControlResponse,
};
use grace_store::{
    account_fetch, account_set_budget, account_spent_out, model_profile_delete, model_profile_save, model_profiles_list, setting_fetch, setting_save,
    turns_after,
};
use serde_json::json;

use crate::{
    Engine,
    decide::Decision,
    error::{Error, Result},
    guard::redacted,
    keys::VaultKeys,
    prices::listed,
    start::Inner,
};

const ROLES: &str = "model_roles";
/// Turns that are read at once.
const TURNS: u32 = 100;

impl Engine {
    /// Profiles by name, and what each serves for.
    pub async fn models(&self) -> Result<ModelsView, Problem> {
        Ok(self.inner.models().await?)
    }

    /// Keeps a profile; one of the same name is replaced. The first of all serves for everything until that is changed.
    pub async fn save_model(&self, draft: ProfileDraft) -> Result<ModelsView, Problem> {
        Ok(self.inner.save_model(draft.parse()?).await?)
    }

    /// Forgets a profile. One that serves for something stays until another does.
    pub async fn delete_model(&self, name: &str) -> Result<ModelsView, Problem> {
        Ok(self.inner.delete_model(name).await?)
    }

    /// Asks the model something, and what its endpoint can do. Takes some seconds, and some tokens.
    pub async fn test_model(&self, name: &str) -> Result<ConnectionReport, Problem> {
        let profile = self.inner.model_named(name).await?;
        let keys = VaultKeys::new(&self.inner, None);
        let report = test_connection(&profile, keys.reader(), &self.inner.shutdown.child_token()).await;
        Ok(redacted(&keys.redactor(), report))
    }

    /// What was said after turn number `after` in the making of a build, a JSON object a line, and the number of the last of them; `None` when there
    /// was no more. About a hundred turns at once.
    pub async fn trajectory(&self, intent: IntentId, after: i64) -> Result<(String, Option<i64>), Problem> {
        Ok(self.inner.trajectory(intent, after).await?)
    }

    /// What models may take for a build from now on, with what they took already.
    pub async fn set_budget(&self, intent: IntentId, budget: Budget) -> Result<ControlResponse, Problem> {
        let budget = Budget::read(&budget.written()).map_err(Problem::invalid)?;
        Ok(self.inner.set_budget(intent, Some(budget)).await?)
    }

    /// Says which profiles serve for what.
    pub async fn set_model_roles(&self, roles: Roles) -> Result<ModelsView, Problem> {
        Ok(self.inner.set_model_roles(roles).await?)
    }
}

impl Inner {
    async fn models(&self) -> Result<ModelsView> {
        let (profiles, roles) = self.known_models().await?;
        let today = self.now().date_naive();
        let found = self.keys_found(&profiles).await?;
        let profiles = profiles
            .into_iter()
            .map(|profile| ProfileView {
                key_found: found.contains(&profile.name),
                configured: self.config.models.iter().any(|configured| configured.name == profile.name),
                roles: ModelRole::ALL
                    .iter()
                    .copied()
                    .filter(|role| [&roles.of(*role).profile, &roles.of(*role).fallback].contains(&&Some(profile.name.clone())))
                    .collect(),
                listed: if profile.price.is_none() { listed(&profile, today) } else { None },
                profile,
            })
            .collect();
        Ok(ModelsView { profiles, roles })
    }

    /// Those of the configuration come before those that were saved under the same name.
    pub(crate) async fn known_models(&self) -> Result<(Vec<ModelProfile>, Roles)> {
        let mut conn = self.store.connection().await?;
        let saved = model_profiles_list(&mut conn).await?;
        let roles: Option<Roles> = setting_fetch(&mut conn, ROLES).await?;
        let mut profiles = self.config.models.clone();
        profiles.extend(saved.into_iter().filter(|profile| !self.config.models.iter().any(|configured| configured.name == profile.name)));
        profiles.sort_by(|one, other| one.name.cmp(&other.name));
        let roles = roles.unwrap_or_else(|| {
            let first = RoleChoice { profile: self.config.models.first().map(|profile| profile.name.clone()), fallback: None };
            Roles { planning: first.clone(), building: first.clone(), small: first }
        });
        Ok((profiles, roles))
    }

    async fn save_model(&self, profile: ModelProfile) -> Result<ModelsView> {
        let (known, mut roles) = self.known_models().await?;
        if self.config.models.iter().any(|configured| configured.name == profile.name) {
            let why = "A profile of this name is in the configuration file, which wins. Change it there, or take another name.";
            return Err(Problem::invalid_field("name", why).into());
        }
        if known.len() >= MAX_PROFILES && !known.iter().any(|one| one.name == profile.name) {
            return Err(Problem::invalid_field("name", format!("There are {MAX_PROFILES} profiles; delete one first.")).into());
        }
        let now = self.now();
        let mut tx = self.store.begin().await?;
        model_profile_save(&mut tx, &profile, now).await?;
        if ModelRole::ALL.iter().all(|role| roles.of(*role).profile.is_none()) {
            for role in ModelRole::ALL {
                roles.of_mut(*role).profile = Some(profile.name.clone());
            }
            setting_save(&mut tx, ROLES, &roles, now).await?;
        }
        self.store.commit(tx).await?;
        self.models().await
    }

    async fn delete_model(&self, name: &str) -> Result<ModelsView> {
        let (known, roles) = self.known_models().await?;
        if self.config.models.iter().any(|configured| configured.name == name) {
            return Err(Problem::conflict("model_configured", "This profile is in the configuration file; take it out there.").into());
        }
        let used: Vec<&str> = ModelRole::ALL
            .iter()
            .filter(|role| [&roles.of(**role).profile, &roles.of(**role).fallback].contains(&&Some(name.to_owned())))
            .map(|role| role.label())
            .collect();
        // The last one may go with its roles: nobody is left to take them.
        if !used.is_empty() && known.len() > 1 {
            let text = format!("`{name}` serves for {}. Choose another profile there first.", used.join(", ").to_lowercase());
            return Err(Problem::conflict("model_in_use", text).into());
        }
        let mut tx = self.store.begin().await?;
        if !model_profile_delete(&mut tx, name).await? {
            return Err(Problem::not_found(format!("model profile `{name}`")).into());
        }
        if !used.is_empty() {
            setting_save(&mut tx, ROLES, &Roles::default(), self.now()).await?;
        }
        self.store.commit(tx).await?;
        self.models().await
    }

    async fn set_model_roles(&self, roles: Roles) -> Result<ModelsView> {
        let (known, _) = self.known_models().await?;
        let mut errors = Vec::new();
        for role in ModelRole::ALL {
            let RoleChoice { profile, fallback } = roles.of(*role);
            for (field, name) in [("profile", profile), ("fallback", fallback)] {
                if let Some(name) = name
                    && !known.iter().any(|profile| profile.name == *name)
                {
                    let message = format!("There is no profile `{}`.", name.chars().take(80).collect::<String>());
                    errors.push(FieldError { field: format!("{}.{field}", role.as_str()), message });
                }
            }
            if fallback.is_some() && fallback == profile {
                let message = "A profile cannot stand in for itself; choose another one or none.".to_owned();
                errors.push(FieldError { field: format!("{}.fallback", role.as_str()), message });
            }
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors).into());
        }
        let mut conn = self.store.connection().await?;
        setting_save(&mut conn, ROLES, &roles, self.now()).await?;
        drop(conn);
        self.models().await
    }

    async fn trajectory(&self, intent: IntentId, after: i64) -> Result<(String, Option<i64>)> {
        self.row(intent).await?;
        let mut conn = self.store.connection().await?;
        let turns = turns_after(&mut conn, intent, after, TURNS).await?;
        let mut text = String::new();
        for turn in &turns {
            let line = json!({"turn": turn.id, "task_id": turn.task, "kind": turn.kind, "at": turn.at, "payload": turn.payload});
            text.push_str(&line.to_string());
            text.push('\n');
        }
        Ok((text, turns.last().map(|turn| turn.id)))
    }

    /// Without a budget, the present one is raised by half. A build that is paused because it was spent goes on.
    pub(crate) async fn set_budget(&self, intent: IntentId, budget: Option<Budget>) -> Result<ControlResponse> {
        let mut decision = Decision::begin(self, intent).await?;
        let account = account_fetch(&mut decision.tx, intent).await?;
        let budget = budget.unwrap_or_else(|| account.budget.raised());
        account_set_budget(&mut decision.tx, intent, &budget).await?;
        let words = if budget == Budget::default() { "no limits".to_owned() } else { budget.words() };
        decision.log(Level::Info, format!("The budget is {words} now; {} so far.", account.spent.all_words()), None);
        decision.unnotify(NotificationKind::Budget, &intent.to_string()).await?;
        if account_spent_out(&mut decision.tx, intent, false).await? && decision.status() == Status::Paused {
            decision.apply(Trigger::Resume, None)?;
        }
        let row = decision.finish().await?;
        Ok(ControlResponse { intent_id: intent, status: row.state.status, message: format!("The budget is {words} now.") })
    }

    /// The profile that serves for `role` and the one that stands in for it, as far as they exist; with the listed price where they name none.
    pub(crate) async fn models_for(&self, role: ModelRole) -> Result<Vec<ModelProfile>> {
        let (known, roles) = self.known_models().await?;
        let RoleChoice { profile, fallback } = roles.of(role);
        let wanted = [profile, fallback].into_iter().flatten();
        let today = self.now().date_naive();
        let priced = |profile: &ModelProfile| {
            let price = profile.price.or_else(|| listed(profile, today).map(|listed| listed.price));
            ModelProfile { price, ..profile.clone() }
        };
        Ok(wanted.filter_map(|name| known.iter().find(|profile| profile.name == *name)).map(priced).collect())
    }

    pub(crate) async fn model_named(&self, name: &str) -> Result<ModelProfile> {
        let (known, _) = self.known_models().await?;
        let found = known.into_iter().find(|profile| profile.name == name);
        found.ok_or_else(|| Error::from(Problem::not_found(format!("model profile `{}`", name.chars().take(80).collect::<String>()))))
    }
}
