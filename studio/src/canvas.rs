//! A small picture that is drawn with the mouse: white strokes on black, as the bundled digits are.

use pumice::HostTensor;

/// Radius of the pen as a share of the picture's height. Strokes of MNIST are about 2.5 pixels of 28 wide.
const PEN: f32 = 0.048;

/// The picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Canvas {
    /// Height and width in pixels, and channels.
    pub size: [usize; 3],
    ink: Vec<f32>,
}

impl Canvas {
    /// An empty one.
    pub fn new(size: [usize; 3]) -> Canvas {
        Canvas { size, ink: vec![0.0; size[0] * size[1]] }
    }

    /// Whether nothing is drawn.
    pub fn is_empty(&self) -> bool {
        self.ink.iter().all(|&ink| ink == 0.0)
    }

    /// A stroke between two points, each from 0 to 1 along width and height.
    pub fn stroke(&mut self, from: [f32; 2], to: [f32; 2]) {
        let [h, w, _] = self.size;
        let (fh, fw) = (h as f32, w as f32);
        let radius = PEN * fh;
        let (a, b) = ([from[0] * fw, from[1] * fh], [to[0] * fw, to[1] * fh]);
        for y in 0..h {
            for x in 0..w {
                let far = distance([x as f32 + 0.5, y as f32 + 0.5], a, b);
                // Full within the pen, then soft over one pixel.
                let ink = (radius + 0.5 - far).clamp(0.0, 1.0);
                let own = &mut self.ink[y * w + x];
                *own = own.max(ink);
            }
        }
    }

    /// Bytes `[1, h, w, c]`, all channels alike.
    pub fn tensor(&self) -> HostTensor {
        let [h, w, c] = self.size;
        let bytes = self.ink.iter().flat_map(|&ink| std::iter::repeat_n((ink * 255.0).round() as u8, c));
        HostTensor::u8(&[1, h, w, c], bytes.collect())
    }
}

/// From a point to a line between two points.
fn distance(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pumice::Data;

    #[test]
    fn a_stroke_is_where_it_was_drawn() {
        let mut canvas = Canvas::new([28, 28, 1]);
        assert!(canvas.is_empty());
        canvas.stroke([0.5, 0.2], [0.5, 0.8]);
        let tensor = canvas.tensor();
        let Data::U8(bytes) = &tensor.data else { panic!("bytes") };
        assert_eq!(tensor.shape, [1, 28, 28, 1]);
        assert_eq!((bytes[14 * 28 + 14], bytes[14 * 28 + 2], bytes[14]), (255, 0, 0));
        let wide = (0..28).filter(|x| bytes[14 * 28 + x] > 127).count();
        assert!((2..=4).contains(&wide), "{wide}");
    }
}
