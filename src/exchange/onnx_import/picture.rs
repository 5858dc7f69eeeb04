//! Values that are held as pictures.

use super::network::Network;

/// A picture.
pub struct Picture {
    /// The layer with its elements.
    pub layer: usize,
    /// H, W, C.
    pub dims: [usize; 3],
    /// How many dimensions ONNX has for it without N: 3, or 2 if it is one row.
    pub rank: usize,
}

impl Picture {
    /// The number of the layer that holds it with its own dimensions.
    pub fn held(&self, net: &mut Network) -> usize {
        net.shaped(self.layer, &self.dims)
    }
}

/// A value as a picture.
///
/// # Errors
/// A value that is none.
pub fn picture(net: &Network, name: Option<&str>) -> Result<Picture, String> {
    let value = net.value(name)?;
    let rank = value.axes.dims().len();
    let what = match rank {
        2 | 3 => "its elements do not lie as those of [N, C, H, W]",
        _ => "only [N, C, H, W] and [N, C, W] are",
    };
    let dims = value.axes.as_picture().ok_or_else(|| format!("its input is no picture: {what}"))?;
    Ok(Picture { layer: value.layer, dims, rank })
}
