//! `--userns`, `--uidmap`, `--subuidname`: the id maps of a container's user namespace.
//!
//! `auto` gives each container host ids of its own, out of what /etc/subuid and /etc/subgid give to the user
//! `containers` (podman's name for it); where they say nothing, out of [`POOL`]. Ids are taken while the container is
//! made; `engine::create` keeps others from taking the same meanwhile.

use super::{Inputs, invalid};
use crate::engine::error::{Error, Kind};
use crate::model::namespace::{IdMap, IdMaps, UserNsMode};

/// The user whose subordinate ids are given to containers.
const USER: &str = "containers";
/// Ids for a host that gives `containers` none: the upper half, where no distribution puts users.
const POOL: (u32, u32) = (0x7fff_ffff, 0x8000_0000);
/// Least number of ids of a container, and the number that an image may ask for by its users.
const LEAST: u32 = 1024;
const MOST: u32 = 65_536;

/// Whether host ids have to be chosen for these options.
#[must_use]
pub fn is_automatic(mode: Option<&UserNsMode>) -> bool {
    matches!(mode, Some(UserNsMode::Other(text)) if text == "auto" || text.starts_with("auto:"))
}

pub(super) fn resolve(
    inputs: &Inputs<'_>,
    wish: Option<&UserNsMode>,
    names: (Option<&str>, Option<&str>),
) -> Result<UserNsMode, Error> {
    if let (Some(user), other) | (other, Some(user)) = names {
        let maps = by_name(inputs, names.0.unwrap_or(user), names.1.or(other).unwrap_or(user))?;
        return Ok(UserNsMode::Mapped(maps));
    }
    let mode = match wish {
        None | Some(UserNsMode::Host) => return Ok(UserNsMode::Host),
        Some(UserNsMode::Mapped(maps)) => UserNsMode::Mapped(maps.clone()),
        Some(UserNsMode::Container(name)) => {
            UserNsMode::Container(inputs.world.container(name)?.id.as_str().to_owned())
        }
        Some(UserNsMode::Path(path)) if !path.starts_with('/') => {
            return Err(invalid(format!("--userns ns:{path}: the path must be absolute")));
        }
        Some(UserNsMode::Path(path)) => UserNsMode::Path(path.clone()),
        Some(UserNsMode::Other(text)) => UserNsMode::Mapped(by_word(inputs, text)?),
    };
    if let UserNsMode::Mapped(maps) = &mode {
        check(maps)?;
    }
    Ok(mode)
}

/// Ranges of one map must not meet, on either side; the kernel would only say "invalid argument".
fn check(maps: &IdMaps) -> Result<(), Error> {
    for (flag, ranges) in [("--uidmap", &maps.uids), ("--gidmap", &maps.gids)] {
        if ranges.is_empty() {
            return Err(invalid(format!("{flag}: a user namespace needs both uid and gid ranges")));
        }
        if ranges.len() > 340 {
            return Err(invalid(format!("{flag}: the kernel takes at most 340 ranges")));
        }
        let meet = |a: u32, b: u32, x: u32, y: u32| {
            u64::from(a) < u64::from(x) + u64::from(y) && u64::from(x) < u64::from(a) + u64::from(b)
        };
        for (i, a) in ranges.iter().enumerate() {
            if ranges[..i].iter().any(|b| {
                meet(a.inside, a.count, b.inside, b.count) || meet(a.outside, a.count, b.outside, b.count)
            }) {
                return Err(invalid(format!(
                    "{flag}: the range {}:{}:{} meets another",
                    a.inside, a.outside, a.count
                )));
            }
        }
    }
    Ok(())
}

fn by_word(inputs: &Inputs<'_>, text: &str) -> Result<IdMaps, Error> {
    let (word, options) = text.split_once(':').unwrap_or((text, ""));
    match word {
        "auto" => automatic(inputs, options),
        "keep-id" if kept_user(text).is_some() => {
            // For root the caller's own mapping, as in podman: all ids, in a namespace of its own.
            let all = vec![IdMap { inside: 0, outside: 0, count: u32::MAX }];
            Ok(IdMaps { uids: all.clone(), gids: all })
        }
        "keep-id" if options.starts_with("size=") => {
            Err(unsupported(text, "there is no size to choose but for rootless containers"))
        }
        "keep-id" => Err(invalid(format!("invalid --userns value {text:?}: want keep-id:uid=N,gid=N"))),
        "nomap" => Err(unsupported(text, "nomap is for rootless containers")),
        _ => Err(invalid("--userns=private needs ranges to map")
            .hint("give --uidmap and --gidmap, or let rcon choose them: --userns=auto")),
    }
}

/// The user and group that `keep-id` makes the container's, where nobody names one: for root its own, or those said.
#[must_use]
pub(super) fn kept_user(text: &str) -> Option<(u32, u32)> {
    let options = text.strip_prefix("keep-id")?;
    let (mut uid, mut gid) = (0, 0);
    let list = if options.is_empty() { "" } else { options.strip_prefix(':')? };
    for option in list.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=')? {
            ("uid", number) => uid = number.parse().ok()?,
            ("gid", number) => gid = number.parse().ok()?,
            _ => return None,
        }
    }
    Some((uid, gid))
}

fn unsupported(text: &str, why: &str) -> Error {
    Error::new(Kind::Unsupported, format!("--userns={text} is not supported: {why}"))
        .hint("use --userns=auto, or ranges by --uidmap and --gidmap")
}

/// All ranges of a user, one after the other from 0.
fn by_name(inputs: &Inputs<'_>, user: &str, group: &str) -> Result<IdMaps, Error> {
    let ranges = |file: &str, name: &str| {
        let mut next = 0;
        let mut out = Vec::new();
        for (first, count) in inputs.world.sub_ids(file, name)? {
            out.push(IdMap { inside: next, outside: first, count });
            next += count;
        }
        if out.is_empty() {
            return Err(invalid(format!("{file} gives no ids to {name}")));
        }
        Ok(out)
    };
    Ok(IdMaps { uids: ranges("/etc/subuid", user)?, gids: ranges("/etc/subgid", group)? })
}

/// `size=N`, `uidmapping=IN:OUT:N`, `gidmapping=IN:OUT:N`.
fn automatic(inputs: &Inputs<'_>, options: &str) -> Result<IdMaps, Error> {
    let (mut size, mut fixed) = (None, IdMaps::default());
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let bad = || {
            invalid(format!(
                "invalid --userns=auto option {option:?}: want size=, uidmapping= or gidmapping="
            ))
        };
        let (key, value) = option.split_once('=').ok_or_else(bad)?;
        match key {
            "size" => size = Some(value.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(bad)?),
            "uidmapping" => fixed.uids.push(value.parse()?),
            "gidmapping" => fixed.gids.push(value.parse()?),
            _ => return Err(bad()),
        }
    }
    let size = match size {
        Some(size) => size,
        None => needed(inputs, &fixed),
    };
    let (uids, gids) = (pool(inputs, "/etc/subuid")?, pool(inputs, "/etc/subgid")?);
    // The same numbers for both, so that one range stands for a container.
    let shared: Vec<(u32, u32)> =
        uids.iter().flat_map(|u| gids.iter().filter_map(|g| common(*u, *g))).collect();
    let taken = inputs.world.mapped_ids()?;
    let first = free(&shared, &taken, size).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("no {size} subordinate ids in a row are free for --userns=auto"))
            .hint(format!(
                "give the user {USER} more in /etc/subuid and /etc/subgid, or ask for less: auto:size=N"
            ))
    })?;
    Ok(IdMaps { uids: around(&fixed.uids, first, size), gids: around(&fixed.gids, first, size) })
}

/// As many ids as the image's users, the asked-for user and the fixed ranges need.
fn needed(inputs: &Inputs<'_>, fixed: &IdMaps) -> u32 {
    let layers = inputs.image.map(|i| i.layers.as_slice()).unwrap_or_default();
    let image = inputs.world.highest_id(layers).saturating_add(1).min(MOST);
    let user = inputs.options.process.user.as_deref().or(inputs.image.map(|i| i.config.user.as_str()));
    let numbers = user.unwrap_or_default().split(':').filter_map(|n| n.parse::<u32>().ok());
    let asked = numbers.map(|n| n.saturating_add(1)).max().unwrap_or(0);
    let ends = fixed.uids.iter().chain(&fixed.gids).map(|r| r.inside.saturating_add(r.count));
    LEAST.max(image).max(asked).max(ends.max().unwrap_or(0))
}

fn pool(inputs: &Inputs<'_>, file: &str) -> Result<Vec<(u32, u32)>, Error> {
    let given = inputs.world.sub_ids(file, USER)?;
    Ok(if given.is_empty() { vec![POOL] } else { given })
}

fn common(a: (u32, u32), b: (u32, u32)) -> Option<(u32, u32)> {
    let first = a.0.max(b.0);
    let end = (u64::from(a.0) + u64::from(a.1)).min(u64::from(b.0) + u64::from(b.1));
    let count = end.checked_sub(u64::from(first)).filter(|n| *n > 0)?;
    Some((first, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// The first free run of `size` ids.
fn free(pool: &[(u32, u32)], taken: &[(u32, u32)], size: u32) -> Option<u32> {
    let mut taken: Vec<(u64, u64)> =
        taken.iter().map(|(first, n)| (u64::from(*first), u64::from(*first) + u64::from(*n))).collect();
    taken.sort_unstable();
    for (first, count) in pool {
        let mut at = u64::from(*first);
        let end = at + u64::from(*count);
        for (from, to) in &taken {
            if *from < at + u64::from(size) && at < *to {
                at = *to;
            }
        }
        if at + u64::from(size) <= end {
            return u32::try_from(at).ok();
        }
    }
    None
}

/// The fixed ranges, and what they leave of `0..size` mapped from `first` on.
fn around(fixed: &[IdMap], first: u32, size: u32) -> Vec<IdMap> {
    let mut out = fixed.to_vec();
    let mut ends: Vec<(u32, u32)> =
        fixed.iter().map(|r| (r.inside, r.inside.saturating_add(r.count))).collect();
    ends.sort_unstable();
    let (mut inside, mut outside) = (0, first);
    for (from, to) in ends.into_iter().chain([(size, size)]) {
        let from = from.min(size);
        if from > inside {
            out.push(IdMap { inside, outside, count: from - inside });
            outside += from - inside;
        }
        inside = inside.max(to);
    }
    out.sort_by_key(|r| r.inside);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_run_is_found_between_others() {
        let pool = [(100, 1000)];
        assert_eq!(free(&pool, &[], 1000), Some(100));
        assert_eq!(free(&pool, &[(100, 10), (150, 50)], 40), Some(110));
        assert_eq!(free(&pool, &[(150, 50), (100, 10)], 60), Some(200));
        assert_eq!(free(&pool, &[(100, 10)], 1000), None);
        assert_eq!(free(&[(1, 5), (50, 20)], &[], 10), Some(50));
    }

    #[test]
    fn fixed_ranges_are_left_out_of_the_rest() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        assert_eq!(around(&[], 500, 100), [map(0, 500, 100)]);
        let all = around(&[map(10, 7, 1)], 500, 100);
        assert_eq!(all, [map(0, 500, 10), map(10, 7, 1), map(11, 510, 89)]);
        assert_eq!(around(&[map(200, 7, 1)], 500, 100), [map(0, 500, 100), map(200, 7, 1)]);
    }

    #[test]
    fn ranges_that_meet_are_told() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        let both = |r: Vec<IdMap>| IdMaps { uids: r.clone(), gids: r };
        assert!(check(&both(vec![map(0, 100, 10), map(10, 200, 10)])).is_ok());
        assert!(check(&both(vec![map(0, 100, 10), map(9, 200, 10)])).is_err());
        assert!(check(&both(vec![map(0, 100, 10), map(10, 105, 10)])).is_err());
        assert!(check(&IdMaps::default()).is_err());
    }
}
