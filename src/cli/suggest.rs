//! Did-you-mean: the nearest of a list of known words, and the error for an unknown command.

use super::cmd;
use super::exit::Failure;

/// The known word nearest to `word`, if one is near enough to be meant.
#[must_use]
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .map(|k| (distance(word, k), k))
        .filter(|(d, k)| *d <= limit || (word.len() >= 3 && k.starts_with(word)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// The error for words that begin no command.
pub(super) fn unknown_command(words: &[String]) -> Failure {
    let group = (words.len() > 1 && cmd::is_group(&words[0])).then(|| words[0].as_str());
    let (shown, word, prefix) = match group {
        Some(g) => (format!("{g} {}", words[1]), words[1].as_str(), format!("{g} ")),
        None => (words[0].clone(), words[0].as_str(), String::new()),
    };
    let known: Vec<&str> = match group {
        Some(_) => cmd::all_names().filter_map(|n| n.strip_prefix(prefix.as_str())).collect(),
        None => cmd::all_names().map(|n| n.split(' ').next().unwrap_or(n)).collect(),
    };
    let see = match group {
        Some(g) => format!("run 'rcon {g} --help' for its commands"),
        None => "run 'rcon --help' for all commands".to_owned(),
    };
    let hint = match nearest(word, known.into_iter()) {
        Some(near) => format!("did you mean 'rcon {prefix}{near}'? {see}"),
        None => see,
    };
    Failure::new(format!("unknown command: rcon {shown}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["run", "restart", "stats", "start", "images"];
        let near = |w| nearest(w, known.into_iter());
        assert_eq!(near("runn"), Some("run"));
        assert_eq!(near("rnu"), Some("run"));
        assert_eq!(near("strat"), Some("start"));
        assert_eq!(near("image"), Some("images"));
        assert_eq!(near("imag"), Some("images"));
        assert_eq!(near("frobnicate"), None);
    }
}
