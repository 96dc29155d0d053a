//! The co-pilot: notifications that act, and chat.

use grace_domain::{
    copilot::{ChatReply, ChatRequest, ChatView, Notification},
    id::NotificationId,
    view::ControlResponse,
};

use super::doors;

doors! {
    /// Newest first.
    list_notifications at "list_notifications" () -> Vec<Notification> => |engine| engine.notifications();
    /// Presses a button of a notification.
    act_on_notification at "act_on_notification" (notification: NotificationId, action: String) -> ControlResponse =>
        |engine| engine.notification_action(notification, grace_domain::copilot::ActionRequest { action });
    /// Closes a notification.
    dismiss_notification at "dismiss_notification" (notification: NotificationId) -> () => |engine| engine.dismiss(notification);
    /// Nothing is new any more.
    mark_all_read at "mark_all_read" () -> () => |engine| engine.mark_all_read();
    /// Asks the co-pilot.
    send_chat at "send_chat" (request: ChatRequest) -> ChatReply => |engine| engine.chat(request);
    /// What was said, oldest first.
    list_chat at "list_chat" () -> ChatView => |engine| engine.chat_view();
}
