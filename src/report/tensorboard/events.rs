//! Events in the wire format of protocol buffers, written by hand. Source of the messages and their numbers:
//! `event.proto` and `summary.proto` of TensorFlow and TensorBoard.
//!
//! | message | fields |
//! | --- | --- |
//! | Event | 1 wall_time double, 2 step int64, 3 file_version string, 5 summary |
//! | Summary | 1 value, repeated |
//! | Value | 1 tag string, 2 simple_value float, 4 image, 5 histo |
//! | Image | 1 height, 2 width, 3 colorspace int32, 4 encoded_image_string bytes |
//! | HistogramProto | 1 min, 2 max, 3 num, 4 sum, 5 sum_squares double, 6 bucket_limit, 7 bucket packed double |

use crate::report::spread::Spread;

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut x: u64) {
        while x >= 128 {
            self.0.push((x & 127) as u8 | 128);
            x >>= 7;
        }
        self.0.push(x as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn int(&mut self, field: u64, x: u64) {
        self.key(field, 0);
        self.varint(x);
    }

    fn double(&mut self, field: u64, x: f64) {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
    }

    fn float(&mut self, field: u64, x: f32) {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn doubles(&mut self, field: u64, list: impl Iterator<Item = f64>) {
        let packed: Vec<u8> = list.flat_map(f64::to_le_bytes).collect();
        self.bytes(field, &packed);
    }
}

/// The first event of a file: the version of its format.
pub fn version(time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, time);
    event.bytes(3, b"brain.Event:2");
    event.0
}

/// A value of a summary.
pub enum Value<'a> {
    /// A number.
    Scalar(f64),
    /// How numbers are spread.
    Histogram(&'a Spread),
    /// Height, width and PNG file of a picture in colour.
    Image(usize, usize, Vec<u8>),
}

/// Values of one step.
#[derive(Default)]
pub struct Summary(Message);

impl Summary {
    /// Adds a value. Tags with `/` are grouped by what stands before it.
    pub fn add(&mut self, tag: &str, value: Value) {
        let mut message = Message::default();
        message.bytes(1, tag.as_bytes());
        match value {
            Value::Scalar(x) => message.float(2, x as f32),
            Value::Image(height, width, png) => {
                let mut image = Message::default();
                image.int(1, height as u64);
                image.int(2, width as u64);
                image.int(3, 3);
                image.bytes(4, &png);
                message.bytes(4, &image.0);
            }
            Value::Histogram(spread) => message.bytes(5, &histogram(spread)),
        }
        self.0.bytes(1, &message.0);
    }

    /// The event that holds them.
    pub fn event(&self, time: f64, step: u64) -> Vec<u8> {
        let mut event = Message::default();
        event.double(1, time);
        event.int(2, step);
        event.bytes(5, &self.0.0);
        event.0
    }
}

fn histogram(spread: &Spread) -> Vec<u8> {
    let mut message = Message::default();
    let numbers = [spread.min, spread.max, spread.count() as f64, spread.sum, spread.squares];
    numbers.into_iter().zip(1..).for_each(|(x, field)| message.double(field, x));
    let bins = spread.counts.len();
    // Equal numbers lie in a bin of some width.
    let (low, range) = match spread.max - spread.min {
        range if range > 0.0 => (spread.min, range),
        _ => (spread.min - 0.5e-6, 1e-6),
    };
    message.doubles(6, (1..=bins).map(|i| low + range * i as f64 / bins as f64));
    message.doubles(7, spread.counts.iter().map(|&count| count as f64));
    message.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_has_the_bytes_that_protoc_writes() {
        let mut summary = Summary::default();
        summary.add("a/b", Value::Scalar(0.5));
        let event = summary.event(1.0, 300);
        let mut want = vec![0x09];
        want.extend(1f64.to_le_bytes());
        want.extend([0x10, 0xac, 0x02, 0x2a, 12, 0x0a, 10, 0x0a, 3, b'a', b'/', b'b', 0x15]);
        want.extend(0.5f32.to_le_bytes());
        assert_eq!(event, want);
        let mut first = vec![0x09];
        first.extend(2f64.to_le_bytes());
        first.extend([0x1a, 13]);
        first.extend(b"brain.Event:2");
        assert_eq!(version(2.0), first);
    }
}
