//! `info`: one JSON document with docker's fields and, beside them, podman's `host`, `store`, `registries`, `version`.

use serde_json::{Value, json};

use super::{VERSION, architecture, kernel};
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::ps;
use crate::storage::Store;

/// `info` as JSON.
///
/// # Errors
/// A store that cannot be read.
pub fn info(ctx: &Context) -> Result<Value, Error> {
    let store = ctx.store()?;
    let images = store.list_images()?.len();
    let (running, paused, stopped) = ps::counts(ctx, &store)?;
    let host = Facts::read(ctx);
    let mut all = docker(ctx, &host);
    if let (Value::Object(all), Value::Object(more)) = (&mut all, docker_host(ctx, &host)) {
        all.extend(more);
    }
    all["Containers"] = (running + paused + stopped).into();
    all["ContainersRunning"] = running.into();
    all["ContainersPaused"] = paused.into();
    all["ContainersStopped"] = stopped.into();
    all["Images"] = images.into();
    all["host"] = podman_host(ctx, &host);
    all["store"] = podman_store(ctx, &store, images, (running, paused, stopped));
    all["registries"] = json!({ "search": crate::engine::images::search_registries() });
    // podman has one where it speaks to another machine.
    all["Client"] = Value::Null;
    all["plugins"] = json!({
        "volume": ["local"],
        "network": ["bridge"],
        "log": ["json-file", "k8s-file", "journald", "none", "passthrough"],
        "authorization": Value::Null,
    });
    all["version"] = json!({
        "APIVersion": VERSION,
        "Version": VERSION,
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": "",
        "Built": 0,
        "OsArch": super::platform(),
        "Os": "linux",
    });
    Ok(all)
}

/// What is read from the host for it.
struct Facts {
    os: String,
    os_id: String,
    os_version: String,
    hostname: String,
    cgroup_version: &'static str,
    cgroup_driver: String,
    memory: u64,
    memory_free: u64,
    swap: u64,
    swap_free: u64,
    uptime: u64,
}

impl Facts {
    fn read(ctx: &Context) -> Self {
        let release = std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        let key = |name: &str| {
            let line = release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
            line.map(|v| v.trim_matches('"').to_owned()).unwrap_or_default()
        };
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kb = |name: &str| {
            let line = meminfo.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
            number.unwrap_or(0) * 1024
        };
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        Self {
            os: key("PRETTY_NAME"),
            os_id: key("ID"),
            os_version: key("VERSION_ID"),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            cgroup_version: if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
                "2"
            } else {
                "1"
            },
            cgroup_driver: ctx.config.engine.cgroup_manager.clone().unwrap_or_else(|| "cgroupfs".to_owned()),
            memory: kb("MemTotal"),
            memory_free: kb("MemFree"),
            swap: kb("SwapTotal"),
            swap_free: kb("SwapFree"),
            uptime: uptime.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0),
        }
    }
}

fn security_options(ctx: &Context) -> Vec<String> {
    let mut all = Vec::new();
    if ctx.host.apparmor() {
        all.push("name=apparmor".to_owned());
    }
    all.push("name=seccomp,profile=builtin".to_owned());
    if ctx.host.selinux() {
        all.push("name=selinux".to_owned());
    }
    all.push("name=cgroupns".to_owned());
    all
}

/// docker's fields about what there is and what can be limited.
fn docker(ctx: &Context, host: &Facts) -> Value {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    json!({
        "ID": id.trim(),
        "Containers": 0,
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": 0,
        "Driver": "overlay2",
        "DriverStatus": [["Supports d_type", "true"], ["Native Overlay Diff", "true"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "none"],
            "Authorization": Value::Null,
            "Log": ["json-file", "k8s-file", "journald", "none", "passthrough"],
        },
        "MemoryLimit": true,
        "SwapLimit": true,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        "IPv4Forwarding": true,
        "Debug": false,
        "NFd": 0,
        "OomKillDisable": host.cgroup_version == "1",
        "NGoroutines": 0,
        "SystemTime": jiff::Timestamp::now().to_string(),
        "LoggingDriver": ctx.config.containers.log_driver.clone().unwrap_or_else(|| "json-file".to_owned()),
        "CgroupDriver": host.cgroup_driver,
        "CgroupVersion": host.cgroup_version,
        "NEventsListener": 0,
    })
}

/// docker's fields about the host and the program.
fn docker_host(ctx: &Context, host: &Facts) -> Value {
    json!({
        "KernelVersion": kernel(),
        "OperatingSystem": host.os,
        "OSVersion": host.os_version,
        "OSType": "linux",
        // docker says the machine's word here (x86_64), unlike everywhere else.
        "Architecture": std::env::consts::ARCH,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": { "InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": Value::Null },
        "NCPU": ctx.host.cpus(),
        "MemTotal": host.memory,
        "GenericResources": Value::Null,
        "DockerRootDir": ctx.paths.root.display().to_string(),
        "HttpProxy": proxy(ctx, "http_proxy"),
        "HttpsProxy": proxy(ctx, "https_proxy"),
        "NoProxy": proxy(ctx, "no_proxy"),
        "Name": host.hostname,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": VERSION,
        "Runtimes": { "rcon": { "path": "rcon" } },
        "DefaultRuntime": "rcon",
        "Swarm": { "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false,
                   "Error": "", "RemoteManagers": Value::Null },
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "rcon",
        "SecurityOptions": security_options(ctx),
        "CDISpecDirs": ctx.config.engine.cdi_spec_dirs.iter().map(|p| p.display().to_string()).collect::<Vec<_>>(),
        "Warnings": Value::Null,
        "ClientInfo": { "Debug": false, "Context": "default", "Plugins": [], "Version": VERSION,
                        "Platform": { "Name": "rcon" }, "Os": "linux", "Arch": architecture() },
    })
}

/// Those that the kernel has and the hierarchy gives out.
fn controllers() -> Vec<String> {
    if let Ok(text) = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
        return text.split_whitespace().map(str::to_owned).collect();
    }
    let text = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let on = |line: &&str| !line.starts_with('#') && line.ends_with('1');
    text.lines().filter(on).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn proxy(ctx: &Context, name: &str) -> String {
    let fits = |n: &str| n.eq_ignore_ascii_case(name);
    ctx.config.proxies.iter().find(|(n, _)| fits(n)).map(|(_, v)| v.clone()).unwrap_or_default()
}

/// What a container may where nobody says otherwise.
fn capabilities(ctx: &Context) -> String {
    let Some(own) = &ctx.config.containers.default_capabilities else {
        return crate::runtime::defaults::CAPABILITIES.join(",");
    };
    let full = |name: &String| format!("CAP_{}", name.trim_start_matches("CAP_"));
    let mut all: Vec<String> = own.iter().map(full).collect();
    all.sort();
    all.join(",")
}

fn podman_host(ctx: &Context, host: &Facts) -> Value {
    let program = std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_default();
    json!({
        "arch": architecture(),
        // One program is all of podman's helpers.
        "conmon": { "package": format!("rcon-{VERSION}"), "path": program, "version": VERSION },
        "databaseBackend": "sqlite",
        "cgroupManager": host.cgroup_driver,
        "cgroupVersion": format!("v{}", host.cgroup_version),
        "cgroupControllers": controllers(),
        // The name of the field in podman's templates.
        "cgroupsVersion": format!("v{}", host.cgroup_version),
        "cpus": ctx.host.cpus(),
        "distribution": { "distribution": host.os_id, "version": host.os_version },
        "eventLogger": "file",
        "hostname": host.hostname,
        "kernel": kernel(),
        "logDriver": ctx.config.containers.log_driver.clone().unwrap_or_else(|| "json-file".to_owned()),
        "memFree": host.memory_free,
        "memTotal": host.memory,
        // podman's users ask whether it is netavark or CNI, whose networks are of another kind.
        "networkBackend": if ctx.podman { "netavark" } else { "rcon" },
        "networkBackendInfo": {
            "backend": if ctx.podman { "netavark" } else { "rcon" },
            "package": format!("rcon-{VERSION}"),
            "path": program,
            "version": VERSION,
            "dns": { "package": format!("rcon-{VERSION}"), "path": program, "version": VERSION },
        },
        "ociRuntime": {
            "name": "rcon",
            "package": format!("rcon-{VERSION}"),
            "path": program,
            "version": VERSION,
        },
        "os": "linux",
        "rootlessNetworkCmd": "",
        "remoteSocket": { "exists": false, "path": "" },
        "security": {
            "apparmorEnabled": ctx.host.apparmor(),
            "capabilities": capabilities(ctx),
            "rootless": false,
            "seccompEnabled": true,
            "seccompProfilePath": ctx.config.containers.seccomp_profile.clone().unwrap_or_default(),
            "selinuxEnabled": ctx.host.selinux(),
        },
        "serviceIsRemote": false,
        "swapFree": host.swap_free,
        "swapTotal": host.swap,
        "uptime": format!("{}h {}m {}s", host.uptime / 3600, host.uptime % 3600 / 60, host.uptime % 60),
        "linkmode": "static",
    })
}

fn podman_store(ctx: &Context, store: &Store, images: usize, counts: (usize, usize, usize)) -> Value {
    let (running, paused, stopped) = counts;
    let space = rustix::fs::statvfs(&store.paths().root).ok();
    json!({
        "configFile": "",
        "containerStore": {
            "number": running + paused + stopped,
            "running": running,
            "paused": paused,
            "stopped": stopped,
        },
        "graphDriverName": "overlay",
        "graphOptions": {},
        "graphRoot": ctx.paths.root.display().to_string(),
        "graphRootAllocated": space.as_ref().map_or(0, |s| s.f_blocks * s.f_frsize),
        "graphRootUsed": space.as_ref().map_or(0, |s| (s.f_blocks - s.f_bfree) * s.f_frsize),
        "graphStatus": { "Native Overlay Diff": "true", "Supports d_type": "true" },
        "imageCopyTmpDir": ctx.paths.tmp().display().to_string(),
        "imageStore": { "number": images },
        "runRoot": ctx.paths.run.display().to_string(),
        "transientStore": false,
        "volumePath": ctx.paths.volumes().display().to_string(),
    })
}
