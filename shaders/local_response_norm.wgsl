// Local response normalisation (Krizhevsky, Sutskever and Hinton 2012) over the channels of each position:
//   s[c] = K + SCALE · Σ x[j]² over j from c - BEFORE to c + AFTER, clipped to the channels; y = x · s^-BETA; SCALE is alpha / size
// Gradient: t = dy · x · s^(-BETA - 1); dx[c] = dy · s^-BETA - 2 · SCALE · BETA · x · Σ t[j] over the mirrored window, which the caller
// gives as BEFORE and AFTER. In the vec4 entry points CV counts vec4s of channels: a block of them enters the window's sum lane by lane.
#import step

override ROWS: u32 = 1u; // positions of one sample
override CV: u32 = 1u;   // channels, or vec4s of them
override BEFORE: u32 = 0u;
override AFTER: u32 = 0u;
override SCALE: f32 = 1.0;
override BETA: f32 = 0.75;
override K: f32 = 1.0;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> s: array<f32>;

// One invocation computes one element of y and s.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CV * step.n {
        let c = i % CV;
        let row = i - c;
        let end = min(c + AFTER, CV - 1u);
        var sum = 0.0;
        for (var j = max(c, BEFORE) - BEFORE; j <= end; j += 1u) {
            sum += x[row + j] * x[row + j];
        }
        let base = K + SCALE * sum;
        s[i] = base;
        y[i] = x[i] * pow(base, -BETA);
    }
}

@group(0) @binding(2) var<storage, read> s_in: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CV * step.n {
        let c = i % CV;
        let row = i - c;
        let end = min(c + AFTER, CV - 1u);
        var sum = 0.0;
        for (var j = max(c, BEFORE) - BEFORE; j <= end; j += 1u) {
            sum += dy[row + j] * x[row + j] * pow(s_in[row + j], -BETA - 1.0);
        }
        dx[i] = dy[i] * pow(s_in[i], -BETA) - 2.0 * SCALE * BETA * x[i] * sum;
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> s4: array<vec4<f32>>;

// `term` of `channel` where it lies in the windows of the four channels from `c` on, else 0.
fn in_windows(channel: u32, c: u32, term: f32) -> vec4<f32> {
    let distance = vec4<i32>(i32(channel) - i32(c)) - vec4<i32>(0, 1, 2, 3);
    let inside = (distance >= vec4<i32>(-i32(BEFORE))) & (distance <= vec4<i32>(i32(AFTER)));
    return select(vec4<f32>(), vec4<f32>(term), inside);
}

// One invocation computes four channels of y and s.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CV * step.n {
        let c = i % CV;
        let row = i - c;
        let end = min((4u * c + 3u + AFTER) / 4u, CV - 1u);
        var sum = vec4<f32>();
        for (var j = (max(4u * c, BEFORE) - BEFORE) / 4u; j <= end; j += 1u) {
            let v = x4[row + j];
            let squares = v * v;
            #for k in 0..4
            sum += in_windows(4u * j + $ku, 4u * c, squares[$k]);
            #end
        }
        let base = K + SCALE * sum;
        s4[i] = base;
        y4[i] = x4[i] * pow(base, vec4<f32>(-BETA));
    }
}

@group(0) @binding(2) var<storage, read> s_in4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx4: array<vec4<f32>>;

// One invocation computes four channels of dx.
@compute @workgroup_size(WG)
fn grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CV * step.n {
        let c = i % CV;
        let row = i - c;
        let end = min((4u * c + 3u + AFTER) / 4u, CV - 1u);
        var sum = vec4<f32>();
        for (var j = (max(4u * c, BEFORE) - BEFORE) / 4u; j <= end; j += 1u) {
            let t = dy4[row + j] * x4[row + j] * pow(s_in4[row + j], vec4<f32>(-BETA - 1.0));
            #for k in 0..4
            sum += in_windows(4u * j + $ku, 4u * c, t[$k]);
            #end
        }
        dx4[i] = dy4[i] * pow(s_in4[i], vec4<f32>(-BETA)) - 2.0 * SCALE * BETA * x4[i] * sum;
    }
}
