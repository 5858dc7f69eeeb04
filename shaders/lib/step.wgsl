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
    average: f32,     // the share of the average of the parameters that this update keeps
}
@group(0) @binding(0) var<uniform> step: Step;

// Invocations of one workgroup. The kernel's grid sets it.
override WG: u32 = 64u;

// Workgroups in a row of a grid that is folded into two dimensions; set where it is. A constant, since on DX12 the built-in that says how many
// workgroups there are is right in an entry point alone, not in a struct that it hands on.
override FOLD: u32 = 65535u;

// What an entry point is told.
struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32, // its number in the workgroup
}

// The number of its workgroup.
fn group_index(id: Invocation) -> u32 {
    return id.group.y * FOLD + id.group.x;
}

// The number of the invocation in the whole grid.
fn flat_index(id: Invocation) -> u32 {
    return group_index(id) * WG + id.local;
}
