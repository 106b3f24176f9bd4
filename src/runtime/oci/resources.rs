//! Limits of the model to the OCI's `LinuxResources`.

use oci_spec::runtime as oci;

use super::Error;
use crate::model::resources::Resources;

/// Numbers of block devices by host path: `(path, major, minor)`.
pub type BlockNumbers = Vec<(String, u32, u32)>;

/// Limits as the OCI spells them, without device rules. Used at start and by `update`.
///
/// # Errors
/// [`Error::Block`] where a device of an I/O limit is not among `blocks`.
pub fn resources(limits: &Resources, blocks: &BlockNumbers) -> Result<oci::LinuxResources, Error> {
    let _ = (limits, blocks);
    todo!()
}
