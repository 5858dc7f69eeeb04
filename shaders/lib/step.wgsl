// The values that change from step to step (src/graph/step.rs), and the built-ins that identify an invocation.

struct Step {
    n: u32,           // samples in this batch
    step: u32,        // the number of this optimizer step, from 0
    seed: u32,
    slot: u32,        // the slot of the ring of losses that this step writes
    offset: u32,      // where the batch begins in the epoch's order
    inv_n: f32,       // 1 / (samples that share this update)
    lr: f32,
    correction1: f32,
    correction2: f32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> step: Step;

// Invocations of one workgroup. The kernel's grid sets it.
override WG: u32 = 64u;

// The built-ins of an entry point.
struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32, // number of the invocation in its workgroup
}

// The number of the workgroup in the whole grid. A grid that is too long for one dimension is folded into two.
fn group_index(id: Invocation) -> u32 {
    return id.group.y * id.groups.x + id.group.x;
}

// The number of the invocation in the whole grid.
fn flat_index(id: Invocation) -> u32 {
    return group_index(id) * WG + id.local;
}
