// The loss of a mask head (He et al. 2017). y holds R regions one below the other, each of ROWS rows of which the first SIZE count, with a
// channel for each label. wanted[r] says how much of each of SIZE x SIZE pixels is the region's object.
//   loss[n] = Σ over regions of objects of the mean over their pixels of (log(1 + exp(s)) - s · wanted), s = y[pixel, label]
#import step
#import rois

override R: u32 = 1u;           // regions of a sample that are taken
override SIZE: u32 = 1u;
override ROWS: u32 = 1u;
override CHANNELS: u32 = 2u;
override H: u32 = 1u;           // rows and columns of the picture of instances
override W: u32 = 1u;
override ROUNDING: f32 = 1e-5;

@group(0) @binding(1) var<storage, read> instances: array<i32>;
@group(0) @binding(2) var<storage, read> owner: array<i32>;
@group(0) @binding(4) var<storage, read_write> wanted: array<f32>;

// Along one direction of a region: where it starts, the side of a pixel, and its samples.
struct Along {
    start: f32,
    bin: f32,
    count: u32,
}

fn along(low: f32, high: f32, cells: u32) -> Along {
    let bin = max((high - low) * f32(cells), 1.0) / f32(SIZE);
    return Along(low * f32(cells), bin, u32(max(ceil(bin - ROUNDING), 1.0)));
}

fn place(a: Along, k: u32, i: u32) -> f32 {
    return a.start + f32(k) * a.bin + (f32(i) + 0.5) * a.bin / f32(a.count);
}

// 1 where a pixel of sample n is the object `own`, else 0.
fn shows(n: u32, y: u32, x: u32, own: i32) -> f32 {
    return select(0.0, 1.0, instances[(n * H + y) * W + x] == own);
}

// One invocation computes one pixel of one region.
@compute @workgroup_size(WG)
fn wanted_pixels(id: Invocation) {
    let i = flat_index(id);
    if i < R * SIZE * SIZE * step.n {
        let r = i / (SIZE * SIZE);
        let n = r / R;
        let row = n * ALL + r % R;
        let own = owner[row];
        var sum = 0.0;
        if own > 0 && is_region(row) {
            let c = region(row);
            let down = along(c.y, c.w, H);
            let across = along(c.x, c.z, W);
            for (var a = 0u; a < down.count; a += 1u) {
                let v = between(place(down, i / SIZE % SIZE, a), H);
                for (var b = 0u; b < across.count; b += 1u) {
                    let h = between(place(across, i % SIZE, b), W);
                    let top = shows(n, v.low, h.low, own) * h.weight_low + shows(n, v.low, h.high, own) * h.weight_high;
                    let bottom = shows(n, v.high, h.low, own) * h.weight_low + shows(n, v.high, h.high, own) * h.weight_high;
                    sum += top * v.weight_low + bottom * v.weight_high;
                }
            }
            sum /= f32(down.count * across.count);
        }
        wanted[i] = sum;
    }
}

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> wanted_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

// The channel of region r of those that are taken; 0 where nothing is learnt from it.
fn channel_of(r: u32) -> u32 {
    let row = r / R * ALL + r % R;
    return min(u32(max(rois[5u * row], 0.0)), CHANNELS - 1u);
}

// One invocation adds the pixels of one line of one region.
@compute @workgroup_size(WG)
fn lines(id: Invocation) {
    let i = flat_index(id);
    if i < R * SIZE * step.n {
        let r = i / SIZE;
        let channel = channel_of(r);
        var sum = 0.0;
        if channel > 0u {
            for (var k = 0u; k < SIZE; k += 1u) {
                let s = y[((r * ROWS + i % SIZE) * SIZE + k) * CHANNELS + channel];
                sum += max(s, 0.0) + log(1.0 + exp(-abs(s))) - s * wanted_in[i * SIZE + k];
            }
        }
        parts[i] = sum / f32(SIZE * SIZE);
    }
}

@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of all channels of one position.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < R * ROWS * SIZE * step.n {
        let r = i / (ROWS * SIZE);
        let k = i % (ROWS * SIZE);
        let channel = select(0u, channel_of(r), k < SIZE * SIZE);
        for (var c = 0u; c < CHANNELS; c += 1u) {
            var d = 0.0;
            if c == channel && channel > 0u {
                let s = y[i * CHANNELS + c];
                let e = exp(-abs(s));
                let p = select(1.0, e, s < 0.0) / (1.0 + e);
                d = (p - wanted_in[r * SIZE * SIZE + k]) * dloss[r / R] / f32(SIZE * SIZE);
            }
            dy[i * CHANNELS + c] = d;
        }
    }
}
