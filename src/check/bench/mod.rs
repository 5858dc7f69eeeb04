//! Benchmarks: the adapter's two roofs, kernels one by one, and training steps of whole networks, all in one run.

mod compare;
mod measure;
mod roof;
mod rows;
mod workload;

pub use compare::{Earlier, Ratio};
pub use measure::Times;
pub use roof::{Limit, Roof, program as roof_program};
pub use rows::CaseTime;
pub use workload::{WORKLOADS, WorkloadTime};

use crate::check::cases;
use crate::error::{Error, Result};
use crate::gpu::{Device, Session};
use crate::model::Model;
use measure::ROUNDS;
use rows::Row;
use serde_json::{Value as Json, json};
use workload::Workload;

/// Largest n of a `matmul_n` that may be asked for by name.
const MAX_MATMUL: usize = 16_384;

/// What was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Bench {
    /// The adapter.
    pub adapter: String,
    /// Which family of kernels was measured: `Software` or `Gpu`.
    pub family: String,
    /// The adapter's roofs, measured before all else.
    pub roof: Roof,
    /// The roofs, measured again after all else.
    pub roof_at_end: Roof,
    /// Kernels.
    pub cases: Vec<CaseTime>,
    /// Training steps.
    pub workloads: Vec<WorkloadTime>,
}

impl Bench {
    /// The object of `bench --json`.
    pub fn to_json(&self) -> Json {
        json!({
            "adapter": self.adapter,
            "family": self.family,
            "roof": self.roof.to_json(),
            "roof_at_end": self.roof_at_end.to_json(),
            "cases": self.cases.iter().map(|c| c.to_json(&self.roof)).collect::<Vec<Json>>(),
            "workloads": self.workloads.iter().map(WorkloadTime::to_json).collect::<Vec<Json>>(),
        })
    }
}

/// What is to be measured.
pub struct Selection {
    rows: Vec<Row>,
    workloads: Vec<Workload>,
}

impl Selection {
    /// Everything but the rows of the case table. With a filter: all cases,
    /// rows included, whose name contains it. `matmul_N` exists for every N.
    ///
    /// # Errors
    /// No name contains the filter.
    pub fn new(filter: Option<&str>) -> Result<Selection> {
        let mut rows = vec![Row::matmul(512)?, Row::matmul(1024)?];
        for case in cases::bench_cases()? {
            rows.push(Row::of_case(&case)?);
        }
        let mut workloads = workload::all()?;
        let Some(filter) = filter else { return Ok(Selection { rows, workloads }) };
        for case in cases::cases()? {
            rows.push(Row::of_case(&case)?);
        }
        rows.iter_mut().for_each(|row| row.retain(filter));
        rows.retain(|row| !row.is_empty());
        workloads.retain(|w| w.name.contains(filter));
        let size = filter.strip_prefix("matmul_").and_then(|n| n.parse().ok());
        if let (true, Some(n @ 1..=MAX_MATMUL)) = (rows.is_empty(), size) {
            rows.push(Row::matmul(n)?);
        }
        if rows.is_empty() && workloads.is_empty() {
            let hint = "give a part of W1, W2, W3, matmul_512 or of a row in assets/bench.json or assets/cases.json, such as `conv3x3_64_64` or \
                `conv2d_grad_weight`; without a filter all but the rows of cases.json run";
            return Err(Error::usage(format!("no benchmark's name contains `{filter}`"), hint));
        }
        Ok(Selection { rows, workloads })
    }

    /// A training step of a user's spec, on random images.
    ///
    /// # Errors
    /// A spec without a loss.
    pub fn of(model: Model) -> Result<Selection> {
        Ok(Selection { rows: Vec::new(), workloads: vec![Workload::of(model)?] })
    }

    /// Measures. `open` opens the device: once for the kernels, and once for each workload, because its start-up is
    /// measured too. `show` is told what comes next.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn run(&self, open: &impl AsyncFn() -> Result<Device>, show: &mut dyn FnMut(&str)) -> Result<Bench> {
        let mut session = Session::new(open().await?);
        let caps = session.device().caps().clone();
        show("roofs");
        let roof = roof::measure_roof(&mut session).await?;
        let mut cases: Vec<Vec<CaseTime>> = Vec::new();
        for row in &self.rows {
            show(&row.name);
            cases.push(row.time(&mut session).await?);
        }
        for round in 1..ROUNDS {
            for (row, times) in self.rows.iter().zip(&mut cases) {
                // A kernel that takes seconds meets quick and slow moments of the machine in one round.
                if times.iter().all(|case| case.times.median < 1.0) {
                    show(&format!("{}, round {} of {ROUNDS}", row.name, round + 1));
                    times.iter_mut().zip(row.time(&mut session).await?).for_each(|(case, later)| case.join(later));
                }
            }
        }
        session.clear();
        let mut workloads = Vec::new();
        for workload in &self.workloads {
            show(&workload.name);
            workloads.push(workload.time(open).await?);
        }
        show("roofs again");
        let roof_at_end = roof::measure_roof(&mut session).await?;
        let family = format!("{:?}", caps.family);
        Ok(Bench { adapter: caps.name, family, roof, roof_at_end, cases: cases.concat(), workloads })
    }
}
