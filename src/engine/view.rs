//! A container as it is now: its row, joined with what its run directory says, healed first where the two
//! disagree because something died.

use super::context::Context;
use super::error::{Error, Kind};
use super::reconcile;
use crate::model::container::{ContainerSpec, Phase, Running};
use crate::model::id::ContainerId;
use crate::storage::Store;
use crate::storage::container_rows::Summary;
use crate::storage::containers::Stored;

/// A container and its true phase.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    /// Row.
    pub(crate) row: Summary,
    /// What it is doing.
    pub(crate) phase: Phase,
}

impl Container {
    /// Finds a container by name, id or unique prefix.
    pub(crate) fn find(ctx: &Context, store: &Store, name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(Error::new(Kind::Invalid, "invalid container name or ID: value is empty"));
        }
        let row = store.find_container(name)?;
        Self::of(ctx, store, row)?
            .ok_or_else(|| Error::new(Kind::NotFound, format!("No such container: {name}")))
    }

    /// Joins a row with its phase; a lost container is recorded as ended on the way. `None`: it was one of `--rm`, and
    /// is removed now.
    pub(crate) fn of(ctx: &Context, store: &Store, row: Summary) -> Result<Option<Self>, Error> {
        let phase = store.phase(&row)?;
        if matches!(row.stored, Stored::Started { .. }) && matches!(phase, Phase::Exited(_)) {
            return reconcile::settle(ctx, store, row, phase);
        }
        Ok(Some(Self { row, phase }))
    }

    /// Its id.
    pub(crate) fn id(&self) -> &ContainerId {
        &self.row.id
    }

    /// The running view; an error in docker's words if it does not run.
    pub(crate) fn running(&self) -> Result<&Running, Error> {
        self.phase
            .running()
            .ok_or_else(|| Error::new(Kind::State, format!("container {} is not running", self.row.id)))
    }

    /// As [`Container::running`], refusing a paused one too.
    pub(crate) fn active(&self) -> Result<&Running, Error> {
        if matches!(self.phase, Phase::Initialized(_)) {
            let text = format!("container {} is initialized and not running", self.row.name);
            return Err(Error::new(Kind::State, text).hint("start it first"));
        }
        if matches!(self.phase, Phase::Paused(_)) {
            return Err(Error::new(
                Kind::State,
                format!("container {} is paused, unpause the container before exec", self.row.id),
            ));
        }
        self.running()
    }

    /// Its monitor lives: running, paused, or waiting for its start or a restart.
    pub(crate) fn alive(&self) -> bool {
        matches!(
            self.phase,
            Phase::Initialized(_) | Phase::Running(_) | Phase::Paused(_) | Phase::Restarting(_)
        )
    }

    /// Its resolved spec.
    pub(crate) fn spec(&self, store: &Store) -> Result<ContainerSpec, Error> {
        Ok(store.spec(&self.row.id)?)
    }
}

/// All containers with their phases, newest first.
pub(crate) fn all(ctx: &Context, store: &Store) -> Result<Vec<Container>, Error> {
    let mut list = Vec::new();
    for row in store.list_containers()? {
        list.extend(Container::of(ctx, store, row)?);
    }
    Ok(list)
}
