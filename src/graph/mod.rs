//! The graph: nodes whose shapes are inferred when they are inserted, so that an invalid graph cannot exist.
//! Forward ops, gradients, losses, metrics and optimizer updates are all nodes of one [`Graph`].

mod decode;
mod init;
mod kernel;
mod nodes;
mod reference;
mod step;
mod text;
mod value;
pub mod walk;

pub use decode::{Candidate, Decode, SoftMask};
pub use init::{Fill, Init, name_salt, pytorch_default};
pub(crate) use kernel::SharedWork;
pub use kernel::{
    Access, Arena, Caps, Family, Grid, Kernel, KernelCx, Operand, Shared, TEXTURE_WIDTH, Target, row_windows,
};
pub use nodes::{AGAIN, Builder, Gradient, Graph, LayerInfo, Node, NodeKind, Op, oversize};
pub use reference::{RefCx, RefTensor, ShapeError};
pub use step::{HELD, NORMS, RING, RING_DIMS, Step};
pub use value::{Classes, Segment, Value};
