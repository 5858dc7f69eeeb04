// Local response normalisation (Krizhevsky, Sutskever and Hinton 2012) over the channels of each position:
//   s[c] = K + SCALE · Σ x[j]² over j from c - BEFORE to c + AFTER, clipped to the channels; y = x · s^-BETA; SCALE is alpha / size
// Gradient: t = dy · x · s^(-BETA - 1); dx[c] = dy · s^-BETA - 2 · SCALE · BETA · x · Σ t[j] over the mirrored window, which the caller
// gives as BEFORE and AFTER. C counts channels in F: an element enters the window's sums lane by lane.
#import step
#import lanes

override ROWS: u32 = 1u; // positions of one sample
override C: u32 = 1u;    // channels, in F
override BEFORE: u32 = 0u;
override AFTER: u32 = 0u;
override SCALE: f32 = 1.0;
override BETA: f32 = 0.75;
override K: f32 = 1.0;

// The first and the last element of a row that meet the windows of the channels of element c.
fn under(c: u32) -> vec2<u32> {
    return vec2<u32>((max(L * c, BEFORE) - BEFORE) / L, min((L * c + L - 1u + AFTER) / L, C - 1u));
}

// `term` of `channel` where it lies in the windows of the channels of element c, else 0.
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
