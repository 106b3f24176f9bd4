//! Whole operations on containers of the OCI command line, one file per family: what runc's
//! commands do, without parsing and printing.

pub mod cgroups;
pub mod create;
pub mod delete;
pub mod enter;
pub mod foreground;
pub mod members;
pub mod query;
pub mod signal;
pub mod update;
