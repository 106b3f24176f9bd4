//! What outlives a process: the database of a storage root, layers, volumes, logs, and the volatile run directory.
//!
//! [`Store`] is the database handle; the files beside it are reached through [`Paths`]. Rows say what
//! exists: a file without a row is garbage that [`gc`] sweeps, a row without its file is damage that is
//! reported with its path. Half-made things live in `<root>/tmp` under a lock that dies with its maker and
//! appear by rename and row.
//!
//! Not here: what an image's documents mean (`image`), when to write a phase (`engine`, `monitor`), which
//! address to lease (`net`).

pub mod checkpoints;
mod commit;
pub mod container_rows;
pub mod containers;
mod copy;
pub mod db;
pub mod df;
pub mod diff;
pub mod error;
pub mod events;
mod file;
pub mod gc;
pub mod host_ids;
pub mod images;
pub mod layers;
pub mod leases;
pub mod lent;
pub mod lock;
pub mod logs;
pub mod networks;
pub mod overlay;
pub mod paths;
mod phase;
mod pull;
mod quota;
mod recipe;
pub mod repair;
mod reserve;
mod schema;
pub mod secrets;
mod tar_write;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod unpack;
mod uses;
pub mod volatile;
pub mod volume_mount;
pub mod volumes;

pub use db::Store;
pub use error::{Error, Result};
pub use paths::Paths;
pub use uses::Use;
