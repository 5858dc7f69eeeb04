// A kernel's element F: one f32, or a vec4 of them that an invocation moves at once. `Kernel::lanes` sets L, by which lib/lanes_1.wgsl or
// lib/lanes_4.wgsl is taken in: the types and the few functions that differ. All else is written once, and is valid with either.
//   F f32, U u32, I i32, B bool, all of L lanes
//   BLOCK   how many F are four numbers
#import lanes_L

override L: u32 = 1u;

// Comparisons with NaN differ between drivers, its bits do not.
fn is_nan(v: F) -> B {
    return (bitcast<U>(v) & U(0x7fffffffu)) > U(0x7f800000u);
}
