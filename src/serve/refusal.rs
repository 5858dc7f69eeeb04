//! What is answered where there is no prediction.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

/// A status, what is wrong, and what to do.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    what: String,
    hint: String,
}

impl Refusal {
    /// One for a status.
    pub fn new(status: StatusCode, what: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal { status, what: what.into(), hint: hint.into() }
    }

    /// A request that cannot be read: 422.
    pub fn unreadable(what: impl Into<String>, hint: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, what, hint)
    }

    /// More requests than the service takes: 429.
    pub fn full() -> Refusal {
        let what = "the service has as many requests as it takes";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, what, "send it again later")
    }

    /// The adapter cannot compute now: 503.
    pub fn adapter(what: &str) -> Refusal {
        let hint = "send it again later: the adapter is being opened again";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, what, hint)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(self.status, &json!({ "errors": [{ "message": self.what, "hint": self.hint }] }));
        if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A reply of JSON, in one line as `--json` prints it.
pub fn json(status: StatusCode, value: &Json) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}
