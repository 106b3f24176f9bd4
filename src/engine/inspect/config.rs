//! `Config`: the part of a container that does not depend on the host.

use serde_json::{Map, Value, json};

use super::{list_or_null, text_map};
use crate::model::container::ContainerSpec;
use crate::model::lifecycle::{HealthCheck, parse_signal, signal_name};
use crate::model::mount::MountKind;

pub(super) fn config(spec: &ContainerSpec) -> Value {
    let p = &spec.process;
    let mut value = json!({
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "User": p.user,
        "AttachStdin": p.interactive,
        "AttachStdout": true,
        "AttachStderr": true,
    });
    let put = |value: &mut Value, key: &str, v: Value| value[key] = v;
    if !spec.network.exposed.is_empty() {
        let ports = spec.network.exposed.iter();
        let ports: Map<String, Value> =
            ports.map(|e| (format!("{}/{}", e.port, e.protocol), json!({}))).collect();
        put(&mut value, "ExposedPorts", ports.into());
    }
    put(&mut value, "Tty", p.tty.into());
    put(&mut value, "OpenStdin", p.interactive.into());
    put(&mut value, "StdinOnce", p.interactive.into());
    put(&mut value, "Env", env(spec).into());
    put(&mut value, "Cmd", list_or_null(&p.cmd));
    if let Some(check) = &spec.lifecycle.health {
        put(&mut value, "Healthcheck", healthcheck(check));
    } else if let Some(off) = spec.options.lifecycle.health.as_ref().filter(|check| is_off(check)) {
        put(&mut value, "Healthcheck", json!({ "Test": off.test }));
    }
    put(&mut value, "Image", spec.root.image_name.clone().into());
    put(&mut value, "Volumes", volumes(spec));
    put(&mut value, "WorkingDir", if p.cwd == "/" { "" } else { p.cwd.as_str() }.into());
    put(&mut value, "Entrypoint", list_or_null(&p.entrypoint));
    put(&mut value, "OnBuild", Value::Null);
    put(&mut value, "Labels", text_map(&spec.labels));
    let typed = spec.options.lifecycle.stop_signal.clone();
    // As docker: the word that was typed, while it is the one that counts.
    let typed = typed.filter(|word| parse_signal(word) == Ok(spec.lifecycle.stop_signal));
    put(&mut value, "StopSignal", typed.unwrap_or_else(|| signal_name(spec.lifecycle.stop_signal)).into());
    put(&mut value, "StopTimeout", spec.options.lifecycle.stop_timeout.map_or(Value::Null, Value::from));
    // podman's
    put(&mut value, "Annotations", text_map(&spec.annotations));
    put(&mut value, "CreateCommand", list_or_null(&spec.options.command_line));
    put(&mut value, "Umask", format!("{:04o}", p.umask).into());
    put(&mut value, "Timezone", spec.timezone.clone().unwrap_or_default().into());
    put(&mut value, "Timeout", spec.lifecycle.timeout.into());
    if let Some(startup) = spec.lifecycle.health.as_ref().and_then(|check| check.startup.as_ref()) {
        let check = json!({
            "Test": startup.test,
            "Interval": startup.interval,
            "Timeout": startup.timeout,
            "Retries": startup.retries,
            "Successes": startup.success,
        });
        put(&mut value, "StartupHealthCheck", check);
    }
    let log = &spec.lifecycle.health_log;
    put(&mut value, "HealthLogDestination", log.destination.clone().into());
    put(&mut value, "HealthMaxLogCount", log.max_count.into());
    put(&mut value, "HealthMaxLogSize", log.max_size.into());
    put(&mut value, "HealthcheckOnFailureAction", spec.lifecycle.health_on_failure.word().into());
    put(&mut value, "SystemdMode", spec.systemd.into());
    put(&mut value, "Passwd", spec.passwd.into());
    if !spec.chroot_dirs.is_empty() {
        put(&mut value, "ChrootDirs", spec.chroot_dirs.clone().into());
    }
    if !spec.secrets.is_empty() {
        let secrets = spec.secrets.iter();
        let all =
            secrets.map(|s| json!({"Name": s.name, "ID": s.id, "UID": s.uid, "GID": s.gid, "Mode": s.mode}));
        put(&mut value, "Secrets", all.collect());
    }
    value
}

/// The environment without what every container gets unasked: its host name and terminal type.
fn env(spec: &ContainerSpec) -> Vec<String> {
    let said = |name: &str| spec.options.process.env.iter().any(|(n, _)| n == name);
    let hostname = format!("HOSTNAME={}", spec.hostname);
    let unasked = |e: &String| {
        (*e == hostname && !said("HOSTNAME")) || (e == "TERM=xterm" && spec.process.tty && !said("TERM"))
    };
    spec.process.env.iter().filter(|e| !unasked(e)).cloned().collect()
}

/// `--no-healthcheck`.
fn is_off(check: &HealthCheck) -> bool {
    check.test.first().is_some_and(|word| word == "NONE")
}

fn healthcheck(check: &HealthCheck) -> Value {
    json!({
        "Test": check.test,
        // podman's 0: no timer.
        "Interval": if check.interval == HealthCheck::NEVER { 0 } else { check.interval },
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    })
}

/// Targets of anonymous volumes, as docker shows them.
fn volumes(spec: &ContainerSpec) -> Value {
    let anonymous = spec.mounts.iter().filter(|m| m.kind == MountKind::Volume && m.anonymous);
    let map: Map<String, Value> = anonymous.map(|m| (m.target.clone(), json!({}))).collect();
    if map.is_empty() { Value::Null } else { map.into() }
}
