//! The command line that makes a container, after an `update`: `inspect --as-run` shows what would make it as it is
//! now. Words that a change takes away go, its own words stand before the image.

use crate::model::mount::MountRequest;
use crate::model::network::PortRequest;

/// What an update takes away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone<'a> {
    /// Ports of the container, `80` or `80/udp`.
    pub(super) ports: &'a [String],
    /// Targets of mounts.
    pub(super) mounts: &'a [String],
    /// Keys of labels.
    pub(super) labels: &'a [String],
}

/// The line with the change. `after` is how many words follow the image.
pub(super) fn line(old: &[String], after: usize, gone: Gone<'_>, added: &[String]) -> Vec<String> {
    let Some(image) = old.len().checked_sub(after + 1) else { return old.to_vec() };
    let (flags, rest) = old.split_at(image);
    let mut out = Vec::with_capacity(old.len() + added.len());
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        let (flag, value, split) = match word.split_once('=') {
            Some((flag, value)) if word.starts_with("--") => (flag, Some(value), false),
            _ => (word.as_str(), words.as_slice().first().map(String::as_str), true),
        };
        if value.is_some_and(|value| is_gone(flag, value, gone)) {
            if split {
                words.next();
            }
        } else {
            out.push(word.clone());
        }
    }
    out.extend(added.iter().cloned());
    out.extend(rest.iter().cloned());
    out
}

fn is_gone(flag: &str, value: &str, gone: Gone<'_>) -> bool {
    let same_path = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    let target = |mount: Result<MountRequest, crate::model::ParseError>| {
        mount.is_ok_and(|m| gone.mounts.iter().any(|t| same_path(t, &m.target)))
    };
    match flag {
        "-p" | "--publish" => value.parse::<PortRequest>().is_ok_and(|p| {
            gone.ports.iter().any(|text| {
                let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
                port == p.container.0.to_string() && protocol == p.protocol.to_string()
            })
        }),
        "-v" | "--volume" => target(MountRequest::parse_volume(value)),
        "--mount" => target(value.parse()),
        "--tmpfs" => target(MountRequest::parse_tmpfs(value)),
        "-l" | "--label" => gone.labels.iter().any(|k| value.split('=').next() == Some(k)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_and_come() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let old = words("rcon run -d -p 80:80 --publish=81:81/udp -v /a:/b -l x=1 --name c img sh -p 80:80");
        let gone = Gone { ports: &words("80 81/udp"), mounts: &words("/b/"), labels: &words("x") };
        let new = line(&old, 3, gone, &words("--memory 64m"));
        assert_eq!(new, words("rcon run -d --name c --memory 64m img sh -p 80:80"));
        assert_eq!(line(&words("rcon"), 3, gone, &[]), words("rcon"));
    }
}
