//! What a build has produced: log, files, changes.

use grace_domain::{
    id::IntentId,
    list::{LogQuery, Page},
    view::{FileView, LogView},
};

use super::doors;

doors! {
    /// Lines of a build's log.
    read_log at "read_log" (intent: IntentId, query: LogQuery) -> Page<LogView> => |engine| engine.logs(intent, query);
    /// A file of the project, highlighted.
    view_file at "view_file" (intent: IntentId, path: String) -> FileView => |engine| engine.file_view(intent, path);
    /// Everything that the build changed, as a unified diff.
    read_diff at "read_diff" (intent: IntentId) -> String => |engine| engine.diff(intent);
}
