//! Flags of other programs: which flag of this one, or which key of the spec, does the same.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags without dashes, and what to write instead; VALUE stands for the value that was given.
pub(super) const FOREIGN: &[(&[&str], &str)] = &[
    (&["lr", "learning-rate"], "--set train.optimizer.lr=VALUE"),
    (&["momentum"], "--set train.optimizer.momentum=VALUE"),
    (&["weight-decay", "wd"], "--set train.optimizer.weight_decay=VALUE"),
    (&["optimizer", "optim", "opt"], "--set train.optimizer=VALUE"),
    (&["scheduler", "schedule", "lr-scheduler"], "--set train.schedule=VALUE"),
    (&["loss", "criterion"], "--set loss=VALUE"),
    (&["patience"], "--set train.early_stopping.patience=VALUE"),
    (&["validation", "val-split", "validation-split"], "--set data.validation=VALUE"),
    (&["classes", "num-classes"], "--set data.classes=VALUE"),
    (&["accumulate", "gradient-accumulation-steps"], "--set train.accumulate=VALUE"),
    (&["clip", "clip-norm", "max-grad-norm"], "--set train.clip_norm=VALUE"),
    (&["batch-size", "bs", "b"], "--batch VALUE"),
    (&["epoch", "num-epochs", "n-epochs", "max-epochs", "e"], "--epochs VALUE"),
    (&["iterations", "iters", "max-steps", "num-steps"], "--steps VALUE"),
    (&["random-seed", "random-state", "manual-seed"], "--seed VALUE"),
    (&["gpu", "gpus", "gpu-id", "cuda"], "--device VALUE"),
    (&["cpu"], "--device software"),
    (&["output", "output-dir", "out-dir", "outdir", "save-dir", "logdir", "o"], "--out VALUE"),
    (&["dataset", "data-dir", "data-path", "input"], "--data VALUE"),
    (&["pretrained", "checkpoint", "ckpt", "load", "init-weights"], "--weights VALUE"),
    (&["continue", "restart"], "--resume VALUE"),
    (&["top-k", "topk", "k"], "--top VALUE"),
];

/// For an unknown flag that another program has: the flag, and what to write instead. `args` are all arguments of the program `cli`.
pub(super) fn instead(cli: &clap::Command, e: &clap::Error, args: &[String]) -> Option<(String, String)> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) = (e.kind(), e.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let flag = flag.split('=').next()?;
    let bare = flag.trim_start_matches('-').to_lowercase().replace('_', "-");
    let (_, form) = FOREIGN.iter().find(|(foreign, _)| foreign.contains(&bare.as_str()))?;
    let own = form.trim_start_matches('-').split(' ').next()?;
    let command = args.iter().skip(1).find(|arg| !arg.starts_with('-'))?;
    cli.find_subcommand(command)?.get_arguments().find(|arg| arg.get_long() == Some(own))?;
    let value = value(flag, args).unwrap_or(if own == "device" { "0".into() } else { "VALUE".into() });
    Some((flag.to_string(), form.replace("VALUE", &value)))
}

/// What stands behind a flag, unless it is another flag.
fn value(flag: &str, args: &[String]) -> Option<String> {
    let mut rest = args.iter().skip_while(|arg| arg.split('=').next() != Some(flag));
    let found = rest.next()?;
    let joined = found.split_once('=').map(|(_, value)| value.to_string());
    joined.or_else(|| rest.next().filter(|next| !next.starts_with('-')).cloned())
}
