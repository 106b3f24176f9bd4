//! The terminal: made in the container's own devpts, bound over /dev/console, made controlling.

use std::path::Path;

use crate::runtime::plan::Plan;
use crate::runtime::spawn::Stdio;
use crate::runtime::sync::{During, Step};
use crate::sys::root::Root;
use crate::sys::tty::{self, Pty};
use crate::sys::{Result, mount};

/// Makes the terminal, if one is asked for.
pub(in crate::runtime) fn make(plan: &Plan<'_>, root: &Root) -> Step<Option<Pty>> {
    let Stdio::Terminal { rows, columns, bare } = plan.stdio else { return Ok(None) };
    let pty = open(root, rows, columns, bare).during(|| "making the terminal".into())?;
    bind_console(root, &pty).during(|| "mounting the terminal at /dev/console".into())?;
    Ok(Some(pty))
}

/// Opens a pair in the devpts that is mounted at /dev/pts.
pub(in crate::runtime) fn open(root: &Root, rows: u16, columns: u16, bare: bool) -> Result<Pty> {
    let devpts = root.open_dir(Path::new("dev/pts"))?;
    let pty = tty::open_pty_in(&devpts)?;
    if rows != 0 || columns != 0 {
        tty::set_size(&pty.master, rows, columns)?;
    }
    if bare {
        tty::keep_newlines(&pty.master)?;
    }
    Ok(pty)
}

/// The slave's own descriptor is the source, so that nothing else can be bound (CVE-2025-52565).
fn bind_console(root: &Root, pty: &Pty) -> Result<()> {
    let target = root.make_file_target(Path::new("dev/console"))?;
    let tree = mount::open_tree(&pty.slave, false)?;
    mount::move_mount(&tree, &target)
}
