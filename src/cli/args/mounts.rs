//! Storage of a container: `-v`, `--mount`, `--tmpfs` and their like.

use clap::{ArgMatches, Command};

use super::super::exit::Failure;
use super::boolean;
use crate::model::mount::{MountKind, MountRequest};
use crate::model::units::ByteSize;

/// Flags for storage. The three kinds of mounts are joined in the order of the command line, so the struct is
/// filled by hand from the matches.
#[derive(Debug, Default)]
pub struct MountArgs {
    /// Mounts in order.
    pub mounts: Vec<MountRequest>,
    /// The rest.
    pub storage: StorageArgs,
}

/// The flags for storage that are not mounts.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Storage")]
pub struct StorageArgs {
    /// Mount a volume or a host directory
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// Mount bind, volume, tmpfs, image, devpts or glob, all options spelled out
    #[arg(long, value_name = "TYPE=…,KEY=VALUE…")]
    mount: Vec<String>,
    /// Mount a tmpfs
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount what another container has
    #[arg(long, value_name = "CONTAINER[:OPTIONS]")]
    pub volumes_from: Vec<String>,
    /// Driver of volumes that -v makes: only local
    #[arg(long, value_name = "NAME")]
    pub volume_driver: Option<String>,
    /// Volumes that the image asks for: anonymous (default), tmpfs or ignore
    #[arg(long, value_name = "WAY", value_parser = ["anonymous", "bind", "tmpfs", "ignore"])]
    pub image_volume: Option<String>,
    /// Mount the root file system read-only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    pub read_only: Option<bool>,
    /// With --read-only: tmpfs on /run, /tmp and /var/tmp (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    pub read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<ByteSize>,
    /// Size of each tmpfs of systemd mode (/run, /run/lock, /tmp, /var/log/journal)
    #[arg(long, value_name = "SIZE")]
    pub shm_size_systemd: Option<ByteSize>,
    /// Mount /etc/hosts, /etc/resolv.conf and the engine's other files below this directory of the container, too
    #[arg(long, value_name = "DIR")]
    pub chrootdirs: Vec<String>,
    /// Options of the writable layer (size=10g)
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage_opt: Vec<String>,
    /// A secret: NAME[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=…]
    #[arg(long, value_name = "SECRET")]
    pub secret: Vec<String>,
}

impl clap::Args for MountArgs {
    fn augment_args(cmd: Command) -> Command {
        StorageArgs::augment_args(cmd)
    }
    fn augment_args_for_update(cmd: Command) -> Command {
        StorageArgs::augment_args_for_update(cmd)
    }
}

impl clap::FromArgMatches for MountArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let storage = StorageArgs::from_arg_matches(matches)?;
        let mut ordered: Vec<(usize, Result<MountRequest, crate::model::ParseError>)> = Vec::new();
        type Parser = fn(&str) -> Result<MountRequest, crate::model::ParseError>;
        let kinds: [(&str, &[String], Parser); 3] = [
            ("volume", &storage.volume, MountRequest::parse_volume),
            ("mount", &storage.mount, |text| text.parse()),
            ("tmpfs", &storage.tmpfs, MountRequest::parse_tmpfs),
        ];
        for (id, texts, parse) in kinds {
            let places = matches.indices_of(id).into_iter().flatten();
            let all = places.zip(texts).enumerate();
            // The very same -v said twice is no contradiction.
            let new = all.filter(|(n, (_, text))| id != "volume" || !texts[..*n].contains(text));
            ordered.extend(new.map(|(_, (at, text))| (at, parse(text))));
        }
        ordered.sort_by_key(|(at, _)| *at);
        let mounts = ordered
            .into_iter()
            .map(|(_, mount)| mount)
            .collect::<Result<_, _>>()
            .map_err(|e| clap::Error::raw(clap::error::ErrorKind::Io, e))?;
        Ok(Self { mounts, storage })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl MountArgs {
    /// The mounts with host paths made absolute and the volume driver filled in.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn into_mounts(&mut self) -> Result<Vec<MountRequest>, Failure> {
        let mut mounts = std::mem::take(&mut self.mounts);
        let driver = self.storage.volume_driver.clone();
        for mount in &mut mounts {
            match (mount.kind, &mount.source) {
                (MountKind::Bind | MountKind::Glob, Some(source)) if source.starts_with('.') => {
                    mount.source = Some(absolute(source)?);
                }
                (MountKind::Volume, _) if mount.options.volume_driver.is_none() => {
                    mount.options.volume_driver.clone_from(&driver);
                }
                _ => {}
            }
        }
        Ok(mounts)
    }
}

/// `./x` below the working directory, `.` and `..` taken out by name.
pub(crate) fn absolute(path: &str) -> Result<String, Failure> {
    let here = std::env::current_dir()
        .map_err(|e| Failure::new(format!("making {path} absolute: the working directory is gone: {e}")))?;
    let mut parts: Vec<std::ffi::OsString> = Vec::new();
    for part in here.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                parts.pop();
            }
            std::path::Component::Normal(name) => parts.push(name.to_owned()),
            _ => {}
        }
    }
    let mut whole = std::path::PathBuf::from("/");
    whole.extend(parts);
    whole.into_os_string().into_string().map_err(|p| {
        Failure::new(format!("the path {} is not valid UTF-8, which rcon cannot store", p.display()))
    })
}
