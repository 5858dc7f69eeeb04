//! What Mesa's drivers on Linux must be told when a program starts.

/// For a program to call first. It tells Mesa two things by variables, which must be there when the program starts. So
/// the program starts itself again, in the same process, with them. What a user has set stays. If it fails, the first
/// message below is seen, and the software adapter is slower.
///
/// - Where there is no desktop, a layer of Mesa prints `error: XDG_RUNTIME_DIR is invalid` each time a program asks for
///   adapters. `NODEVICE_SELECT` keeps the layer out.
/// - The software adapter takes vectors of 256 bits, also where the processor has 512. Pumice's kernels are faster with
///   512 (docs/performance.md, "Widths of vectors").
#[cfg(target_os = "linux")]
pub fn prepare() {
    use std::os::unix::process::CommandExt;
    const QUIET: &str = "NODEVICE_SELECT";
    const WIDTH: &str = "LP_NATIVE_VECTOR_WIDTH";
    let set = |name: &str| std::env::var_os(name).is_some();
    let mut told = Vec::new();
    if ![QUIET, "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"].into_iter().any(set) {
        told.push((QUIET, "1"));
    }
    if !set(WIDTH) && has_512_bits() {
        told.push((WIDTH, "512"));
    }
    let Some(program) = std::env::current_exe().ok().filter(|_| !told.is_empty()) else { return };
    let mut args = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // It only returns if it fails.
    let _ = again.args(args).envs(told).exec();
}

/// Elsewhere there is nothing to tell.
#[cfg(not(target_os = "linux"))]
pub fn prepare() {}

/// Whether the processor has all that LLVM needs for vectors of 512 bits: AVX-512 as servers have had it since 2017.
#[cfg(target_os = "linux")]
fn has_512_bits() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
