//! containers-policy.json(5): which images may come from where. A policy that lets an image in, or refuses it, is heeded; one
//! that wants a signature checked refuses, because nothing here can check one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::Error;
use crate::model::reference::ImageRef;

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    default: Vec<Requirement>,
    /// By transport, then by scope.
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// One of the requirements that must all be met. What else it says is how a signature is checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`Error::Policy`]: a file that cannot be read or is no policy.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::Policy { what: format!("open {}", path.display()), why: e.to_string() })?;
        Self::parse(&text)
            .map_err(|why| Error::Policy { what: format!("signature policy {}", path.display()), why })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let lists = policy.transports.values().flat_map(BTreeMap::values).chain([&policy.default]);
        for list in lists {
            if list.is_empty() {
                return Err("a list of requirements is empty".to_owned());
            }
            let known = ["insecureAcceptAnything", "reject", "signedBy", "sigstoreSigned", "signedBaseLayer"];
            if let Some(odd) = list.iter().find(|r| !known.contains(&r.kind.as_str())) {
                return Err(format!("unknown requirement {:?}", odd.kind));
            }
        }
        Ok(policy)
    }

    /// Whether an image of a registry may come in.
    ///
    /// # Errors
    /// [`Error::Policy`] says what refuses it.
    pub fn check(&self, image: &ImageRef) -> Result<(), Error> {
        let list = self.transports.get("docker").and_then(|scopes| scoped(scopes, image));
        decide(list.unwrap_or(&self.default), &image.to_string())
    }

    /// Whether an image out of files may come in, by the transport's own rule or the default.
    ///
    /// # Errors
    /// As [`Policy::check`].
    pub fn check_files(&self, transport: &str, what: &str) -> Result<(), Error> {
        let list = self.transports.get(transport).and_then(|scopes| scopes.get(""));
        decide(list.unwrap_or(&self.default), what)
    }
}

/// The requirements of the closest scope: the whole reference, its repository, what is above, a domain's `*.`, the transport.
fn scoped<'a>(
    scopes: &'a BTreeMap<String, Vec<Requirement>>,
    image: &ImageRef,
) -> Option<&'a Vec<Requirement>> {
    let whole = image.to_string();
    if let Some(list) = scopes.get(&whole) {
        return Some(list);
    }
    let mut path = format!("{}/{}", image.registry, image.repository);
    loop {
        if let Some(list) = scopes.get(&path) {
            return Some(list);
        }
        match path.rfind('/') {
            Some(at) => path.truncate(at),
            None => break,
        }
    }
    let host = image.registry.split(':').next().unwrap_or_default();
    let dots = host.match_indices('.').map(|(at, _)| at);
    dots.map(|at| format!("*{}", &host[at..])).find_map(|wild| scopes.get(&wild)).or_else(|| scopes.get(""))
}

fn decide(list: &[Requirement], what: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Policy { what: what.to_owned(), why: why.to_owned() });
    for requirement in list {
        match requirement.kind.as_str() {
            "insecureAcceptAnything" => {}
            "reject" => return refuse("running the image is rejected by the signature policy"),
            _ => return refuse("the signature policy wants a signature, which rcon cannot check"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_scope_decides() {
        let policy = Policy::parse(
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{
                "quay.io":[{"type":"insecureAcceptAnything"}],
                "quay.io/no":[{"type":"reject"}],
                "quay.io/no/yes":[{"type":"insecureAcceptAnything"}],
                "quay.io/no/yes:old":[{"type":"reject"}],
                "*.example.com":[{"type":"insecureAcceptAnything"}],
                "signed.io":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]},
              "docker-archive":{"":[{"type":"insecureAcceptAnything"}]}}}"#,
        )
        .unwrap();
        for (name, fits) in [
            ("quay.io/a/b:1", true),
            ("quay.io/no/x:1", false),
            ("quay.io/no/yes:1", true),
            ("quay.io/no/yes:old", false),
            ("a.b.example.com/x:1", true),
            ("example.com/x:1", false),
            ("signed.io/x:1", false),
            ("docker.io/library/x:1", false),
        ] {
            assert_eq!(policy.check(&name.parse().unwrap()).is_ok(), fits, "{name}");
        }
        assert!(policy.check_files("docker-archive", "f").is_ok());
        assert!(policy.check_files("oci", "f").is_err());
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in
            ["", "{}", r#"{"default":[]}"#, r#"{"default":[{"type":"x"}]}"#, r#"{"default":[],"x":1}"#]
        {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}
