//! Layers of the spec, and what belongs to them.

ops! {
    activation, batch_norm, concat, conv2d, conv_transpose2d, dense, dropout, elementwise, flatten, global_avg_pool2d, global_max_pool2d, knn,
    layer_norm, local_response_norm, pad2d, pool2d, prelu, rrelu, softmax, upsample2d,
}
