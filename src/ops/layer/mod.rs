//! Layers of the spec, and what belongs to them.

ops! {
    activation, anchors, batch_norm, clear_gaps, concat, conv2d, conv_transpose2d, dense, dropout, elementwise, flatten, given_rois, global_avg_pool2d, global_max_pool2d, knn,
    l2_norm, layer_norm, local_response_norm, mask_head, pad2d, pool2d, prelu, proposals, regions, roi_align, roi_head, roi_pool, rrelu, sample_rois, softmax, upsample2d,
}
