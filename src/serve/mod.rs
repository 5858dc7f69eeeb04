//! `pumice serve`: trained networks that answer over HTTP. [`service::Service`] puts it together.
//!
//! The way of a request: `routes` checks who asks; `answers` takes a place, reads the body, and decodes it on another
//! thread; `engine`, the one thread that uses the adapter, computes what waits in batches; `answers` writes the reply.

mod answers;
mod app;
mod body;
mod engine;
mod files;
mod folders;
mod guard;
mod metrics;
mod openapi;
mod page;
mod refusal;
mod routes;
mod served;
pub mod service;
mod watch;
