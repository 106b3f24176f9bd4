//! The device rules against a straightforward evaluator, and the program against the rules.

use super::*;

fn rule(allow: bool, text: &str) -> LinuxDeviceCgroup {
    let r = crate::runtime::devices::parse_rule(text).unwrap();
    let mut out = LinuxDeviceCgroup::default();
    out.set_allow(allow)
        .set_typ(Some(match r.kind {
            None | Some(Kind::Fifo) => LinuxDeviceType::A,
            Some(Kind::Char) => LinuxDeviceType::C,
            Some(Kind::Block) => LinuxDeviceType::B,
        }))
        .set_major(r.major.map(i64::from))
        .set_minor(r.minor.map(i64::from))
        .set_access(Some(r.access));
    out
}

/// Runs the program as the kernel would.
fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
    let context = [access << 16 | kind, major, minor];
    let mut r = [0_u64; 6];
    let mut at = 0;
    loop {
        let i = program[at];
        at += 1;
        let (d, s) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
        let k = i64::from(i.immediate).cast_unsigned();
        let mut jump = |yes: bool| {
            if yes {
                at += usize::try_from(i.offset).unwrap();
            }
        };
        match i.code {
            LOAD_WORD => r[d] = u64::from(context[usize::try_from(i.offset / 4).unwrap()]),
            MOV_REG => r[d] = r[s],
            MOV_IMM => r[d] = k,
            AND_IMM => r[d] &= k,
            RSH_IMM => r[d] >>= k,
            JEQ_IMM => jump(r[d] == k),
            JNE_IMM => jump(r[d] != k),
            JNE_REG => jump(r[d] != r[s]),
            EXIT => return r[0] == 1,
            other => panic!("unexpected instruction {other:#x}"),
        }
    }
}

fn reference(a: &Access, kind: Kind, access: u8, major: u32, minor: u32) -> bool {
    let hit = a.exceptions.iter().any(|e| {
        let devices =
            e.kind == kind && e.major.is_none_or(|m| m == major) && e.minor.is_none_or(|m| m == minor);
        devices && if a.allow { access & e.access != 0 } else { access & !e.access == 0 }
    });
    hit != a.allow
}

fn compare(a: &Access) {
    let program = a.program();
    for kind in [Kind::Char, Kind::Block] {
        for access in 1..8_u8 {
            for major in [0, 1, 5, 8, 10, 136, 4095] {
                for minor in [0, 1, 3, 5, 9, 229, 1_048_575] {
                    let number = if kind == Kind::Block { 1 } else { 2 };
                    let got = run(&program, number, access.into(), major, minor);
                    assert_eq!(
                        got,
                        reference(a, kind, access, major, minor),
                        "{kind:?} {major}:{minor} {access}"
                    );
                }
            }
        }
    }
}

#[test]
fn without_rules_only_the_defaults() {
    let a = Access::of(&[]).unwrap();
    compare(&a);
    assert!(reference(&a, Kind::Char, READ | WRITE, 1, 3));
    assert!(reference(&a, Kind::Char, MKNOD, 10, 200));
    assert!(!reference(&a, Kind::Char, READ, 10, 200));
    assert!(!reference(&a, Kind::Block, READ, 8, 0));
    assert!(a.lines().any(|l| l == "c 1:3 rwm"));
    assert!(a.lines().any(|l| l == "b *:* m"));
}

#[test]
fn privileged_and_back() {
    let a = Access::of(&[rule(false, "a *:* rwm"), rule(true, "a *:* rwm")]).unwrap();
    assert!(a.allow && a.exceptions.is_empty());
    compare(&a);
    let a = Access::of(&[rule(true, "a *:* rwm"), rule(false, "b 8:* w")]).unwrap();
    compare(&a);
    assert!(reference(&a, Kind::Block, READ, 8, 0));
    assert!(!reference(&a, Kind::Block, READ | WRITE, 8, 0));
    assert_eq!(a.lines().collect::<Vec<_>>(), ["b 8:* w"]);
}

#[test]
fn a_narrowed_rule_for_all_kinds_is_not_everything() {
    let a = Access::of(&[rule(true, "a 10:200 r")]).unwrap();
    assert!(!a.allow);
    assert!(reference(&a, Kind::Block, READ, 10, 200));
    assert!(!reference(&a, Kind::Block, READ, 8, 0));
    compare(&a);
}

#[test]
fn taking_away() {
    let a = Access::of(&[rule(true, "c 10:229 rwm"), rule(false, "c 10:229 w")]).unwrap();
    assert!(reference(&a, Kind::Char, READ, 10, 229));
    assert!(!reference(&a, Kind::Char, WRITE, 10, 229));
    compare(&a);
    let hole = Access::of(&[rule(true, "c 10:* rwm"), rule(false, "c 10:229 w")]);
    assert!(matches!(hole, Err(Error::Unsupported { .. })));
    // What was never allowed can be denied again and again.
    Access::of(&[rule(false, "c 10:229 rwm")]).unwrap();
}

#[test]
fn many_rules() {
    let rules: Vec<_> = (0..300).map(|n| rule(true, &format!("c {n}:{} r", n % 7))).collect();
    let a = Access::of(&rules).unwrap();
    compare(&a);
    assert!(a.program().len() < 4096);
}
