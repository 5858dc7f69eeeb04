// Local response normalisation (Krizhevsky, Sutskever and Hinton 2012) over the channels of each position.
//   y = x · s^-BETA with s[c] = K + SCALE · Σ x[j]², SCALE = alpha / size
// The sum runs over j from c - BEFORE to c + AFTER, clipped to the channels. With t = dy · x · s^(-BETA - 1):
//   dx[c] = dy · s^-BETA - 2 · SCALE · BETA · x · Σ t[j]
// This sum runs over the mirrored window, whose BEFORE and AFTER the caller gives. C counts channels in F. So an
// element of F enters the sums of a window lane by lane.
#import step
#import lanes

override ROWS: u32 = 1u; // positions of one sample
override C: u32 = 1u;    // channels, in F
override BEFORE: u32 = 0u;
override AFTER: u32 = 0u;
override SCALE: f32 = 1.0;
override BETA: f32 = 0.75;
override K: f32 = 1.0;

// The first and the last element of a row that overlap the windows of the channels of element c.
fn under(c: u32) -> vec2<u32> {
    return vec2<u32>((max(L * c, BEFORE) - BEFORE) / L, min((L * c + L - 1u + AFTER) / L, C - 1u));
}

// For each channel of element c: `term`, which belongs to `channel`, if `channel` lies in its window, else 0.
fn in_windows(channel: u32, c: u32, term: f32) -> F {
    let distance = I(i32(channel)) - I(numbers(c));
    let inside = (distance >= I(-i32(BEFORE))) & (distance <= I(i32(AFTER)));
    return select(F(), F(term), inside);
}

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(3) var<storage, read_write> s: array<F>;

// One invocation computes one element of y and s.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * C * step.n {
        let c = i % C;
        let row = i - c;
        let met = under(c);
        var sum = F();
        for (var j = met.x; j <= met.y; j += 1u) {
            let squares = x[row + j] * x[row + j];
            #for k in 0..L
            sum += in_windows(L * j + $ku, c, lane_of(squares, $ku));
            #end
        }
        let base = K + SCALE * sum;
        s[i] = base;
        y[i] = x[i] * pow(base, F(-BETA));
    }
}

@group(0) @binding(2) var<storage, read> s_in: array<F>;
@group(0) @binding(3) var<storage, read> dy: array<F>;
@group(0) @binding(4) var<storage, read_write> dx: array<F>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * C * step.n {
        let c = i % C;
        let row = i - c;
        let met = under(c);
        var sum = F();
        for (var j = met.x; j <= met.y; j += 1u) {
            let t = dy[row + j] * x[row + j] * pow(s_in[row + j], F(-BETA - 1.0));
            #for k in 0..L
            sum += in_windows(L * j + $ku, c, lane_of(t, $ku));
            #end
        }
        dx[i] = dy[i] * pow(s_in[i], F(-BETA)) - 2.0 * SCALE * BETA * x[i] * sum;
    }
}
