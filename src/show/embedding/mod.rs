//! Where samples lie among each other in the eyes of a network: the output of the last layer before its head, laid out in
//! a plane by principal components and by t-SNE, with each picture at its place. Neighbours look alike to the network.

pub mod draw;
pub mod pca;
pub mod plane;
pub mod tsne;

pub use plane::embedding;
