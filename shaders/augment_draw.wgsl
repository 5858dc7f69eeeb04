// The random numbers of every sample's picture: 6 of the map from a point (u, v) of the changed picture to that of the plain one, by rows; factors of
// brightness, contrast and saturation; the turn of the hue; the empty rectangle. Changes happen in the order in which they stand here.
#import step
#import random

override SALT: u32 = 0u;
override H: u32 = 1u;
override W: u32 = 1u;

// How probable each change is, and how far it goes.
override FLIP_U: f32 = 0.0;
override FLIP_V: f32 = 0.0;
override ROTATE: f32 = 0.0;
override ANGLE: f32 = 0.0;     // in radians
override SHIFT: f32 = 0.0;
override WAY: f32 = 0.0;       // a share of the sides
override SCALE: f32 = 0.0;
override SMALLEST: f32 = 1.0;
override LARGEST: f32 = 1.0;
override CROP: f32 = 0.0;
override PADDING: u32 = 0u;
override AREA: f32 = 1.0;      // the smallest share; 1: the part has the picture's own size
override ASPECT: f32 = 0.0;    // the logarithm of the largest quotient of its sides
override ZOOM_OUT: f32 = 0.0;
override ZOOM: f32 = 1.0;
override BRIGHTNESS: f32 = 0.0;
override BRIGHTNESS_BY: f32 = 0.0;
override CONTRAST: f32 = 0.0;
override CONTRAST_BY: f32 = 0.0;
override SATURATION: f32 = 0.0;
override SATURATION_BY: f32 = 0.0;
override HUE: f32 = 0.0;
override HUE_BY: f32 = 0.0;
override CUTOUT: f32 = 0.0;
override SIZE: f32 = 0.0;      // a share of the sides

@group(0) @binding(1) var<storage, read_write> numbers: array<f32>;

// The rows of an affine map.
struct Map {
    u: vec3<f32>,
    v: vec3<f32>,
}

fn row_then(row: vec3<f32>, next: Map) -> vec3<f32> {
    return row.x * next.u + row.y * next.v + vec3<f32>(0.0, 0.0, row.z);
}

// The map `m`, and after it another change, if it happens.
fn then(m: Map, happens: bool, next: Map) -> Map {
    if !happens {
        return m;
    }
    return Map(row_then(m.u, next), row_then(m.v, next));
}

fn diagonal(a: f32, b: f32, u: f32, v: f32) -> Map {
    return Map(vec3<f32>(a, 0.0, u), vec3<f32>(0.0, b, v));
}

// A linear map around the centre c of the picture.
fn centred(a: vec2<f32>, b: vec2<f32>, c: vec2<f32>) -> Map {
    return Map(vec3<f32>(a, c.x - dot(a, c)), vec3<f32>(b, c.y - dot(b, c)));
}

// The factor 1 - by … 1 + by, if it is drawn.
fn around(r: vec4<f32>, p: f32, by: f32) -> f32 {
    return select(1.0, max(1.0 + (2.0 * r.y - 1.0) * by, 0.0), r.x < p);
}

fn signed(r: vec4<f32>) -> vec4<f32> {
    return 2.0 * r - 1.0;
}

// How far a part of the picture's own size moves within the padded one.
fn padded(word: u32) -> f32 {
    return f32(i32(word % (2u * PADDING + 1u)) - i32(PADDING));
}

// A part of at least AREA of the area, stretched to the whole.
fn part(words: vec4<u32>) -> Map {
    let low = unit4(words << vec4<u32>(16u));
    let area = AREA + low.x * (1.0 - AREA);
    let aspect = exp((2.0 * unit4(words).w - 1.0) * ASPECT);
    let wide = min(sqrt(area * aspect), 1.0);
    let high = min(sqrt(area / aspect), 1.0);
    return diagonal(wide, high, low.y * (1.0 - wide) * f32(W), low.z * (1.0 - high) * f32(H));
}

fn map_of(n: u32) -> Map {
    let side = vec2<f32>(f32(W), f32(H));
    let c = side * 0.5;
    var m = diagonal(1.0, 1.0, 0.0, 0.0);
    let flip = unit4(random4_of(n, SALT));
    m = then(m, flip.x < FLIP_U, diagonal(-1.0, 1.0, side.x, 0.0));
    m = then(m, flip.y < FLIP_V, diagonal(1.0, -1.0, 0.0, side.y));
    let rotate = unit4(random4_of(n, SALT + 1u));
    let angle = (2.0 * rotate.y - 1.0) * ANGLE;
    m = then(m, rotate.x < ROTATE, centred(vec2<f32>(cos(angle), sin(angle)), vec2<f32>(-sin(angle), cos(angle)), c));
    let shift = unit4(random4_of(n, SALT + 2u));
    let way = signed(shift).yz * WAY * side;
    m = then(m, shift.x < SHIFT, diagonal(1.0, 1.0, way.x, way.y));
    let scale = unit4(random4_of(n, SALT + 3u));
    let shrink = 1.0 / (SMALLEST + scale.y * (LARGEST - SMALLEST));
    m = then(m, scale.x < SCALE, centred(vec2<f32>(shrink, 0.0), vec2<f32>(0.0, shrink), c));
    let words = random4_of(n, SALT + 4u);
    let crop = unit4(words).x < CROP;
    m = then(m, crop, diagonal(1.0, 1.0, padded(words.y), padded(words.z)));
    m = then(m, crop && AREA < 1.0, part(words));
    let zoom = unit4(random4_of(n, SALT + 5u));
    let factor = 1.0 + zoom.y * (ZOOM - 1.0);
    let offset = zoom.zw * (side - side * factor);
    return then(m, zoom.x < ZOOM_OUT, diagonal(factor, factor, offset.x, offset.y));
}

// One invocation draws the numbers of one sample.
@compute @workgroup_size(WG)
fn draw(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let at = n * 14u;
        let m = map_of(n);
#for k in 0..3
        numbers[at + $ku] = m.u[$k];
        numbers[at + 3u + $ku] = m.v[$k];
#end
        numbers[at + 6u] = around(unit4(random4_of(n, SALT + 6u)), BRIGHTNESS, BRIGHTNESS_BY);
        numbers[at + 7u] = around(unit4(random4_of(n, SALT + 7u)), CONTRAST, CONTRAST_BY);
        numbers[at + 8u] = around(unit4(random4_of(n, SALT + 8u)), SATURATION, SATURATION_BY);
        let hue = unit4(random4_of(n, SALT + 9u));
        numbers[at + 9u] = select(0.0, (2.0 * hue.y - 1.0) * HUE_BY, hue.x < HUE);
        let r = unit4(random4_of(n, SALT + 10u));
        let centre = r.yz * vec2<f32>(f32(W), f32(H));
        let reach = 0.5 * SIZE * vec2<f32>(f32(W), f32(H));
        let hole = select(vec4<f32>(), vec4<f32>(centre - reach, centre + reach), r.x < CUTOUT);
#for k in 0..4
        numbers[at + 10u + $ku] = hole[$k];
#end
    }
}
