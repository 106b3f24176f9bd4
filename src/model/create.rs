//! [`CreateOptions`]: what the caller said when a container is to be made. The intent, made of the parts
//! that the other modules of `model` define; never resolved, never stored but for `inspect --as-run`.

use serde::{Deserialize, Serialize};

use super::ParseError;
use super::lifecycle::{LifecycleOptions, PullPolicy};
use super::mount::MountRequest;
use super::namespace::NamespaceOptions;
use super::network::NetworkOptions;
use super::process::ProcessOptions;
use super::resources::Resources;
use super::security::{DeviceRequest, SecurityOptions};

/// The wish of a caller (command line, REST API, compose, kube). `None` and empty mean "not said".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateOptions {
    /// Image as typed; empty with [`CreateOptions::rootfs`].
    pub image: String,
    /// `--rootfs PATH[:O|:idmap]`: run this directory, no image.
    pub rootfs: Option<String>,
    /// `--name`.
    pub name: Option<String>,
    /// `--replace`.
    pub replace: bool,
    /// `--pull`.
    pub pull: PullPolicy,
    /// `--platform os/arch[/variant]`, or made of `--os --arch --variant`.
    pub platform: Option<String>,
    /// Registry options (`--tls-verify`, `--authfile`, `--creds`, `--cert-dir`, `--retry`).
    pub registry: RegistryOptions,
    /// Do not show pull progress (`-q`).
    pub quiet: bool,
    /// argv, environment, user.
    pub process: ProcessOptions,
    /// Limits.
    pub resources: Resources,
    /// `-v`, `--mount`, `--tmpfs` in order.
    pub mounts: Vec<MountRequest>,
    /// `--volumes-from CONTAINER[:opts]`.
    pub volumes_from: Vec<String>,
    /// `--image-volume`: `anonymous` (default), `tmpfs`, `ignore`.
    pub image_volume: Option<String>,
    /// `--read-only`.
    pub read_only: Option<bool>,
    /// `--read-only-tmpfs` (default true).
    pub read_only_tmpfs: Option<bool>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--shm-size-systemd`, bytes: of each tmpfs of systemd mode.
    pub shm_size_systemd: Option<u64>,
    /// `--chrootdirs`: directories in the container that get the engine's files, too.
    pub chroot_dirs: Vec<String>,
    /// `--rdt-class`: a group of the resctrl file system.
    pub rdt_class: Option<String>,
    /// `--device`.
    pub devices: Vec<DeviceRequest>,
    /// `--device-cgroup-rule`, `c 1:3 rwm`.
    pub device_rules: Vec<String>,
    /// Namespaces.
    pub namespaces: NamespaceOptions,
    /// `--hostname`.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// Network.
    pub network: NetworkOptions,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--cgroups`: `enabled`, `disabled`, `no-conmon`, `split`.
    pub cgroups: Option<String>,
    /// Security.
    pub security: SecurityOptions,
    /// `--sysctl`.
    pub sysctls: Vec<(String, String)>,
    /// Restart, health, stop, logs.
    pub lifecycle: LifecycleOptions,
    /// `--label`, `--label-file`.
    pub labels: Vec<(String, String)>,
    /// `--annotation`.
    pub annotations: Vec<(String, String)>,
    /// `--secret`: `name[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=…]`, as typed.
    pub secrets: Vec<String>,
    /// `--tz`.
    pub timezone: Option<String>,
    /// `--passwd` (default: called podman, or an entry is given): add the user to the container's passwd.
    pub passwd: Option<bool>,
    /// `--passwd-entry`.
    pub passwd_entry: Option<String>,
    /// `--group-entry`.
    pub group_entry: Option<String>,
    /// `--hostuser`.
    pub hostuser: Vec<String>,
    /// `--storage-opt`.
    pub storage_opts: Vec<(String, String)>,
    /// `--systemd`: `true`, `false`, `always`.
    pub systemd: Option<String>,
    /// `--runtime`: another OCI runtime.
    pub runtime: Option<String>,
    /// `--requires`: containers that must run first.
    pub requires: Vec<String>,
    /// `--personality`.
    pub personality: Option<String>,
    /// `--init-path`.
    pub init_path: Option<String>,
    /// `--gpus` as typed.
    pub gpus: Option<String>,
    /// `--http-proxy`: hand the caller's proxy variables on; `None` follows the configuration.
    pub http_proxy: Option<bool>,
    /// The command line that made it, for `inspect`.
    pub command_line: Vec<String>,
}

impl CreateOptions {
    /// The directory of `--rootfs`, and whether it is only read (`:O`). With `:idmap` its ids are shifted into the
    /// container's user namespace, which they are anyway.
    ///
    /// # Errors
    /// Another word behind the colon.
    pub fn root_directory(&self) -> Result<Option<(&str, bool)>, ParseError> {
        let Some(text) = self.rootfs.as_deref() else { return Ok(None) };
        match text.split_once(':') {
            None => Ok(Some((text, false))),
            Some((path, "O")) => Ok(Some((path, true))),
            Some((path, "idmap")) => Ok(Some((path, false))),
            Some(_) => Err(ParseError::new(
                "root file system",
                text,
                "want DIRECTORY, DIRECTORY:O or DIRECTORY:idmap",
            )),
        }
    }
}

/// How to talk to a registry, as said on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistryOptions {
    /// `--tls-verify`: `Some(false)` allows plain HTTP and unknown certificates.
    pub tls_verify: Option<bool>,
    /// `--authfile`.
    pub auth_file: Option<String>,
    /// `--creds user:password`; not serialised, so that it never reaches a file.
    #[serde(skip)]
    pub creds: Option<(String, String)>,
    /// `--cert-dir`.
    pub cert_dir: Option<String>,
    /// `--signature-policy`: a policy file that decides whether an image may come in.
    pub signature_policy: Option<String>,
    /// `--retry`.
    pub retry: Option<u32>,
    /// `--retry-delay`, seconds.
    pub retry_delay: Option<u64>,
}
