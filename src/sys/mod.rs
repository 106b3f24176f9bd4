//! The kernel: safe functions over unsafe calls, one file per family.
//!
//! Only here stands `unsafe`, and each block says why it is sound. Functions take and give
//! `OwnedFd` and `BorrowedFd`, `&Path` and typed flags, never bare integers for descriptors.
//! Every failure is [`Error`]: it prints as the call with its arguments, and its text is made
//! only when something failed. Nothing here decides anything; that is for the layers above.
#![allow(unsafe_code)]

pub mod atomic;
pub mod bind;
pub mod bpf;
pub mod caps;
pub mod cgroup;
pub mod conntrack;
pub mod error;
pub mod event;
pub mod fd;
pub mod idmap;
pub mod limits;
pub mod lock;
pub mod memfd;
pub mod memory;
pub mod mount;
pub mod mountinfo;
pub mod netlink;
pub mod nft;
pub mod ns;
pub mod probe;
pub mod proc;
pub mod process;
pub mod quota;
pub mod root;
pub mod rtnl;
pub mod seccomp;
pub mod self_exe;
pub mod selinux;
pub mod signal;
pub mod socket;
pub mod sqlite;
pub mod tty;
pub mod visit;
pub mod xattr;

pub use error::{Error, Result};
