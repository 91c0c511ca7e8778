//! Measures scenarios side by side in one run.
//!
//! Absolute times depend on the machine; the ratio of two scenarios measured in the same round
//! carries over. Each scenario is calibrated to about 20 ms, and the rounds interleave them, so
//! that a change of clock speed or other load affects all of them alike.

#![allow(dead_code, reason = "each bench takes what it needs of it")]

pub mod floor;
pub mod people;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The time that one scenario runs in one round.
const SLICE: Duration = Duration::from_millis(20);

/// One measured scenario.
pub struct Scenario<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
    /// Runs after each iteration, and is not measured.
    after: Option<Box<dyn FnMut() + 'a>>,
    iterations: u32,
    rounds: Vec<f64>,
    allocations: Option<f64>,
    limit: Option<f64>,
}

impl<'a> Scenario<'a> {
    pub fn new<T>(name: &'static str, mut run: impl FnMut() -> T + 'a) -> Self {
        let run = Box::new(move || {
            black_box(run());
        });
        Self {
            name,
            run,
            after: None,
            iterations: 1,
            rounds: Vec::new(),
            allocations: None,
            limit: None,
        }
    }

    /// The maximum ratio to the floor: `--check` fails if three quarters of the rounds exceed it. A
    /// round that other load of the machine disturbed does not count.
    pub fn at_most(mut self, ratio: f64) -> Self {
        self.limit = Some(ratio);
        self
    }

    fn run_once(&mut self) {
        (self.run)();
        if let Some(after) = &mut self.after {
            after();
        }
    }

    /// Runs `after` after each iteration, without measuring it.
    pub fn followed_by(mut self, after: impl FnMut() + 'a) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    fn time(&mut self) -> Duration {
        let mut apart = Duration::ZERO;
        let started = Instant::now();
        for _ in 0..self.iterations {
            (self.run)();
            if let Some(after) = &mut self.after {
                let began = Instant::now();
                after();
                apart += began.elapsed();
            }
        }
        started.elapsed() - apart
    }

    fn calibrate(&mut self, slice: Duration) {
        // The first runs wait for the disk and fill the caches, which would distort the
        // calibration.
        for _ in 0..100 {
            self.run_once();
        }
        while self.time() < slice && self.iterations < 1 << 24 {
            self.iterations *= 2;
        }
    }

    fn median(&self) -> f64 {
        quantile(&self.rounds, 0.5)
    }

    fn ratios(&self, floor: &Self) -> Vec<f64> {
        let rounds = self.rounds.iter().zip(&floor.rounds);
        rounds.map(|(own, floor)| own / floor).collect()
    }

    fn is_too_slow(&self, floor: &Self) -> bool {
        self.limit
            .is_some_and(|limit| quantile(&self.ratios(floor), 0.25) > limit)
    }
}

/// Runs the scenarios round by round. The first one is the floor, to which the others are
/// compared.
///
/// With `--only NAME --times N`, runs one scenario N times and prints nothing. The difference of
/// two such runs under `valgrind --tool=callgrind` is the number of instructions of one run, which
/// does not depend on other load of the machine.
pub fn run(scenarios: &mut [Scenario<'_>], count_allocations: impl Fn(&mut dyn FnMut()) -> usize) {
    if let Some(name) = value_of("--only") {
        return run_only(scenarios, &name);
    }
    let (rounds, slice) = if is_smoke() { (2, SLICE / 20) } else { (25, SLICE) };
    for scenario in scenarios.iter_mut() {
        scenario.calibrate(slice);
        let mut once = || scenario.run_once();
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
    if asked("--check")
        && scenarios
            .iter()
            .any(|scenario| scenario.is_too_slow(&scenarios[0]))
    {
        std::process::exit(1);
    }
}

fn run_only(scenarios: &mut [Scenario<'_>], name: &str) {
    let times = value_of("--times").map_or(1, |times| times.parse().expect("a number"));
    let scenario = scenarios.iter_mut().find(|scenario| scenario.name == name);
    let scenario = scenario.expect("the name of a scenario");
    for _ in 0..times {
        scenario.run_once();
    }
}

/// Returns the argument after this option.
pub fn value_of(option: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != option).nth(1)
}

/// Returns whether the command line contains this option.
pub fn asked(option: &str) -> bool {
    std::env::args().any(|argument| argument == option)
}

/// Returns whether this is a short run, which only checks that the bench works.
pub fn is_smoke() -> bool {
    asked("--smoke") || asked("--test")
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn print(scenarios: &[Scenario<'_>]) {
    println!(
        "{:<34} {:>10} {:>10} {:>10} {:>8} {:>15} {:>7} {:>7}",
        "scenario", "median ns", "p10", "p90", "ratio", "p25..p75", "allocs", "limit"
    );
    for scenario in scenarios {
        let ratios = scenario.ratios(&scenarios[0]);
        let limit = scenario
            .limit
            .map_or(String::new(), |limit| format!("{limit:.2}"));
        println!(
            "{:<34} {:>10.0} {:>10.0} {:>10.0} {:>8.2} {:>7.2}..{:<6.2} {:>7.1} {limit:>7}",
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

/// Returns the percentile of the values.
pub fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}

/// Ends a run with `--check` as failed if a value exceeds its limit.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
pub fn check(what: &str, value: f64, limit: f64) {
    if asked("--check") && value > limit {
        println!("{what}: {value:.2} exceeds {limit:.2}");
        std::process::exit(1);
    }
}
