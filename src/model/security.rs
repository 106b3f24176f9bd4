//! Security choices: seccomp, LSM labels, masked and read-only paths, privileged.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// What the caller said; `None` and empty mean "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// `--security-opt seccomp=…`.
    pub seccomp: Option<SeccompChoice>,
    /// `--seccomp-policy image`: the policy is a label of the image, where it has one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub seccomp_of_image: bool,
    /// `--security-opt apparmor=…`.
    pub apparmor: Option<String>,
    /// `--security-opt label=…`, each as typed after `label=`.
    pub labels: Vec<String>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt mask=/a:/b`.
    pub mask: Vec<String>,
    /// `--security-opt unmask=ALL|/a:/b` (globs allowed).
    pub unmask: Vec<String>,
    /// `--security-opt proc-opts=…`.
    pub proc_opts: Vec<String>,
    /// `--security-opt systempaths=unconfined`.
    pub systempaths_unconfined: bool,
    /// `--security-opt writable-cgroups`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writable_cgroups: bool,
}

/// Which seccomp policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeccompChoice {
    /// Docker's default policy, from our own table.
    Default,
    /// No filter.
    Unconfined,
    /// A profile in docker's JSON form, read at create so that the container does not depend on the file.
    Profile {
        /// Path as typed, for `inspect`.
        path: String,
        /// Its text.
        json: String,
    },
}

/// Security as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecuritySpec {
    /// All devices, all capabilities, no masks.
    pub privileged: bool,
    /// seccomp policy.
    pub seccomp: SeccompChoice,
    /// AppArmor profile where the kernel has AppArmor.
    #[serde(default)]
    pub apparmor: Option<String>,
    /// SELinux process label where the kernel has SELinux.
    #[serde(default)]
    pub selinux_label: Option<String>,
    /// Paths hidden in the container.
    pub masked_paths: Vec<String>,
    /// Paths read-only in the container.
    pub readonly_paths: Vec<String>,
    /// The container's cgroups are writable in it.
    #[serde(default)]
    pub writable_cgroups: bool,
    /// Options of the proc mount (`hidepid=2`, `subset=pid`).
    #[serde(default)]
    pub proc_opts: Vec<String>,
    /// `--security-opt` values as typed, for `inspect`.
    #[serde(default)]
    pub as_typed: Vec<String>,
}

/// A device given to the container (`--device HOST[:CTR[:rwm]]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Node (or directory of nodes) on the host, or a CDI name `vendor.com/class=name`.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// `r`, `w`, `m` in any combination.
    pub permissions: String,
}

impl SecurityOptions {
    /// Takes one `--security-opt`. `read` fetches a seccomp profile's text, because `model` reads no files.
    ///
    /// # Errors
    /// An unknown option or a value that makes no sense for it, or what `read` says.
    pub fn add(
        &mut self,
        text: &str,
        read: &mut dyn FnMut(&str) -> Result<String, ParseError>,
    ) -> Result<(), ParseError> {
        let bad = |why: &str| ParseError::new("security option", text, why);
        // docker still takes the old `key:value` form.
        let (key, value) = match text.split_once(['=', ':']) {
            Some((k, v)) => (k, Some(v)),
            None => (text, None),
        };
        let list = |v: &str| v.split(':').map(str::to_owned).collect::<Vec<_>>();
        match (key, value) {
            ("no-new-privileges", None | Some("true")) => self.no_new_privileges = true,
            ("no-new-privileges", Some("false")) => self.no_new_privileges = false,
            ("no-new-privileges", Some(_)) => return Err(bad("want true or false")),
            ("writable-cgroups", None | Some("true")) => self.writable_cgroups = true,
            ("writable-cgroups", Some("false")) => self.writable_cgroups = false,
            ("writable-cgroups", Some(_)) => return Err(bad("want true or false")),
            (_, None | Some("")) => {
                return Err(bad("want KEY=VALUE with one of seccomp, apparmor, label, mask, unmask, \
                                proc-opts, systempaths, no-new-privileges, \
                                writable-cgroups"));
            }
            ("seccomp", Some("unconfined")) => self.seccomp = Some(SeccompChoice::Unconfined),
            ("seccomp", Some("builtin" | "default")) => self.seccomp = Some(SeccompChoice::Default),
            ("seccomp", Some(path)) => {
                let json = read(path)?;
                self.seccomp = Some(SeccompChoice::Profile { path: path.to_owned(), json });
            }
            ("apparmor", Some(profile)) => self.apparmor = Some(profile.to_owned()),
            ("label", Some(label)) => self.labels.push(label.to_owned()),
            ("mask", Some(paths)) => self.mask.extend(list(paths)),
            ("unmask", Some(paths)) => self.unmask.extend(list(paths)),
            ("proc-opts", Some(opts)) => self.proc_opts.extend(opts.split(',').map(str::to_owned)),
            ("systempaths", Some("unconfined")) => self.systempaths_unconfined = true,
            ("systempaths", Some(_)) => return Err(bad("want systempaths=unconfined")),
            _ => return Err(bad("unknown option")),
        }
        Ok(())
    }
}

impl FromStr for DeviceRequest {
    type Err = ParseError;

    /// `HOST[:CONTAINER][:rwm]`, or a CDI name `vendor.com/class=name`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| Err(ParseError::new("device", text, why));
        let rights = |s: &str| !s.is_empty() && s.bytes().all(|b| b"rwm".contains(&b));
        if !text.starts_with('/') {
            return match text.split_once('=') {
                Some((kind, name)) if kind.contains('/') && !name.is_empty() => {
                    Ok(Self { host: text.to_owned(), container: String::new(), permissions: String::new() })
                }
                _ => bad("want an absolute path or a CDI name VENDOR/CLASS=NAME"),
            };
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (container, permissions) = match parts.as_slice() {
            [host] => (*host, "rwm"),
            [host, mode] if rights(mode) => (*host, *mode),
            [_, container] => (*container, "rwm"),
            [_, container, mode] if rights(mode) => (*container, *mode),
            [_, _, _] => return bad("the last part must be made of r, w and m"),
            _ => return bad("want HOST[:CONTAINER[:rwm]]"),
        };
        if !container.starts_with('/') {
            return bad("the path in the container must be absolute");
        }
        Ok(Self {
            host: parts[0].to_owned(),
            container: container.to_owned(),
            permissions: permissions.to_owned(),
        })
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.container.is_empty() {
            return f.write_str(&self.host);
        }
        write!(f, "{}:{}:{}", self.host, self.container, self.permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Result<SecurityOptions, ParseError> {
        let mut all = SecurityOptions::default();
        for text in texts {
            all.add(text, &mut |path| Ok(format!("text of {path}")))?;
        }
        Ok(all)
    }

    #[test]
    fn security_options() {
        let all = options(&["no-new-privileges", "seccomp=/p.json", "mask=/a:/b", "label=disable"]);
        let all = all.expect("all are known");
        assert!(all.no_new_privileges);
        assert_eq!(all.mask, ["/a", "/b"]);
        assert_eq!(all.labels, ["disable"]);
        assert!(
            matches!(all.seccomp, Some(SeccompChoice::Profile { json, .. }) if json == "text of /p.json")
        );
        assert!(options(&["no-new-privileges:true"]).is_ok_and(|o| o.no_new_privileges));
        assert!(options(&["no-new-privileges=false"]).is_ok_and(|o| !o.no_new_privileges));
        for text in ["", "foo", "foo=bar", "seccomp", "seccomp=", "no-new-privileges=x", "systempaths=x"] {
            assert!(options(&[text]).is_err(), "{text}");
        }
    }

    #[test]
    fn devices() {
        let parse = |t: &str| t.parse::<DeviceRequest>().map(|d| (d.host, d.container, d.permissions));
        let same = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(parse("/dev/a"), same("/dev/a", "/dev/a", "rwm"));
        assert_eq!(parse("/dev/a:r"), same("/dev/a", "/dev/a", "r"));
        assert_eq!(parse("/dev/a:/dev/b"), same("/dev/a", "/dev/b", "rwm"));
        assert_eq!(parse("/dev/a:/dev/b:rw"), same("/dev/a", "/dev/b", "rw"));
        assert_eq!(parse("nvidia.com/gpu=all"), same("nvidia.com/gpu=all", "", ""));
        for text in ["", "dev/a", "/dev/a:b", "/dev/a:/dev/b:x", "/a:/b:r:w"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
