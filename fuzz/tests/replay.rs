//! Replays every seed and simple mutations of it, without libFuzzer, on any toolchain.

use std::fs;
use std::path::Path;

use valetkey_fuzz::TARGETS;

const ROUNDS: u32 = 300;

#[test]
fn seeds_and_their_mutants() {
    for (name, target) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let mut seeds: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        target(b"");
        let mut random = 0x2545_f491_u32;
        for seed in seeds {
            let bytes = fs::read(seed).unwrap();
            target(&bytes);
            for _ in 0..ROUNDS / 10 {
                target(&mutant(&bytes, &mut random));
            }
        }
        for _ in 0..ROUNDS {
            target(&mutant(&[0; 32], &mut random));
        }
    }
}

fn mutant(bytes: &[u8], random: &mut u32) -> Vec<u8> {
    let mut next = |below: usize| {
        *random ^= *random << 13;
        *random ^= *random >> 17;
        *random ^= *random << 5;
        *random as usize % below.max(1)
    };
    let mut bytes = bytes.to_vec();
    for _ in 0..=next(6) {
        let place = next(bytes.len());
        match next(4) {
            0 if !bytes.is_empty() => bytes[place] ^= 1 << next(8),
            1 if !bytes.is_empty() => drop(bytes.drain(place..(place + 1 + next(8)).min(bytes.len()))),
            2 => bytes.insert(place, [0, 1, b'"', b'&', b'%', b'{', 0x7f, 0xff][next(8)]),
            _ => bytes.truncate(bytes.len() - next(bytes.len())),
        }
    }
    bytes
}
