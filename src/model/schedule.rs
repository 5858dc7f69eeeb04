//! The key `schedule` of the section `train`: how the learning rate changes over the run.

use super::op_object::{find_op, op_object, with_op, word_or_object};
use crate::spec::{Count, Diagnostics, Field, Fraction, Node, Positive, SpecStruct, spec_struct, spec_words};
use serde_json::Value as Json;

spec_struct! {
    /// The same learning rate throughout.
    pub struct ConstantSchedule {
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
    }
}

spec_struct! {
    /// The rate is multiplied by gamma every few epochs.
    pub struct StepSchedule {
        /// Epochs between two changes.
        pub every: Count,
        /// The factor of each change.
        pub gamma: Positive = Positive(0.1),
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
    }
}

spec_struct! {
    /// The rate falls along half a cosine to the end of the run.
    pub struct CosineSchedule {
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
        /// What is left of the rate at the end.
        pub min_factor: Fraction = Fraction(0.0),
    }
}

spec_struct! {
    /// The rate is multiplied by gamma every epoch (torch.optim.lr_scheduler.ExponentialLR).
    pub struct ExponentialSchedule {
        /// The factor of each epoch.
        pub gamma: Positive = Positive(0.95),
        /// Steps over which the rate first rises from near 0.
        pub warmup_steps: usize = 0,
    }
}

spec_struct! {
    /// The rate rises to the optimizer's own and falls to almost nothing over the run (Smith and Topin 2017; torch.optim.lr_scheduler.OneCycleLR
    /// with two phases, momentum left alone).
    pub struct OneCycleSchedule {
        /// Share of the run's steps over which the rate rises.
        pub pct_start: Fraction = Fraction(0.3),
        /// The curve of both phases.
        pub anneal_strategy: Anneal = Anneal::Cos,
        /// What the optimizer's rate is divided by at the start.
        pub div_factor: Positive = Positive(25.0),
        /// What the rate of the start is divided by at the end.
        pub final_div_factor: Positive = Positive(1e4),
    }
}

spec_words! {
    /// The curve between two rates.
    pub enum Anneal {
        /// Half a cosine.
        Cos = "cos",
        /// A straight line.
        Linear = "linear",
    }
}

impl Anneal {
    /// From `start` to `end` as `t` goes from 0 to 1.
    fn between(self, start: f64, end: f64, t: f64) -> f64 {
        match self {
            Anneal::Cos => end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
            Anneal::Linear => start + (end - start) * t,
        }
    }
}

impl OneCycleSchedule {
    /// The rate at `step` of `total` steps, as a share of the optimizer's rate. As
    /// in PyTorch, the first phase ends one step before `pct_start` of the run.
    fn level(&self, step: u64, total: u64) -> f64 {
        let (step, last) = (step as f64, total as f64 - 1.0);
        let peak = self.pct_start.get() * total as f64 - 1.0;
        let first = 1.0 / self.div_factor.get();
        let share = |from: f64, to: f64| if to > from { ((step - from) / (to - from)).clamp(0.0, 1.0) } else { 1.0 };
        if step <= peak {
            return self.anneal_strategy.between(first, 1.0, share(0.0, peak));
        }
        self.anneal_strategy.between(1.0, first / self.final_div_factor.get(), share(peak, last))
    }
}

/// How the learning rate changes over the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// The same learning rate throughout.
    Constant(ConstantSchedule),
    /// The rate is multiplied by gamma every few epochs.
    Step(StepSchedule),
    /// The rate falls along half a cosine to the end of the run.
    Cosine(CosineSchedule),
    /// The rate is multiplied by gamma every epoch.
    Exponential(ExponentialSchedule),
    /// The rate rises and falls once over the run.
    OneCycle(OneCycleSchedule),
}

const SCHEDULES: [&str; 5] = ["constant", "step", "cosine", "exponential", "one_cycle"];

impl Schedule {
    /// Whether the factor of a step depends on how many steps the whole run has.
    pub fn depends_on_total(&self) -> bool {
        matches!(self, Schedule::Cosine(_) | Schedule::OneCycle(_))
    }

    /// The factor of the learning rate at `step` (from 0) of `total_steps`. In the
    /// warm-up it rises linearly, from 1 / warmup_steps to what the schedule says. The
    /// cosine runs over the steps after the warm-up. One cycle has a rise of its own.
    pub fn factor(&self, step: u64, steps_per_epoch: u64, total_steps: u64) -> f64 {
        let warmup = match self {
            Schedule::Constant(s) => s.warmup_steps,
            Schedule::Step(s) => s.warmup_steps,
            Schedule::Cosine(s) => s.warmup_steps,
            Schedule::Exponential(s) => s.warmup_steps,
            Schedule::OneCycle(_) => 0,
        } as u64;
        let rising = if step < warmup { (step + 1) as f64 / warmup as f64 } else { 1.0 };
        let level = match self {
            Schedule::Constant(_) => 1.0,
            Schedule::Step(s) => {
                let changes = step / steps_per_epoch.max(1) / s.every.get() as u64;
                s.gamma.get().powf(changes as f64)
            }
            Schedule::Cosine(s) => {
                let (after, span) = (step.saturating_sub(warmup), total_steps.saturating_sub(warmup).max(1));
                let t = (after as f64 / span as f64).min(1.0);
                let fall = 0.5 * (1.0 + (std::f64::consts::PI * t).cos());
                s.min_factor.get() + (1.0 - s.min_factor.get()) * fall
            }
            Schedule::Exponential(s) => s.gamma.get().powf((step / steps_per_epoch.max(1)) as f64),
            Schedule::OneCycle(s) => s.level(step, total_steps),
        };
        rising * level
    }
}

impl Field for Schedule {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Schedule> {
        let object = op_object(node, "schedule", report)?;
        match SCHEDULES[find_op(&object, "schedule", &SCHEDULES, report)?] {
            "step" => SpecStruct::read(&object, &["op"], report).map(Schedule::Step),
            "cosine" => SpecStruct::read(&object, &["op"], report).map(Schedule::Cosine),
            "exponential" => SpecStruct::read(&object, &["op"], report).map(Schedule::Exponential),
            "one_cycle" => SpecStruct::read(&object, &["op"], report).map(Schedule::OneCycle),
            _ => SpecStruct::read(&object, &["op"], report).map(Schedule::Constant),
        }
    }

    fn write(&self) -> Json {
        match self {
            Schedule::Constant(s) => with_op("constant", SpecStruct::write(s)),
            Schedule::Step(s) => with_op("step", SpecStruct::write(s)),
            Schedule::Cosine(s) => with_op("cosine", SpecStruct::write(s)),
            Schedule::Exponential(s) => with_op("exponential", SpecStruct::write(s)),
            Schedule::OneCycle(s) => with_op("one_cycle", SpecStruct::write(s)),
        }
    }

    fn schema() -> Json {
        let docs = [
            "The same learning rate throughout.",
            "Multiplied by gamma every few epochs.",
            "Falls along half a cosine.",
            "Multiplied by gamma every epoch.",
            "Rises to the optimizer's rate and falls to almost nothing.",
        ];
        let keys = [
            ConstantSchedule::keys(),
            StepSchedule::keys(),
            CosineSchedule::keys(),
            ExponentialSchedule::keys(),
            OneCycleSchedule::keys(),
        ];
        let variants = SCHEDULES.into_iter().zip(docs.map(String::from)).zip(keys).map(|((n, d), k)| (n, d, k));
        word_or_object(variants.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_from_one_over_warmup_to_one() {
        let schedule = Schedule::Constant(ConstantSchedule { warmup_steps: 4 });
        let factors: Vec<f64> = (0..6).map(|step| schedule.factor(step, 10, 100)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn step_multiplies_every_few_epochs() {
        let schedule = Schedule::Step(StepSchedule { every: Count(2), gamma: Positive(0.5), warmup_steps: 0 });
        let at = |step| schedule.factor(step, 10, 100);
        assert_eq!((at(0), at(19), at(20), at(39), at(40)), (1.0, 1.0, 0.5, 0.5, 0.25));
    }

    #[test]
    fn cosine_runs_over_the_steps_after_the_warm_up() {
        let schedule = Schedule::Cosine(CosineSchedule { warmup_steps: 10, min_factor: Fraction(0.1) });
        let at = |step| schedule.factor(step, 10, 110);
        assert_eq!((at(9), at(10)), (1.0, 1.0));
        assert!((at(60) - 0.55).abs() < 1e-12, "half way: {}", at(60));
        assert!((at(110) - 0.1).abs() < 1e-12 && (at(500) - 0.1).abs() < 1e-12, "the end stays: {}", at(500));
    }

    #[test]
    fn no_steps_divide_by_zero() {
        let schedule = Schedule::Step(StepSchedule { every: Count(1), gamma: Positive(0.5), warmup_steps: 0 });
        assert!(schedule.factor(0, 0, 0).is_finite());
        let schedule = Schedule::Cosine(CosineSchedule { warmup_steps: 5, min_factor: Fraction(0.0) });
        assert!(schedule.factor(3, 1, 2).is_finite());
        let keys = serde_json::json!({ "op": "one_cycle" });
        let source = crate::spec::Source { file: Default::default(), text: String::new() };
        let node = Node::from_json(&keys, &Default::default());
        let schedule =
            <Schedule as Field>::read(&node, &mut Diagnostics::new(&source)).expect("all keys have defaults");
        for (step, total) in [(0, 0), (0, 1), (5, 2), (0, 3), (0, 4), (9, u64::MAX)] {
            assert!(schedule.factor(step, 1, total).is_finite(), "step {step} of {total}");
        }
    }
}
