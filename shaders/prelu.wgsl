// prelu: y = x where x > 0, else weight · x with one learned weight. Gradients: dx = dy where x > 0, else weight · dy;
// dweight = Σ dy · x over all other x, in PARTS partial sums that are then added in order.
#import step

override ITEMS: u32 = 1u; // elements of one sample, or vec4s of them
override PARTS: u32 = 8u; // a multiple of 8

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        y[i] = x[i] * select(weight[0], 1.0, x[i] > 0.0);
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;

// One invocation computes four elements of y.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        y4[i] = x4[i] * select(vec4<f32>(weight[0]), vec4<f32>(1.0), x4[i] > vec4<f32>());
    }
}

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

// One invocation computes every eighth element of dx in a stretch that eight of them share, and its sum of dweight.
@compute @workgroup_size(WG)
fn grad_partial(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let part = group_index(group, groups) * WG + lane;
    if part < PARTS {
        let count = ITEMS * step.n;
        let stretch = (count + PARTS - 1u) / PARTS * 8u;
        let slope = weight[0];
        let start = part / 8u * stretch;
        let end = min(start + stretch, count);
        var sum = 0.0;
        for (var i = start + part % 8u; i < end; i += 8u) {
            let positive = x[i] > 0.0;
            dx[i] = dy[i] * select(slope, 1.0, positive);
            sum += select(x[i] * dy[i], 0.0, positive);
        }
        parts[part] = sum;
    }
}

@group(0) @binding(2) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx4: array<vec4<f32>>;

// The same with vec4s for elements.
@compute @workgroup_size(WG)
fn grad_partial_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let part = group_index(group, groups) * WG + lane;
    if part < PARTS {
        let count = ITEMS * step.n;
        let stretch = (count + PARTS - 1u) / PARTS * 8u;
        let slope = vec4<f32>(weight[0]);
        let start = part / 8u * stretch;
        let end = min(start + stretch, count);
        var sum = vec4<f32>();
        for (var i = start + part % 8u; i < end; i += 8u) {
            let positive = x4[i] > vec4<f32>();
            dx4[i] = dy4[i] * select(slope, vec4<f32>(1.0), positive);
            sum += select(x4[i] * dy4[i], vec4<f32>(), positive);
        }
        parts[part] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;

// One invocation adds all partial sums, in order, eight at a time.
@compute @workgroup_size(WG)
fn grad_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if group_index(group, groups) * WG + lane == 0u {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 8u) {
            var block = 0.0;
            #for i in 0..8
            block += parts_in[part + $iu];
            #end
            sum += block;
        }
        dweight[0] = sum;
    }
}
