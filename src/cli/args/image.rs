//! Which image and how it is fetched: shared by `run`, `create`, `pull` and `push`.

use super::super::exit::Failure;
use super::super::globals::Globals;
use super::boolean;
use crate::model::create::RegistryOptions;
use crate::model::units::parse_duration;

/// Flags for talking to a registry.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Registry")]
pub struct RegistryArgs {
    /// File with credentials
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<String>,
    /// Credentials
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub creds: Option<String>,
    /// Directory with certificates and keys
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<String>,
    /// Require HTTPS and a known certificate (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    pub tls_verify: Option<bool>,
    /// How often a failed transfer is tried again when performing pull or push (default 3)
    #[arg(long, value_name = "N")]
    pub retry: Option<u32>,
    /// Time between two tries
    #[arg(long, value_name = "DURATION")]
    pub retry_delay: Option<String>,
    /// docker's own signatures are no more; accepted as docker does
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean)]
    disable_content_trust: Option<bool>,
}

impl RegistryArgs {
    /// The options; `--config DIR` of docker's global flags names the credentials if nothing else does.
    ///
    /// # Errors
    /// A delay that does not parse.
    pub fn into_options(self, globals: &Globals) -> Result<RegistryOptions, Failure> {
        let docker =
            || globals.config.as_ref().map(|dir| format!("{}/config.json", dir.trim_end_matches('/')));
        let seconds = |text: &String| match text.parse::<u64>() {
            Ok(seconds) => Ok(seconds),
            Err(_) => parse_duration(text).map(|d| d.as_secs().max(u64::from(!d.is_zero()))),
        };
        self.authfile.as_deref().map(accessible).transpose()?;
        Ok(RegistryOptions {
            tls_verify: self.tls_verify,
            auth_file: self.authfile.or_else(docker),
            creds: self.creds.map(|text| {
                let (user, password) = text.split_once(':').unwrap_or((&text, ""));
                (user.to_owned(), password.to_owned())
            }),
            cert_dir: self.cert_dir,
            signature_policy: None,
            retry: self.retry,
            retry_delay: self.retry_delay.as_ref().map(seconds).transpose()?,
        })
    }
}

/// What decides whether an image may come in: shared by what pulls.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Registry")]
pub struct PolicyArgs {
    /// File that says which images may be pulled from where (containers-policy.json); signatures are not checked
    #[arg(long, value_name = "FILE")]
    pub signature_policy: Option<String>,
}

/// A file of credentials that was named must be there.
///
/// # Errors
/// It is not.
pub fn accessible(path: &str) -> Result<(), Failure> {
    std::fs::metadata(path)
        .map(drop)
        .map_err(|e| Failure::usage(format!("credential file is not accessible: {path}: {e}")))
}

/// Flags that choose the platform of an image.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Image")]
pub struct PlatformArgs {
    /// Platform of the image
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
}

impl PlatformArgs {
    /// `os/arch[/variant]`, if anything was said.
    ///
    /// # Errors
    /// `--platform` beside one of the others.
    pub fn into_option(self) -> Result<Option<String>, Failure> {
        let parts = self.os.is_some() || self.arch.is_some() || self.variant.is_some();
        match self.platform {
            Some(_) if parts => {
                Err(Failure::usage("--platform and --arch, --os or --variant cannot be set together"))
            }
            Some(platform) => Ok(Some(platform).filter(|p| !p.is_empty())),
            None if !parts => Ok(None),
            None => {
                let os = self.os.unwrap_or_else(|| "linux".to_owned());
                let arch = self.arch.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
                let variant = self.variant.map(|v| format!("/{v}")).unwrap_or_default();
                Ok(Some(format!("{os}/{arch}{variant}")))
            }
        }
    }
}
