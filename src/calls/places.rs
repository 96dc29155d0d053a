//! Databases of places, and the variables of their services.

use grace_domain::{
    id::IntentId,
    intent::Environment,
    list::{ListQuery, Page},
    place::{DatabaseView, PlaceVariable, ServiceOutput, VariableDraft},
};

use super::doors;

/// Lines of services that a page shows.
pub const SHOWN: usize = 300;

doors! {
    /// With their copies, newest first.
    list_databases at "list_databases" (query: ListQuery) -> Page<DatabaseView> => |engine| engine.databases(query);
    /// Drops a database with its copies; `confirm` is its name once more.
    drop_database at "drop_database" (name: String, confirm: String) -> Page<DatabaseView> => |engine| engine.drop_database(&name, &confirm);
    /// Of all places.
    list_variables at "list_variables" () -> Vec<PlaceVariable> => |engine| engine.place_variables();
    /// Gives services a variable from their next start on.
    save_variable at "save_variable" (draft: VariableDraft) -> Vec<PlaceVariable> => |engine| engine.save_variable(draft);
    /// Takes it from them with their next start.
    delete_variable at "delete_variable" (intent: IntentId, environment: Environment, variable: String) -> Vec<PlaceVariable> =>
        |engine| engine.delete_variable(intent, environment, &variable);
    /// The newest of what services print.
    read_output at "read_output" (intent: IntentId, environment: Environment, words: String) -> ServiceOutput =>
        |engine| engine.service_output(intent, environment, SHOWN, &words);
}
