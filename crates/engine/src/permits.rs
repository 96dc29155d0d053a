//! What people said of a build's commands. An answer is a review's: it survives restarts, and what is allowed begins once for each answer. It must not
//! know the rules.

use std::sync::Arc;

use async_trait::async_trait;
use grace_agents::{Permits, Standing};
use grace_domain::{
    id::IntentId,
    policy::{ALLOW_FOR_BUILD, CommandRequest, REFUSE},
    problem::Problem,
};
use grace_store::{command_answer, command_begin};

use crate::{error::Error, guard::redacted, start::Inner};

/// The build's commands, for one of its tasks.
pub(crate) struct TaskPermits {
    pub inner: Arc<Inner>,
    pub intent: IntentId,
}

#[async_trait]
impl Permits for TaskPermits {
    async fn standing(&self, request: &CommandRequest) -> Result<Standing, String> {
        // It was kept as it was shown.
        let request = redacted(&self.inner.vault.redactor(self.intent), request.clone());
        let look = async {
            let mut conn = self.inner.store.connection().await?;
            Ok::<_, Error>(command_answer(&mut conn, self.intent, &request).await?)
        };
        let answer = look.await.map_err(|error| Problem::from(error).message)?;
        Ok(match answer.as_deref() {
            Some(ALLOW_FOR_BUILD) => Standing::Allowed,
            Some(REFUSE) => Standing::Refused,
            _ => Standing::Unasked,
        })
    }

    async fn begin(&self, key: &str) -> Result<bool, String> {
        let begin = async {
            let mut tx = self.inner.store.begin().await?;
            let begins = command_begin(&mut tx, self.intent, key, self.inner.now()).await?;
            self.inner.store.commit(tx).await?;
            Ok::<_, Error>(begins)
        };
        begin.await.map_err(|error| Problem::from(error).message)
    }
}
