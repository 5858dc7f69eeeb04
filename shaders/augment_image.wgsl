// The picture that a sample's numbers make: y(u, v) is x at the point of the map, between four pixels, and 0 outside; then colours on the scale 0…1;
// then 0 in the empty rectangle. `numbers` are those of augment_draw.wgsl.
#import step

override H: u32 = 1u;
override W: u32 = 1u;
override C: u32 = 1u;
override MEAN_0: f32 = 0.0;
override MEAN_1: f32 = 0.0;
override MEAN_2: f32 = 0.0;
override STD_0: f32 = 1.0;
override STD_1: f32 = 1.0;
override STD_2: f32 = 1.0;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Where a pixel comes from: the first number of four pixels in x, and how much each counts. One that is outside counts nothing.
struct Taps {
    at: vec4<u32>,
    share: vec4<f32>,
}

fn taps(n: u32, place: vec2<f32>) -> Taps {
    let m = n * 14u;
    let from_u = numbers[m] * place.x + numbers[m + 1u] * place.y + numbers[m + 2u] - 0.5;
    let from_v = numbers[m + 3u] * place.x + numbers[m + 4u] * place.y + numbers[m + 5u] - 0.5;
    // Far outside, so that the numbers of pixels fit an i32.
    let corner = clamp(floor(vec2<f32>(from_u, from_v)), vec2<f32>(-2.0), vec2<f32>(f32(W), f32(H)));
    let f = clamp(vec2<f32>(from_u, from_v) - corner, vec2<f32>(), vec2<f32>(1.0));
    let j = vec4<i32>(i32(corner.x)) + vec4<i32>(0, 1, 0, 1);
    let i = vec4<i32>(i32(corner.y)) + vec4<i32>(0, 0, 1, 1);
    let inside = (i >= vec4<i32>()) & (j >= vec4<i32>()) & (i < vec4<i32>(i32(H))) & (j < vec4<i32>(i32(W)));
    let share = vec4<f32>(1.0 - f.x, f.x, 1.0 - f.x, f.x) * vec4<f32>(1.0 - f.y, 1.0 - f.y, f.y, f.y);
    let at = ((vec4<i32>(i32(n * H)) + i) * i32(W) + j) * i32(C);
    return Taps(vec4<u32>(select(vec4<i32>(), at, inside)), select(vec4<f32>(), share, inside));
}

fn tapped(t: Taps, c: u32) -> f32 {
    return (x[t.at.x + c] * t.share.x + x[t.at.y + c] * t.share.y) + (x[t.at.z + c] * t.share.z + x[t.at.w + c] * t.share.w);
}

// Whether a place is in the empty rectangle.
fn is_empty(n: u32, place: vec2<f32>) -> bool {
    let h = n * 14u + 10u;
    return place.x >= numbers[h] && place.y >= numbers[h + 1u] && place.x < numbers[h + 2u] && place.y < numbers[h + 3u];
}

// The place of a pixel of the batch in its picture.
fn place_of(pixel: u32) -> vec2<f32> {
    return vec2<f32>(f32(pixel % W), f32(pixel / W % H)) + 0.5;
}

// One invocation computes all channels of one pixel.
@compute @workgroup_size(WG)
fn moved(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < H * W * step.n {
        let n = pixel / (H * W);
        let place = place_of(pixel);
        let t = taps(n, place);
        let empty = is_empty(n, place);
        for (var c = 0u; c < C; c += 1u) {
            y[pixel * C + c] = select(tapped(t, c), 0.0, empty);
        }
    }
}

// A colour with another hue: `turn` is a part of the whole circle. Value and chroma stay.
fn turned(v: vec3<f32>, turn: f32) -> vec3<f32> {
    let high = max(max(v.x, v.y), v.z);
    let chroma = high - min(min(v.x, v.y), v.z);
    let over = 1.0 / select(chroma, 1.0, chroma == 0.0);
    var sector = 4.0 + (v.x - v.y) * over;
    sector = select(sector, 2.0 + (v.z - v.x) * over, high == v.y);
    sector = select(sector, (v.y - v.z) * over, high == v.x);
    let from_sector = vec3<f32>(5.0, 3.0, 1.0) + sector + 6.0 * turn;
    let k = from_sector - 6.0 * floor(from_sector / 6.0);
    return high - chroma * clamp(min(k, 4.0 - k), vec3<f32>(), vec3<f32>(1.0));
}

// One invocation computes all channels of one pixel, of which there are 1 or 3.
@compute @workgroup_size(WG)
fn coloured(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < H * W * step.n {
        let n = pixel / (H * W);
        let place = place_of(pixel);
        let t = taps(n, place);
        let mean = vec3<f32>(MEAN_0, MEAN_1, MEAN_2);
        let deviation = vec3<f32>(STD_0, STD_1, STD_2);
        let m = n * 14u + 6u;
        let last = C - 1u;
        let plain = vec3<f32>(tapped(t, 0u), tapped(t, min(1u, last)), tapped(t, last));
        var v = saturate((plain * deviation + mean) * numbers[m]);
        v = saturate((v - 0.5) * numbers[m + 1u] + 0.5);
        if C == 3u {
            let grey = vec3<f32>(dot(v, vec3<f32>(0.299, 0.587, 0.114)));
            v = saturate(grey + (v - grey) * numbers[m + 2u]);
            v = turned(v, numbers[m + 3u]);
        }
        v = select((v - mean) / deviation, vec3<f32>(), is_empty(n, place));
        for (var c = 0u; c < C; c += 1u) {
            y[pixel * C + c] = v[c];
        }
    }
}
