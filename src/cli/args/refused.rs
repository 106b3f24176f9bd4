//! Flags of docker and podman that rcon knows and does not carry out: refused by name with the reason, or, where
//! they mean something on Windows only, accepted without effect as docker on Linux does.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::super::exit::Failure;
use crate::model::units::ByteSize;

const PODS: &str = "pods are not there yet";
const ENCRYPTED: &str = "encrypted images are not supported";

/// Long name, whether it takes a value, why it is refused.
const REFUSED: &[(&str, bool, &str)] = &[
    ("pod", true, PODS),
    ("pod-id-file", true, PODS),
    ("init-ctr", true, PODS),
    ("decryption-key", true, ENCRYPTED),
    ("link-local-ip", true, "docker's bridge driver ignores it too; use --ip or --ip6"),
    ("use-api-socket", false, "there is no API socket to hand on"),
];

const SIGNED: &str = "images are not signed here, nor are signatures looked at";

const SWARM: &str = "there is no swarm";
const ONE_PLATFORM: &str = "an image here is of one platform: name that image";

/// Flags of docker that one command alone refuses: the command's last words, the flag, and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("container clone", "pod", PODS),
    ("ps", "pod", PODS),
    ("container ls", "pod", PODS),
    ("container ps", "pod", PODS),
    ("pull", "decryption-key", ENCRYPTED),
    ("image pull", "decryption-key", ENCRYPTED),
    ("push", "encryption-key", ENCRYPTED),
    ("push", "encrypt-layer", ENCRYPTED),
    ("image push", "encryption-key", ENCRYPTED),
    ("image push", "encrypt-layer", ENCRYPTED),
    ("push", "sign-by", SIGNED),
    ("push", "sign-by-sigstore", SIGNED),
    ("push", "sign-by-sigstore-private-key", SIGNED),
    ("push", "sign-by-sq-fingerprint", SIGNED),
    ("push", "sign-passphrase-file", SIGNED),
    ("push", "signature-policy", SIGNED),
    ("pull", "signature-policy", SIGNED),
    ("save", "signature-policy", SIGNED),
    ("load", "signature-policy", SIGNED),
    ("import", "signature-policy", SIGNED),
    ("network create", "config-from", "give the options themselves: there is no swarm that would copy them"),
    (
        "network create",
        "config-only",
        "give the options to each network: there is no swarm that would copy them",
    ),
    ("network create", "ingress", SWARM),
    ("network create", "ipam-opt", "rcon gives out addresses itself and has no options for it"),
    ("network connect", "gw-priority", "the default route is that of the network which came first"),
    ("network connect", "link-local-ip", "docker's bridge driver ignores it too; use --ip or --ip6"),
    ("network inspect", "verbose", "it tells of services of a swarm only"),
    ("volume create", "availability", SWARM),
    ("volume create", "group", SWARM),
    ("volume create", "limit-bytes", "it is for cluster volumes; use -o size=BYTES"),
    ("volume create", "required-bytes", SWARM),
    ("volume create", "scope", SWARM),
    ("volume create", "secret", SWARM),
    ("volume create", "sharing", SWARM),
    ("volume create", "topology-preferred", SWARM),
    ("volume create", "topology-required", SWARM),
    ("volume create", "type", "it is for cluster volumes; use -o type=TYPE"),
    ("volume ls", "cluster", SWARM),
    ("images", "tree", "an image here is of one platform: the list is the tree"),
    ("image ls", "tree", "an image here is of one platform: the list is the tree"),
    ("rmi", "platform", ONE_PLATFORM),
    ("image rm", "platform", ONE_PLATFORM),
];

/// Why a flag that the command `called` has not got is refused, where docker's command has it.
#[must_use]
pub fn elsewhere(called: &str, flag: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(command, name, _)| *command == called && *name == flag).map(|(_, _, why)| *why)
}

/// Windows only; docker on Linux takes them without effect.
const WINDOWS: &[&str] = &["cpu-count", "cpu-percent", "io-maxiops"];
/// Of these, one is a size.
const WINDOWS_SIZE: &str = "io-maxbandwidth";

/// A limit that kernels do not have any more: docker and podman warn and go on.
const KERNEL_MEMORY: &str = "kernel-memory";

/// The flags themselves, hidden from help.
#[derive(Debug, Default)]
pub struct RefusedArgs {
    kernel_memory: bool,
}

impl RefusedArgs {
    /// What is to be said of the flags that are accepted without effect.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let said = "--kernel-memory has no effect: the kernel does not have that limit any more";
        self.kernel_memory.then_some(said)
    }
}

impl clap::Args for RefusedArgs {
    fn augment_args(mut cmd: Command) -> Command {
        for (name, takes_value, _) in REFUSED {
            let action = if *takes_value { ArgAction::Append } else { ArgAction::SetTrue };
            cmd = cmd.arg(Arg::new(*name).long(*name).hide(true).action(action));
        }
        let set = |name: &'static str| Arg::new(name).long(name).hide(true).action(ArgAction::Set);
        for name in WINDOWS {
            cmd = cmd.arg(set(name).value_parser(clap::value_parser!(u64)));
        }
        for name in [WINDOWS_SIZE, KERNEL_MEMORY] {
            cmd = cmd.arg(set(name).value_parser(clap::value_parser!(ByteSize)));
        }
        cmd = cmd.arg(set("isolation"));
        cmd
    }
    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl clap::FromArgMatches for RefusedArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        check(matches).map_err(|f| clap::Error::raw(clap::error::ErrorKind::Io, f.message))?;
        Ok(Self { kernel_memory: matches.contains_id(KERNEL_MEMORY) })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn check(matches: &ArgMatches) -> Result<(), Failure> {
    use clap::parser::ValueSource::CommandLine;
    for (name, _, why) in REFUSED {
        if matches.value_source(name) == Some(CommandLine) {
            return Err(Failure::usage(format!("--{name} is not supported: {why}")));
        }
    }
    match matches.get_one::<String>("isolation").map(String::as_str) {
        None | Some("" | "default") => Ok(()),
        Some(other) => Err(Failure::usage(format!("--isolation {other} is for Windows only"))),
    }
}
