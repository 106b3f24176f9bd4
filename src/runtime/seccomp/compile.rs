//! From a policy to a program: for each architecture a binary search over the system call numbers.
//!
//! Calls that lead to the same end are merged to ranges of numbers, so that docker's policy with its 370
//! calls becomes a few dozen comparisons, eight of which are made for a call.
//!
//! A number beyond every one that the policy names gets ENOSYS instead of a refusal (as runc does it):
//! a library that tries a newer call falls back to the older one.

use super::numbers::{NONE, NUMBERS};
use super::policy::{Action, Arch, Condition, Operator, Policy, Rule};
use super::table::ENOSYS;
use crate::sys::seccomp::Instruction;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const X32_BIT: u32 = 0x4000_0000;

/// What happens to a range of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Always this.
    Action(Action),
    /// The first whose conditions hold, else the action.
    Conditions(Vec<(Vec<Condition>, Action)>, Action),
}

/// From this number on, up to the next range.
type Range = (u32, End);

/// Makes the program.
pub(super) fn compile(policy: &Policy) -> Vec<Instruction> {
    let mut out = vec![op(LOAD, ARCHITECTURE)];
    let x32 = policy.architectures.contains(&Arch::X32);
    for arch in policy.architectures.iter().filter(|a| **a != Arch::X32) {
        let mut ranges = ranges(policy, *arch);
        if *arch == Arch::X86_64 {
            ranges.extend(x32_ranges(policy, x32));
        }
        let mut body = vec![op(LOAD, NUMBER)];
        search(&ranges, &mut body);
        // Another architecture goes on behind the body, which may be beyond the reach of a test.
        out.push(Instruction { code: JEQ, jt: 1, jf: 0, k: arch.audit() });
        out.push(op(JUMP, length(&body)));
        out.append(&mut body);
    }
    out.push(give(Action::KillProcess));
    out
}

/// The upper half of the numbers of x86_64 belongs to x32.
fn x32_ranges(policy: &Policy, allowed: bool) -> Vec<Range> {
    let mut out =
        if allowed { ranges(policy, Arch::X32) } else { vec![(X32_BIT, End::Action(Action::KillProcess))] };
    out[0].0 = X32_BIT;
    // -1 is what a tracer sets to skip a call: no number of x32.
    out.push((u32::MAX, End::Action(policy.default)));
    out
}

/// The ranges of one architecture, from 0 to the end.
pub(super) fn ranges(policy: &Policy, arch: Arch) -> Vec<Range> {
    let mut calls: Vec<(u32, End)> = Vec::new();
    let mut highest = 0;
    for rule in &policy.rules {
        for name in &rule.names {
            let Some(number) = number(name, arch) else { continue };
            // The private calls of arm are far above the others and say nothing about what is new.
            if number & 0xf_0000 == 0 {
                highest = highest.max(number);
            }
            if rule.action != policy.default {
                put(&mut calls, number, rule, policy.default, arch);
            }
        }
    }
    calls.sort_by_key(|(n, _)| *n);
    let default = End::Action(policy.default);
    let newer = End::Action(beyond(policy.default));
    let mut out: Vec<Range> = Vec::new();
    let mut next = 0;
    for (number, end) in calls {
        if number > next {
            push(&mut out, next, gap(next, highest, &default, &newer));
            if next <= highest && number > highest + 1 {
                push(&mut out, highest + 1, newer.clone());
            }
        }
        push(&mut out, number, end);
        next = number + 1;
    }
    if next <= highest {
        push(&mut out, next, default);
    }
    push(&mut out, next.max(highest + 1), newer);
    out
}

fn gap(from: u32, highest: u32, default: &End, newer: &End) -> End {
    if from <= highest { default.clone() } else { newer.clone() }
}

fn push(out: &mut Vec<Range>, from: u32, end: End) {
    if out.last().is_none_or(|(_, last)| *last != end) {
        out.push((from, end));
    }
}

/// What a call gets that is newer than the policy.
fn beyond(default: Action) -> Action {
    match default {
        Action::Errno(_) | Action::KillProcess | Action::KillThread | Action::Trap => Action::Errno(ENOSYS),
        Action::Allow | Action::Log | Action::Trace(_) | Action::Notify => default,
    }
}

/// Number of a call, `None` for one that the architecture (or this program) does not know.
fn number(name: &str, arch: Arch) -> Option<u32> {
    let at = NUMBERS.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
    Some(NUMBERS[at].1[arch.column()]).filter(|n| *n != NONE)
}

fn put(calls: &mut Vec<(u32, End)>, number: u32, rule: &Rule, default: Action, arch: Arch) {
    let narrow = |c: &Condition| if arch.is_32_bit() { c.narrowed() } else { *c };
    let conditions: Vec<Condition> = rule.conditions.iter().map(narrow).collect();
    let Some((_, end)) = calls.iter_mut().find(|(n, _)| *n == number) else {
        let end = if conditions.is_empty() {
            End::Action(rule.action)
        } else {
            End::Conditions(vec![(conditions, rule.action)], default)
        };
        calls.push((number, end));
        return;
    };
    match end {
        End::Action(_) => {}
        End::Conditions(..) if conditions.is_empty() => *end = End::Action(rule.action),
        End::Conditions(list, _) => list.push((conditions, rule.action)),
    }
}

/// Appends the search; the accumulator holds the number. What fits the reach of a test becomes one block,
/// more is split, with a long jump over the lower half.
fn search(ranges: &[Range], out: &mut Vec<Instruction>) {
    if ranges.len() == 1 || longest(ranges) <= BLOCK {
        return block(ranges, out);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let mut left = Vec::new();
    search(low, &mut left);
    out.push(Instruction { code: JGE, jt: 0, jf: 1, k: high[0].0 });
    out.push(op(JUMP, length(&left)));
    out.append(&mut left);
    search(high, out);
}

/// Instructions of a block, at most: below what eight bits can jump over.
const BLOCK: usize = 240;

/// No block of these ranges is longer than this.
fn longest(ranges: &[Range]) -> usize {
    let leaf = |end: &End| match end {
        // Its return is shared; at worst it is the only one of its kind.
        End::Action(_) => 1,
        End::Conditions(list, _) => {
            let rule = |(c, _): &(Vec<Condition>, Action)| c.iter().map(Test::length).sum::<usize>() + 1;
            list.iter().map(rule).sum::<usize>() + 1
        }
    };
    ranges.iter().map(|(_, end)| leaf(end)).sum::<usize>() + ranges.len()
}

/// A block: the tests of a tree, and behind them each return once.
fn block(ranges: &[Range], out: &mut Vec<Instruction>) {
    if let [(_, end)] = ranges {
        return leaf(end, out);
    }
    let mut open = Vec::new();
    tree(ranges, out, &mut open);
    let mut returns: Vec<(Action, usize)> = Vec::new();
    for (at, above, action) in open {
        let known = returns.iter().find(|(a, _)| *a == action).map(|(_, at)| *at);
        let target = known.unwrap_or_else(|| {
            out.push(give(action));
            returns.push((action, out.len() - 1));
            out.len() - 1
        });
        let over = reach(at, target);
        let test = &mut out[at];
        *(if above { &mut test.jt } else { &mut test.jf }) = over;
    }
}

/// Appends a tree of tests. Those that lead to a return are noted: which test, whether its upper side, to what.
fn tree(ranges: &[Range], out: &mut Vec<Instruction>, open: &mut Vec<(usize, bool, Action)>) {
    if let [(_, end)] = ranges {
        return leaf(end, out);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let at = out.len();
    out.push(Instruction { code: JGE, jt: 0, jf: 0, k: high[0].0 });
    match low {
        [(_, End::Action(action))] => open.push((at, false, *action)),
        _ => tree(low, out, open),
    }
    match high {
        [(_, End::Action(action))] => open.push((at, true, *action)),
        _ => {
            out[at].jt = reach(at, out.len());
            tree(high, out, open);
        }
    }
}

fn reach(from: usize, to: usize) -> u8 {
    u8::try_from(to - from - 1).expect("a block is shorter than the reach of a test")
}

fn leaf(end: &End, out: &mut Vec<Instruction>) {
    match end {
        End::Action(action) => out.push(give(*action)),
        End::Conditions(list, otherwise) => {
            for (conditions, action) in list {
                rule(conditions, *action, out);
            }
            out.push(give(*otherwise));
        }
    }
}

/// Appends the test of one rule: returns its action, or goes on behind.
fn rule(conditions: &[Condition], action: Action, out: &mut Vec<Instruction>) {
    let start = out.len();
    for c in conditions {
        let end = out.len() + Test::length(c);
        Test { next: end, out }.emit(c);
        debug_assert_eq!(out.len(), end, "a condition has the length that was announced");
    }
    out.push(give(action));
    // Failed tests were left pointing nowhere; the end of the rule is known now. Six conditions have at
    // most 48 instructions, so that it is always in reach.
    let end = out.len();
    for (at, i) in out.iter_mut().enumerate().skip(start) {
        if matches!(i.code, JEQ | JGT | JGE) {
            let far = u8::try_from(end - at - 1).expect("a rule is shorter than 255 instructions");
            if i.jt == FAIL {
                i.jt = far;
            }
            if i.jf == FAIL {
                i.jf = far;
            }
        }
    }
}

/// A jump to the end of the rule, until that is known.
const FAIL: u8 = u8::MAX;

/// Emits the comparison of one 64-bit argument by halves.
struct Test<'a> {
    /// Where the next condition begins: the target where this one holds.
    next: usize,
    out: &'a mut Vec<Instruction>,
}

impl Test<'_> {
    /// Number of instructions of a condition: two halves, each a load, a mask unless it is whole, and a
    /// comparison, of which an ordered one needs two for the upper half.
    fn length(c: &Condition) -> usize {
        let (high, low) = halves(c.mask);
        let ordered = usize::from(!matches!(c.operator, Operator::Eq | Operator::Ne));
        let masks = usize::from(high != u32::MAX) + usize::from(low != u32::MAX);
        4 + masks + ordered
    }

    fn emit(mut self, c: &Condition) {
        let (high, low) = halves(c.value);
        self.load(c, true);
        match c.operator {
            Operator::Eq => self.jump(JEQ, high, Target::On, Target::Fail),
            Operator::Ne => self.jump(JEQ, high, Target::On, Target::Next),
            Operator::Gt | Operator::Ge => {
                self.jump(JGT, high, Target::Next, Target::On);
                self.jump(JEQ, high, Target::On, Target::Fail);
            }
            Operator::Lt | Operator::Le => {
                self.jump(JGT, high, Target::Fail, Target::On);
                self.jump(JEQ, high, Target::On, Target::Next);
            }
        }
        self.load(c, false);
        match c.operator {
            Operator::Eq => self.jump(JEQ, low, Target::Next, Target::Fail),
            Operator::Ne => self.jump(JEQ, low, Target::Fail, Target::Next),
            Operator::Gt => self.jump(JGT, low, Target::Next, Target::Fail),
            Operator::Ge => self.jump(JGE, low, Target::Next, Target::Fail),
            Operator::Lt => self.jump(JGE, low, Target::Fail, Target::Next),
            Operator::Le => self.jump(JGT, low, Target::Fail, Target::Next),
        }
    }

    /// Loads one half of the argument, masked. Both machines are little-endian: the low half is first.
    fn load(&mut self, c: &Condition, upper: bool) {
        let (high, low) = halves(c.mask);
        let mask = if upper { high } else { low };
        self.out.push(op(LOAD, ARGUMENTS + 8 * u32::from(c.argument) + 4 * u32::from(upper)));
        if mask != u32::MAX {
            self.out.push(op(AND, mask));
        }
    }

    fn jump(&mut self, code: u16, k: u32, yes: Target, no: Target) {
        let behind = self.out.len() + 1;
        let next = u8::try_from(self.next - behind).expect("a condition is short");
        let offset = |t| match t {
            Target::On => 0,
            Target::Next => next,
            Target::Fail => FAIL,
        };
        self.out.push(Instruction { code, jt: offset(yes), jf: offset(no), k });
    }
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum Target {
    /// To the following instruction.
    On,
    /// The condition holds.
    Next,
    /// It does not.
    Fail,
}

fn halves(value: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    ((value >> 32) as u32, value as u32)
}

fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn give(action: Action) -> Instruction {
    op(RETURN, action.value())
}

fn length(body: &[Instruction]) -> u32 {
    u32::try_from(body.len()).expect("a program is far shorter than 2^32")
}
