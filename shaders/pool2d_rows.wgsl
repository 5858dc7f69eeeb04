// Max pooling of rows whose number of channels is no multiple of four. Windows
// cover x without padding, gap or overlap. pool2d.wgsl has the formulas.
// A run is a few neighbouring positions of y whose channels together fill Q vec4s.
// One invocation computes one run. It reads S Q vec4s of each of R rows of x.
// argmax holds the places of four elements a word, 8 bits each, in the order of y.
#import step
#import activation

override OH: u32 = 1u;
override R: u32 = 1u;
override S: u32 = 1u;
override C: u32 = 1u;
override Q: u32 = 1u;    // vec4s of a run of y
override WIDE: u32 = 1u; // vec4s of x under a run, in one row: S Q
override RUNS: u32 = 1u; // runs of a row

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

// The vec4 of x at which the windows of run `i` begin.
fn under(i: u32) -> u32 {
    return (i / RUNS * (R * RUNS) + i % RUNS) * WIDE;
}

// Comparisons with NaN differ between drivers, the bits of a NaN do not.
fn is_nan4(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

@compute @workgroup_size(WG)
fn max_forward(id: Invocation) {
    let i = flat_index(id);
    if i < OH * RUNS * step.n {
#for q in 0..Q
        var best_$q = vec4<f32>();
        var arg_$q = vec4<u32>();
#end
#for r in 0..R
        {
            let row = array<vec4<f32>, WIDE>(
#for j in 0..WIDE
                x4[under(i) + $ru * (RUNS * WIDE) + $ju],
#end
            );
#for q in 0..Q
#for s in 0..S
            {
                let v = vec4<f32>(
#for e in 0..4
                    row[(((4u * $qu + $eu) / C * S + $su) * C + (4u * $qu + $eu) % C) / 4u][(((4u * $qu + $eu) / C * S + $su) * C + (4u * $qu + $eu) % C) % 4u],
#end
                );
                let better = vec4<bool>($ru + $su == 0u) | (v > best_$q) | is_nan4(v);
                best_$q = select(best_$q, v, better);
                arg_$q = select(arg_$q, vec4<u32>($ru * S + $su), better);
            }
#end
#end
        }
#end
#for q in 0..Q
        y4[i * Q + $qu] = best_$q;
        argmax[i * Q + $qu] = arg_$q.x | (arg_$q.y << 8u) | (arg_$q.z << 16u) | (arg_$q.w << 24u);
#end
    }
}

@group(0) @binding(1) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax_in: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> y_in4: array<vec4<f32>>; // if no activation made x, any other operand is bound and ignored

@compute @workgroup_size(WG)
fn max_grad_input(id: Invocation) {
    let i = flat_index(id);
    if i < OH * RUNS * step.n {
        let d = array<vec4<f32>, Q>(
#for q in 0..Q
            dy4[i * Q + $qu],
#end
        );
        let words = array<u32, Q>(
#for q in 0..Q
            argmax_in[i * Q + $qu],
#end
        );
#for r in 0..R
#for j in 0..WIDE
        {
            let at = under(i) + $ru * (RUNS * WIDE) + $ju;
            dx4[at] = activate_grad4(y_in4[select(0u, at, ACTIVATION != 0u)]) * vec4<f32>(
#for e in 0..4
                won(d[((4u * $ju + $eu) / C / S * C + (4u * $ju + $eu) % C) / 4u][((4u * $ju + $eu) / C / S * C + (4u * $ju + $eu) % C) % 4u], words[((4u * $ju + $eu) / C / S * C + (4u * $ju + $eu) % C) / 4u], ((4u * $ju + $eu) / C / S * C + (4u * $ju + $eu) % C) % 4u, $ru * S + (4u * $ju + $eu) / C % S),
#end
            );
        }
#end
#end
    }
}

// d, which is dy of an element, if byte `e` of its word of argmax says `place`; else 0.
fn won(d: f32, word: u32, e: u32, place: u32) -> f32 {
    return select(0.0, d, ((word >> (8u * e)) & 255u) == place);
}
