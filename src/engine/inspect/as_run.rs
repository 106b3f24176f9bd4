//! `inspect --as-run`: the command line that makes the container.

use crate::model::container::ContainerSpec;

/// The command line that made it, as it was typed; `run -d` with the image where it was made without one.
pub(super) fn command_line(spec: &ContainerSpec) -> Vec<String> {
    if !spec.options.command_line.is_empty() {
        return spec.options.command_line.clone();
    }
    let mut line: Vec<String> = ["rcon", "run", "-d", "--name"].map(str::to_owned).to_vec();
    line.push(spec.name.clone());
    line.push(spec.root.image_name.clone());
    line.extend(spec.options.process.args.iter().cloned());
    line
}
