//! k nearest neighbours on the bundled digits: the classes that scikit-learn
//! gives, from bytes and from normalised floats, and the search.

mod gpu;

use pumice::model;
use pumice::spec::Source;

#[test]
fn what_cannot_stand_beside_it_is_named() {
    let spec = |layers: &str, rest: &str| {
        let input = r#""input": { "features": 4 }"#;
        let text =
            format!(r#"{{ "version": 1, {input}, "layers": [{layers}], "data": {{ "kind": "bundled" }}{rest} }}"#);
        model::load(Source { file: "test".into(), text }, &[]).map(|_| ()).map_err(|e| e.to_string())
    };
    let knn = r#"{ "op": "knn", "k": 1 }"#;
    assert_eq!(spec(knn, ""), Ok(()));
    for (layers, rest, path) in [
        (r#"{ "op": "dense", "units": 3 }, { "op": "knn", "k": 1 }"#, "", "layers[0]"),
        (r#"{ "op": "knn", "k": 1 }, { "op": "dense", "units": 3 }"#, "", "layers[1]"),
        (knn, r#", "loss": "cross_entropy""#, "loss"),
        (knn, r#", "train": { "optimizer": "adam" }"#, "train.optimizer"),
        (r#"{ "op": "knn", "k": [] }"#, "", "layers[0].k"),
    ] {
        let error = spec(layers, rest).expect_err(path);
        assert!(error.contains(path), "{path}: {error}");
    }
}
