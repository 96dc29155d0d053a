//! What a build made. All of it was written by an agent, so nothing here is sent as something that a browser would run.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use grace_domain::{
    comment::{Comment, CommentDraft, CommentList},
    event::Artifact,
    id::{CommentId, IntentId},
    list::{DiffQuery, ListQuery, LogQuery, MAX_LIMIT, Page},
    problem::Problem,
    view::LogView,
};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::{
    ServerState,
    extract::{Id, JsonBody, Query, parse_id},
    refusal::Refusal,
};

pub async fn list_artifacts(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Artifact>>, Refusal> {
    Ok(Json(state.engine.artifacts(intent, query).await?))
}

pub async fn get_artifact(State(state): State<ServerState>, Path((intent, path)): Path<(String, String)>) -> Result<Response, Refusal> {
    let bytes = state.engine.artifact_bytes(parse_id(&intent)?, path).await?;
    let kind = if std::str::from_utf8(&bytes).is_ok() { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

pub async fn get_archive(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Response, Refusal> {
    let path = state.engine.archive(intent).await?;
    let opened = async {
        let file = tokio::fs::File::open(&path).await?;
        let length = file.metadata().await?.len();
        std::io::Result::Ok((file, length))
    };
    let (file, length) = opened.await.map_err(|error| {
        tracing::error!(build.id = %intent, %error, "the finished archive cannot be opened");
        Problem::internal(intent)
    })?;
    let name = format!("attachment; filename=\"{intent}.zip\"");
    let mut response = Body::from_stream(ReaderStream::with_capacity(file, 64 * 1024)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("an id is plain ASCII"));
    Ok(response)
}

pub async fn get_diff(State(state): State<ServerState>, Id(intent): Id<IntentId>, Query(query): Query<DiffQuery>) -> Result<Response, Refusal> {
    let diff = state.engine.diff(intent, query).await?;
    Ok(([(header::CONTENT_TYPE, "text/x-diff; charset=utf-8")], diff).into_response())
}

pub async fn list_comments(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Json<CommentList>, Refusal> {
    Ok(Json(state.engine.comments(intent).await?))
}

pub async fn make_comment(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    JsonBody(draft): JsonBody<CommentDraft>,
) -> Result<(StatusCode, Json<Comment>), Refusal> {
    Ok((StatusCode::CREATED, Json(state.engine.comment(intent, draft).await?)))
}

/// Body of `POST …/resolve`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    resolved: bool,
}

pub async fn resolve_comment(
    State(state): State<ServerState>,
    Path((intent, comment)): Path<(String, String)>,
    JsonBody(body): JsonBody<Resolution>,
) -> Result<Json<Comment>, Refusal> {
    let (intent, comment): (IntentId, CommentId) = (parse_id(&intent)?, parse_id(&comment)?);
    Ok(Json(state.engine.resolve_comment(intent, comment, body.resolved).await?))
}

pub async fn get_patch(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Response, Refusal> {
    let patch = state.engine.patch(intent).await?;
    let name = format!("attachment; filename=\"{intent}.patch\"");
    Ok(([(header::CONTENT_TYPE, "text/x-diff".to_owned()), (header::CONTENT_DISPOSITION, name)], patch).into_response())
}

pub async fn list_logs(
    State(state): State<ServerState>,
    Id(intent): Id<IntentId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Page<LogView>>, Refusal> {
    Ok(Json(state.engine.logs(intent, query).await?))
}

/// The whole log as text, one line each, read page by page while it is sent.
pub async fn export_logs(State(state): State<ServerState>, Id(intent): Id<IntentId>, Query(query): Query<LogQuery>) -> Result<Response, Refusal> {
    let mut query = LogQuery { limit: Some(MAX_LIMIT), before: None, after: query.after.or(Some(0)), ..query };
    // Read before the headers are sent, so that an unknown build is still a 404.
    let first = state.engine.logs(intent, query.clone()).await?;
    let engine = state.engine.clone();
    let pages = stream::unfold(Some(first), move |page| {
        let page: Option<Page<LogView>> = page;
        let engine = engine.clone();
        let last = page.as_ref().and_then(|page| page.items.last()).map(|line| line.seq);
        query.after = last.or(query.after);
        let query = query.clone();
        async move {
            let page = page?;
            let text: String = page.items.iter().map(|line| format!("{} {}\n", line.at.format("%Y-%m-%d"), line.line())).collect();
            last?;
            match engine.logs(intent, query).await {
                Ok(following) => Some((Ok(Bytes::from(text)), Some(following))),
                Err(problem) => Some((Err(std::io::Error::other(problem.to_string())), None)),
            }
        }
    });
    let name = format!("attachment; filename=\"{intent}.log\"");
    let mut response = Body::from_stream(pages).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("an id is plain ASCII"));
    Ok(response)
}

/// One line of JSON for each thing that was said between the agent and its model, and for each answer of a tool; as long as the build has any.
pub async fn export_trajectory(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Response, Refusal> {
    // Read before the headers are sent, so that an unknown build is still a 404.
    let first = state.engine.trajectory(intent, 0).await?;
    let engine = state.engine.clone();
    let pages = stream::unfold(Some(first), move |page| {
        let engine = engine.clone();
        async move {
            let (text, last) = page?;
            let last = last?;
            match engine.trajectory(intent, last).await {
                Ok(following) => Some((Ok(Bytes::from(text)), Some(following))),
                Err(problem) => Some((Err(std::io::Error::other(problem.to_string())), None)),
            }
        }
    });
    let name = format!("attachment; filename=\"{intent}.jsonl\"");
    let mut response = Body::from_stream(pages).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("an id is plain ASCII"));
    Ok(response)
}

pub async fn get_report(State(state): State<ServerState>, Id(intent): Id<IntentId>) -> Result<Response, Refusal> {
    let report = state.engine.report(intent).await?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], report).into_response())
}
