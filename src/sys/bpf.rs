//! bpf(2), as far as the device access of cgroup v2 needs it: load a program, attach it to a cgroup, query
//! and detach.
//!
//! The program itself is made in `runtime::cgroup`.
