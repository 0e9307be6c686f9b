//! Requests and answers.
//!
//! | request | answer |
//! |---|---|
//! | `POST /token` | a token for a client's secret |
//! | `PUT /objects/NAME`, `?compress=zstd` | 201, and how long it is |
//! | `GET /objects/NAME` | 200, or 206 and 416 for a `Range` of one that is not compressed |
//! | `GET /.well-known/jwks.json` | the keys that tokens are verified with |

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bulla::{Result, jwt::Claims};
use bulla_oidc::serve::Bearer;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use object_store::GetRange;
use serde_json::json;

use crate::{
    failure::{Failure, in_json},
    objects::{Found, Name, Objects},
    range::{Asked, asked},
    tokens::{Tokens, is_name, token},
};

#[derive(Clone)]
struct Service {
    objects: Objects,
    max_len: u64,
}

pub(crate) fn router(objects: Objects, tokens: Tokens, max_len: u64) -> Result<Router> {
    let reads = get(download).layer(tokens.layer("objects:read"));
    let writes = put(upload).layer(tokens.layer("objects:write"));
    let of_objects = Router::new()
        .route("/objects/{name}", reads.merge(writes))
        .with_state(Service { objects, max_len });
    let published = tokens.publisher().router();
    let of_tokens = Router::new().route("/token", post(token)).with_state(tokens);
    let all = of_objects.merge(of_tokens).merge(published);
    Ok(all.layer(middleware::map_response(in_json)))
}

async fn upload(
    State(Service { objects, max_len }): State<Service>,
    bearer: Bearer<Claims>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let name = owned(&bearer, name)?;
    let compress = match query.as_deref() {
        None | Some("") => false,
        Some("compress=zstd") => true,
        Some(_) => return Err(Failure::BAD_QUERY),
    };
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|len| len.to_str().ok()?.parse().ok());
    if declared.is_some_and(|len: u64| len > max_len) {
        return Err(Failure::TOO_LONG);
    }
    let len = Arc::new(AtomicU64::new(0));
    let body = counted(body, max_len, Arc::clone(&len));
    // In a task, so that a client who hangs up ends the upload by an error, and what was begun is taken back.
    let stored = tokio::spawn(async move { objects.put(&name, body, compress).await }).await;
    let len = len.load(Relaxed);
    match stored {
        Ok(Ok(())) => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            let body = format!("{}\n", json!({ "bytes": len }));
            Ok((StatusCode::CREATED, json, body).into_response())
        }
        _ if len > max_len => Err(Failure::TOO_LONG),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "failed")),
    }
}

/// A body as a stream that fails when it is longer than it may be.
fn counted(
    body: Body,
    max_len: u64,
    count: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    body.into_data_stream().map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        let len = piece.len() as u64;
        if count.fetch_add(len, Relaxed).saturating_add(len) > max_len {
            let text = "the upload is too long";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(piece)
    })
}

async fn download(
    State(Service { objects, .. }): State<Service>,
    bearer: Bearer<Claims>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let name = owned(&bearer, name)?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, part) = match range {
        None => (StatusCode::OK, None),
        Some(range) => {
            let len = objects.len(&name).await?;
            match asked(range, len) {
                Asked::Whole => (StatusCode::OK, None),
                Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part.into())),
                // Its last byte, or that there is none, tells whether it is as long as the store says.
                Asked::Beyond => {
                    (StatusCode::RANGE_NOT_SATISFIABLE, (len > 0).then_some(GetRange::Suffix(1)))
                }
            }
        }
    };
    let Found { mut body, part } = objects.find(&name, part).await?;
    // What is wrong with the first piece can still be told. An error further on cuts the answer short, which clients
    // notice: it ends before its length or, of a compressed object, without an end.
    let first = body.next().await.transpose()?;
    let first = stream::iter(first.map(Ok));
    let mut response = Body::from_stream(first.chain(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let Some((part, len)) = part else {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
        return Ok(response);
    };
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(Failure::beyond(len));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let of = format!("bytes {}-{}/{len}", part.start, part.end.saturating_sub(1));
        let failed = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "failed");
        headers.insert(header::CONTENT_RANGE, of.parse().map_err(failed)?);
    }
    *response.status_mut() = status;
    Ok(response)
}

/// Whoever the token is about has objects of their own, whatever they call them.
fn owned(bearer: &Bearer<Claims>, object: String) -> Result<Name, Failure> {
    let owner = bearer.claims().subject().unwrap_or_default().to_owned();
    if !is_name(&owner) || !is_name(&object) {
        return Err(Failure::BAD_NAME);
    }
    Ok(Name { owner, object })
}
