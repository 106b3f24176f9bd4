//! `update`: changes a container that exists: limits, restart policy, health, environment, labels, and
//! (recreated in place, writable layer kept) ports and mounts.

use super::context::Context;
use super::error::{Error, Kind};
use super::lookup::StoreWorld;
use super::resolve::{self, Inputs};
use super::retold::{self, Gone};
use super::select::{Done, Selection, targets};
use super::start;
use super::view::Container;
use crate::model::container::ContainerSpec;
use crate::model::create::CreateOptions;
use crate::model::id::ContainerId;
use crate::model::lifecycle::{HealthAction, HealthCheck, HealthLogOptions, RestartPolicy, StartupCheck};
use crate::model::mount::MountRequest;
use crate::model::network::PortRequest;
use crate::model::process::Rlimit;
use crate::model::resources::Resources;
use crate::monitor::client;
use crate::monitor::proto::{StopWish, UpdateWish};
use crate::storage::Store;
use crate::storage::containers::Desired;
use crate::storage::volumes::NewVolume;

/// What is to change; `None` and empty leave it as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdateOptions {
    /// Limits.
    pub resources: Resources,
    /// `--restart`.
    pub restart: Option<RestartPolicy>,
    /// `--health-*`.
    pub health: Option<HealthCheck>,
    /// `--health-on-failure`.
    pub health_on_failure: Option<HealthAction>,
    /// `--health-log-destination`, `--health-max-log-…`.
    pub health_log: HealthLogOptions,
    /// `-e`.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--label-add` / `-l`.
    pub labels: Vec<(String, String)>,
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--ulimit`.
    pub rlimits: Vec<Rlimit>,
    /// `--publish-add` (`-p`).
    pub publish: Vec<PortRequest>,
    /// `--publish-rm` `PORT[/PROTO]` of the container.
    pub unpublish: Vec<String>,
    /// `--mount-add` (`-v`).
    pub mounts: Vec<MountRequest>,
    /// `--mount-rm`: targets.
    pub unmount: Vec<String>,
    /// The flags as `run` takes them, for `inspect --as-run`.
    pub words: Vec<String>,
}

impl UpdateOptions {
    /// Whether the container has to be taken down for it: what the kernel fixes when a process starts.
    fn needs_restart(&self) -> bool {
        !(self.env.is_empty()
            && self.unset_env.is_empty()
            && self.rlimits.is_empty()
            && self.publish.is_empty()
            && self.unpublish.is_empty()
            && self.mounts.is_empty()
            && self.unmount.is_empty())
    }

    /// Whether the monitor has to read anew how the container's health is checked.
    fn changes_health(&self) -> bool {
        self.health.is_some()
            || self.health_on_failure.is_some()
            || self.health_log != HealthLogOptions::default()
    }
}

/// Changes each container. Limits, the restart policy and the health check of a running one change at once; for the rest it is
/// stopped, changed and started again with its writable layer.
///
/// # Errors
/// Only what concerns the selection as a whole.
pub fn update(
    ctx: &Context,
    which: &Selection,
    options: &UpdateOptions,
    report: &mut dyn FnMut(Done<ContainerId>),
) -> Result<(), Error> {
    if *options == UpdateOptions::default() {
        return Err(Error::new(Kind::Invalid, "you must provide one or more flags when using this command"));
    }
    let store = ctx.store()?;
    for target in targets(ctx, &store, which, |_| true)? {
        let result = target.found.and_then(|c| one(ctx, &store, &c, options));
        report(Done { given: target.given, result });
    }
    Ok(())
}

fn one(
    ctx: &Context,
    store: &Store,
    container: &Container,
    options: &UpdateOptions,
) -> Result<ContainerId, Error> {
    let old = container.spec(store)?;
    let new = changed(ctx, store, &old, options)?;
    let id = container.id();
    let restart = options.needs_restart() && container.alive();
    let mut told = false;
    if restart {
        let wish = StopWish { signal: None, timeout: None, by_user: false };
        client::stop(&ctx.paths, id, wish)
            .map_err(|e| Error::from(e).context("stopping it for the change"))?;
    } else if container.alive() {
        // The kernel decides first: a limit that it refuses must not be on record.
        let limits = (options.resources != Resources::default()).then(|| new.resources.clone());
        let wish = UpdateWish { resources: limits, restart: options.restart, health: false };
        if wish != UpdateWish::default() {
            // The monitor writes the event then.
            client::update(&ctx.paths, id, wish)?;
            told = true;
        }
    }
    store.update_spec(&new)?;
    if options.changes_health() && container.alive() && !restart {
        client::update(&ctx.paths, id, UpdateWish { health: true, ..UpdateWish::default() })?;
        told = true;
    }
    if options.restart.is_some_and(|p| p != RestartPolicy::No) && container.alive() {
        store.set_desired(id, Desired::Running)?;
    }
    if !told {
        super::journal::container(ctx, "update", &container.row, &[]);
    }
    if restart {
        let stopped = Container::find(ctx, store, id.as_str())?;
        start::one(ctx, store, &stopped, None)
            .map_err(|e| e.context("the change is recorded, but the container does not start with it"))?;
    }
    Ok(id.clone())
}

/// The spec with the changes: the wish is changed and resolved again, so that an update obeys the same rules as a create; what
/// was drawn or made at the creation (name, time, volumes) stays.
fn changed(
    ctx: &Context,
    store: &Store,
    old: &ContainerSpec,
    options: &UpdateOptions,
) -> Result<ContainerSpec, Error> {
    let mut wish = old.options.clone();
    apply(&mut wish, options)?;
    // What these named at the creation may be gone by now; the container has what it got then.
    let secrets = std::mem::take(&mut wish.secrets);
    let links = std::mem::take(&mut wish.network.links);
    let image = old.root.image_id.as_ref().map(|id| store.image(id)).transpose()?;
    let world = StoreWorld::new(ctx, store);
    let resolved = resolve::resolve(&Inputs {
        options: &wish,
        id: old.id.clone(),
        name: old.name.clone(),
        now: old.created,
        image: image.as_ref(),
        config: &ctx.config,
        host: &ctx.host,
        world: &world,
    })?;
    let mut new = resolved.spec;
    let off = |check: &HealthCheck| check.test.first().is_some_and(|word| word == "NONE");
    if options.health.as_ref().is_some_and(|check| !off(check)) && new.lifecycle.health.is_none() {
        return Err(Error::new(Kind::Invalid, "the healthcheck command is not set: give --health-cmd"));
    }
    new.options.secrets = secrets;
    new.options.network.links = links;
    new.secrets.clone_from(&old.secrets);
    new.network.links.clone_from(&old.network.links);
    new.network.names.clone_from(&old.network.names);
    // Its files have these ids.
    new.namespaces.user.clone_from(&old.namespaces.user);
    // Anonymous volumes were given names at the creation; they are kept by their targets.
    for mount in &mut new.mounts {
        if mount.anonymous
            && let Some(kept) = old.mounts.iter().find(|m| m.anonymous && m.target == mount.target)
        {
            mount.clone_from(kept);
        }
    }
    for volume in &resolved.volumes {
        if new.mounts.iter().any(|m| m.name.as_ref() == Some(&volume.name)) {
            store.ensure_volume(&NewVolume {
                name: Some(volume.name.clone()),
                anonymous: volume.anonymous,
                labels: volume.labels.clone(),
                options: volume.options.clone(),
            })?;
        }
    }
    Ok(new)
}

fn apply(wish: &mut CreateOptions, options: &UpdateOptions) -> Result<(), Error> {
    let UpdateOptions {
        resources,
        restart,
        health,
        health_on_failure,
        health_log,
        env,
        unset_env,
        labels,
        unset_labels,
        rlimits,
        publish,
        unpublish,
        mounts,
        unmount,
        words,
    } = options;
    let gone = Gone { ports: unpublish, mounts: unmount, labels: unset_labels };
    wish.command_line = retold::line(&wish.command_line, wish.process.args.len(), gone, words);
    merge_resources(&mut wish.resources, resources);
    if let Some(policy) = restart {
        wish.lifecycle.restart = Some(*policy);
    }
    if let Some(check) = health {
        wish.lifecycle.health = Some(merged_health(wish.lifecycle.health.take(), check));
    }
    if let Some(action) = health_on_failure {
        wish.lifecycle.health_on_failure = *action;
    }
    let log = &mut wish.lifecycle.health_log;
    log.destination = health_log.destination.clone().or(log.destination.take());
    log.max_count = health_log.max_count.or(log.max_count);
    log.max_size = health_log.max_size.or(log.max_size);
    wish.process.env.retain(|(n, _)| !env.iter().any(|(e, _)| e == n) && !unset_env.contains(n));
    wish.process.env.extend(env.iter().cloned());
    wish.process.unset_env.extend(unset_env.iter().cloned());
    wish.process.unset_env.retain(|n| !env.iter().any(|(e, _)| e == n));
    wish.labels.retain(|(k, _)| !labels.iter().any(|(l, _)| l == k) && !unset_labels.contains(k));
    wish.labels.extend(labels.iter().cloned());
    wish.process.rlimits.retain(|l| !rlimits.iter().any(|r| r.kind == l.kind));
    wish.process.rlimits.extend(rlimits.iter().cloned());
    remove_ports(wish, unpublish)?;
    wish.network.publish.extend(publish.iter().cloned());
    for target in unmount {
        let before = wish.mounts.len();
        wish.mounts.retain(|m| m.target.trim_end_matches('/') != target.trim_end_matches('/'));
        if wish.mounts.len() == before {
            return Err(Error::new(
                Kind::NotFound,
                format!("nothing that was asked for is mounted at {target}"),
            ));
        }
    }
    wish.mounts.extend(mounts.iter().cloned());
    Ok(())
}

fn remove_ports(wish: &mut CreateOptions, unpublish: &[String]) -> Result<(), Error> {
    for text in unpublish {
        let (first, last, protocol) = crate::model::network::parse_expose(text)?;
        let before = wish.network.publish.len();
        wish.network.publish.retain(|p| !(p.container == (first, last) && p.protocol == protocol));
        if wish.network.publish.len() == before {
            return Err(Error::new(Kind::NotFound, format!("container port {text} is not published")));
        }
    }
    Ok(())
}

fn merged_health(old: Option<HealthCheck>, new: &HealthCheck) -> HealthCheck {
    let old = old.unwrap_or_default();
    let pick = |new: u64, old: u64| if new == 0 { old } else { new };
    HealthCheck {
        test: if new.test.is_empty() { old.test } else { new.test.clone() },
        interval: pick(new.interval, old.interval),
        timeout: pick(new.timeout, old.timeout),
        start_period: pick(new.start_period, old.start_period),
        start_interval: pick(new.start_interval, old.start_interval),
        retries: if new.retries == 0 { old.retries } else { new.retries },
        startup: match (old.startup, &new.startup) {
            (_, None) if new.test.first().is_some_and(|word| word == "NONE") => None,
            (old, None) => old,
            (old, Some(new)) => Some(merged_startup(old.unwrap_or_default(), new)),
        },
    }
}

fn merged_startup(old: StartupCheck, new: &StartupCheck) -> StartupCheck {
    let pick = |new: u64, old: u64| if new == 0 { old } else { new };
    StartupCheck {
        test: if new.test.is_empty() { old.test } else { new.test.clone() },
        interval: pick(new.interval, old.interval),
        timeout: pick(new.timeout, old.timeout),
        retries: if new.retries == 0 { old.retries } else { new.retries },
        success: if new.success == 0 { old.success } else { new.success },
    }
}

/// Puts the limits that `new` names over those of `old`.
pub(super) fn merge_resources(old: &mut Resources, new: &Resources) {
    let Resources {
        memory,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        oom_kill_disable,
        nano_cpus,
        cpu_shares,
        cpu_period,
        cpu_quota,
        cpu_rt_period,
        cpu_rt_runtime,
        cpuset_cpus,
        cpuset_mems,
        pids_limit,
        blkio_weight,
        blkio_weight_device,
        read_bps,
        write_bps,
        read_iops,
        write_iops,
        unified,
    } = new.clone();
    fn put<T>(slot: &mut Option<T>, value: Option<T>) {
        if value.is_some() {
            *slot = value;
        }
    }
    fn list<T>(slot: &mut Vec<T>, value: Vec<T>) {
        if !value.is_empty() {
            *slot = value;
        }
    }
    put(&mut old.memory, memory);
    put(&mut old.memory_reservation, memory_reservation);
    put(&mut old.memory_swap, memory_swap);
    put(&mut old.memory_swappiness, memory_swappiness);
    put(&mut old.oom_kill_disable, oom_kill_disable);
    // --cpus and --cpu-quota say the same thing in two ways: the new one replaces the other.
    if nano_cpus.is_some() {
        (old.cpu_period, old.cpu_quota) = (None, None);
    }
    if cpu_period.is_some() || cpu_quota.is_some() {
        old.nano_cpus = None;
    }
    put(&mut old.nano_cpus, nano_cpus);
    put(&mut old.cpu_shares, cpu_shares);
    put(&mut old.cpu_period, cpu_period);
    put(&mut old.cpu_quota, cpu_quota);
    put(&mut old.cpu_rt_period, cpu_rt_period);
    put(&mut old.cpu_rt_runtime, cpu_rt_runtime);
    put(&mut old.cpuset_cpus, cpuset_cpus);
    put(&mut old.cpuset_mems, cpuset_mems);
    put(&mut old.pids_limit, pids_limit);
    put(&mut old.blkio_weight, blkio_weight);
    list(&mut old.blkio_weight_device, blkio_weight_device);
    list(&mut old.read_bps, read_bps);
    list(&mut old.write_bps, write_bps);
    list(&mut old.read_iops, read_iops);
    list(&mut old.write_iops, write_iops);
    list(&mut old.unified, unified);
}
