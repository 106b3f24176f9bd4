//! What a container cannot do: devices, system calls, kernel parameters, hidden files. The rules of
//! docs/security.md, tried from inside.

use crate::support::Sandbox;

const RUN: [&str; 4] = ["run", "--rm", "--network", "none"];

fn run(s: &Sandbox, options: &[&str], script: &str) -> (i32, String) {
    let args = RUN.iter().chain(options).copied().chain(["busybox", "sh", "-c", script]);
    let done = s.rcon(args);
    (done.code, done.stdout + &done.stderr)
}

#[test]
fn devices_that_were_not_given_cannot_be_opened() {
    let s = Sandbox::with_images("devices", &["busybox"]);
    // The kernel's memory: may be made (docker allows mknod), never opened.
    let (code, text) = run(&s, &[], "mknod /m c 1 1 && head -c 1 /m");
    assert!(code != 0 && text.contains("not permitted"), "{text}");
    let (code, text) =
        run(&s, &["--device", "/dev/null:/dev/given:r"], "head -c 1 /dev/given && ls -l /dev/given");
    assert!(code == 0 && text.contains("1,   3"), "{text}");
    // A device number that has no driver: the device cgroup says "not permitted" first, else the kernel "no such".
    let open = "mknod /k c 240 7 && dd if=/k count=0";
    assert!(run(&s, &[], open).1.contains("not permitted"));
    assert!(run(&s, &["--device-cgroup-rule", "c 240:7 r"], open).1.contains("No such device"));
    let (code, text) = run(&s, &["--device", "/dev/absent"], "true");
    assert!(code == 125 && text.contains("/dev/absent"), "{text}");
    let (code, text) = run(&s, &["--device-cgroup-rule", "c 1:11"], "true");
    assert!(code == 125 && text.contains("device"), "{text}");
    let names = "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done";
    assert_eq!(run(&s, &[], names), (0, String::new()));
}

#[test]
fn the_default_policy_refuses_what_docker_refuses() {
    let s = Sandbox::with_images("seccomp", &["busybox"]);
    assert_eq!(run(&s, &[], "grep Seccomp: /proc/self/status").1, "Seccomp:\t2\n");
    for refused in ["unshare -n true", "unshare -U true", "mount -t tmpfs x /mnt", "hostname x"] {
        let (code, text) = run(&s, &[], refused);
        let said = text.contains("not permitted") || text.contains("permission denied");
        assert!(code != 0 && said, "{refused}: {text}");
    }
    assert_eq!(run(&s, &["--cap-add", "SYS_ADMIN"], "unshare -n true").0, 0);
    let unconfined = ["--security-opt", "seccomp=unconfined"];
    assert_eq!(run(&s, &unconfined, "grep Seccomp: /proc/self/status").1, "Seccomp:\t0\n");
    // Without the capability the kernel refuses, not the filter: a user namespace needs none.
    assert_eq!(run(&s, &unconfined, "unshare -U true").0, 0);
}

#[test]
fn profiles_of_the_user() {
    let s = Sandbox::with_images("profile", &["busybox"]);
    let file = s.dir().join("p.json");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    std::fs::write(&file, profile).unwrap();
    let option = format!("seccomp={}", file.display());
    let (code, text) = run(&s, &["--security-opt", &option], "touch /f && mkdir /d");
    assert!(code != 0 && text.contains("No space left"), "{text}");
    std::fs::write(&file, r#"{"defaultAction":"SCMP_ACT_PERHAPS"}"#).unwrap();
    let (code, text) = run(&s, &["--security-opt", &option], "true");
    assert!(code == 125 && text.contains("seccomp"), "{text}");
    let (code, _) = run(&s, &["--security-opt", "seccomp=/absent.json"], "true");
    assert_eq!(code, 125);
}

#[test]
fn hidden_and_read_only_files() {
    let s = Sandbox::with_images("masked", &["busybox"]);
    let hidden = "cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c; \
        ls /sys/firmware /proc/acpi 2>/dev/null | grep -v : | grep -c .";
    let (_, text) = run(&s, &[], hidden);
    assert_eq!(text, "0\n0\n");
    for file in ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_seqnum"] {
        let (code, text) = run(&s, &[], &format!("echo x > {file}"));
        assert!(code != 0, "{file}: {text}");
    }
    let cgroup =
        "for d in /sys/fs/cgroup /sys/fs/cgroup/memory; do mkdir $d/x 2>&1; done | grep -c Read-only";
    assert_ne!(run(&s, &[], cgroup).1, "0\n");
}

#[test]
fn capabilities_are_dockers_and_never_inheritable() {
    let s = Sandbox::with_images("caps", &["busybox"]);
    let caps = "grep -E 'Cap(Inh|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '";
    let (_, text) = run(&s, &[], caps);
    assert_eq!(text, "0000000000000000 00000000a80425fb 00000000a80425fb 0000000000000000 ");
    let (_, text) = run(&s, &["-u", "1000"], caps);
    assert_eq!(text, "0000000000000000 0000000000000000 00000000a80425fb 0000000000000000 ");
    let (_, text) = run(&s, &["--cap-drop", "ALL", "--cap-add", "KILL"], caps);
    assert_eq!(text, "0000000000000000 0000000000000020 0000000000000020 0000000000000000 ");
}

#[test]
fn kernel_parameters_of_the_host_are_not_a_containers() {
    let s = Sandbox::with_images("sysctl", &["busybox"]);
    for key in ["kernel.core_pattern=x", "vm.swappiness=1", "fs.file-max=1"] {
        let (code, text) = run(&s, &["--sysctl", key], "true");
        assert!(code == 125 && text.contains("sysctl"), "{key}: {text}");
    }
    let read = "cat /proc/sys/net/ipv4/ip_forward";
    assert_eq!(run(&s, &["--sysctl", "net.ipv4.ip_forward=1"], read), (0, "1\n".to_owned()));
    assert_eq!(run(&s, &["--sysctl", "kernel.shmmax=4096"], "cat /proc/sys/kernel/shmmax").1, "4096\n");
}

/// An engine in a `chroot` (a build machine's, a rescue system's): the file system around it is neither where an exec
/// lands nor what a second `chroot` leads to.
#[test]
fn an_engine_in_a_chroot_shows_nothing_of_what_is_around_it() {
    let s = Sandbox::with_images("chroot", &["debian"]);
    let around = s.dir().join("around");
    std::fs::create_dir(&around).unwrap();
    let inside = |args: &str| {
        let mut command = std::process::Command::new("unshare");
        let (dir, rcon) = (around.display(), crate::support::rcon_binary());
        let script = format!("mount --rbind / {dir} && exec chroot {dir} {} {args}", rcon.display());
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        command.envs(s.command().get_envs().filter_map(|(k, v)| Some((k, v?))));
        s.finish(command)
    };
    let script = s.dir().join("out.pl");
    let out = r#"mkdir "/jail"; chroot "/jail"; chdir ".." for 1..50; chroot "."; exec "/bin/cat", "/etc/hostname";"#;
    std::fs::write(&script, out).unwrap();
    let flags = format!("--network none -h box -v {}:/out.pl debian", script.display());
    inside(&format!("run -d --name c {flags} sleep 100")).ok();
    for words in
        ["exec c cat /etc/hostname", "exec c perl /out.pl", &format!("run --rm {flags} perl /out.pl")]
    {
        let done = inside(words);
        assert_eq!(done.ok(), "box", "{words}");
    }
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
}
