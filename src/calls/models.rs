//! The language models that a person has.

use grace_domain::model::{ConnectionReport, ModelsView, ProfileDraft, Roles};

use super::doors;

doors! {
    /// Profiles, and what each serves for.
    list_models at "list_models" () -> ModelsView => |engine| engine.models();
    /// Keeps a profile; one of the same name is replaced.
    save_model at "save_model" (draft: ProfileDraft) -> ModelsView => |engine| engine.save_model(draft);
    /// Forgets a profile.
    delete_model at "delete_model" (name: String) -> ModelsView => |engine| engine.delete_model(&name);
    /// Says which profiles serve for what.
    set_model_roles at "set_model_roles" (roles: Roles) -> ModelsView => |engine| engine.set_model_roles(roles);
    /// Asks the model something, and what its endpoint can do.
    test_model at "test_model" (name: String) -> ConnectionReport => |engine| engine.test_model(&name);
}
