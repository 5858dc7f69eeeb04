// What softmax.wgsl and cross_entropy.wgsl share: sums of exponentials over a row of x that do not overflow.
#import reduce

@group(0) @binding(4) var<storage, read> x: array<F>;

// The largest number m of the row that starts at element `row`, and Σ exp(x - m), in
// one pass (Milakov and Gimelshein 2018): when a larger m comes, the sum so far is
// scaled down. The difference of equal numbers counts as 0, even if both are infinite.
fn row_sum(row: u32) -> vec2<f32> {
    var m = lane_of(x[row], 0u);
    var sum = 0.0;
    for (var c = 0u; c < C; c += BLOCK) {
        let before = m;
        #for i in 0..BLOCK
        let v$i = x[row + column(c + $iu)];
        m = max_lanes(m, v$i);
        #end
        sum *= lane_of(exp_below(F(before), m), 0u);
        #for i in 0..BLOCK
        sum += sum_lanes(counted(c + $iu, exp_below(v$i, m)));
        #end
    }
    return vec2<f32>(m, sum);
}
