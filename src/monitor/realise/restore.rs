//! The last steps where the processes come from a checkpoint: the network first, then criu makes them in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::files::Files;
use super::sources::Sources;
use super::{Process, Start, checkpoint, network};
use crate::model::container::{Phase, Running};
use crate::monitor::proto::{Failure, RestoreWish};
use crate::runtime::cgroup::Manager;
use crate::runtime::criu::{Options, held};
use crate::runtime::user::User;
use crate::sys::{fd, ns, process};

impl Start<'_> {
    pub(super) fn restore_process(
        &mut self,
        wish: &RestoreWish,
        root: OwnedFd,
        user: User,
        mut sources: Sources,
        files: Files,
    ) -> Result<(Process, Running), Failure> {
        let spec = &self.handoff.spec;
        if network::owns_namespace(&spec.network.mode) && self.world.fresh_netns.is_none() {
            let made = ns::new_net().map_err(|e| Failure::internal("making a network namespace", &e))?;
            self.world.fresh_netns = Some(made);
        }
        let owner = super::on_host(self.world.ids.as_ref(), user.uid, user.gid);
        let manager = Manager::detect().map_err(|e| Failure::internal("looking at the cgroups", &e))?;
        let planned = self.plan(&manager, user, &mut sources, files)?;
        self.make_cgroup(&manager, &planned.cgroup, &planned.document)?;
        checkpoint(&self.world.paths, "cgroup");
        let (theirs, mut stdio) = self.stdio(owner)?.split();
        let failed = |e| Failure::internal("opening the network namespace", &e);
        let netns = match &planned.joined.paths.net {
            Some(path) => {
                Some(fd::open(path, fd::OpenFlags::RDONLY | fd::OpenFlags::CLOEXEC, 0).map_err(failed)?)
            }
            None => None,
        };
        if network::owns_namespace(&spec.network.mode) {
            self.set_up_network(process::pid())?;
        }
        checkpoint(&self.world.paths, "network");
        let scratch = self.world.paths.run_container(&spec.id).join("criu");
        std::fs::create_dir_all(&scratch)
            .map_err(|e| Failure::internal("making a folder for the restore", &e))?;
        let pipe = |n: usize| -> Option<BorrowedFd<'_>> {
            let piped = n > 0 || spec.process.interactive;
            theirs.as_ref().filter(|_| piped).map(|fds| fds[n].as_fd())
        };
        let making = held::Making {
            spec: &planned.document,
            root,
            mounts: sources,
            scratch: &scratch,
            cgroup: self.world.cgroup.as_ref(),
            network: netns.as_ref().map(AsFd::as_fd),
            pipes: std::array::from_fn(pipe),
        };
        let options = Options {
            images: wish.images.clone(),
            work: Some(wish.work.clone()),
            tcp_established: wish.tcp_established,
            tcp_close: wish.tcp_close,
            file_locks: wish.file_locks,
            path: Some(wish.path.clone()),
            ..Options::default()
        };
        let back = held::restore(making, &options);
        let _empty = std::fs::remove_dir(&scratch);
        let mut back = back.map_err(|e| Failure::runtime("restoring the container", &e))?;
        if !back.taken[0] {
            stdio.stdin = None;
        }
        stdio.console = back.console.take();
        match self.restored(&back, &planned.document) {
            Ok(running) => {
                let process = Process { pidfd: back.pidfd, identity: running.init, stdio };
                Ok((process, running))
            }
            Err(failure) => {
                let _gone = back.pidfd.signal(libc::SIGKILL);
                let _reaped = back.pidfd.wait();
                Err(failure)
            }
        }
    }

    fn restored(
        &mut self,
        back: &held::Back,
        document: &oci_spec::runtime::Spec,
    ) -> Result<Running, Failure> {
        let init = process::identity(back.pid);
        if let Some(console) = &back.console {
            fd::set_nonblocking(console, true)
                .map_err(|e| Failure::internal("preparing the terminal", &e))?;
        }
        let running = self.running(init)?;
        self.world.write_phase(&Phase::Running(running.clone()))?;
        checkpoint(&self.world.paths, "state");
        self.hooks_of_life(document, back.pid)?;
        Ok(running)
    }
}
