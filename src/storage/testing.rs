//! What the unit tests of this module share: scratch directories and sample records.

use std::path::{Path, PathBuf};

use super::paths::Paths;

/// A directory that goes with its value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Store paths below it.
    pub(crate) fn paths(&self) -> Paths {
        Paths::new(self.0.join("root"), self.0.join("run"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fresh directory below the target's tmp.
pub(crate) fn scratch(name: &str) -> Scratch {
    let unique = super::file::random_hex::<6>().expect("random");
    let path = std::env::temp_dir().join(format!("rcon-test-{name}-{unique}"));
    std::fs::create_dir_all(&path).expect("scratch directory");
    Scratch(path)
}

/// A resolved container that uses little.
pub(crate) fn spec(id: u8, name: &str) -> crate::model::container::ContainerSpec {
    let id = crate::model::id::ContainerId::from_bytes([id; 32]);
    let json = serde_json::json!({
        "version": 1, "id": id, "name": name, "created": jiff::Timestamp::now(),
        "root": {"image_name": "busybox", "image_id": null, "layers": [], "directory": null,
                 "read_only": false, "read_only_tmpfs": true},
        "process": {"argv": ["sh"], "cwd": "/"},
        "resources": {}, "mounts": [], "shm_size": 67_108_864,
        "namespaces": {"pid": "Private", "ipc": "Private", "uts": "Private", "cgroup": "Private", "user": "Host"},
        "hostname": "h", "network": {"mode": "None"}, "cgroups": true,
        "security": {"privileged": false, "seccomp": "Default", "masked_paths": [], "readonly_paths": []},
        "lifecycle": {"auto_remove": false, "remove_image": false, "restart": "No", "stop_signal": 15,
                      "stop_timeout": 10, "timeout": 0, "health": null, "health_on_failure": "none",
                      "log": {"driver": "json-file", "max_size": 0, "max_file": 1}},
        "labels": [["a", "b"]],
        "options": crate::model::create::CreateOptions::default(),
    });
    serde_json::from_value(json).expect("a sample spec")
}
