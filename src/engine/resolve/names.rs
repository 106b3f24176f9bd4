//! Names for containers that were given none: an adjective and a scientist's or engineer's surname, as users know it
//! from docker; the word lists are our own.

const ADJECTIVES: &[&str] = &[
    "able", "agile", "airy", "amber", "ample", "apt", "ardent", "astute", "avid", "balmy", "blithe", "bold", "brave",
    "breezy", "bright", "brisk", "calm", "candid", "careful", "cheery", "civil", "classy", "clever", "cosmic",
    "cosy", "crisp", "curious", "daring", "deft", "dapper", "eager", "earnest", "easy", "elated", "epic", "exact",
    "fair", "famous", "fearless", "fine", "fleet", "fluent", "fond", "frank", "free", "fresh", "gallant", "gentle",
    "gifted", "glad", "golden", "graceful", "grand", "happy", "hardy", "hearty", "honest", "humble", "ideal", "jolly",
    "jovial", "keen", "kind", "lively", "logical", "loyal", "lucid", "lucky", "magical", "mellow", "merry", "mighty",
    "modest", "neat", "nifty", "nimble", "noble", "open", "patient", "peppy", "placid", "plucky", "polite", "prime",
    "proud", "prudent", "quaint", "quick", "quiet", "quirky", "ready", "robust", "rosy", "sage", "serene", "sharp",
    "shiny", "silent", "sincere", "sleek", "smart", "snappy", "solid", "spry", "stable", "steady", "stellar", "still",
    "stoic", "sunny", "swift", "tender", "tidy", "trusty", "upbeat", "valiant", "vivid", "warm", "wise", "witty",
    "zany", "zealous", "zesty",
];

const SURNAMES: &[&str] = &[
    "abel", "agnesi", "airy", "ampere", "archimedes", "avogadro", "babbage", "backus", "banach", "bardeen", "barkla",
    "becquerel", "bell", "bernoulli", "bessel", "bhabha", "bohr", "boltzmann", "boole", "born", "bose", "boyle",
    "bragg", "brahe", "brouwer", "cantor", "cardano", "carnot", "cauchy", "cavendish", "celsius", "chandra", "church",
    "codd", "copernicus", "coulomb", "cray", "curie", "dalton", "darwin", "davy", "dedekind", "descartes", "dijkstra",
    "dirac", "doppler", "eckert", "eddington", "edison", "einstein", "engelbart", "erdos", "euclid", "euler",
    "faraday", "fermat", "fermi", "feynman", "fibonacci", "fourier", "franklin", "fresnel", "galileo", "galois",
    "galvani", "gauss", "germain", "gibbs", "godel", "goodall", "hadamard", "halley", "hamilton", "hamming", "hawking",
    "heaviside", "heisenberg", "herschel", "hertz", "hilbert", "hodgkin", "hopper", "hubble", "huygens", "hypatia",
    "jacobi", "johnson", "joule", "kelvin", "kepler", "khwarizmi", "kilby", "kirch", "klein", "knuth", "kolmogorov",
    "lagrange", "lamarr", "landau", "laplace", "lavoisier", "legendre", "leibniz", "lovelace", "lyapunov", "mach",
    "markov", "maxwell", "mccarthy", "meitner", "mendel", "mendeleev", "minsky", "morse", "nash", "napier", "neumann",
    "newton", "nobel", "noether", "ohm", "oppenheimer", "pascal", "pauli", "pauling", "perlman", "planck", "poincare",
    "poisson", "ramanujan", "riemann", "ritchie", "roentgen", "rubin", "rutherford", "sagan", "salam", "schrodinger",
    "shannon", "shockley", "somerville", "stokes", "tesla", "thales", "thompson", "torvalds", "turing", "vaughan",
    "volta", "watt", "weierstrass", "wiener", "wiles", "wirth", "wozniak", "wu", "yalow", "yonath", "zuse",
];

/// A name made of `seed`; `retry` above 0 appends a digit, as docker does after a collision.
#[must_use]
pub fn random(seed: u64, retry: u32) -> String {
    let pick = |list: &[&'static str], n: u64| {
        let len = u64::try_from(list.len()).unwrap_or(1);
        usize::try_from(n % len).ok().and_then(|i| list.get(i).copied()).unwrap_or("plain")
    };
    let adjective = pick(ADJECTIVES, seed >> 32);
    let surname = pick(SURNAMES, seed & 0xffff_ffff);
    match retry {
        0 => format!("{adjective}_{surname}"),
        _ => format!("{adjective}_{surname}{}", (seed >> 16) % 10_u64.pow(retry.min(9))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..1000_u64 {
            let name = random(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), 0);
            assert!(crate::model::id::check_name("container name", &name).is_ok(), "{name}");
            seen.insert(name);
        }
        assert!(seen.len() > 900);
    }
}
