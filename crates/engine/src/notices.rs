//! The co-pilot's messages as they are kept. Their words are `domain`'s; here they are only tied to their build.

use grace_domain::{id::IntentId, messages::Message};
use grace_store::NewNotification;

pub(crate) fn of(intent: IntentId, message: Message) -> NewNotification {
    let Message { kind, subject, title, text, facts, lines, options, actions, waiting } = message;
    NewNotification { intent, kind, subject, title, text, facts, lines, options, actions, waiting }
}
