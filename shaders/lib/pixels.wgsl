// What losses that judge every pixel share. A pixel has the logits x[C] and a class, mask[pixel].
#import softmax

override PIXELS: u32 = 1u; // pixels of one sample
override IGNORE: i32 = -1; // pixels of this class do not count
override FIRST: u32 = 0u;  // class of the first unit: 1 where a single unit stands for class 1, and class 0 has the logit 0

@group(0) @binding(1) var<storage, read> mask: array<i32>;

// Whether a pixel does not count.
fn ignored(pixel: u32) -> bool {
    return mask[pixel] == IGNORE;
}

// A pixel's class. A number that is no class is moved to the nearest one.
fn class_of(pixel: u32) -> u32 {
    return u32(clamp(mask[pixel], 0, i32(L * C + FIRST) - 1));
}

// Which units of element `c` of a row stand for the class `own`.
fn is_class(c: u32, own: u32) -> B {
    return numbers(c) + U(FIRST) == U(own);
}

// The largest logit m of a row that starts at element `row`, and Σ exp(x - m) over all classes.
fn pixel_sum(row: u32) -> vec2<f32> {
    var sum = row_sum(row);
    if FIRST == 1u {
        let m = select(sum.x, 0.0, sum.x < 0.0);
        sum = vec2<f32>(m, sum.y * exp(sum.x - m) + exp(-m));
    }
    return sum;
}
