//! Scenarios side by side in one run.
//!
//! Absolute times belong to a machine; the ratio of two scenarios measured in the same round carries over. Each
//! scenario is calibrated to about 20 ms, and the rounds interleave them, so that a change of clock speed or a noisy
//! neighbour meets all of them alike.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one scenario runs in one round.
const SLICE: Duration = Duration::from_millis(20);

/// One thing to measure.
pub struct Scenario<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    iterations: u32,
    rounds: Vec<f64>,
    allocations: Option<f64>,
}

impl<'a> Scenario<'a> {
    pub fn new<T>(name: &'static str, mut run: impl FnMut() -> T + 'a) -> Self {
        let run = Box::new(move || {
            black_box(run());
        });
        Self {
            name,
            run,
            iterations: 1,
            rounds: Vec::new(),
            allocations: None,
        }
    }

    fn time(&mut self) -> Duration {
        let started = Instant::now();
        for _ in 0..self.iterations {
            (self.run)();
        }
        started.elapsed()
    }

    fn calibrate(&mut self, slice: Duration) {
        while self.time() < slice && self.iterations < 1 << 24 {
            self.iterations *= 2;
        }
    }

    fn median(&self) -> f64 {
        quantile(&self.rounds, 0.5)
    }
}

/// Runs the scenarios round by round. The first one is the floor that the others are compared with.
pub fn run(scenarios: &mut [Scenario<'_>], count_allocations: impl Fn(&mut dyn FnMut()) -> usize) {
    let smoke = std::env::args().any(|argument| argument == "--smoke" || argument == "--test");
    let (rounds, slice) = if smoke { (2, SLICE / 20) } else { (25, SLICE) };
    for scenario in scenarios.iter_mut() {
        scenario.calibrate(slice);
        let mut once = || (scenario.run)();
        once();
        let counted: usize = (0..16).map(|_| count_allocations(&mut once)).sum();
        scenario.allocations = Some(counted as f64 / 16.0);
    }
    for _ in 0..rounds {
        for scenario in scenarios.iter_mut() {
            let elapsed = scenario.time();
            scenario
                .rounds
                .push(elapsed.as_secs_f64() * 1e9 / f64::from(scenario.iterations));
        }
    }
    print(scenarios);
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn print(scenarios: &[Scenario<'_>]) {
    let floor = &scenarios[0].rounds;
    println!(
        "{:<34} {:>10} {:>10} {:>10} {:>8} {:>15} {:>7}",
        "scenario", "median ns", "p10", "p90", "ratio", "p25..p75", "allocs"
    );
    for scenario in scenarios {
        let ratios: Vec<f64> = scenario
            .rounds
            .iter()
            .zip(floor)
            .map(|(own, floor)| own / floor)
            .collect();
        println!(
            "{:<34} {:>10.0} {:>10.0} {:>10.0} {:>8.2} {:>7.2}..{:<6.2} {:>7.1}",
            scenario.name,
            scenario.median(),
            quantile(&scenario.rounds, 0.1),
            quantile(&scenario.rounds, 0.9),
            quantile(&ratios, 0.5),
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75),
            scenario.allocations.unwrap_or_default(),
        );
    }
}

fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}
