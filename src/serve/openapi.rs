//! The description of the service for programs: OpenAPI 3.1.

use super::served::Served;
use serde_json::{Value as Json, json};

/// What `/openapi.json` answers.
pub fn openapi(runs: &[Served]) -> Json {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let named = json!({ "name": "run", "in": "path", "required": true, "schema": { "type": "string", "enum": names } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "pumice serve", "version": env!("CARGO_PKG_VERSION") },
        "paths": {
            "/v1/predict": { "post": predict("What the first run says about pictures or rows.", &[]) },
            "/v1/predict/{run}": { "post": predict("What a run says about pictures or rows.", &[named]) },
            "/": { "get": get("A page to try the runs with.", "text/html") },
            "/healthz": { "get": healthz() },
            "/metrics": { "get": get("Counts for Prometheus.", "text/plain") },
            "/openapi.json": { "get": get("This description.", "application/json") },
        },
        "components": { "schemas": { "Answer": answer(), "Errors": errors() } },
    })
}

fn get(summary: &str, kind: &str) -> Json {
    json!({ "summary": summary, "responses": { "200": { "description": "It is here.", "content": { kind: {} } } } })
}

fn refused(why: &str) -> Json {
    json!({ "description": why, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } } } })
}

fn healthz() -> Json {
    let mut found = get("Whether the adapter computes.", "application/json");
    found["responses"]["503"] = refused("It is being opened again.");
    found
}

fn predict(summary: &str, path: &[Json]) -> Json {
    let query = |name: &str, about: &str, schema: Json| json!({ "name": name, "in": "query", "description": about, "schema": schema });
    let own = [
        query(
            "top",
            "How many classes, the likeliest first.",
            json!({ "type": "integer", "minimum": 1, "default": 3 }),
        ),
        query(
            "score",
            "Of objects, those with at least this score.",
            json!({ "type": "number", "minimum": 0, "maximum": 1, "default": 0.3 }),
        ),
        query("invert", "Swap light and dark first.", json!({ "type": "boolean", "default": false })),
    ];
    let file = json!({ "type": "string", "format": "binary" });
    let row = json!({ "anyOf": [
        { "type": "array", "description": "A value for each column.", "items": { "type": ["number", "string", "null"] } },
        { "type": "object", "description": "A value by each column's name." },
    ] });
    let answer = json!({ "description": "As `predict --json` prints it.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Answer" } } } });
    json!({
        "summary": summary,
        "parameters": path.iter().chain(&own).collect::<Vec<_>>(),
        "requestBody": { "required": true, "content": {
            "image/*": { "schema": file },
            "text/csv": { "schema": { "type": "string" } },
            "application/json": { "schema": { "type": "array", "items": row } },
            "multipart/form-data": { "schema": { "type": "object", "properties": { "file": { "type": "array", "items": file } } } },
        } },
        "responses": {
            "200": answer,
            "403": refused("Another site or another name of the service."),
            "404": refused("No run of this name."),
            "408": refused("The body came too slowly."),
            "413": refused("The body is too large."),
            "422": refused("No file of the request could be read."),
            "429": refused("Too many requests at a time."),
            "503": refused("The adapter is lost and is being opened again, or the answer takes too long."),
        },
    })
}

fn answer() -> Json {
    let number = json!({ "type": "number" });
    let mask = json!({ "type": "object", "description": "Run lengths as pycocotools writes them.", "properties": {
        "size": { "type": "array", "items": { "type": "integer" } }, "counts": { "type": "string" },
    } });
    let object = json!({ "type": "object", "properties": {
        "class": { "type": "string" }, "score": number, "mask": mask,
        "box": { "type": "array", "items": number, "minItems": 4, "maxItems": 4, "description": "x1, y1, x2, y2 in pixels." },
    } });
    let class = json!({ "type": "object", "properties": { "class": { "type": "string" }, "probability": number } });
    let one = json!({ "type": "object", "required": ["file"], "properties": {
        "file": { "type": "string", "description": "The name of the file; `-` where it has none." },
        "row": { "type": "integer", "description": "From 1, in a table." },
        "classes": { "type": "array", "items": class },
        "values": { "type": "array", "items": number },
        "objects": { "type": "array", "items": object },
        "mask": { "type": "string", "description": "A PNG of class indices, as a data: address." },
        "share": { "type": "object", "description": "The share of each class in the picture.", "additionalProperties": number },
    } });
    let list = json!({ "type": "array", "items": one });
    json!({ "type": "object", "required": ["predictions"], "properties": { "predictions": list, "errors": errors()["properties"]["errors"] } })
}

fn errors() -> Json {
    let text = json!({ "type": "string" });
    let one = json!({ "type": "object", "properties": { "file": text, "message": text, "hint": text } });
    json!({ "type": "object", "properties": { "errors": { "type": "array", "items": one } } })
}
