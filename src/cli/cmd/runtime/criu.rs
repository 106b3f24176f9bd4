//! checkpoint and restore, with runc's flags.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::criu::dump::{Dump, PageServer};
use crate::runtime::criu::restore::Restore as Wish;
use crate::runtime::criu::{CgroupMode, Options, dump, restore as restoring};
use crate::runtime::manage::{create as making, delete as deleting, foreground::Foreground};

use crate::sys::fd;

use super::{Ctx, failure, life};

/// Flags of both.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Folder of the images
    #[arg(long, value_name = "DIR", default_value = "checkpoint")]
    image_path: PathBuf,
    /// Folder of criu's log and other files of the work
    #[arg(long, value_name = "DIR")]
    work_path: Option<PathBuf>,
    /// Keep established TCP connections
    #[arg(long)]
    tcp_established: bool,
    /// Allow unix sockets whose other end is outside
    #[arg(long)]
    ext_unix_sk: bool,
    /// Allow a terminal of somebody else
    #[arg(long)]
    shell_job: bool,
    /// Keep file locks
    #[arg(long)]
    file_locks: bool,
    /// How cgroups are kept
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Mode::Soft)]
    manage_cgroups_mode: Mode,
    /// Make this namespace, and leave what is in it to others
    #[arg(long, value_enum, value_name = "NAMESPACE")]
    empty_ns: Vec<Empty>,
    /// Deduplicate the images
    #[arg(long)]
    auto_dedup: bool,
    /// Memory is not in the images: it is asked for where and when it is used
    #[arg(long)]
    lazy_pages: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Soft,
    Full,
    Strict,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Empty {
    Network,
}

#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    common: Common,
    /// Images of an earlier pre-dump, relative to --image-path
    #[arg(long, value_name = "DIR")]
    parent_path: Option<PathBuf>,
    /// Let the container run on
    #[arg(short = 'R', long)]
    leave_running: bool,
    /// Leave out TCP connections that are being made
    #[arg(long)]
    tcp_skip_in_flight: bool,
    /// Give unlinked files a name for the while
    #[arg(long)]
    link_remap: bool,
    /// Memory goes to, or with --lazy-pages is handed out at, this address
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = page_server)]
    page_server: Option<PageServer>,
    /// Descriptor that gets a zero byte as soon as memory can be asked for
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, requires = "lazy_pages")]
    status_fd: Option<i32>,
    /// Write memory only, and let the container run on
    #[arg(long, alias = "pre_dump")]
    pre_dump: bool,
    /// Id of the container
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    making: super::args::Making,
    /// Leave it running in the background
    #[arg(short, long)]
    detach: bool,
    /// LSM profile to use instead, TYPE:NAME
    #[arg(long, value_name = "TYPE:NAME")]
    lsm_profile: Option<String>,
    /// LSM context of its mounts
    #[arg(long, value_name = "CONTEXT")]
    lsm_mount_context: Option<String>,
    /// Not needed: orphans come to the process that waits anyway
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

impl Common {
    fn options(&self) -> Options {
        Options {
            images: self.image_path.clone(),
            work: self.work_path.clone(),
            tcp_established: self.tcp_established,
            external_unix_sockets: self.ext_unix_sk,
            shell_job: self.shell_job,
            file_locks: self.file_locks,
            auto_dedup: self.auto_dedup,
            cgroups: match self.manage_cgroups_mode {
                Mode::Soft => CgroupMode::Soft,
                Mode::Full => CgroupMode::Full,
                Mode::Strict => CgroupMode::Strict,
                Mode::Ignore => CgroupMode::Ignore,
            },
            empty_network: self.empty_ns.contains(&Empty::Network),
            lazy_pages: self.lazy_pages,
            tcp_close: false,
            path: None,
        }
    }
}

/// `ADDRESS:PORT`; an IPv6 address stands in brackets.
fn page_server(text: &str) -> Result<PageServer, String> {
    let wanted = || "use ADDRESS:PORT".to_owned();
    let (address, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let address = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
    if address.is_empty() || port == 0 {
        return Err(wanted());
    }
    Ok(PageServer { address: address.to_owned(), port })
}

/// The caller's descriptor, which must be one that can be written to.
fn status(number: i32) -> Result<OwnedFd, Failure> {
    let wrong = |why: String| Failure::new(format!("invalid --status-fd argument {number}: {why}"));
    if !fd::is_inherited(number) {
        return Err(wrong("it is not open".into()));
    }
    let file = fd::inherited(number).map_err(|e| wrong(e.reason().into()))?;
    match fd::is_writable(&file) {
        Ok(true) => Ok(file),
        Ok(false) => Err(wrong("not writable".into())),
        Err(e) => Err(wrong(e.reason().into())),
    }
}

pub(super) fn checkpoint(args: Checkpoint, ctx: &mut Ctx<'_>) -> Outcome {
    let wish = Dump {
        options: args.common.options(),
        parent: args.parent_path,
        leave_running: args.leave_running,
        pre_dump: args.pre_dump,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        page_server: args.page_server,
    };
    let status = args.status_fd.filter(|n| *n >= 0).map(status).transpose()?;
    dump::dump(&ctx.store, &args.id, &wish, status).map_err(|e| failure("checkpoint failed", &e))?;
    Ok(Exit::OK)
}

pub(super) fn restore(args: Restore, ctx: &mut Ctx<'_>) -> Outcome {
    let options = args.common.options();
    run(&args, options, ctx).map_err(|e| failure("restore failed", &e))
}

fn run(args: &Restore, options: Options, ctx: &Ctx<'_>) -> Result<Exit, crate::runtime::Error> {
    let foreground = if args.detach { None } else { Some(Foreground::new()?) };
    let wish = Wish {
        options,
        lsm_profile: args.lsm_profile.clone(),
        lsm_mount_context: args.lsm_mount_context.clone(),
    };
    let request: making::Request<'_> = life::request(&args.making, ctx, !args.detach);
    let restored = restoring::restore(&request, &wish)?;
    let Some(foreground) = foreground else { return Ok(Exit::OK) };
    let followed = foreground.follow(&restored.pidfd, restored.console);
    match followed {
        Ok(status) => {
            deleting::destroy(restored.container)?;
            Ok(Exit::Code(u8::try_from(status.code()).unwrap_or(255)))
        }
        Err(e) => {
            let _first_error_counts = deleting::delete(&ctx.store, &args.making.id, true);
            Err(e)
        }
    }
}
