//! Comments on lines of what a build changed: kept, told to the agent as a message, resolved by the commit that follows. It must not know how an agent
//! heeds them.

use grace_domain::{
    comment::{Comment, CommentDraft, CommentList, MAX_COMMENTS, Placed},
    event::{Author, EventKind},
    id::{CommentId, IntentId, TaskId},
    present::diff::parse,
    problem::Problem,
    status::Status,
};
use grace_store::{BuildRow, comment_reopen, comment_resolve, comment_save, comments_land, comments_of};

use crate::{Engine, decide::Decision, error::Result, start::Inner};

impl Engine {
    /// Comments on lines of what the build changed.
    pub async fn comments(&self, intent: IntentId) -> Result<CommentList, Problem> {
        Ok(self.inner.comments(intent).await?)
    }

    /// Makes a comment, which is work for the build's agent.
    pub async fn comment(&self, intent: IntentId, draft: CommentDraft) -> Result<Comment, Problem> {
        Ok(self.inner.comment(intent, draft).await?)
    }

    /// Resolves a comment by hand, or opens it again.
    pub async fn resolve_comment(&self, intent: IntentId, id: CommentId, resolved: bool) -> Result<Comment, Problem> {
        Ok(self.inner.resolve_comment(intent, id, resolved).await?)
    }
}

impl Inner {
    async fn comments(&self, intent: IntentId) -> Result<CommentList> {
        let row = self.row(intent).await?;
        let mut conn = self.store.connection().await?;
        let comments = comments_of(&mut conn, intent).await?;
        Ok(CommentList { closed: closed(comments.len() as u64), unread: self.unread(&row), comments })
    }

    /// Why no agent reads what is said of the build, if so.
    fn unread(&self, row: &BuildRow) -> Option<String> {
        let status = row.state.status;
        if !self.is_slow(&row.agent) {
            return Some("No agent reads comments here: this build follows a blueprint.".into());
        }
        match status {
            Status::Failed => Some("No agent is at work: the build has failed. When it is tried again, its agent reads them.".into()),
            _ => is_over(status).then(|| "No agent reads comments here any more: this one has done its work.".into()),
        }
    }

    async fn comment(&self, intent: IntentId, draft: CommentDraft) -> Result<Comment> {
        let commit = self.commit_of(intent).await?;
        let diff = self.workspace(intent).diff(None, &commit).await?;
        let placed = draft.place(&parse(&diff))?;
        let mut decision = Decision::begin(self, intent).await?;
        let count = comments_of(&mut decision.tx, intent).await?.len() as u64;
        if let Some(reason) = closed(count) {
            return Err(Problem::conflict("comments_closed", reason).into());
        }
        let redactor = self.vault.redactor(intent);
        let hide = |text: String| redactor.redact(&text).into_owned();
        let placed = Placed { text: hide(placed.text), code: placed.code.into_iter().map(hide).collect(), ..placed };
        let (now, seq) = (decision.now, self.seq_of_message(&decision));
        let comment = comment_save(&mut decision.tx, intent, &placed, (&commit, seq), now).await?;
        tell(&mut decision, &comment, seq);
        decision.finish().await?;
        Ok(comment)
    }

    async fn resolve_comment(&self, intent: IntentId, id: CommentId, resolved: bool) -> Result<Comment> {
        let mut decision = Decision::begin(self, intent).await?;
        let missing = || Problem::not_found(format!("{id} of build {intent}"));
        if resolved {
            let now = decision.now;
            let comment = comment_resolve(&mut decision.tx, (intent, id), now).await?.ok_or_else(missing)?;
            decision.event(comment.event());
            decision.finish().await?;
            return Ok(comment);
        }
        // It is work again, for whoever reads it next.
        let seq = self.seq_of_message(&decision);
        let comment = comment_reopen(&mut decision.tx, (intent, id), seq).await?.ok_or_else(missing)?;
        tell(&mut decision, &comment, seq);
        decision.finish().await?;
        Ok(comment)
    }

    /// The number of the message that tells the agent, as the first event of the decision: the build's row is locked.
    fn seq_of_message(&self, decision: &Decision<'_>) -> Option<i64> {
        // One that failed may be tried again.
        let may_read = self.is_slow(&decision.row.agent) && !is_over(decision.status());
        may_read.then_some(decision.row.last_seq + 1)
    }
}

/// Tells the agent, if one reads, and the pages.
fn tell(decision: &mut Decision<'_>, comment: &Comment, message: Option<i64>) {
    if message.is_some() {
        decision.event(EventKind::Message { from: Author::Person, text: comment.told() });
    }
    decision.event(comment.event());
}

/// Nothing of the build is worked on again.
fn is_over(status: Status) -> bool {
    status.is_built() || status == Status::Stopped
}

fn closed(count: u64) -> Option<String> {
    (count >= MAX_COMMENTS).then(|| format!("A build has at most {MAX_COMMENTS} comments."))
}

/// The task is done with this commit.
pub(crate) async fn land(decision: &mut Decision<'_>, task: TaskId, commit: &str) -> Result<()> {
    let (intent, now) = (decision.intent(), decision.now);
    for comment in comments_land(&mut decision.tx, (intent, task), commit, now).await? {
        decision.event(comment.event());
    }
    Ok(())
}
