//! Models and weights of other programs: ONNX and PyTorch.
//!
//! Pumice keeps pictures as NHWC and filters as KRSC; other programs have NCHW and OIHW. All of the turning happens here,
//! at the border.

pub mod onnx_export;
pub mod onnx_import;
mod onnx_ops;
mod onnx_values;
mod onnx_writer;
mod pickle;
pub mod proto;
pub mod pth;
pub mod torch;
pub mod torchvision;
pub mod turn;
mod zip_file;
