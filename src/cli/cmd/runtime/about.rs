//! features and spec: what needs no container.

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::{bundle, features};
use crate::sys::atomic;

use super::args::Spec;
use super::{Ctx, failure};

pub(super) fn features(ctx: &mut Ctx<'_>) -> Outcome {
    ctx.ui.line(format_args!("{:#}", features::document()));
    Ok(Exit::OK)
}

pub(super) fn spec(args: &Spec) -> Outcome {
    let file = args.bundle.join("config.json");
    let rootless =
        args.rootless.then(|| (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()));
    match atomic::create_new(&file, bundle::example(rootless).as_bytes(), 0o644) {
        Ok(()) => Ok(Exit::OK),
        Err(e) if e.is(libc::EEXIST) => {
            Err(Failure::new(format!("file {} exists. Remove it first", file.display())))
        }
        Err(e) => Err(failure("", &e)),
    }
}
