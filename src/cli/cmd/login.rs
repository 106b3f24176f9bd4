//! `rcon login` and `rcon logout`.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use crate::cli::Ctx;
use crate::cli::args::boolean;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::error::Kind;
use crate::engine::images::{self, Stored};

use crate::model::create::RegistryOptions;

/// Longest password that is read from stdin.
const MAX_PASSWORD: u64 = 64 << 10;

/// Flags of `login`.
#[derive(clap::Args)]
struct LoginArgs {
    /// File to keep the credentials in
    #[arg(long, value_name = "FILE")]
    authfile: Option<String>,
    /// The same in docker's form
    #[arg(long, value_name = "FILE")]
    compat_auth_file: Option<String>,
    /// Directory with certificates and keys
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<String>,
    /// Only say who is logged in
    #[arg(long)]
    get_login: bool,
    /// Password
    #[arg(short, long)]
    password: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Secret with the password
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// Require HTTPS and a known certificate (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    tls_verify: Option<bool>,
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    /// Say where the credentials are kept
    #[arg(short, long)]
    verbose: bool,
    /// Registry
    #[arg(value_name = "REGISTRY", hide = true)]
    registry: Option<String>,
}

/// Flags of `logout`.
#[derive(clap::Args)]
struct LogoutArgs {
    /// Of all registries
    #[arg(short, long)]
    all: bool,
    /// File the credentials are kept in
    #[arg(long, value_name = "FILE")]
    authfile: Option<String>,
    /// The same in docker's form
    #[arg(long, value_name = "FILE")]
    compat_auth_file: Option<String>,
    /// Registry
    #[arg(value_name = "REGISTRY", hide = true)]
    registry: Option<String>,
}

pub(super) const LOGIN: Def =
    def!(LoginArgs, login, Section::Images, ["login"], "[OPTIONS] [REGISTRY]", "Log into a registry");

pub(super) const LOGOUT: Def =
    def!(LogoutArgs, logout, Section::Images, ["logout"], "[OPTIONS] [REGISTRY]", "Log out of a registry");

/// docker.io, where none is named.
const DEFAULT: &str = "docker.io";

/// The registry that is meant where none is named: to podman the first that short names are looked for in.
fn usual(ctx: &Ctx) -> String {
    let first = match ctx.manner {
        Manner::Podman => images::search_registries().into_iter().next(),
        Manner::Docker => None,
    };
    first.unwrap_or_else(|| DEFAULT.to_owned())
}

fn one_file(authfile: Option<String>, compat: Option<String>) -> Result<Option<String>, Failure> {
    match (authfile, compat) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "options for paths to the credential file and to the Docker-compatible credential file can not be \
                 set simultaneously (--authfile, --compat-auth-file)",
        )),
        (a, b) => Ok(a.or(b)),
    }
}

fn login(mut args: LoginArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let docker = || ctx.globals.config.as_ref().map(|dir| format!("{dir}/config.json"));
    let options = RegistryOptions {
        tls_verify: args.tls_verify,
        auth_file: one_file(args.authfile, args.compat_auth_file)?.or_else(docker),
        cert_dir: args.cert_dir,
        ..RegistryOptions::default()
    };
    let registry = args.registry.unwrap_or_else(|| usual(ctx));
    if args.get_login {
        // A file that is named and not there means nobody, too.
        let who = images::login_of(&registry, &options).ok().flatten();
        let who = who.ok_or_else(|| Failure::new(format!("not logged into {registry}")))?;
        ui.line(who);
        return Ok(Exit::OK);
    }
    if args.password.is_some() && args.password_stdin {
        return Err(Failure::usage("--password and --password-stdin are mutually exclusive"));
    }
    if args.password_stdin && args.username.is_none() {
        return Err(Failure::usage("must provide --username with --password-stdin"));
    }
    if args.password.is_some() && args.secret.is_none() && ctx.manner == Manner::Docker {
        ui.warn("Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if let Some(secret) = &args.secret {
        if args.password.is_some() || args.password_stdin {
            return Err(Failure::usage("--secret cannot be used with --password or --password-stdin"));
        }
        let value = crate::engine::secrets::value(ctx.engine()?, secret)?;
        let text = String::from_utf8(value)
            .map_err(|_| Failure::new(format!("secret {secret} is no text, so it is no password")))?;
        args.password = Some(text.trim_end_matches(['\n', '\r']).to_owned());
        // As podman: a user name that is not given is that of the secret.
        args.username.get_or_insert_with(|| secret.clone());
    }
    if args.username.is_none() && args.password.is_none() && images::login_again(&registry, &options)? {
        ui.note(format_args!("Authenticating with existing credentials for {registry}"));
        ui.line("Login Succeeded!");
        return Ok(Exit::OK);
    }
    let username = match args.username {
        Some(name) => name,
        None => ask_name(ui)?,
    };
    let password = match (args.password, args.password_stdin) {
        (Some(p), _) => p,
        (None, true) => from_stdin()?,
        (None, false) => ask_password(ui)?,
    };
    if username.is_empty() || password.is_empty() {
        return Err(Failure::new("a user name and a password are needed"));
    }
    let stored = images::login(&registry, &username, &password, &options)?;
    match stored {
        Stored::File(path) if args.verbose => {
            ui.note(format_args!("The credentials are in {}, not encrypted", path.display()));
        }
        Stored::Helper(name) if args.verbose => {
            ui.note(format_args!("The credentials are kept by docker-credential-{name}"));
        }
        _ => {}
    }
    ui.line("Login Succeeded!");
    Ok(Exit::OK)
}

fn logout(args: LogoutArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let docker = || ctx.globals.config.as_ref().map(|dir| format!("{dir}/config.json"));
    let named = one_file(args.authfile, args.compat_auth_file)?;
    if let Some(path) = named.as_ref().filter(|_| ctx.manner == Manner::Podman) {
        crate::cli::args::image::accessible(path)?;
    }
    let file = named.or_else(docker);
    if args.all {
        images::logout(None, file.as_deref())?;
        ui.line("Removed login credentials for all registries");
        return Ok(Exit::OK);
    }
    let registry = args.registry.unwrap_or_else(|| usual(ctx));
    match images::logout(Some(&registry), file.as_deref()) {
        // docker's: whoever is not logged in has what was asked for.
        Err(e) if e.kind() == Kind::NotFound && ctx.manner == Manner::Docker => {
            ui.line(format_args!("Not logged in to {registry}"));
            return Ok(Exit::OK);
        }
        other => {
            other?;
        }
    }
    ui.line(format_args!("Removed login credentials for {registry}"));
    Ok(Exit::OK)
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut text);
    read.map_err(|e| Failure::new(format!("reading the password from stdin: {e}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn ask_name(ui: &mut Ui) -> Result<String, Failure> {
    need_terminal()?;
    ui.note("Username: ");
    line()
}

/// Reads a line with the terminal's echo off.
fn ask_password(ui: &mut Ui) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    need_terminal()?;
    ui.note("Password: ");
    let stdin = std::io::stdin();
    let fail = |e: rustix::io::Errno| Failure::new(format!("switching the terminal's echo off: {e}"));
    let before = tcgetattr(&stdin).map_err(fail)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(fail)?;
    let text = line();
    tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(fail)?;
    text
}

fn need_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::new("cannot ask for a user name or password: stdin is no terminal")
        .hint("use --username and --password-stdin"))
}

fn line() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    read.map_err(|e| Failure::new(format!("reading from the terminal: {e}")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
