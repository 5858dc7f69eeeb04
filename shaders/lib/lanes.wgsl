// A kernel's element type F: f32, or a vec4 of f32 that an invocation moves at once. `Kernel::lanes` sets L, the number
// of lanes of F: 1 or 4. It also chooses the file that is imported here, lib/lanes_1.wgsl or lib/lanes_4.wgsl. That
// file has the types and the few functions that differ. All other code is written once and is valid with either.
//   F, U, I, B   f32, u32, i32 and bool, each of L lanes
//   BLOCK        how many F hold four numbers: 4 / L
#import lanes_L

override L: u32 = 1u;

// Comparisons with NaN differ between drivers, the bits of a NaN do not.
fn is_nan(v: F) -> B {
    return (bitcast<U>(v) & U(0x7fffffffu)) > U(0x7f800000u);
}
