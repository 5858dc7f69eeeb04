// Cross-entropy of every pixel's logits x with its class y, where the classes have weights w. With
//   q[c] = SHARE w[c], plus (1 - SMOOTHING) w[y] where c = y
//   losses[n] = Σ q[c] (log Σ exp(x) - x[c]) over pixels and classes; weights[n] = Σ w[y] over pixels
//   dx[c] = dloss[n] (softmax(x)[c] Σ q - q[c])
// Pixels of class IGNORE add nothing and get no gradient. A row of x has the C units of a pixel.
#import step
#import pixels

override PARTS: u32 = 1u; // partial sums of one sample
override SPAN: u32 = 1u;  // pixels, side by side, that SIDE invocations sum together
override SIDE: u32 = 1u;

override SMOOTHING: f32 = 0.0; // label smoothing: the part of the target that is spread evenly over all classes
override SHARE: f32 = 0.0;     // SMOOTHING / classes
override SPREAD: f32 = 0.0;    // SHARE Σ w
override WEIGHTED: u32 = 0u;   // 1: the classes have weights; 0: all weights are 1

@group(0) @binding(2) var<storage, read> class_weights: array<F>;

// The weight of a class.
fn weight_of(class_index: u32) -> f32 {
    switch WEIGHTED {
        case 1u: { return lane_of(class_weights[class_index / L], class_index % L); }
        default: { return 1.0; }
    }
}

// The weights of element `c` of a row.
fn weights_of(c: u32) -> F {
    switch WEIGHTED {
        case 1u: { return class_weights[c]; }
        default: { return F(1.0); }
    }
}

@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> weights: array<f32>;

// The logit of a pixel's own class.
fn own_logit(row: u32, own: u32) -> f32 {
    let unit = max(own, FIRST) - FIRST;
    return select(lane_of(x[row + unit / L], unit % L), 0.0, own < FIRST);
}

// Σ SHARE w (m - x) over a row, where m is its largest logit. Without smoothing it is 0 and costs no loop.
fn spread_loss(row: u32, m: f32) -> f32 {
    var sum = F();
    if SMOOTHING > 0.0 {
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            sum += counted(c + $iu, weights_of(column(c + $iu)) * (m - x[row + column(c + $iu)]));
            #end
        }
    }
    return sum_lanes(sum) * SHARE;
}

// A pixel's loss and weight.
fn pixel_loss(pixel: u32) -> vec2<f32> {
    let row = pixel * C;
    let sum = pixel_sum(row);
    let own = class_of(pixel);
    let weight = weight_of(own);
    let hot = (1.0 - SMOOTHING) * weight;
    let loss = log(sum.y) * (hot + SPREAD) + (hot * (sum.x - own_logit(row, own)) + spread_loss(row, sum.x));
    return select(vec2<f32>(loss, weight), vec2<f32>(), ignored(pixel));
}

// One invocation sums every SIDE-th pixel of a span of SPAN pixels of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let k = flat_index(id);
    if k < PARTS * step.n {
        let start = k / PARTS * PIXELS;
        let span = k % PARTS / SIDE * SPAN;
        var sum = vec2<f32>();
        for (var i = span + k % SIDE; i < min(span + SPAN, PIXELS); i += SIDE) {
            sum += pixel_loss(start + i);
        }
        losses[k] = sum.x;
        weights[k] = sum.y;
    }
}

@group(0) @binding(1) var<storage, read> loss_parts: array<f32>;
@group(0) @binding(2) var<storage, read> weight_parts: array<f32>;

// One invocation adds the partial sums of one sample, in order.
@compute @workgroup_size(WG)
fn sums(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = vec2<f32>();
        for (var k = n * PARTS; k < (n + 1u) * PARTS; k += 1u) {
            sum += vec2<f32>(loss_parts[k], weight_parts[k]);
        }
        losses[n] = sum.x;
        weights[n] = sum.y;
    }
}

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<F>;

// q of element `c` of a row, whose pixel has the class `own`.
fn target_of(c: u32, own: u32, hot: f32) -> F {
    var q = select(F(), F(hot), is_class(c, own));
    if SMOOTHING > 0.0 {
        q += weights_of(c) * SHARE;
    }
    return q;
}

// One invocation computes dx of one pixel.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < PIXELS * step.n {
        let row = pixel * C;
        let sum = pixel_sum(row);
        let own = class_of(pixel);
        let hot = (1.0 - SMOOTHING) * weight_of(own);
        let d = select(dloss[pixel / PIXELS], 0.0, ignored(pixel));
        let scale = d * (hot + SPREAD) / sum.y;
        for (var c = 0u; c < C; c += BLOCK) {
            // Past the last element, the last one is written again, with the same value.
            #for i in 0..BLOCK
            let c$i = column(c + $iu);
            dx[row + c$i] = exp(x[row + c$i] - sum.x) * scale - d * target_of(c$i, own, hot);
            #end
        }
    }
}
