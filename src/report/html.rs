//! Text and pictures as HTML.

use crate::show::Canvas;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use png::{BitDepth, ColorType, Compression, Encoder};

/// From this side on, a picture is a JPEG.
const LARGE: usize = 100;
/// The quality of a JPEG, 1 to 100.
const QUALITY: u8 = 82;

/// Text as HTML shows it, also in an attribute in double quotes. Control characters, which no page may hold, become
/// U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The first characters of a text, with `…` where it is longer.
pub fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.into() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// Bytes in base 64 (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let all = part.iter().enumerate().fold(0u32, |all, (i, &byte)| all | u32::from(byte) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// A picture as a PNG file, in grey where it has no colour.
pub fn png(picture: &Canvas) -> Vec<u8> {
    let pixels = picture.pixels();
    let grey = pixels.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]);
    let data: Vec<u8> = if grey { pixels.iter().step_by(3).copied().collect() } else { pixels.to_vec() };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, picture.width() as u32, picture.height() as u32);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(if grey { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_compression(Compression::Balanced);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&data));
    written.expect("a picture of at least one pixel, written into memory");
    bytes
}

/// A picture as a `data:` address. Large ones are JPEG files.
///
/// # Panics
/// For a picture without pixels.
pub fn address(picture: &Canvas) -> String {
    if picture.height().max(picture.width()) < LARGE {
        return format!("data:image/png;base64,{}", base64(&png(picture)));
    }
    let mut bytes = Vec::new();
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder
        .write_image(picture.pixels(), width, height, ExtendedColorType::Rgb8)
        .expect("a picture of at least one pixel, written into memory");
    format!("data:image/jpeg;base64,{}", base64(&bytes))
}

/// A picture that is drawn as sharp squares, as a `data:` address of a PNG file of any size.
pub fn sharp(picture: &Canvas) -> String {
    format!("data:image/png;base64,{}", base64(&png(picture)))
}

/// An `<img>` of so many CSS pixels for its longer side. Small pictures keep their pixels as squares.
pub fn image(picture: &Canvas, side: usize, alt: &str) -> String {
    let most = picture.height().max(picture.width()).max(1);
    let [height, width] = [picture.height(), picture.width()].map(|own| (own * side / most).max(1));
    let class = if most < side { " class=\"px\"" } else { "" };
    format!(
        "<img{class} src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\" loading=\"lazy\"/>",
        address(picture),
        escape(alt)
    )
}

/// A table. Cells are HTML already; the first of each row is its heading.
pub fn table(caption: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let mut out =
        format!("<div class=\"scroll\" tabindex=\"0\"><table><caption>{}</caption><thead><tr>", escape(caption));
    head.iter().for_each(|cell| out.push_str(&format!("<th scope=\"col\">{cell}</th>")));
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            match i {
                0 => out.push_str(&format!("<th scope=\"row\">{cell}</th>")),
                _ => out.push_str(&format!("<td>{cell}</td>")),
            }
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}

/// What is read only by those who ask for it.
pub fn details(summary: &str, html: &str) -> String {
    format!("<details><summary>{}</summary>{html}</details>", escape(summary))
}

/// A part of a page.
#[derive(Clone, PartialEq, Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// What it shows, in a sentence or two; plain text.
    pub lede: String,
    /// Its content.
    pub html: String,
}

impl Section {
    /// A part.
    pub fn new(title: &str, lede: impl Into<String>, html: String) -> Section {
        Section { title: title.into(), lede: lede.into(), html }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(
            escape("<b onx=\"1\">'&\u{1b}[0m</b>"),
            "&lt;b onx=&quot;1&quot;&gt;&#39;&amp;\u{fffd}[0m&lt;/b&gt;"
        );
        assert_eq!(short("Größe", 4), "Grö…");
    }

    #[test]
    fn base_64_as_in_the_rfc() {
        let known = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (i, text) in known.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..i]), text);
        }
    }

    #[test]
    fn a_picture_comes_back_from_its_address() {
        for (side, kind) in [(8, "png"), (120, "jpeg")] {
            let picture = Canvas::new([side, side], [9, 99, 199]);
            let found = address(&picture);
            assert!(found.starts_with(&format!("data:image/{kind};base64,")), "{found}");
        }
        let picture = Canvas::draw([2, 3], |y, x| [(y * 3 + x) as u8, 7, 9]);
        let back = image::load_from_memory(&png(&picture)).unwrap().to_rgb8();
        assert_eq!(back.as_raw(), picture.pixels());
        let grey = Canvas::draw([2, 3], |y, x| [(y * 3 + x) as u8; 3]);
        let back = image::load_from_memory(&png(&grey)).unwrap().to_rgb8();
        assert_eq!(back.as_raw(), grey.pixels());
    }
}
