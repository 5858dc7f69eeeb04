// Activations and their derivatives as functions of their result, y = f(x): what a fused op has at hand.
// Comparisons and selects rather than min and max, which may swallow NaN.

override ACTIVATION: u32 = 0u; // 0 none, 1 relu, 2 leaky_relu, 3 sigmoid, 4 tanh, 5 softplus
override SLOPE: f32 = 0.01;    // of leaky_relu

// 1 / (1 + exp(-x)); exp sees no positive number, so it cannot overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

// By exp(-2|x|) where the built-in overflows on some drivers, and by its series where 1 - e would cancel.
fn hyperbolic_tangent(x: f32) -> f32 {
    let e = exp(-2.0 * abs(x));
    let far = (1.0 - e) / (1.0 + e);
    let q = x * x;
    let near = x * (1.0 + q * (-1.0 / 3.0 + q * (2.0 / 15.0 + q * (-17.0 / 315.0 + q * (62.0 / 2835.0)))));
    return select(select(far, -far, x < 0.0), near, abs(x) < 0.3);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)); the series where 1 + e would lose e.
fn softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    let near = e * (1.0 + e * (-0.5 + e * (1.0 / 3.0 + e * (-0.25 + e * 0.2))));
    return select(x, 0.0, x < 0.0) + select(log(1.0 + e), near, e < 0.05);
}

// Its derivative, 1 - exp(-y); the series where that would cancel.
fn softplus_grad(y: f32) -> f32 {
    let near = y * (1.0 + y * (-0.5 + y * (1.0 / 6.0 + y * (-1.0 / 24.0 + y * (1.0 / 120.0)))));
    return select(1.0 - exp(-y), near, y < 0.1);
}

fn activate(x: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(x, 0.0, x < 0.0); }
        case 2u: { return select(x, x * SLOPE, x < 0.0); }
        case 3u: { return sigmoid(x); }
        case 4u: { return hyperbolic_tangent(x); }
        case 5u: { return softplus(x); }
        default: { return x; }
    }
}

fn activate4(x: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(activate(x.x), activate(x.y), activate(x.z), activate(x.w));
}

// The factor that dy is multiplied by. At relu's kink it is 0, at leaky_relu's the slope, as in PyTorch.
fn activate_grad(y: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(1.0, 0.0, y <= 0.0); }
        case 2u: { return select(SLOPE, 1.0, y > 0.0); }
        case 3u: { return y * (1.0 - y); }
        case 4u: { return 1.0 - y * y; }
        case 5u: { return softplus_grad(y); }
        default: { return 1.0; }
    }
}

fn activate_grad4(y: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(activate_grad(y.x), activate_grad(y.y), activate_grad(y.z), activate_grad(y.w));
}
