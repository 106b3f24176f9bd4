//! The compiled program, run by an emulator, against a straightforward evaluator of the policy: for all
//! numbers and telling arguments, for the default policy and for made-up ones. And the real kernel once.

use std::collections::HashMap;

use proptest::prelude::*;

use super::numbers::{NONE, NUMBERS};
use super::policy::{Arch, Condition, Rule};
use super::table::{ENOSYS, EPERM};
use super::*;

/// What a filter sees.
#[derive(Debug, Clone, Copy)]
struct Data {
    number: u32,
    audit: u32,
    arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "halves are wanted")]
        match offset {
            0 => self.number,
            4 => self.audit,
            16.. => {
                let (argument, half) = ((offset - 16) / 8, (offset - 16) % 8);
                let value = self.arguments[argument as usize];
                if half == 0 { value as u32 } else { (value >> 32) as u32 }
            }
            _ => panic!("nobody looks at {offset}"),
        }
    }
}

/// Runs a program as the kernel would: every step checked to stay inside.
fn run(program: &[Instruction], data: &Data) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let i = program[at];
        at += 1;
        let skip = |yes: bool| usize::from(if yes { i.jt } else { i.jf });
        match i.code {
            0x20 => accumulator = data.word(i.k),
            0x54 => accumulator &= i.k,
            0x05 => at += usize::try_from(i.k).unwrap(),
            0x15 => at += skip(accumulator == i.k),
            0x25 => at += skip(accumulator > i.k),
            0x35 => at += skip(accumulator >= i.k),
            0x06 => return i.k,
            other => panic!("unexpected instruction {other:#x}"),
        }
    }
}

/// What the policy says, rule by rule.
struct Reference<'a> {
    policy: &'a Policy,
    /// For each architecture the rules of a number, and the highest number named.
    arches: Vec<(Arch, HashMap<u32, Vec<&'a Rule>>, u32)>,
}

impl<'a> Reference<'a> {
    fn new(policy: &'a Policy) -> Self {
        let rows: HashMap<&str, [u32; 5]> = NUMBERS.iter().copied().collect();
        let arches = policy.architectures.iter().map(|arch| {
            let mut rules: HashMap<u32, Vec<&Rule>> = HashMap::new();
            let mut highest = 0;
            for rule in &policy.rules {
                for number in rule.names.iter().filter_map(|n| rows.get(&**n)).map(|r| r[arch.column()]) {
                    if number != NONE && number & 0xf_0000 == 0 {
                        highest = highest.max(number);
                    }
                    if number != NONE && rule.action != policy.default {
                        rules.entry(number).or_default().push(rule);
                    }
                }
            }
            (*arch, rules, highest)
        });
        Self { policy, arches: arches.collect() }
    }

    fn evaluate(&self, data: &Data) -> Action {
        let default = self.policy.default;
        let x32 = data.audit == Arch::X32.audit() && data.number >= 0x4000_0000;
        if x32 && data.number == u32::MAX && self.policy.architectures.contains(&Arch::X86_64) {
            return default;
        }
        let arch = self.arches.iter().find(|(a, ..)| a.audit() == data.audit && (*a == Arch::X32) == x32);
        let Some((arch, rules, highest)) = arch else { return Action::KillProcess };
        let narrow = |c: &Condition| if arch.is_32_bit() { c.narrowed() } else { *c };
        let telling = rules.get(&data.number).map(Vec::as_slice).unwrap_or_default();
        if let Some(always) = telling.iter().find(|r| r.conditions.is_empty()) {
            return always.action;
        }
        let all_hold = |r: &&&Rule| r.conditions.iter().all(|c| narrow(c).holds(&data.arguments));
        if let Some(rule) = telling.iter().find(all_hold) {
            return rule.action;
        }
        let permissive = matches!(default, Action::Allow | Action::Log | Action::Trace(_) | Action::Notify);
        if telling.is_empty() && data.number > *highest && !permissive {
            return Action::Errno(ENOSYS);
        }
        default
    }
}

fn compare(policy: &Policy, numbers: impl Iterator<Item = u32>, values: &[u64]) {
    let program = compile::compile(policy);
    let reference = Reference::new(policy);
    for number in numbers {
        for audit in [Arch::X86_64.audit(), Arch::X86.audit(), Arch::Aarch64.audit(), Arch::Arm.audit(), 0] {
            for value in values {
                for place in 0..6 {
                    let mut arguments = [0; 6];
                    arguments[place] = *value;
                    let data = Data { number, audit, arguments };
                    assert_eq!(run(&program, &data), reference.evaluate(&data).value(), "{data:x?}");
                }
            }
        }
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

/// Every number around those in use.
fn all_numbers() -> impl Iterator<Item = u32> {
    let edge = [0x4000_0000 - 1, u32::MAX - 1, u32::MAX, 0x8000_0000, 0xf_0000, 0xf_0001, 0xf_0002, 0xf_0005];
    (0..620).chain((0..620).map(|n| n | 0x4000_0000)).chain(edge)
}

const VALUES: &[u64] = &[
    0,
    8,
    38,
    40,
    41,
    0x2_0000,
    0x2_0008,
    0xffff_ffff,
    0x1_0000_0026,
    0x1_0000_0028,
    0x1000_0000,
    0x7e02_0000,
    0x11,
    u64::MAX,
];

#[test]
fn the_default_policy_for_every_number() {
    for capabilities in [
        names(&[]),
        names(crate::runtime::defaults::CAPABILITIES),
        names(&["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_PTRACE"]),
        names(&crate::runtime::defaults::ALL_CAPABILITIES),
    ] {
        let policy = table::policy(&capabilities);
        compare(&policy, all_numbers(), VALUES);
        let length = compile::compile(&policy).len();
        assert!(length < 500, "{length}");
    }
}

#[test]
fn what_the_default_refuses() {
    let program = compile::compile(&table::policy(&names(crate::runtime::defaults::CAPABILITIES)));
    let call = |name: &str, arguments: [u64; 6]| {
        let row = NUMBERS.iter().find(|(n, _)| *n == name).unwrap();
        run(&program, &Data { number: row.1[0], audit: Arch::X86_64.audit(), arguments })
    };
    let plain = |name: &str| call(name, [0; 6]);
    for refused in [
        "keyctl",
        "add_key",
        "request_key",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "userfaultfd",
        "bpf",
        "mount",
        "umount2",
        "unshare",
        "setns",
        "kexec_load",
        "init_module",
        "swapon",
        "reboot",
        "pivot_root",
        "open_by_handle_at",
        "perf_event_open",
        "move_mount",
        "fsopen",
        "acct",
        "settimeofday",
    ] {
        assert_eq!(plain(refused), Action::Errno(EPERM).value(), "{refused}");
    }
    assert_eq!(plain("clone3"), Action::Errno(ENOSYS).value());
    let first = |value| [value, 0, 0, 0, 0, 0];
    for namespace in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        assert_eq!(call("clone", first(namespace | 17)), Action::Errno(EPERM).value());
    }
    assert_eq!(call("clone", first(0x003d_0f00)), Action::Allow.value());
    // The kernel takes the lower half of the family alone.
    for (family, action) in
        [(2, true), (38, false), (40, false), (1 << 32 | 38, false), (1 << 32 | 40, false)]
    {
        let wanted = if action { Action::Allow } else { Action::Errno(EPERM) };
        assert_eq!(call("socket", first(family)), wanted.value(), "{family:#x}");
    }
    for allowed in ["read", "execve", "chroot", "ptrace", "openat2", "mseal", "futex_wait", "arch_prctl"] {
        let wanted = if cfg!(target_arch = "x86_64") || allowed != "arch_prctl" {
            Action::Allow
        } else {
            Action::Errno(EPERM)
        };
        assert_eq!(plain(allowed), wanted.value(), "{allowed}");
    }
}

#[test]
fn the_oci_form_of_the_default_means_the_same() {
    let capabilities = names(crate::runtime::defaults::CAPABILITIES);
    let own = compile::compile(&table::policy(&capabilities));
    let oci = from_oci(&default_oci(&capabilities)).unwrap().program;
    for number in all_numbers() {
        for value in VALUES.iter().filter(|v| **v < 1 << 32) {
            let data = Data { number, audit: Arch::native().audit(), arguments: [*value, 0, 0, 0, 0, 0] };
            assert_eq!(run(&own, &data), run(&oci, &data), "{data:?}");
        }
    }
}

const PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "comment": "ignored",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_OF_TOMORROW", "subArchitectures": null}
    ],
    "syscalls": [
        {"names": ["read", "no_such_call", "exit_group", "execve"], "action": "SCMP_ACT_ALLOW"},
        {"name": "write", "action": "SCMP_ACT_ALLOW", "args": []},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["umount2"], "action": "SCMP_ACT_LOG", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "998.0"}},
        {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "includes": {"arches": ["amd64", "arm64"]}},
        {"names": ["getppid"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
        {"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS",
         "args": [{"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 15, "valueTwo": 9}]}
    ]
}"#;

#[test]
fn profiles_in_dockers_form() {
    check_profile(PROFILE).unwrap();
    let filter = |json: String, caps: &[&str]| {
        for_container(&SeccompChoice::Profile { path: String::new(), json }, &names(caps), None)
    };
    let with = |caps: &[&str]| filter(PROFILE.to_owned(), caps).unwrap().unwrap().program;
    let without_exec = filter(PROFILE.replace("execve", "exit"), &[]).unwrap_err().to_string();
    assert!(without_exec.contains("forbids execve"), "{without_exec}");
    let call = |program: &[Instruction], name: &str, second: u64| {
        let row = NUMBERS.iter().find(|(n, _)| *n == name).unwrap();
        let number = row.1[Arch::native().column()];
        run(program, &Data { number, audit: Arch::native().audit(), arguments: [0, second, 0, 0, 0, 0] })
    };
    let (few, many) = (with(&[]), with(&["CAP_SYS_ADMIN"]));
    let refused = Action::Errno(EPERM).value();
    for (name, without, with) in [
        ("read", Action::Allow.value(), Action::Allow.value()),
        ("write", Action::Allow.value(), Action::Allow.value()),
        ("mount", refused, Action::Allow.value()),
        ("umount2", Action::Log.value(), refused),
        ("ptrace", Action::Allow.value(), Action::Allow.value()),
        ("kcmp", Action::Errno(ENOSYS).value(), Action::Errno(ENOSYS).value()),
        ("getpid", Action::Errno(77).value(), Action::Errno(77).value()),
        ("getppid", refused, refused),
        ("open", refused, refused),
    ] {
        // What is newer than all that the profile names is "not there".
        if name != "kcmp" {
            assert_eq!(call(&few, name, 0), without, "{name}");
            assert_eq!(call(&many, name, 0), with, "{name}");
        }
    }
    assert_eq!(call(&few, "kill", 9), Action::KillProcess.value());
    assert_eq!(call(&few, "kill", 0x19), Action::KillProcess.value());
    assert_eq!(call(&few, "kill", 8), refused);
}

#[test]
fn bad_profiles_are_refused() {
    let rule = |rule: &str| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#);
    for bad in [
        "{",
        "[]",
        r#"{"syscalls":[]}"#,
        r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
        r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#,
        &rule(r#"{"action":"SCMP_ACT_KILL"}"#),
        &rule(r#"{"names":["a"],"name":"b","action":"SCMP_ACT_KILL"}"#),
        &rule(r#"{"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":65536}"#),
        &rule(r#"{"names":["read"],"action":"SCMP_ACT_KILL","errnoRet":5}"#),
        &rule(
            r#"{"names":["read"],"action":"SCMP_ACT_KILL","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}"#,
        ),
        &rule(
            r#"{"names":["read"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":1,"op":"SCMP_CMP_ALMOST"}]}"#,
        ),
        &rule(r#"{"names":["write"],"action":"SCMP_ACT_NOTIFY"}"#),
        &rule(r#"{"names":["read"],"action":"SCMP_ACT_NOTIFY"}"#),
        &rule(r#"{"names":["read"],"action":"SCMP_ACT_KILL","includes":{"minKernel":"4"}}"#),
    ] {
        assert!(check_profile(bad).is_err(), "{bad}");
    }
}

#[test]
fn listeners_and_flags() {
    let with = |text: &str| from_oci(&serde_json::from_str(text).unwrap());
    let notify = with(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/agent","listenerMetadata":"m",
        "flags":["SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#,
    );
    let notify = notify.unwrap();
    let listener = Listener { path: "/run/agent".into(), metadata: "m".into(), by_number: false };
    assert_eq!(notify.listener, Some(listener));
    let wanted =
        sys::FLAG_TSYNC | sys::FLAG_TSYNC_ESRCH | sys::FLAG_NEW_LISTENER | sys::FLAG_WAIT_KILLABLE_RECV;
    assert_eq!(notify.flags, wanted);
    let plain = with(r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/agent"}"#).unwrap();
    assert_eq!((plain.listener, plain.flags), (None, sys::FLAG_SPEC_ALLOW));
    let none = with(r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":[]}"#).unwrap();
    assert_eq!(none.flags, 0);
}

#[test]
fn a_long_program_jumps_right() {
    // Six ordered conditions on each of 120 calls: far beyond what a single test can jump over.
    let condition = |argument: u8| Condition {
        argument,
        mask: 0x00ff_00ff_00ff_00ff,
        operator: Operator::Ge,
        value: 0x10_0000_0000 + u64::from(argument),
    };
    let rules = NUMBERS.iter().step_by(4).take(100).map(|(name, _)| Rule {
        names: vec![(*name).into()],
        action: Action::Trace(7),
        conditions: (0..3).map(condition).collect(),
    });
    let policy = Policy {
        default: Action::Allow,
        architectures: vec![Arch::X86_64, Arch::X86],
        rules: rules.collect(),
    };
    assert!(compile::compile(&policy).len() > 2000);
    compare(&policy, (0..480).step_by(3), &[0, 0x10_0000_0000, 0x10_0000_0001, u64::MAX]);
}

#[test]
fn the_cache_gives_back_what_was_compiled() {
    let dir = std::env::temp_dir().join(format!("rcon-seccomp-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let capabilities = names(crate::runtime::defaults::CAPABILITIES);
    let get = |dir| for_container(&SeccompChoice::Default, &capabilities, dir).unwrap().unwrap();
    let fresh = get(None);
    assert_eq!(get(Some(&dir)), fresh);
    let file = cache::file(&dir, &capabilities);
    assert!(file.exists());
    assert_ne!(file, cache::file(&dir, &names(&["CAP_SYS_ADMIN"])));
    assert_eq!(get(Some(&dir)), fresh);
    // Damaged, or not ours alone to write: compiled anew.
    std::fs::write(&file, [0; 7]).unwrap();
    assert_eq!(get(Some(&dir)), fresh);
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(get(Some(&dir)), fresh);
}

#[test]
fn the_kernel_takes_it_and_obeys() {
    let filter = for_container(&SeccompChoice::Default, &names(&[]), None).unwrap().unwrap();
    // A filter cannot be taken off again: a thread of its own.
    let seen = std::thread::spawn(move || {
        let loaded = sys::load(&filter.program, filter.flags);
        loaded.map(|listener| {
            assert!(listener.is_none());
            // reboot would need more than the right number to do anything; add_key with nothing is harmless.
            let refused = rustix::mount::unmount("/no/such", rustix::mount::UnmountFlags::empty());
            let allowed = std::fs::read("/proc/self/status").is_ok();
            (refused.unwrap_err(), allowed)
        })
    });
    match seen.join().unwrap() {
        Ok((errno, allowed)) => assert_eq!((errno, allowed), (rustix::io::Errno::PERM, true)),
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => eprintln!("skipped: needs CAP_SYS_ADMIN"),
        Err(e) => panic!("{e}"),
    }
    assert!(sys::knows_action(Action::KillProcess.value()));
    assert!(!sys::knows_action(0x1234_0000));
    assert_eq!(sys::load(&[], 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

fn any_condition() -> impl Strategy<Value = Condition> {
    use Operator::{Eq, Ge, Gt, Le, Lt, Ne};
    let value = prop_oneof![0..4_u64, Just(u64::MAX), Just(1 << 32), Just((1 << 32) + 1), any::<u64>()];
    let mask =
        prop_oneof![Just(u64::MAX), Just(0xffff_ffff), Just(0xffff_ffff_0000_0000), Just(0), any::<u64>()];
    let operator = prop_oneof![Just(Eq), Just(Ne), Just(Lt), Just(Le), Just(Gt), Just(Ge)];
    (0..6_u8, mask, operator, value).prop_map(|(argument, mask, operator, value)| Condition {
        argument,
        mask,
        operator,
        value,
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let action = || {
        prop_oneof![
            Just(Action::Allow),
            Just(Action::Errno(1)),
            Just(Action::Errno(38)),
            Just(Action::KillProcess),
            Just(Action::KillThread),
            Just(Action::Trap),
            Just(Action::Log),
            Just(Action::Trace(3)),
        ]
    };
    let name = (0..NUMBERS.len()).prop_map(|i| NUMBERS[i].0.into());
    let rule =
        (proptest::collection::vec(name, 1..8), action(), proptest::collection::vec(any_condition(), 0..4))
            .prop_map(|(names, action, conditions)| Rule { names, action, conditions });
    let arches = prop_oneof![
        Just(vec![Arch::X86_64]),
        Just(vec![Arch::X86_64, Arch::X86, Arch::X32]),
        Just(vec![Arch::X86_64, Arch::X32]),
        Just(vec![Arch::Aarch64, Arch::Arm]),
    ];
    (action(), arches, proptest::collection::vec(rule, 0..12))
        .prop_map(|(default, architectures, rules)| Policy { default, architectures, rules })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_policy_compiles_to_what_it_says(policy in any_policy(), arguments in any::<[u64; 6]>(), small in any::<[u8; 6]>()) {
        let program = compile::compile(&policy);
        let reference = Reference::new(&policy);
        let named: Vec<u32> = policy.rules.iter().flat_map(|r| &r.names).filter_map(|n| {
            NUMBERS.iter().find(|(name, _)| *name == *n).map(|r| r.1)
        }).flatten().filter(|n| *n != NONE).collect();
        let near = named.iter().flat_map(|n| [n.saturating_sub(1), *n, n + 1]);
        for number in near.chain([0, 470, 0x4000_0000, u32::MAX]) {
            for audit in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm].map(Arch::audit) {
                for arguments in [arguments, small.map(|s| u64::from(s % 4)), small.map(|s| 1 << 32 | u64::from(s % 4))] {
                    let data = Data { number, audit, arguments };
                    prop_assert_eq!(run(&program, &data), reference.evaluate(&data).value(), "{:x?}", data);
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        drop(check_profile(&text));
    }
}
