//! The verbs: one function per thing that a user can ask for, with typed options and results.
//!
//! The engine knows no clap and prints nothing; it returns data and [`error::Error`]s, and reports what takes
//! long through [`progress::Progress`]. Defaults, environment and configuration files meet in [`config`],
//! [`env`] and [`resolve`]; nothing below reads a variable. What a container is doing is read from its row and
//! from its run directory ([`view`]); what a crash left behind is put right by [`reconcile`].
//!
//! Not here: mounts, namespaces, packets (the monitor does them), tables and colours (the command line).

pub mod attach;
pub mod checkpoint;
pub mod clone;
pub mod commit;
pub mod config;
pub mod context;
pub mod cp;
pub mod create;
pub mod diff;
pub mod env;
pub mod error;
pub mod events;
pub mod exec;
pub mod export;
pub mod filter;
pub mod health;
mod hooks;
pub mod host;
pub mod images;
pub mod init;
pub mod inspect;
mod journal;
pub mod kill;
mod launch;
mod log_details;
pub mod logs;
mod lookup;
mod many;
pub mod mounts;
pub mod networks;
pub mod pause;
pub mod port;
pub mod progress;
pub mod prune;
pub mod ps;
mod random;
pub mod reconcile;
pub mod rename;
pub mod resolve;
pub mod restart;
mod retold;
pub mod rm;
mod rootfs;
pub mod run;
pub mod runlabel;
pub mod secrets;
pub mod select;
pub mod start;
pub mod stats;
pub mod stdio;
pub mod stop;
mod subscriptions;
pub mod system;
pub mod top;
pub mod update;
mod view;
pub mod volumes;
pub mod wait;

pub use context::{Context, GlobalOptions};
pub use error::{Error, Kind};
pub use progress::Progress;
pub use select::{Done, Selection};
