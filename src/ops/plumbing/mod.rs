//! Ops that no spec names: batches from the data set, the bias, the mean of a loss, what training records,
//! what taps see.

ops! { bias_add, first_object, gather, gather_bytes, mean_loss, ratio_loss, record, statistics }
