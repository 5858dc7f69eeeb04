//! The addresses of the service.

use super::answers;
use super::app::App;
use super::refusal::{self, Refusal};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What the page may do: nothing but what it brings along, and questions to the service.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The addresses, each with its path as metrics name it.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/v1/predict", post(first))
        .route("/v1/predict/{run}", post(named))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        // Bodies have a bound of their own, which answers with a reason.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(app.clone(), watched))
        .with_state(app)
}

/// The path as metrics name it: names that clients make up would be without number.
fn label(path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/healthz" => "/healthz",
        "/metrics" => "/metrics",
        "/openapi.json" => "/openapi.json",
        _ if path == "/v1/predict" || path.starts_with("/v1/predict/") => "/v1/predict",
        _ => "other",
    }
}

/// Checks who asks, and counts what is answered.
async fn watched(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (start, label) = (Instant::now(), label(request.uri().path()));
    let predicts = label == "/v1/predict" && request.method() == Method::POST;
    let mut response = match app.hosts.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    app.metrics.answered(label, response.status().as_u16(), predicts.then(|| start.elapsed()));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.ending.load(Ordering::Relaxed) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn page(State(app): State<Arc<App>>) -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (policy, Html(app.page.clone())).into_response()
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    if let Some(why) = app.engine.trouble() {
        return Refusal::adapter(&why).into_response();
    }
    let runs: Vec<&str> = app.runs.iter().map(|run| run.name.as_str()).collect();
    refusal::json(StatusCode::OK, &json!({ "status": "ok", "runs": runs }))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let open = app.bounds.requests - app.places.available_permits();
    let text = app.metrics.text(app.engine.waiting(), open, app.engine.trouble().is_none());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn openapi(State(app): State<Arc<App>>) -> Response {
    refusal::json(StatusCode::OK, &app.openapi)
}

async fn first(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    answers::predict(&app, None, request).await
}

async fn named(State(app): State<Arc<App>>, Path(run): Path<String>, request: Request) -> Result<Response, Refusal> {
    answers::predict(&app, Some(&run), request).await
}

async fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address", "/openapi.json lists the addresses")
}

async fn other_method() -> Refusal {
    let hint = "use POST for predictions, GET for everything else";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this address takes another method", hint)
}
