//! Questions and gates put to a person, and their answers.

use grace_domain::{
    id::{IntentId, ReviewId},
    problem::Problem,
    review::{Answer, Review, ReviewRequest},
};

use crate::{Engine, start::not_joined};

impl Engine {
    /// Puts a question to a person; it blocks nothing by itself.
    pub async fn request_review(&self, intent: IntentId, request: ReviewRequest) -> Result<Review, Problem> {
        let _ = (intent, request);
        not_joined()
    }

    /// Answers once; the task that waits for it goes on.
    pub async fn answer_review(&self, intent: IntentId, review: ReviewId, answer: Answer) -> Result<Review, Problem> {
        let _ = (intent, review, answer);
        not_joined()
    }
}
