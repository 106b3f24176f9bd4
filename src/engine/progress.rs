//! [`Progress`]: how a verb tells its front door what it is doing while it takes long. It is the image
//! module's trait: pulling is the only thing that takes long.

pub use crate::image::progress::{LayerState, NoProgress, Progress};
