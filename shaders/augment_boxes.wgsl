// The boxes of a picture that was moved: the upright box around each moved one, clipped to the picture. One whose centre has left the picture becomes
// padding, class -1. A box is class, left, top, right and bottom, the last four as shares of the picture. `numbers` are those of augment_draw.wgsl.
#import step

override M: u32 = 1u; // boxes of a picture
override H: u32 = 1u;
override W: u32 = 1u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Where the changed picture of sample n shows a point of the plain one: the inverse of its map.
fn shown_at(n: u32, point: vec2<f32>) -> vec2<f32> {
    let m = n * 14u;
    let a = numbers[m];
    let b = numbers[m + 1u];
    let c = numbers[m + 3u];
    let d = numbers[m + 4u];
    let p = point - vec2<f32>(numbers[m + 2u], numbers[m + 5u]);
    return vec2<f32>(d * p.x - b * p.y, a * p.y - c * p.x) / (a * d - b * c);
}

// One invocation computes one box.
@compute @workgroup_size(WG)
fn boxes(id: Invocation) {
    let i = flat_index(id);
    if i < M * step.n {
        let n = i / M;
        let at = i * 5u;
        let side = vec2<f32>(f32(W), f32(H));
        let first = vec2<f32>(x[at + 1u], x[at + 2u]) * side;
        let second = vec2<f32>(x[at + 3u], x[at + 4u]) * side;
        let centre = shown_at(n, (first + second) * 0.5);
        let stays = x[at] >= 0.0 && all(centre >= vec2<f32>()) && all(centre < side);
        let p = shown_at(n, first);
        let q = shown_at(n, vec2<f32>(second.x, first.y));
        let r = shown_at(n, vec2<f32>(first.x, second.y));
        let s = shown_at(n, second);
        let least = saturate(min(min(p, q), min(r, s)) / side);
        let most = saturate(max(max(p, q), max(r, s)) / side);
        y[at] = select(-1.0, x[at], stays);
        y[at + 1u] = select(0.0, least.x, stays);
        y[at + 2u] = select(0.0, least.y, stays);
        y[at + 3u] = select(0.0, most.x, stays);
        y[at + 4u] = select(0.0, most.y, stays);
    }
}
