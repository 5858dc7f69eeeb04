//! `pumice bench` and `pumice train --profile`.

use super::*;

/// A member of a JSON object that is a finite number above zero.
fn positive(json: &Json, key: &str) -> f64 {
    let x = json[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {json}"));
    assert!(x.is_finite() && x > 0.0, "{key} is {x} in {json}");
    x
}

#[test]
fn kernels_are_timed_against_roofs_and_an_earlier_run() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    let first = pumice(dir, "bench matmul_60 --json").json();
    assert!(!first["adapter"].as_str().unwrap().is_empty());
    let (alu, load) = (positive(&first["roof"], "alu_gflops"), positive(&first["roof"], "load_gbps"));
    positive(&first["roof_at_end"], "load_gbps");
    let case = &first["cases"][0];
    assert_eq!((&case["name"], first["cases"].as_array().unwrap().len()), (&Json::from("matmul_60"), 1));
    let (ms, gflops, gbps) = (positive(case, "ms"), positive(case, "gflops"), positive(case, "gbps"));
    assert!((gflops * ms / (2.0 * 60f64.powi(3) / 1e6) - 1.0).abs() < 1e-6, "{case}");
    assert!((gbps * ms / (3.0 * 4.0 * 3600.0 / 1e6) - 1.0).abs() < 1e-6, "{case}");
    assert!((positive(case, "roof_share") / (gflops / alu).max(gbps / load) - 1.0).abs() < 1e-6, "{first}");
    assert_eq!(first["workloads"], serde_json::json!([]));
    fs::write(dir.join("first.json"), first.to_string()).unwrap();

    let text = pumice(dir, "bench matmul_60 --compare first.json").ok();
    for word in ["GFLOP/s", "of roof", "min–max", "old/new", "matmul_60"] {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    let again = pumice(dir, "bench matmul_60 --compare first.json --json").json();
    let ratios = again["compare"].as_array().unwrap();
    let ratio = ratios.iter().find(|r| r["name"] == "matmul_60").expect("a ratio");
    assert_eq!(ratio["old"], case["ms"]);
    assert!((positive(ratio, "old_over_new") - ms / positive(&again["cases"][0], "ms")).abs() < 1e-9);
    // With a filter, rows of the case table are included. Every node is a case.
    let row = pumice(dir, "bench conv2d_3x3_same/conv2d_1 --json").json();
    let names: Vec<&str> = row["cases"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for op in ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"] {
        assert!(names.contains(&format!("conv2d_3x3_same/conv2d_1/{op}").as_str()), "{op} is not in {names:?}");
    }
}

#[test]
fn a_workload_is_timed() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let found = pumice(dir.path(), "bench W1 --json").json();
    let w = &found["workloads"][0];
    assert_eq!((&w["name"], &found["cases"]), (&Json::from("W1"), &serde_json::json!([])));
    positive(w, "ms_step");
    positive(w, "ms_forward");
    // The fastest of each: a median may have met other programs.
    assert!(positive(w, "ms_forward_min") < positive(w, "ms_step_min"), "{w}");
    positive(w, "first_step_s");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/bench/w1_lenet5.json");
    let plan = pumice(dir.path(), &format!("plan {spec} --json")).json();
    assert_eq!(positive(w, "flops_step"), 3.0 * positive(&plan, "flops_forward"));
    assert_eq!(w["dispatches"], plan["dispatches_per_step"]);
}

/// The complete events of one category.
fn events<'a>(trace: &'a Json, category: &'a str) -> impl Iterator<Item = &'a Json> {
    let all = trace["traceEvents"].as_array().expect("a list of events");
    all.iter().filter(move |e| e["cat"] == category && e["ph"] == "X")
}

#[test]
fn a_profile_shows_every_node_and_changes_no_number() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out plain --steps 9").ok();
    let ended = pumice(dir, "train net.json --out profiled --steps 9 --json --profile-trace trace.json");
    assert!(state(&dir.join("plain")) == state(&dir.join("profiled")), "a profile changes the training");
    assert!(ended.stderr.contains("means of 5 batches") && ended.stderr.contains("optimizer/adam"), "{}", ended.stderr);
    let lines = ended.ok();
    assert!(lines.lines().all(|line| serde_json::from_str::<Json>(line).is_ok()), "{lines}");

    let trace: Json = serde_json::from_str(&fs::read_to_string(dir.join("trace.json")).unwrap()).unwrap();
    let plan = pumice(dir, "plan net.json --json").json();
    assert_eq!(events(&trace, "batch").count(), 5);
    let number = |e: &Json, key: &str| e[key].as_f64().filter(|x| *x >= 0.0).unwrap_or_else(|| panic!("{key} of {e}"));
    for batch in events(&trace, "batch") {
        let (start, length) = (number(batch, "ts"), number(batch, "dur"));
        let dispatches = ["forward", "backward", "update"].into_iter().flat_map(|segment| events(&trace, segment));
        let inside: Vec<&Json> = dispatches.filter(|e| (start..=start + length).contains(&number(e, "ts"))).collect();
        assert_eq!(Some(inside.len() as u64), plan["dispatches_per_step"].as_u64());
        for node in
            ["input/gather", "stem/", "d/stem/", "max_pool2d_1/", "dense_1/", "metrics/record", "optimizer/adam"]
        {
            assert!(
                inside.iter().any(|e| e["name"].as_str().is_some_and(|n| n.starts_with(node))),
                "{node} is missing"
            );
        }
        // In so small a network, the time between dispatches is a large part of the step.
        let sum: f64 = inside.iter().map(|e| number(e, "dur")).sum();
        assert!(sum <= 1.02 * length && sum > 0.05 * length, "{sum} of {length} µs");
    }
    let table = pumice(dir, "train net.json --out table --steps 9 --profile").ok();
    assert!(table.contains("share") && table.contains("100.00 %"), "{table}");
    let short = pumice(dir, "train net.json --out short --steps 2 --profile");
    assert!(short.code == 0 && short.stderr.contains("ended before its third step"), "{}", short.stderr);
}
