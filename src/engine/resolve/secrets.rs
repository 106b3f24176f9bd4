//! `--secret`: which secrets a container gets, and where.

use super::{Inputs, invalid};
use crate::engine::error::Error;
use crate::model::container::SecretUse;
use crate::model::secret::{SecretPlace, SecretRequest};

pub(super) fn resolve(inputs: &Inputs<'_>) -> Result<Vec<SecretUse>, Error> {
    let mut all: Vec<SecretUse> = Vec::new();
    for text in &inputs.options.secrets {
        let request: SecretRequest = text.parse()?;
        let (id, name) = inputs.world.secret(&request.source)?;
        let use_ = match request.place {
            SecretPlace::Variable(variable) => {
                let env = Some(variable.unwrap_or_else(|| name.clone()));
                SecretUse { id, name, target: None, env, uid: 0, gid: 0, mode: 0 }
            }
            SecretPlace::File { target, uid, gid, mode } => {
                let target = match target {
                    Some(path) if path.starts_with('/') => super::mounts::clean(&path),
                    Some(path) => super::mounts::clean(&format!("/run/secrets/{path}")),
                    None => format!("/run/secrets/{name}"),
                };
                SecretUse { id, name, target: Some(target), env: None, uid, gid, mode }
            }
        };
        if let Some(target) = &use_.target
            && all.iter().any(|other| other.target.as_ref() == Some(target))
        {
            return Err(invalid(format!("two secrets at {target}")));
        }
        all.push(use_);
    }
    Ok(all)
}
