//! The tasks of a build whose plan is changed while they are carried out: those that have not begun are replaced, the others keep what they are.

use grace_domain::{
    id::{IntentId, TaskId},
    task::Task,
};
use sqlx::PgConnection;

use crate::{
    error::{During, StoreResult},
    row::int,
    tasks::{NewTask, tasks_insert},
};

/// Keeps where tasks work that are under way.
pub async fn tasks_keep_place(conn: &mut PgConnection, places: &[(TaskId, bool)]) -> StoreResult<()> {
    let (ids, apart): (Vec<i64>, Vec<bool>) = places.iter().map(|(id, apart)| (id.0, *apart)).unzip();
    sqlx::query("UPDATE tasks SET apart = place.apart FROM unnest($1::bigint[], $2::boolean[]) AS place (id, apart) WHERE tasks.id = place.id")
        .bind(ids)
        .bind(apart)
        .execute(conn)
        .await
        .during("tasks_keep_place")?;
    Ok(())
}

/// Puts `rest` in the place of the tasks `gone`, and moves kept tasks to new positions. Nothing that has ever begun is removed. A task of `rest` whose
/// key is there already becomes what `rest` says of it, unless it has begun. Returns all tasks of the build.
pub async fn rest_replace(
    conn: &mut PgConnection,
    intent: IntentId,
    gone: &[TaskId],
    rest: &[NewTask],
    positions: &[(TaskId, u32)],
) -> StoreResult<Vec<Task>> {
    let same: Vec<&str> = rest.iter().map(|task| task.key.as_str()).collect();
    let gone: Vec<i64> = gone.iter().map(|id| id.0).collect();
    // Those that stay under their key are made anew too: whoever has their old number finds nothing to do.
    sqlx::query("DELETE FROM tasks WHERE intent_id = $1 AND deployment_id IS NULL AND started_at IS NULL AND (id = ANY($2) OR key = ANY($3))")
        .bind(intent.0)
        .bind(gone)
        .bind(same)
        .execute(&mut *conn)
        .await
        .during("rest_replace")?;
    let (ids, places): (Vec<i64>, Vec<i32>) = positions.iter().map(|(id, position)| (id.0, int(*position))).unzip();
    sqlx::query("UPDATE tasks SET position = place.position FROM unnest($1::bigint[], $2::int[]) AS place (id, position) WHERE tasks.id = place.id")
        .bind(ids)
        .bind(places)
        .execute(&mut *conn)
        .await
        .during("rest_replace")?;
    tasks_insert(conn, intent, rest).await
}
