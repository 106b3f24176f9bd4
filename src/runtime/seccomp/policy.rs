//! A policy: what every form of a seccomp profile becomes before it is compiled. And the way from the
//! OCI's form to it.

use std::borrow::Cow;

use oci_spec::runtime as oci;

use super::Error;
use super::table::EPERM;

/// An architecture as the kernel tells it to a filter. x32 shares that of x86_64 and is told by a bit in
/// the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Arch {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

impl Arch {
    /// Its column in the table of numbers.
    pub(super) fn column(self) -> usize {
        match self {
            Self::X86_64 => 0,
            Self::X86 => 1,
            Self::X32 => 2,
            Self::Aarch64 => 3,
            Self::Arm => 4,
        }
    }

    /// AUDIT_ARCH_…
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments have 32 bits.
    pub(super) fn is_32_bit(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }

    /// The one that this program runs on.
    pub(super) fn native() -> Self {
        native_family()[0]
    }

    /// By its SCMP_ARCH_… word.
    pub(super) fn from_oci(arch: oci::Arch) -> Result<Self, Error> {
        match arch {
            oci::Arch::ScmpArchNative => Ok(Self::native()),
            oci::Arch::ScmpArchX86_64 => Ok(Self::X86_64),
            oci::Arch::ScmpArchX86 => Ok(Self::X86),
            oci::Arch::ScmpArchX32 => Ok(Self::X32),
            oci::Arch::ScmpArchAarch64 => Ok(Self::Aarch64),
            oci::Arch::ScmpArchArm => Ok(Self::Arm),
            other => Err(Error::Architecture(other.to_string())),
        }
    }
}

/// The architectures whose programs run on this machine, its own first.
pub(super) fn native_family() -> &'static [Arch] {
    if cfg!(target_arch = "aarch64") {
        &[Arch::Aarch64, Arch::Arm]
    } else {
        &[Arch::X86_64, Arch::X86, Arch::X32]
    }
}

/// What a call leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    KillProcess,
    KillThread,
    Trap,
    Errno(u16),
    Notify,
    Trace(u16),
    Log,
    Allow,
}

impl Action {
    /// SECCOMP_RET_…
    pub(super) fn value(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// From the OCI's word; `errno` belongs to ERRNO and TRACE alone.
    pub(super) fn from_oci(action: oci::LinuxSeccompAction, errno: Option<u32>) -> Result<Self, Error> {
        use oci::LinuxSeccompAction as A;
        let data = || match errno {
            None => Ok(EPERM),
            Some(n) => u16::try_from(n).map_err(|_| Error::Invalid {
                what: "errnoRet".to_owned(),
                why: format!("{n} does not fit 16 bits"),
            }),
        };
        let known = match action {
            A::ScmpActErrno => return Ok(Self::Errno(data()?)),
            A::ScmpActTrace => return Ok(Self::Trace(data()?)),
            A::ScmpActKill | A::ScmpActKillThread => Self::KillThread,
            A::ScmpActKillProcess => Self::KillProcess,
            A::ScmpActTrap => Self::Trap,
            A::ScmpActNotify => Self::Notify,
            A::ScmpActLog => Self::Log,
            A::ScmpActAllow => Self::Allow,
        };
        if errno.is_some_and(|e| e != 0) {
            return Err(Error::Invalid {
                what: "errnoRet".to_owned(),
                why: format!("{action} returns no number"),
            });
        }
        Ok(known)
    }
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// `(argument & mask) operator value`, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) mask: u64,
    pub(super) operator: Operator,
    pub(super) value: u64,
}

impl Condition {
    /// Whether it holds. The compiler is tested against this.
    #[cfg(test)]
    pub(super) fn holds(&self, arguments: &[u64; 6]) -> bool {
        let have = arguments[usize::from(self.argument)] & self.mask;
        match self.operator {
            Operator::Eq => have == self.value,
            Operator::Ne => have != self.value,
            Operator::Lt => have < self.value,
            Operator::Le => have <= self.value,
            Operator::Gt => have > self.value,
            Operator::Ge => have >= self.value,
        }
    }

    /// As an architecture with 32-bit arguments sees it.
    pub(super) fn narrowed(self) -> Self {
        Self { mask: self.mask & 0xffff_ffff, value: self.value & 0xffff_ffff, ..self }
    }

    fn from_oci(arg: &oci::LinuxSeccompArg) -> Result<Self, Error> {
        use oci::LinuxSeccompOperator as O;
        let argument = u8::try_from(arg.index()).ok().filter(|i| *i < 6).ok_or_else(|| Error::Invalid {
            what: "args".to_owned(),
            why: format!("there is no argument {}", arg.index()),
        })?;
        let (mask, operator, value) = match arg.op() {
            // The value is the mask here, the second value what is compared.
            O::ScmpCmpMaskedEq => (arg.value(), Operator::Eq, arg.value_two().unwrap_or(0)),
            O::ScmpCmpEq => (u64::MAX, Operator::Eq, arg.value()),
            O::ScmpCmpNe => (u64::MAX, Operator::Ne, arg.value()),
            O::ScmpCmpLt => (u64::MAX, Operator::Lt, arg.value()),
            O::ScmpCmpLe => (u64::MAX, Operator::Le, arg.value()),
            O::ScmpCmpGt => (u64::MAX, Operator::Gt, arg.value()),
            O::ScmpCmpGe => (u64::MAX, Operator::Ge, arg.value()),
        };
        Ok(Self { argument, mask, operator, value })
    }
}

/// Calls, what they lead to, and on which conditions (all must hold).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) names: Vec<Cow<'static, str>>,
    pub(super) action: Action,
    pub(super) conditions: Vec<Condition>,
}

/// A policy. Of the rules for a call one without conditions decides; else the first whose conditions
/// hold; else the default does. A rule with the default's action says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) default: Action,
    /// Architectures that may be called; others are killed. The native one is always meant.
    pub(super) architectures: Vec<Arch>,
    pub(super) rules: Vec<Rule>,
}

impl Policy {
    /// From the OCI's form.
    pub(super) fn from_oci(s: &oci::LinuxSeccomp) -> Result<Self, Error> {
        let mut architectures = vec![Arch::native()];
        for arch in s.architectures().iter().flatten() {
            // Programs of a foreign machine do not run here: its rules are for elsewhere.
            match Arch::from_oci(*arch) {
                Ok(arch) if native_family().contains(&arch) && !architectures.contains(&arch) => {
                    architectures.push(arch);
                }
                Ok(_) => {}
                Err(_) if *arch != oci::Arch::ScmpArchNative => {}
                Err(e) => return Err(e),
            }
        }
        let default = Action::from_oci(s.default_action(), s.default_errno_ret())?;
        if default == Action::Notify {
            let why = "SCMP_ACT_NOTIFY would stop the agent's own start".to_owned();
            return Err(Error::Invalid { what: "defaultAction".to_owned(), why });
        }
        let mut rules = Vec::new();
        for call in s.syscalls().iter().flatten() {
            add(call, &mut rules)?;
        }
        Ok(Self { default, architectures, rules })
    }

    /// Whether that call never succeeds, whatever its arguments.
    pub(super) fn forbids_call(&self, name: &str) -> bool {
        let lets = |action| matches!(action, Action::Allow | Action::Log | Action::Trace(_) | Action::Notify);
        let mut of_call = self.rules.iter().filter(|r| r.names.iter().any(|n| n == name)).peekable();
        match of_call.clone().find(|r| r.conditions.is_empty()) {
            Some(rule) => !lets(rule.action),
            None => !lets(self.default) && (of_call.peek().is_none() || !of_call.any(|r| lets(r.action))),
        }
    }

    /// Whether any call is answered by an agent.
    pub(super) fn notifies(&self) -> bool {
        self.rules.iter().any(|r| r.action == Action::Notify)
    }

    /// Whether that call is, with some arguments at least.
    pub(super) fn notifies_call(&self, name: &str) -> bool {
        self.rules.iter().any(|r| r.action == Action::Notify && r.names.iter().any(|n| n == name))
    }
}

fn add(call: &oci::LinuxSyscall, rules: &mut Vec<Rule>) -> Result<(), Error> {
    let action = Action::from_oci(call.action(), call.errno_ret())?;
    if action == Action::Notify && call.names().iter().any(|n| n == "write") {
        return Err(Error::Invalid {
            what: "write".to_owned(),
            why: "SCMP_ACT_NOTIFY cannot be used for the write syscall".to_owned(),
        });
    }
    let names: Vec<Cow<'static, str>> = call.names().iter().map(|n| n.clone().into()).collect();
    let args = call.args().iter().flatten().map(Condition::from_oci);
    let conditions = args.collect::<Result<Vec<_>, _>>()?;
    let twice = conditions
        .iter()
        .enumerate()
        .any(|(i, c)| conditions[..i].iter().any(|before| before.argument == c.argument));
    if twice {
        // Profiles written for runc mean "any of these" by two conditions on one argument.
        for c in conditions {
            rules.push(Rule { names: names.clone(), action, conditions: vec![c] });
        }
    } else {
        rules.push(Rule { names, action, conditions });
    }
    Ok(())
}
