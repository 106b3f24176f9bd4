//! create, start, run, kill, delete, pause, resume.

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::manage::cgroups::Cgroups;
use crate::runtime::manage::{
    create as making, delete as deleting, foreground::Foreground, signal as signals,
};
use crate::runtime::state::Status;
use crate::sys::signal;

use super::args::{CgroupManager, Create, Delete, Id, Kill, Making, Run};
use super::{Ctx, failure, start_failure};

pub(super) fn request<'a>(making: &'a Making, ctx: &'a Ctx<'_>, dies_with_us: bool) -> making::Request<'a> {
    making::Request {
        store: &ctx.store,
        id: &making.id,
        bundle: &making.bundle,
        config: making.config.as_deref(),
        console_socket: making.console_socket.as_deref(),
        pid_file: making.pid_file.as_deref(),
        pidfd_socket: making.pidfd_socket.as_deref(),
        preserve_fds: making.preserve_fds,
        cgroups: match ctx.global.cgroup_manager() {
            CgroupManager::Cgroupfs => Cgroups::Files,
            CgroupManager::Systemd => Cgroups::Systemd,
            CgroupManager::Disabled => Cgroups::None,
        },
        rootless: ctx.global.is_rootless(),
        new_keyring: !making.no_new_keyring,
        dies_with_us,
    }
}

pub(super) fn create(args: &Create, ctx: &mut Ctx<'_>) -> Outcome {
    let made = making::create(&request(&args.making, ctx, false));
    made.map_err(|e| start_failure(ctx, &format!("{} create failed", ctx.program), &e))?;
    Ok(Exit::OK)
}

pub(super) fn start(args: &Id, ctx: &mut Ctx<'_>) -> Outcome {
    making::start(&ctx.store, &args.id).map_err(|e| start_failure(ctx, "", &e))?;
    Ok(Exit::OK)
}

pub(super) fn run(args: &Run, ctx: &mut Ctx<'_>) -> Outcome {
    run_to_end(args, ctx).map_err(|e| start_failure(ctx, &format!("{} run failed", ctx.program), &e))
}

fn run_to_end(args: &Run, ctx: &Ctx<'_>) -> Result<Exit, crate::runtime::Error> {
    let foreground = if args.detach { None } else { Some(Foreground::new()?) };
    let waiting = making::create_attached(&request(&args.making, ctx, !args.detach))?;
    let (started, container, console) = match waiting.go() {
        Ok(all) => all,
        Err(e) => {
            let _first_error_counts = deleting::delete(&ctx.store, &args.making.id, true);
            return Err(e);
        }
    };
    let Some(foreground) = foreground else { return Ok(Exit::OK) };
    let status = match foreground.follow(&started.pidfd, console) {
        Ok(status) => status,
        Err(e) => {
            let _first_error_counts = deleting::delete(&ctx.store, &args.making.id, true);
            return Err(e);
        }
    };
    if !args.keep {
        deleting::destroy(container)?;
    }
    Ok(Exit::Code(u8::try_from(status.code()).unwrap_or(255)))
}

pub(super) fn kill(args: &Kill, ctx: &mut Ctx<'_>) -> Outcome {
    let number = signal::parse(&args.signal)
        .ok_or_else(|| Failure::new(format!("unknown signal {:?}", args.signal)))?;
    signals::kill(&ctx.store, &args.id, number, args.all).map_err(|e| failure("", &e))?;
    Ok(Exit::OK)
}

pub(super) fn delete(args: &Delete, ctx: &mut Ctx<'_>) -> Outcome {
    deleting::delete(&ctx.store, &args.id, args.force).map_err(|e| failure("", &e))?;
    Ok(Exit::OK)
}

pub(super) fn pause(args: &Id, ctx: &mut Ctx<'_>) -> Outcome {
    signals::pause(&ctx.store, &args.id).map_err(|e| failure("", &e))?;
    Ok(Exit::OK)
}

pub(super) fn resume(args: &Id, ctx: &mut Ctx<'_>) -> Outcome {
    signals::resume(&ctx.store, &args.id).map_err(|e| failure("", &e))?;
    Ok(Exit::OK)
}

/// For messages about a state.
pub(super) fn needs_running(status: Status) -> Result<(), Failure> {
    match status {
        Status::Stopped => Err(Failure::new("container not running")),
        Status::Created | Status::Running | Status::Paused => Ok(()),
    }
}
