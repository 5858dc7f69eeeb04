// The mask of a picture that was moved: y(u, v) is the class of the pixel in which the point of the map lies, and OUTSIDE where there is none. The mask
// may have another size than the picture, in whose pixels the map counts. `numbers` are those of augment_draw.wgsl.
#import step

override H: u32 = 1u;
override W: u32 = 1u;
override PICTURE_H: u32 = 1u;
override PICTURE_W: u32 = 1u;
override OUTSIDE: i32 = 255;

@group(0) @binding(1) var<storage, read> x: array<i32>;
@group(0) @binding(2) var<storage, read> numbers: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<i32>;

// One invocation computes one pixel.
@compute @workgroup_size(WG)
fn mask(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < H * W * step.n {
        let n = pixel / (H * W);
        let m = n * 14u;
        let pixels = vec2<f32>(f32(PICTURE_W) / f32(W), f32(PICTURE_H) / f32(H));
        let place = (vec2<f32>(f32(pixel % W), f32(pixel / W % H)) + 0.5) * pixels;
        let u = numbers[m] * place.x + numbers[m + 1u] * place.y + numbers[m + 2u];
        let v = numbers[m + 3u] * place.x + numbers[m + 4u] * place.y + numbers[m + 5u];
        // Far outside, so that the numbers of pixels fit an i32.
        let from_pixel = clamp(floor(vec2<f32>(u, v) / pixels), vec2<f32>(-1.0), vec2<f32>(f32(W), f32(H)));
        let j = i32(from_pixel.x);
        let i = i32(from_pixel.y);
        let inside = i >= 0 && j >= 0 && i < i32(H) && j < i32(W);
        let at = (i32(n * H) + i) * i32(W) + j;
        y[pixel] = select(OUTSIDE, x[select(0, at, inside)], inside);
    }
}
