// Global average pooling: y[n, c] = mean over pixels p of x[n, p, c], and dx[n, p, c] = dy[n, c] / pixels,
// times f' of y_in where x = f(…) = y_in.
// C is in fours for the `…_vec4` entries.
#import step
#import activation

override ROWS: u32 = 1u;   // pixels of x, or partial sums of the stage before
override C: u32 = 1u;
override PARTS: u32 = 1u;  // sums that a sample's rows are split into
override SCALE: f32 = 1.0;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> sums4: array<vec4<f32>>;

// One invocation computes sums[n, part, c] = SCALE * sum of one part of the rows.
@compute @workgroup_size(WG)
fn sum_rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < step.n * PARTS * C {
        let length = (ROWS + PARTS - 1u) / PARTS;
        let start = i / C % PARTS * length;
        let end = min(start + length, ROWS);
        let image = i / (C * PARTS) * ROWS;
        var sum = 0.0;
        for (var p = start; p < end; p += 1u) {
            sum += x[(image + p) * C + i % C];
        }
        sums[i] = sum * SCALE;
    }
}

// One invocation computes sums[n, part, c] = SCALE * sum of one part of the rows, four channels.
@compute @workgroup_size(WG)
fn sum_rows_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < step.n * PARTS * C {
        let length = (ROWS + PARTS - 1u) / PARTS;
        let start = i / C % PARTS * length;
        let end = min(start + length, ROWS);
        let image = i / (C * PARTS) * ROWS;
        var sum = vec4<f32>(0.0);
        for (var p = start; p < end; p += 1u) {
            sum += x4[(image + p) * C + i % C];
        }
        sums4[i] = sum * SCALE;
    }
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(1) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> y_in: array<f32>; // without an activation before any other operand, ignored
@group(0) @binding(3) var<storage, read> y_in4: array<vec4<f32>>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < step.n * ROWS * C {
        dx[i] = dy[i / (ROWS * C) * C + i % C] * SCALE * activate_grad(y_in[select(0u, i, ACTIVATION != 0u)]);
    }
}

// One invocation computes one element of dx, four channels.
@compute @workgroup_size(WG)
fn grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < step.n * ROWS * C {
        dx4[i] = dy4[i / (ROWS * C) * C + i % C] * SCALE * activate_grad4(y_in4[select(0u, i, ACTIVATION != 0u)]);
    }
}
