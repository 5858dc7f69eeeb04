// Activations y = f(x) and their derivatives.
// Derivatives are functions of y, which a fused op has at hand;
// gelu, silu and hard_swish need x, because y does not determine f'.
// Comparisons and selects are used instead of min and max, which may turn NaN into a number.
#import lanes

override ACTIVATION: u32 = 0u; // 0 none, 1 relu, 2 leaky_relu, 3 sigmoid, 4 tanh, 5 softplus, 6 relu6, 7 elu, 8 gelu,
                               // 9 silu, 10 hard_sigmoid, 11 hard_swish, 12 softsign, 13 thresholded_relu
override SLOPE: f32 = 0.01;    // of leaky_relu
override ALPHA: f32 = 1.0;     // of elu and thresholded_relu

// 1 / (1 + exp(-x)). The argument of exp is never positive, so exp cannot overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// tanh(x) from exp(-2|x|), because the built-in tanh overflows on some
// drivers. For small x a series, because 1 - e would cancel there.
fn hyperbolic_tangent(x: f32) -> f32 {
    let e = exp(-2.0 * abs(x));
    let far = (1.0 - e) / (1.0 + e);
    let q = x * x;
    let near = x * (1.0 + q * (-1.0 / 3.0 + q * (2.0 / 15.0 + q * (-17.0 / 315.0 + q * (62.0 / 2835.0)))));
    return select(select(far, -far, x < 0.0), near, abs(x) < 0.3);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).
// For small e = exp(-|x|) a series of log(1 + e), because the sum 1 + e would lose e.
fn softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    let near = e * (1.0 + e * (-0.5 + e * (1.0 / 3.0 + e * (-0.25 + e * 0.2))));
    return select(x, 0.0, x < 0.0) + select(log(1.0 + e), near, e < 0.05);
}

// The derivative of softplus from its result y: 1 - exp(-y). For small y a series, because the difference would cancel.
fn softplus_grad(y: f32) -> f32 {
    let near = y * (1.0 + y * (-0.5 + y * (1.0 / 6.0 + y * (-1.0 / 24.0 + y * (1.0 / 120.0)))));
    return select(1.0 - exp(-y), near, y < 0.1);
}

// x, clipped to the range from 0 to `most`.
fn between(x: f32, most: f32) -> f32 {
    return select(select(x, most, x > most), 0.0, x < 0.0);
}

// exp(x) - 1 for negative x. For x near 0 a series, because the
// difference would cancel. The argument of exp is never positive.
fn exp_minus_1(x: f32) -> f32 {
    let near = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x * (1.0 / 120.0 + x * (1.0 / 720.0 + x * (1.0 / 5040.0)))))));
    return select(exp(-abs(x)) - 1.0, near, x > -0.5);
}

// The distribution function of the normal distribution, Φ(x) = erfc(-x / √2) / 2. Neither tail cancels:
// - near 0, erf as in Cephes' erff (S. Moshier);
// - elsewhere, erfc by a Chebyshev fit of small relative error (Press et al., Numerical Recipes, erfcc).
// |x| / √2 is cut at 20: in f32 Φ is 0 or 1 long before that.
fn normal_cdf(x: f32) -> f32 {
    let a = abs(x) * 0.70710678;
    let z = select(a, 20.0, a > 20.0);
    let q = z * z;
    let erf = z * (1.12837917 + q * (-0.37612626 + q * (0.112835851 + q * (-0.0268538138 + q * (0.00518832769
        + q * (-0.000801019363 + q * 0.0000785386135))))));
    let t = 1.0 / (1.0 + 0.5 * z);
    let power = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
        + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    let tail = select(0.5 * t * exp(power - q), 0.5 - 0.5 * erf, z < 1.0);
    return select(1.0 - tail, tail, x < 0.0);
}

// The derivative of gelu, x · Φ(x): Φ(x) + x · φ(x), with φ the density of the normal distribution.
fn gelu_grad(x: f32) -> f32 {
    let z = select(select(x, 20.0, x > 20.0), -20.0, x < -20.0);
    return normal_cdf(x) + z * (0.39894228 * exp(-0.5 * z * z));
}

// The derivative of silu, s + x · s · (1 - s) with s = sigmoid(x). The
// factor 1 - s is not computed as a difference, which would cancel.
fn silu_grad(x: f32) -> f32 {
    let e = exp(-abs(x));
    return sigmoid(x) + x * (e / ((1.0 + e) * (1.0 + e)));
}

fn activate(x: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(x, 0.0, x < 0.0); }
        case 2u: { return select(x, x * SLOPE, x < 0.0); }
        case 3u: { return sigmoid(x); }
        case 4u: { return hyperbolic_tangent(x); }
        case 5u: { return softplus(x); }
        case 6u: { return between(x, 6.0); }
        case 7u: { return select(x, ALPHA * exp_minus_1(x), x < 0.0); }
        case 8u: { return x * normal_cdf(x); }
        case 9u: { return x * sigmoid(x); }
        case 10u: { return between(x + 3.0, 6.0) / 6.0; }
        case 11u: { return x * (between(x + 3.0, 6.0) / 6.0); }
        case 12u: { return x / (1.0 + abs(x)); }
        case 13u: { return select(x, 0.0, x <= ALPHA); }
        default: { return x; }
    }
}

// activate for each lane of an F.
fn activate_lanes(x: F) -> F {
    return F(
#for l in 0..L
        activate(lane_of(x, $lu)),
#end
    );
}

fn activate4(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(activate(x.x), activate(x.y), activate(x.z), activate(x.w));
}

// The factor f' that dy is multiplied by. The argument is y; for gelu, silu and hard_swish it is x.
// At kinks the derivative is PyTorch's: 0 for relu, relu6, thresholded_relu, hard_sigmoid and the left kink of hard_swish, SLOPE for
// leaky_relu, ALPHA for elu, 1 for the right kink of hard_swish.
fn activate_grad(y: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(1.0, 0.0, y <= 0.0); }
        case 2u: { return select(SLOPE, 1.0, y > 0.0); }
        case 3u: { return y * (1.0 - y); }
        case 4u: { return 1.0 - y * y; }
        case 5u: { return softplus_grad(y); }
        case 6u: { return select(0.0, 1.0, y > 0.0 && y < 6.0); }
        case 7u: { return select(y + ALPHA, 1.0, y > 0.0); }
        case 8u: { return gelu_grad(y); }
        case 9u: { return silu_grad(y); }
        case 10u: { return select(0.0, 1.0 / 6.0, y > 0.0 && y < 1.0); }
        case 11u: { return select(select(y / 3.0 + 0.5, 1.0, y >= 3.0), 0.0, y <= -3.0); }
        case 12u: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        case 13u: { return select(0.0, 1.0, y > ALPHA); }
        default: { return 1.0; }
    }
}

fn activate_grad_lanes(y: F) -> F {
    return F(
#for l in 0..L
        activate_grad(lane_of(y, $lu)),
#end
    );
}

fn activate_grad4(y: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(activate_grad(y.x), activate_grad(y.y), activate_grad(y.z), activate_grad(y.w));
}
