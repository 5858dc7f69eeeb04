//! What other programs call the words of a spec. It only serves "did you mean": no spec may be written with them.

/// A word of another program without case, `_` and `-`, and what it is called here. Of several, the first that fits the
/// place counts. `optimizer.lr` means the key `lr` in the object `optimizer`, where that is a key of the place.
const SYNONYMS: &[(&[&str], &[&str])] = &[
    // Keys.
    (&["learningrate", "lr", "alpha", "eta"], &["lr", "optimizer.lr"]),
    (&["weightdecay", "decay", "wd", "l2"], &["weight_decay", "optimizer.weight_decay"]),
    (&["momentum"], &["momentum", "optimizer.momentum", "sgd"]),
    (&["batchsize", "minibatch", "minibatchsize", "samplesperstep"], &["batch"]),
    (&["numepochs", "nepochs", "maxepochs", "epoch", "nbepoch"], &["epochs"]),
    (&["kernelsize", "ksize", "filtersize", "poolsize", "windowsize"], &["kernel", "size"]),
    (&["outchannels", "outputchannels", "numfilters", "nfilters", "channelsout", "numoutput"], &["filters", "units"]),
    (&["outfeatures", "numunits", "hiddensize", "outputsize", "neurons"], &["units"]),
    (&["strides"], &["stride"]),
    (&["numclasses", "nclasses", "nbclasses", "nc"], &["classes"]),
    (&["classnames", "labelnames", "names", "labels"], &["class_names"]),
    (&["p", "prob", "probability", "droprate", "dropprob", "keepprob"], &["rate"]),
    (&["eps"], &["epsilon"]),
    (&["betas"], &["beta1"]),
    (&["negativeslope", "alpha"], &["slope"]),
    (&["usebias"], &["bias"]),
    (&["dilationrate"], &["dilation"]),
    (&["paddingmode", "interpolation"], &["mode"]),
    (&["scalefactor", "upscalefactor"], &["scale"]),
    (&["act", "activationfunction", "nonlinearity"], &["activation"]),
    (&["kernelinitializer", "initializer", "weightinit", "initialization"], &["init"]),
    (&["type", "classname", "layer", "layertype"], &["op", "kind"]),
    (&["inputs", "input", "bottom", "bottoms"], &["from"]),
    (&["lossfunction", "losses", "criterion", "objective"], &["loss"]),
    (&["dataset", "datasets"], &["data"]),
    (&["model", "network", "net", "architecture"], &["layers"]),
    (&["training", "trainer", "hyperparameters", "fit"], &["train"]),
    (&["scheduler", "lrscheduler", "lrschedule"], &["schedule"]),
    (&["gradclip", "clipgrad", "clipgradnorm", "maxgradnorm", "gradientclip"], &["clip_norm"]),
    (&["gradientaccumulationsteps", "accumulategradbatches", "accumulationsteps"], &["accumulate"]),
    (&["classweight", "weights"], &["class_weights"]),
    (&["validationsplit", "valsplit", "val"], &["validation"]),
    (&["datadir", "datapath", "root", "directory", "dir", "folder"], &["path", "folder"]),
    (&["ignoreindex"], &["ignore"]),
    (&["nneighbors", "numneighbors"], &["k"]),
    (&["randomstate", "randomseed", "manualseed"], &["seed"]),
    (&["transforms", "transform", "augmentation", "augmentations"], &["augment"]),
    (&["numrepeats", "n", "count", "repeats"], &["times"]),
    // Layers.
    (&["conv", "convolution", "convolution2d", "convolutional"], &["conv2d"]),
    (&["linear", "fullyconnected", "fc", "innerproduct", "connected", "gemm"], &["dense"]),
    (&["maxpool", "maxpool2d", "maxpooling", "maxpooling2d"], &["max_pool2d"]),
    (&["avgpool", "avgpool2d", "averagepool", "averagepooling2d", "averagepooling"], &["avg_pool2d"]),
    (
        &["globalaveragepooling2d", "globalaveragepool", "globalavgpool", "adaptiveavgpool2d", "gap"],
        &["global_avg_pool2d"],
    ),
    (&["globalmaxpooling2d", "globalmaxpool", "adaptivemaxpool2d"], &["global_max_pool2d"]),
    (&["batchnorm", "batchnorm2d", "batchnorm1d", "batchnormalization", "bn"], &["batch_norm", "batch"]),
    (&["layernorm", "layernormalization"], &["layer_norm"]),
    (&["lrn", "localresponsenormalization", "responsenorm"], &["local_response_norm"]),
    (&["dropout2d", "spatialdropout2d"], &["dropout"]),
    (&["concatenate", "cat", "merge", "route"], &["concat"]),
    (&["sum", "addition", "eltwise", "plus"], &["add"]),
    (&["multiply", "times"], &["mul"]),
    (&["conv2dtranspose", "convtranspose2d", "deconv", "deconvolution", "deconv2d"], &["conv_transpose2d"]),
    (&["upsample", "upsampling2d", "resize"], &["upsample2d"]),
    (&["pad", "padding", "zeropad2d", "zeropadding2d"], &["pad2d"]),
    (&["crop", "cropping2d", "centercrop"], &["crop2d"]),
    (&["view"], &["reshape"]),
    (&["identity", "shortcut", "skip", "resblock", "residualblock"], &["residual"]),
    // Activations: of a layer, the function is the key `kind`.
    (&["relu", "sigmoid", "tanh", "softmax", "elu", "gelu", "nonlinearity"], &["activation"]),
    (&["leakyrelu"], &["leaky_relu", "activation"]),
    (&["swish"], &["silu"]),
    (&["hardsigmoid"], &["hard_sigmoid"]),
    (&["hardswish"], &["hard_swish"]),
    (&["logistic"], &["sigmoid"]),
    // Losses.
    (
        &[
            "categoricalcrossentropy",
            "sparsecategoricalcrossentropy",
            "crossentropyloss",
            "softmaxcrossentropy",
            "softmaxloss",
            "nllloss",
            "nll",
            "logloss",
        ],
        &["cross_entropy"],
    ),
    (&["bce", "bceloss", "bcewithlogits", "bcewithlogitsloss", "binarycrossentropyloss"], &["binary_cross_entropy"]),
    (&["mseloss", "meansquarederror", "l2loss", "euclidean"], &["mse"]),
    (&["l1loss", "l1", "meanabsoluteerror"], &["mae"]),
    (&["smoothl1", "smoothl1loss", "huberloss"], &["huber"]),
    (&["hingeloss", "multimarginloss", "categoricalhinge", "svm"], &["hinge"]),
    (&["diceloss"], &["dice"]),
    // Schedules, initial values, data.
    (&["steplr", "multisteplr", "steps"], &["step"]),
    (&["cosineannealing", "cosineannealinglr", "cosinedecay"], &["cosine"]),
    (&["exponentiallr", "exponentialdecay"], &["exponential"]),
    (&["onecyclelr", "onecycle"], &["one_cycle"]),
    (&["henormal", "kaimingnormal", "kaiming"], &["he_normal"]),
    (&["heuniform", "kaiminguniform"], &["he_uniform"]),
    (&["glorotnormal", "xavier", "glorot"], &["xavier_normal"]),
    (&["glorotuniform"], &["xavier_uniform"]),
    (&["imagefolder", "images", "directory"], &["folder"]),
    (&["mnist", "fashionmnist", "ubyte"], &["idx"]),
    (&["cifar"], &["cifar10"]),
    (&["table", "tabular", "tsv", "excel"], &["csv"]),
    (&["classification", "classifier"], &["classify"]),
    (&["regression", "regressor"], &["regress"]),
    (&["segmentation", "semanticsegmentation"], &["segment"]),
];

/// What a word of another program is called here, if that is one of the words that fit the place.
pub(super) fn meant(word: &str, candidates: &[&str]) -> Option<&'static str> {
    let bare: String = word.chars().filter(|c| !"_- ".contains(*c)).flat_map(char::to_lowercase).collect();
    let named = SYNONYMS.iter().filter(|(foreign, _)| foreign.contains(&bare.as_str()));
    let fits =
        |own: &&&str| candidates.contains(own) || own.split_once('.').is_some_and(|(key, _)| candidates.contains(&key));
    named.flat_map(|(_, own)| own.iter()).find(fits).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_a_word_of_the_spec() {
        let schema = include_str!("../../assets/schema.json");
        for own in SYNONYMS.iter().flat_map(|(_, own)| own.iter()) {
            for word in own.split('.') {
                assert!(schema.contains(&format!("\"{word}\"")), "`{word}` is not in the schema");
            }
        }
    }

    #[test]
    fn foreign_words_are_written_without_case_and_joints() {
        for word in SYNONYMS.iter().flat_map(|(foreign, _)| foreign.iter()) {
            assert!(word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{word}");
        }
        assert_eq!(meant("Conv-2D_Transpose", &["conv2d", "conv_transpose2d"]), Some("conv_transpose2d"));
        assert_eq!(meant("learning_rate", &["seed", "optimizer"]), Some("optimizer.lr"));
        assert_eq!(meant("learning_rate", &["seed"]), None);
    }
}
