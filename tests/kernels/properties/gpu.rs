//! With an adapter: a session allocates what the plan says.

use super::networks::{Random, network};
use crate::common;
use pumice::block_on;
use pumice::compile::{Samples, plan, training_within};
use pumice::gpu::device::Limits;
use pumice::tensor::DType;

#[test]
fn a_session_allocates_what_the_plan_says() {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    for seed in 0..6 {
        session.clear();
        let model = network(&mut Random(seed));
        let train = model.train.clone().expect("random networks have a section train");
        let caps = session.device().caps().clone();
        let planned = plan::plan(&model, &train, &caps, None).expect("a plan").bytes.total();
        let before = session.allocated();
        let samples = Samples { count: 30, train: 20, eval: 10, stored: DType::U8 };
        let t = training_within(None, &model, &train, samples, &caps).expect("it compiles");
        block_on(session.bind(t.step, &t.layout)).expect("it binds");
        block_on(session.bind(t.eval, &t.layout)).expect("it binds");
        assert_eq!(planned, session.allocated(), "seed {seed}, {before} before");
    }
}
