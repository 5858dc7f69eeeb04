//! Kills at random moments.

use super::*;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Moments that look random, the same in every run of the test (Knuth's constants of MMIX).
struct Moments(u64);

impl Moments {
    fn next(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        most.mul_f64((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// With `PUMICE_TEST_ALL` a hundred kills, else ten: start, kill, go on, until the run ends by itself; then compare, and
/// begin anew.
#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    if !adapter() {
        return;
    }
    let wanted = if std::env::var("PUMICE_TEST_ALL").is_ok_and(|all| all == "1") { 100 } else { 10 };
    let dir = folder();
    let dir = dir.path();
    let start = Instant::now();
    pumice(dir, "train net.json --out whole --epochs 60").ok();
    let whole = start.elapsed();
    let expected = outcome(&dir.join("whole"));
    let (mut moments, mut kills, mut rounds, mut early) = (Moments(7), 0, 0, 0);
    while kills < wanted {
        let name = format!("run{rounds}");
        rounds += 1;
        loop {
            let begun = dir.join(&name).join("spec.json").exists();
            let flag = if begun { "--resume" } else { "--out" };
            let mut command = program(dir, &format!("train net.json {flag} {name} --epochs 60"));
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
            if kills < wanted {
                std::thread::sleep(moments.next(whole));
            }
            if kills < wanted && child.try_wait().expect("a state").is_none() {
                child.kill().expect("a kill");
                child.wait().expect("it ends");
                kills += 1;
                early += usize::from(checkpoints(&dir.join(&name)).is_empty());
                continue;
            }
            Ended::of(child.wait_with_output().expect("it ends")).ok();
            break;
        }
        assert!(outcome(&dir.join(&name)) == expected, "{name} differs after {kills} kills");
        let left = fs::read_dir(dir.join(&name).join("checkpoint")).expect("checkpoints");
        let names: Vec<String> =
            left.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
    println!("{kills} kills, {early} of them before the first checkpoint, over {rounds} runs");
}
