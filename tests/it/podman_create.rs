//! `run` and `create` by the name `podman`: what podman refuses when, with which exit code, and what its `inspect` shows.

use crate::podman_manner::podman;
use crate::support::{Sandbox, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

/// Flags, command, exit code, what stderr has.
type Case<'a> = (&'a [&'a str], &'a [&'a str], i32, &'a str);

fn refused(s: &Sandbox, cases: &[Case<'_>]) {
    for (flags, command, code, why) in cases {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.push("busybox");
        all.extend_from_slice(command);
        let done = podman(s, &all);
        assert!(done.fails(*code).contains(why), "{flags:?}: {}", done.stderr);
    }
}

fn shows(s: &Sandbox, container: &str, format: &str) -> String {
    podman(s, &["inspect", "-f", format, container]).ok().to_owned()
}

#[test]
fn what_cannot_be_is_told_when_podman_tells_it_and_with_its_code() {
    let s = sandbox("pc-codes");
    podman(&s, &["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=nonsense", "bad"])
        .ok();
    podman(&s, &["run", "-d", "--name=has", "--ip=10.88.7.7", "busybox", "sleep", "1000"]).ok();
    let id = shows(&s, "has", "{{.Id}}");
    let taken =
        format!("IPAM error: requested ip address 10.88.7.7 is already allocated to container ID {id}");
    let none = "not in any subnet on network podman";
    refused(
        &s,
        &[
            // Found when the container is made: 125.
            (&["--device=/dev/missing"], &[], 125, "stat /dev/missing: no such file or directory"),
            (&["--network=ns:/run/netns/x"], &[], 125, "faccessat /run/netns/x: no such file or directory"),
            (&["--tz=../etc/passwd"], &[], 125, "invalid location name"),
            (&["--ip=1142"], &[], 125, "\"1142\" is not an ip address"),
            (&["--network=none", "--dns-search=x"], &[], 125, "dns and the network mode: none"),
            (&["--network=container:has", "--dns-opt=x"], &[], 125, "dns and the network mode: container"),
            (&["--restart=always"], &[], 125, "--rm option conflicts with --restart"),
            (&["--volumes-from=has:z,z"], &[], 125, "cannot set :z more than once in mount options"),
            (&["--secret=type=env"], &[], 125, "no secret with name or id \"type=env\": no such secret"),
            (&["--mount=type=tmpfs,dst=/x,ro,rw"], &[], 125, "'readonly', 'ro', or 'rw'"),
            (&["--mount=type=tmpfs,dst=/x,tmpcopyup,notmpcopyup"], &[], 125, "cannot pass 'tmpcopyup'"),
            (&["--mount=type=bind,src=/,dst=/x,tmpcopyup"], &[], 125, "not supported for \"bind\""),
            (&["--mount=type=bind,src=/,dst=/x,U=x"], &[], 125, "instead received \"x\""),
            (&["--mount=type=bind,src=/,dst=/x,bind-propagation=x"], &[], 125, "\"bind-propagation=x\""),
            (&["--userns=private", "--subuidname=containers"], &[], 125, "are mutually exclusive"),
            (&["--userns=keep-id:size=5"], &[], 125, "cannot set max size"),
            // Found at its start: 126.
            (&["-w", "/not/there"], &[], 126, "workdir \"/not/there\" does not exist on container "),
            (&["-u", "root:nobodys"], &[], 126, "unable to find group nobodys"),
            (&["--ip=203.0.113.4"], &[], 126, none),
            (&["--ip6=2001:db8::1"], &[], 126, none),
            (&["--ip=10.88.7.7"], &[], 126, &taken),
            (&["-v", "bad:/x"], &[], 126, "mounting volume bad for container "),
        ],
    );
    podman(&s, &["create", "--name=later", "--ip=203.0.113.4", "busybox", "true"]).ok();
    assert!(podman(&s, &["start", "later"]).fails(125).contains(none));
    // docker tells of the address and makes the directory.
    assert!(s.rcon(["create", "--ip=203.0.113.4", "busybox"]).fails(1).contains("not in a subnet"));
    assert_eq!(s.rcon(["run", "--rm", "-w", "/not/there", "busybox", "pwd"]).ok(), "/not/there");
    // A link may lead into a mount, which is not there yet when it is looked at.
    podman(&s, &["run", "--name=linked", "busybox", "ln", "-s", "/m/in", "/link"]).ok();
    podman(&s, &["commit", "-q", "linked", "linked"]).ok();
    let dir = s.dir().join("with");
    std::fs::create_dir_all(dir.join("in")).expect("a folder");
    let mount = format!("{}:/m", dir.display());
    assert_eq!(podman(&s, &["run", "--rm", "-v", &mount, "-w", "/link", "linked", "pwd"]).ok(), "/m/in");
    // One below a mount may be made by what is mounted.
    assert_eq!(podman(&s, &["run", "--rm", "-v", &mount, "-w", "/m/in", "busybox", "pwd"]).ok(), "/m/in");
}

#[test]
fn a_container_that_fails_is_started_again_and_removed_in_the_end() {
    let s = sandbox("pc-restart");
    podman(&s, &["run", "--rm", "--restart=on-failure", "busybox", "true"]).ok();
    let script = "echo x >> /v/tries; [ $(wc -l < /v/tries) = 3 ]";
    podman(
        &s,
        &["run", "-d", "--rm", "--restart=on-failure", "--name=c", "-v=v:/v", "busybox", "sh", "-c", script],
    )
    .ok();
    crate::support::eventually("it is gone", || podman(&s, &["container", "exists", "c"]).code == 1);
    assert_eq!(s.rcon(["run", "--rm", "-v=v:/v", "busybox", "wc", "-l", "/v/tries"]).ok(), "3 /v/tries");
}

#[test]
fn ports_are_chosen_when_the_container_is_made() {
    let s = sandbox("pc-ports");
    podman(&s, &["create", "--name=c", "--expose=80", "-p=80", "--expose=100-102", "busybox"]).ok();
    let port = shows(&s, "c", "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}");
    assert!(port.parse::<u16>().is_ok_and(|p| p > 0), "{port}");
    let told = podman(&s, &["ps", "-a", "--format={{.Ports}}"]);
    assert_eq!(told.ok(), format!("0.0.0.0:{port}->80/tcp, 100-102/tcp"));
    assert_eq!(s.rcon(["ps", "-a", "--format={{.Ports}}"]).ok(), "");
    podman(&s, &["run", "-d", "--name=host", "--network=host", "--expose=80", "busybox", "sleep", "1000"])
        .ok();
    podman(
        &s,
        &["run", "-d", "--network=container:host", "--expose=81", "--name=in", "busybox", "sleep", "1000"],
    )
    .ok();
    for (name, port) in [("host", "80/tcp"), ("in", "81/tcp")] {
        assert_eq!(
            shows(&s, name, "{{.NetworkSettings.Ports}} {{.Config.ExposedPorts}}"),
            format!("map[] map[{port}:{{}}]")
        );
    }
}

#[test]
fn inspect_shows_what_podman_s_shows() {
    let s = sandbox("pc-inspect");
    let all = "{{.Path}} {{.Args}} {{index .Config.Annotations \"io.podman.annotations.init\"}}";
    podman(&s, &["create", "--name=init", "--init", "busybox", "echo", "x"]).ok();
    assert_eq!(shows(&s, "init", all), "/run/podman-init [-- echo x] TRUE");
    assert_eq!(s.inspect("init", "{{.Path}}"), "echo");
    podman(
        &s,
        &["run", "--name=v", "-v=vol:/srv", "-v=/etc:/x", "busybox", "grep", " /srv ", "/proc/self/mounts"],
    )
    .ok();
    assert_eq!(shows(&s, "v", "{{range .Mounts}}{{.Options}}{{end}}"), "[nosuid nodev rbind][rbind]");
    let logged = s.rcon(["logs", "v"]).ok().to_owned();
    assert!(logged.contains("rw,nosuid,nodev"), "{logged}");
    // What follows podman's path finds a document that it can read.
    let text = std::fs::read_to_string(shows(&s, "v", "{{.OCIConfigPath}}")).expect("a document");
    let document: oci_spec::runtime::Spec = serde_json::from_str(&text).expect("an OCI document");
    let mounts = document.mounts().as_ref().expect("mounts");
    let of = |at: &str| mounts.iter().find(|m| m.destination().as_os_str() == at).expect("a mount");
    assert_eq!(of("/srv").options().as_deref().unwrap(), ["rprivate", "nosuid", "nodev", "rbind"]);
    assert_eq!(of("/x").source().as_deref(), Some(std::path::Path::new("/etc")));
    s.rcon(["run", "--name=d", "busybox", "true"]).ok();
    assert_eq!(s.inspect("d", "{{.OCIConfigPath}}"), "");
    for (flags, mark) in [(&["-v=/:/host"][..], "graphRootMounted=1"), (&[], "")] {
        let mut run = vec!["run", "--rm", "--tmpfs=/run"];
        run.extend_from_slice(flags);
        run.extend_from_slice(&["busybox", "cat", "/run/.containerenv"]);
        assert_eq!(s.rcon(run).ok(), mark);
    }
}

#[test]
fn a_user_has_the_capabilities_that_were_asked_for_by_name() {
    let s = sandbox("pc-ambient");
    let sets = "awk '/^Cap(Inh|Prm|Eff|Amb)/ { print $2 }' /proc/self/status | sort -u";
    let podman = |flags: &[&str]| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "sh", "-c", sets]);
        podman(&s, &all).ok().to_owned()
    };
    let (none, chown) = ("0000000000000000", "0000000000000001");
    assert_eq!(podman(&["-u=1000"]), none);
    assert_eq!(podman(&["-u=1000", "--cap-add=CHOWN"]), chown);
    // Root has them without handing them on: nothing is inheritable (CVE-2022-29162).
    assert_eq!(podman(&["--cap-drop=all", "--cap-add=CHOWN"]), format!("{none}\n{chown}"));
    assert_eq!(podman(&["-u=1000", "--cap-add=CHOWN", "--privileged"]), none);
    // docker's users have none, whatever was added; and an exec by another user has none either.
    let docker = s.rcon(["run", "--rm", "-u=1000", "--cap-add=CHOWN", "busybox", "sh", "-c", sets]);
    assert_eq!(docker.ok(), none);
    let start = ["run", "-d", "--name=c", "-u=1000", "--cap-add=CHOWN", "busybox", "sleep", "1000"];
    crate::podman_manner::podman(&s, &start).ok();
    assert_eq!(s.rcon(["exec", "c", "sh", "-c", sets]).ok(), chown);
    assert_eq!(s.rcon(["exec", "-u=1001", "c", "sh", "-c", sets]).ok(), none);
    let told = crate::podman_manner::podman(&s, &["inspect", "-f={{.EffectiveCaps}}", "c"]);
    assert_eq!(told.ok(), "[CAP_CHOWN]");
}

#[test]
fn volumes_belong_to_who_first_has_them() {
    let s = sandbox("pc-give");
    let own = |flags: &[&str], at: &str| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "stat", "-c", "%u:%g", at]);
        podman(&s, &all).ok().to_owned()
    };
    assert_eq!(own(&["-u=1000:100", "-v=new:/new"], "/new"), "1000:100");
    assert_eq!(podman(&s, &["volume", "inspect", "-f={{.UID}}:{{.GID}}", "new"]).ok(), "1000:100");
    assert_eq!(own(&["-u=1001", "-v=new:/new"], "/new"), "1000:100");
    // What the image has there decides.
    assert_eq!(own(&["-u=1000", "-v=home:/root"], "/root"), "0:0");
    assert_eq!(s.rcon(["run", "--rm", "-u=1000", "-v=d:/new", "busybox", "stat", "-c%u", "/new"]).ok(), "0");
    assert_eq!(own(&["-u=88:89", "--mount=type=tmpfs,dst=/t,chown"], "/t"), "88:89");
    // With an overlay over it the source stays whose it was.
    let dir = s.dir().join("tree");
    std::fs::create_dir_all(dir.join("in")).expect("a folder");
    let mount = format!("-v={}:/m:U,O", dir.display());
    assert_eq!(own(&["-u=88:89", &mount], "/m/in"), "88:89");
    assert_eq!(sh(&format!("stat -c %u:%g {0} {0}/in", dir.display())).trim(), "0:0\n0:0");
}

#[test]
fn user_namespaces_are_as_the_configuration_says() {
    let s = sandbox("pc-userns");
    let who = |flags: &[&str]| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "sh", "-c", "echo $(id -u):$(id -g) $(cat /proc/self/uid_map)"]);
        podman(&s, &all).ok().to_owned()
    };
    assert_eq!(who(&["--userns=keep-id"]), "0:0 0 0 4294967295");
    assert_eq!(who(&["--userns=keep-id:uid=10,gid=12"]), "10:12 0 0 4294967295");
    assert_eq!(who(&["--userns=keep-id:uid=10", "-u=5"]), "5:0 0 0 4294967295");
    let with = |args: &[&str]| {
        let mut command = crate::podman_manner::called(&s, "podman");
        let done = command.env("PODMAN_USERNS", "auto:size=2000").args(args).output().expect("it runs");
        crate::support::Done::from(&done).ok().to_owned()
    };
    assert!(with(&["run", "--rm", "busybox", "cat", "/proc/self/uid_map"]).ends_with(" 2000"));
    assert_eq!(with(&["run", "--rm", "--userns=host", "busybox", "id", "-u"]), "0");
    with(&["create", "--name=c", "busybox"]);
    assert!(shows(&s, "c", "{{.HostConfig.IDMappings.UidMap}}").ends_with(":2000]"));
    let conf = s.dir().join("containers.conf");
    std::fs::write(&conf, "[containers]\nuserns = \"auto:size=1019\"\n").expect("a file");
    let mut command = s.command();
    command.env("CONTAINERS_CONF", &conf).args(["run", "--rm", "busybox", "cat", "/proc/self/uid_map"]);
    assert!(s.finish(command).ok().ends_with(" 1019"));
}

#[test]
fn hooks_find_the_document_in_the_bundle() {
    let s = sandbox("pc-hooks");
    let (dir, told) = (s.dir().join("hooks"), s.dir().join("told"));
    std::fs::create_dir(&dir).expect("a folder");
    let script = dir.join("hook.sh");
    // A hook of others: it looks for its bundle's document, and for the root that crun names.
    let text = format!(
        "#!/bin/sh\nstate=$(cat)\nbundle=$(echo \"$state\" | sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/')\n\
         grep -q '\"args\":\\[\"true\"\\]' $bundle/config.json && echo \"$state\" | grep -o '\"root\":' > {}\n",
        told.display()
    );
    std::fs::write(&script, text).expect("a file");
    sh(&format!("chmod 755 {}", script.display()));
    let text = format!(
        r#"{{"version":"1.0.0","hook":{{"path":"{}"}},"when":{{"always":true}},"stages":["createRuntime"]}}"#,
        script.display()
    );
    std::fs::write(dir.join("hook.json"), text).expect("a file");
    s.rcon([&format!("--hooks-dir={}", dir.display()), "run", "--rm", "busybox", "true"]).ok();
    assert_eq!(std::fs::read_to_string(told).expect("the hook ran"), "\"root\":\n");
}

#[test]
fn a_network_namespace_of_ip_s_brings_its_servers() {
    let s = sandbox("pc-netns");
    let name = format!("rcon-pc-{}", std::process::id());
    sh(&format!(
        "mkdir -p /run/netns /etc/netns/{name} && touch /run/netns/{name} && unshare --net=/run/netns/{name} true && \
         echo nameserver 11.11.11.11 > /etc/netns/{name}/resolv.conf"
    ));
    let network = format!("--network=ns:/run/netns/{name}");
    let text = s.rcon(["run", "--rm", &network, "busybox", "cat", "/etc/resolv.conf"]);
    sh(&format!(
        "umount /run/netns/{name}; rm -r /run/netns/{name} /etc/netns/{name}; rmdir /etc/netns 2>/dev/null || true"
    ));
    assert!(text.ok().contains("nameserver 11.11.11.11"), "{}", text.stdout);
}

#[test]
fn its_cgroups_are_below_podman_s_parent() {
    let s = sandbox("pc-cgroup");
    let parent = |done: crate::support::Done| done.ok().contains("/libpod_parent/");
    let look = ["run", "--rm", "--cgroupns=host", "busybox", "cat", "/proc/self/cgroup"];
    assert!(parent(podman(&s, &look)));
    assert!(!parent(s.rcon(look)));
}

#[test]
fn containers_are_found_in_podman_s_domain() {
    let s = sandbox("pc-domain");
    podman(&s, &["network", "create", "n1"]).ok();
    podman(&s, &["run", "-d", "--name=srv", "--network=n1", "busybox", "sleep", "1000"]).ok();
    let ping = |flags: &[&str], name: &str| {
        let mut all = vec!["run", "--rm", "--network=n1", "--cap-add=NET_RAW"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "ping", "-c1", "-W2", name]);
        podman(&s, &all).code
    };
    assert_eq!(ping(&[], "srv.dns.podman"), 0);
    assert_eq!(ping(&["--uidmap=0:100000:5000"], "srv.dns.podman"), 0);
    assert_eq!(ping(&[], "other.dns.podman"), 1);
}

#[test]
fn warnings_and_logs_have_podman_s_form() {
    let s = sandbox("pc-logs");
    let label = "--label=io.containers.capabilities=sys_admin";
    let done = podman(&s, &["create", label, "--network=host", "-p=80:80", "busybox"]);
    let (plain, logged) = (r#"because "host" network"#, r#"level=warning msg="Capabilities "#);
    assert!(done.stderr.contains(plain) && done.stderr.contains(logged), "{}", done.stderr);
    assert!(done.stderr.contains(r#"\"CAP_SYS_ADMIN\""#), "{}", done.stderr);
    let done =
        podman(&s, &["--log-level=info", "run", "--rm", "-p=80/sctp", "-p=81/sctp", "busybox", "true"]);
    assert_eq!(
        done.stderr.matches("Port reservation for SCTP is not supported").count(),
        1,
        "{}",
        done.stderr
    );
    let done = podman(&s, &["--log-level=INFO", "info", "-f={{.Host.Os}}"]);
    assert!(done.ok() == "linux" && done.stderr.contains(" level=info msg=\""), "{}", done.stderr);
}

#[test]
fn what_the_engine_has_recorded_is_told_in_podman_s_words() {
    let s = sandbox("pc-words");
    podman(&s, &["create", "--name=c", "busybox", "efcho"]).ok();
    podman(&s, &["start", "c"]).fails(125);
    let told = shows(&s, "c", "{{.State.Error}}");
    assert!(told.contains("crun: executable file `efcho` not found in $PATH"), "{told}");
    podman(&s, &["run", "-d", "--name=up", "busybox", "sleep", "1000"]).ok();
    let done = podman(&s, &["exec", "-w=/missing", "up", "pwd"]);
    assert!(done.fails(127).contains("chdir to `/missing`: No such file or directory"), "{}", done.stderr);
    s.rcon(["exec", "-w=/missing", "up", "pwd"]).fails(126);
    let bogus = "--change=LABEL io.containers.seccomp.profile='BOGUS'";
    podman(&s, &["commit", "-q", bogus, "up", "bogus"]).ok();
    let done = podman(&s, &["run", "--rm", "--seccomp-policy=image", "bogus", "true"]);
    assert!(
        done.fails(125).contains("invalid character 'B' looking for beginning of value"),
        "{}",
        done.stderr
    );
    let conf = s.dir().join("containers.conf");
    std::fs::write(&conf, "[containers]\ncontainer_name_as_hostname = true\n").expect("a file");
    let mut command = s.command();
    let name = format!("--name={}", "n".repeat(90));
    command.env("CONTAINERS_CONF", &conf).args(["run", "--rm", &name, "busybox", "hostname"]);
    assert_eq!(s.finish(command).ok(), "n".repeat(64));
}
