//! What a build has produced: log, files, changes.

use grace_domain::{
    comment::{Comment, CommentDraft, CommentList},
    id::{CommentId, IntentId},
    list::{DiffQuery, LogQuery, Page},
    view::{FileView, LogView},
};

use super::doors;

doors! {
    /// Lines of a build's log.
    read_log at "read_log" (intent: IntentId, query: LogQuery) -> Page<LogView> => |engine| engine.logs(intent, query);
    /// A file of the project, highlighted.
    view_file at "view_file" (intent: IntentId, path: String) -> FileView => |engine| engine.file_view(intent, path);
    /// What the build, one of its tasks or one of its phases changed, as a unified diff.
    read_diff at "read_diff" (intent: IntentId, query: DiffQuery) -> String => |engine| engine.diff(intent, query);
    /// Comments on its lines.
    list_comments at "list_comments" (intent: IntentId) -> CommentList => |engine| engine.comments(intent);
    /// Makes one, which is work for the agent.
    make_comment at "make_comment" (intent: IntentId, draft: CommentDraft) -> Comment => |engine| engine.comment(intent, draft);
    /// Resolves one by hand, or opens it again.
    resolve_comment at "resolve_comment" (intent: IntentId, id: CommentId, resolved: bool) -> Comment => |engine| engine.resolve_comment(intent, id, resolved);
}
