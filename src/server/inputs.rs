//! Files that come with a description: taken in as they arrive, handed out as attachments. What is in them is a stranger's, so nothing here is sent
//! as something that a browser would run.

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use grace_domain::{
    id::IntentId,
    input::{InputFile, MAX_FILES, Uploaded, in_address},
    problem::{FieldError, Problem},
};
use grace_engine::Engine;
use multer::{Field, Multipart};
use tokio_util::io::ReaderStream;

use super::{
    ServerState,
    extract::{MAX_BODY, multipart, parse_id, too_large, unreadable},
    refusal::Refusal,
};
use crate::calls::posted::PostedForm;

/// `POST /api/inputs`: one file or several; all are kept, or the answer names those that are not.
pub async fn upload_inputs(State(state): State<ServerState>, request: Request) -> Result<(StatusCode, Json<Uploaded>), Refusal> {
    let (items, errors) = take_files(&state.engine, multipart(request)?).await?;
    if !errors.is_empty() {
        return Err(Problem::invalid(errors).into());
    }
    Ok((StatusCode::CREATED, Json(Uploaded { items })))
}

async fn take_files(engine: &Engine, mut parts: Multipart<'static>) -> Result<(Vec<InputFile>, Vec<FieldError>), Refusal> {
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let refused = |message: String| FieldError { field: format!("files[{count}]"), message };
        if part.file_name().is_none() {
            errors.push(refused("This part is no file: it has no file name.".into()));
        } else if count >= MAX_FILES {
            errors.push(refused(format!("More than {MAX_FILES} files are sent; at most {MAX_FILES} are taken. Send fewer.")));
            break;
        } else {
            match take_file(engine, part).await? {
                Ok(file) => items.push(file),
                Err(why) => errors.push(refused(why)),
            }
        }
        count += 1;
    }
    if count == 0 && errors.is_empty() {
        errors.push(FieldError { field: "files".into(), message: "No file is sent. Send at least one part with a file name.".into() });
    }
    // Whoever sends is let finish: only then does a browser read the answer.
    while parts.next_field().await.map_err(unreadable)?.is_some() {}
    Ok((items, errors))
}

/// The builder's form as a browser without JavaScript posts it, files and all.
pub async fn take_posted(engine: &Engine, request: Request) -> Result<PostedForm, Refusal> {
    let mut parts = multipart(request)?;
    let mut form = PostedForm::default();
    let mut text = 0;
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        match part.file_name() {
            // A field for files in which none was chosen.
            Some("") => {}
            Some(_) if form.files.len() + form.refused.len() >= MAX_FILES => {
                let message = format!("More than {MAX_FILES} files are sent; at most {MAX_FILES} are taken. Send fewer.");
                form.refused.push(FieldError { field: "artifacts.files".into(), message });
                // The rest of the form is read all the same; only its files are not.
            }
            Some(_) => match take_file(engine, part).await? {
                Ok(file) => form.files.push(file),
                Err(message) => form.refused.push(FieldError { field: "artifacts.files".into(), message }),
            },
            None => {
                let name = part.name().unwrap_or_default().to_owned();
                let value = part.text().await.map_err(unreadable)?;
                text += value.len();
                if text > MAX_BODY {
                    return Err(too_large(MAX_BODY));
                }
                form.fields.push((name, value));
            }
        }
    }
    Ok(form)
}

/// Keeps one file, or says why not. A refused one is read to its end all the same.
async fn take_file(engine: &Engine, mut part: Field<'static>) -> Result<Result<InputFile, String>, Refusal> {
    let name = part.file_name().unwrap_or_default().to_owned();
    let mut upload = engine.upload(&name).await;
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        if let Ok(open) = &mut upload
            && let Err(problem) = open.write(&chunk).await
        {
            upload = Err(problem);
        }
    }
    let kept = match upload {
        Ok(upload) => upload.finish().await,
        Err(problem) => Err(problem),
    };
    match kept {
        Ok(file) => Ok(Ok(file)),
        Err(problem) => match problem.errors.into_iter().next() {
            Some(error) => Ok(Err(error.message)),
            None => Err(Refusal(Problem { errors: Vec::new(), ..Problem::new(problem.kind, &problem.code, problem.message) })),
        },
    }
}

pub async fn forget_input(State(state): State<ServerState>, Path(hash): Path<String>) -> Result<StatusCode, Refusal> {
    state.engine.forget_input(&hash).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn get_input(State(state): State<ServerState>, Path((intent, name)): Path<(String, String)>) -> Result<Response, Refusal> {
    let intent: IntentId = parse_id(&intent)?;
    let (file, path) = state.engine.input_of(intent, &name).await?;
    let opened = tokio::fs::File::open(&path).await.map_err(|error| {
        tracing::error!(build.id = %intent, %error, "a given file cannot be opened");
        Problem::internal(intent)
    })?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(opened, 64 * 1024)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.bytes));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(attachment(&file.name)).expect("it is written in plain ASCII"));
    Ok(response)
}

/// RFC 6266: the name for everyone, and for who reads it the whole name.
fn attachment(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' }).collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", in_address(name))
}
