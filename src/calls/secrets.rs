//! Secrets in Settings. A value goes in and never comes out.

use grace_domain::{
    id::IntentId,
    list::{ListQuery, Page},
    secret::{AuditEntry, SecretDraft, VaultView},
};

use super::doors;

doors! {
    /// What there is, without values, and how the vault is.
    list_secrets at "list_secrets" () -> VaultView => |engine| engine.secrets();
    /// Adds a secret, or a new version of it.
    save_secret at "save_secret" (draft: SecretDraft) -> VaultView => |engine| engine.save_secret(draft);
    /// Deletes a secret.
    delete_secret at "delete_secret" (name: String, intent: Option<IntentId>) -> VaultView => |engine| engine.delete_secret(&name, intent);
    /// A page of the audit.
    list_secret_audit at "list_secret_audit" (query: ListQuery) -> Page<AuditEntry> => |engine| engine.secret_audit(query);
}
