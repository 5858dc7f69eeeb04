// The values that change from step to step (src/graph/step.rs), and the index of an invocation.

struct Step {
    n: u32,           // samples in this batch
    step: u32,        // number of the optimizer step, from 0
    seed: u32,
    slot: u32,        // slot of the ring of losses
    offset: u32,      // first position in the epoch's order
    inv_n: f32,       // 1 / samples that share this update
    lr: f32,
    correction1: f32,
    correction2: f32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> step: Step;

// Invocations of one workgroup; set by the kernel's grid.
override WG: u32 = 64u;

// The flat number of a workgroup in a grid that may be folded into two dimensions.
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
