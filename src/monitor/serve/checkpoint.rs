//! A checkpoint of the running container. criu does it while everything here waits: the container is frozen, so there
//! is nothing to serve.

use std::fmt::Display;

use super::Server;
use super::clients::Role;
use super::requests::{Answer, state};
use crate::model::container::ContainerSpec;
use crate::model::namespace::{NsMode, UserNsMode};
use crate::monitor::proto::{CheckpointWish, Failure, FailureKind, Reply};
use crate::runtime::criu::dump::Dump;
use crate::runtime::criu::{Options, held};
use crate::storage::checkpoints;
use crate::sys::fd;

impl Server {
    pub(super) fn checkpoint(&mut self, slot: usize, wish: &CheckpointWish) -> Answer {
        self.dump(wish)?;
        if wish.pre {
            return Ok(Some(Reply::Done));
        }
        if let Err(e) = self.remember(wish) {
            if wish.leave_running {
                return Err(Failure::internal("recording the checkpoint", &e));
            }
            // Its processes are gone: what is left to do is to record their end.
            self.note(&e.to_string());
        }
        if wish.leave_running {
            return Ok(Some(Reply::Done));
        }
        self.checkpointed = true;
        self.stopped = true;
        // As by a stop: it does not come back at the next boot as if nothing had been kept of it.
        self.by_user = true;
        if wish.keep_record {
            self.keep.auto_remove = false;
            self.keep.recorder = false;
        }
        self.role(slot, Role::Removed);
        Ok(None)
    }

    fn dump(&mut self, wish: &CheckpointWish) -> Result<(), Failure> {
        let spec = self.document()?;
        if let Some(why) = obstacle(&spec) {
            return Err(Failure::plain(
                FailureKind::Unsupported,
                format!("cannot checkpoint a container {why}"),
            ));
        }
        if self.paused {
            return Err(state("it is paused, unpause it first"));
        }
        let inside = self.execs.iter().any(|exec| exec.info.exit_code.is_none()) || self.probe.is_some();
        if inside {
            return Err(state("a process that exec or its health check has started runs in it"));
        }
        let Some(process) = &self.process else { return Err(state("it is not running")) };
        let pid = process.identity.pid;
        let stdio = &process.stdio;
        let ends = [&stdio.stdin, &stdio.stdout, &stdio.stderr];
        let descriptors = std::array::from_fn(|n| match ends[n] {
            Some(end) => fd::path_of(end).map(|p| p.display().to_string()).unwrap_or_default(),
            // An input that was closed is not to be given a new end.
            None if n == 0 && spec.process.interactive && !spec.process.tty => String::new(),
            None => {
                let link = std::fs::read_link(format!("/proc/{pid}/fd/{n}"));
                link.map(|p| p.display().to_string()).unwrap_or_default()
            }
        });
        let held = held::Held { pid, cgroup: self.world.cgroup.as_ref(), descriptors };
        let dump = Dump {
            options: Options {
                images: wish.images.clone(),
                work: Some(wish.work.clone()),
                tcp_established: wish.tcp_established,
                file_locks: wish.file_locks,
                path: Some(wish.path.clone()),
                ..Options::default()
            },
            parent: wish.parent.clone(),
            leave_running: wish.leave_running,
            pre_dump: wish.pre,
            ..Dump::default()
        };
        let done = held::dump(&held, &dump);
        if done.is_err() {
            // criu thaws what it froze; one that was killed did not.
            self.thaw();
        }
        done.map_err(|e| Failure::internal("writing the checkpoint", &e))
    }

    fn remember(&self, wish: &CheckpointWish) -> Result<(), crate::storage::Error> {
        let (paths, id) = (&self.world.paths, &self.world.id);
        let mut kept = checkpoints::read(paths, id)?;
        kept.network.clone_from(&self.running.network);
        kept.images = Some(wish.images.clone());
        kept.dump_log = Some(wish.work.join("dump.log"));
        if !wish.leave_running {
            kept.written = Some(jiff::Timestamp::now());
            kept.restored = None;
        }
        checkpoints::write(paths, id, &kept)
    }
}

/// What of a container criu cannot keep, or could not give back.
fn obstacle(spec: &ContainerSpec) -> Option<String> {
    let said = |text: &dyn Display| Some(text.to_string());
    let namespaces = &spec.namespaces;
    let joined = |mode: &NsMode| matches!(mode, NsMode::Container(_) | NsMode::Path(_));
    let all = [
        (&namespaces.pid, "pid"),
        (&namespaces.ipc, "ipc"),
        (&namespaces.uts, "uts"),
        (&namespaces.cgroup, "cgroup"),
    ];
    if namespaces.user != UserNsMode::Host {
        return said(&"with a user namespace of its own");
    }
    if let Some((_, name)) = all.into_iter().find(|(mode, _)| joined(mode)) {
        return said(&format_args!("that lives in the {name} namespace of another"));
    }
    if spec.process.init && spec.process.init_path.is_none() {
        return said(&"whose first process is rcon's own init (--init); name one by --init-path");
    }
    if !spec.process.preserved().is_empty() {
        return said(&"that has descriptors of its starter (--preserve-fds)");
    }
    if spec.lifecycle.log.driver == "passthrough" {
        return said(&"that has the streams of its starter (--log-driver passthrough)");
    }
    None
}
