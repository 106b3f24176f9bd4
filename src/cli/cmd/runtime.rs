//! `rcon runtime …` and `rcon-runtime …`: the OCI runtime command line.

use crate::cli::exit::{Failure, Outcome};
use crate::cli::ui::Ui;

/// Runs the OCI runtime command line with the arguments after `runtime`.
///
/// # Errors
/// What failed, for stderr; the exit code is 1 as runc's.
pub fn main(_args: Vec<String>, _ui: &mut Ui) -> Outcome {
    Err(Failure::new("the OCI runtime command line is not part of this build"))
}
