//! What tells programs that they run in a container: docker's `/.dockerenv`, podman's `/run/.containerenv`.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::Start;
use super::files::Files;
use crate::model::mount::MountKind;
use crate::monitor::proto::Failure;
use crate::sys::fd;
use crate::sys::root::Root;

impl Start<'_> {
    /// What tells programs that they are in a container: docker's `/.dockerenv` and podman's `/run/.containerenv`. A
    /// directory of the host that is the root (`--rootfs`) is left as it is.
    pub(super) fn marks(&self, root: &OwnedFd, out: &mut Files) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        if spec.root.is_lent() {
            return Ok(());
        }
        let image = Root::new(fd::dup(root, 3).map_err(|e| Failure::internal("opening the root", &e))?);
        // A mark that cannot be made (an image with a link in its place) is no reason not to start.
        let _made = image.create_file(Path::new("/.dockerenv"), 0o755);
        let mark = Path::new("/run/.containerenv");
        let mut text = if spec.security.privileged { self.container_env() } else { String::new() };
        // Programs that look after images of their own inside must not think that the host's are gone.
        if spec
            .mounts
            .iter()
            .any(|m| m.kind == MountKind::Bind && self.world.paths.root.starts_with(&m.source))
        {
            text.push_str("graphRootMounted=1\n");
        }
        let mounted = spec.mounts.iter().find(|m| m.target == "/run").map(|m| m.kind);
        match mounted {
            None if !spec.root.read_only_tmpfs && !spec.systemd && spec.chroot_dirs.is_empty() => {
                if let Ok(file) = image.create_file(mark, 0o644) {
                    let _written = fd::write_all(&file, text.as_bytes());
                }
            }
            None | Some(MountKind::Tmpfs) => {
                let file = self.put("containerenv", text.as_bytes())?;
                out.push((file, mark.display().to_string(), false));
            }
            // What the user brought stays as it is.
            Some(_) => {}
        }
        Ok(())
    }

    /// For a privileged container, which may know where it is.
    fn container_env(&self) -> String {
        let spec = &self.handoff.spec;
        let image_id = spec.root.image_id.as_ref().map(|id| id.hex()).unwrap_or_default();
        // Whoever was called podman when the container was made has told its programs so.
        let podman = spec.process.env.iter().any(|e| e == "container=podman");
        let engine = if podman { "podman" } else { "rcon" };
        format!(
            "engine=\"{engine}-{}\"\nname=\"{}\"\nid=\"{}\"\nimage=\"{}\"\nimageid=\"{image_id}\"\nrootless=0\n",
            env!("CARGO_PKG_VERSION"),
            spec.name,
            spec.id,
            spec.root.image_name,
        )
    }
}
