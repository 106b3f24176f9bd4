//! The kernel: safe functions over unsafe calls, one file per family.
#![allow(unsafe_code)]

pub mod bpf;
pub mod cgroup;
pub mod seccomp;
