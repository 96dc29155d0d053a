//! Pages of lists. Every list in Grace is bounded: `limit` is at most [`MAX_LIMIT`], and `next` is the cursor of what follows.

use serde::{Deserialize, Serialize};

pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 200;

/// One page. `total` counts what matches the filter over all pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    pub total: u64,
    /// Pass it as `after` to read on; absent on the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn empty() -> Self {
        Self { items: Vec::new(), total: 0, next: None }
    }
}

/// What part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// Only rows in this status.
    #[serde(default)]
    pub status: Option<crate::status::Status>,
    /// Only rows whose description or title holds this text.
    #[serde(default)]
    pub q: Option<String>,
}

impl ListQuery {
    /// The wanted page size, 1 to [`MAX_LIMIT`].
    pub fn bounded_limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
    }
}

/// Which changes of a build are wanted: those of one task, of one phase, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    #[serde(default)]
    pub task: Option<crate::id::TaskId>,
    /// A phase's name, as in the plan.
    #[serde(default)]
    pub phase: Option<String>,
}

/// What part of a build's log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Lines after this `seq`.
    #[serde(default)]
    pub after: Option<i64>,
    /// Lines before this `seq`, newest page first when set without `after`; items are always in ascending order.
    #[serde(default)]
    pub before: Option<i64>,
    /// This level and above.
    #[serde(default)]
    pub level: Option<crate::event::Level>,
    /// Only lines that hold this text, ignoring case.
    #[serde(default)]
    pub q: Option<String>,
    #[serde(default)]
    pub limit: Option<u32>,
}
