//! From a name as typed to the references to try, in order. Deterministic: no prompt, no remembered choice.

use super::registries::Registries;
use crate::model::reference::{ImageName, ImageRef};

/// The references that `name` may mean, the first one that exists is meant. A qualified name is itself; a short
/// name is its alias if there is one, else the name in each search registry.
#[must_use]
pub fn resolve(name: &ImageName, registries: &Registries) -> Vec<ImageRef> {
    let ImageName::Short { repository, tag, digest } = name else {
        return vec![name.in_registry("")];
    };
    if let Some(target) = registries.alias(repository)
        && let Ok(mut reference) = target.parse::<ImageRef>()
    {
        if tag.is_some() || digest.is_some() {
            reference.tag.clone_from(tag);
            reference.digest.clone_from(digest);
        }
        return vec![reference];
    }
    registries.search().into_iter().map(|host| name.in_registry(host)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names(conf: &str, name: &str) -> Vec<String> {
        let registries = Registries::parse(conf, Path::new("/t")).unwrap();
        resolve(&name.parse().unwrap(), &registries).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn table() {
        let conf = "unqualified-search-registries = ['quay.io', 'docker.io']\n[aliases]\n'fedora' = 'registry.test/fedora'";
        let d = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(names("", "nginx"), ["docker.io/library/nginx:latest"]);
        assert_eq!(names(conf, "nginx:1"), ["quay.io/nginx:1", "docker.io/library/nginx:1"]);
        assert_eq!(names(conf, "a/b"), ["quay.io/a/b:latest", "docker.io/a/b:latest"]);
        assert_eq!(names(conf, "fedora"), ["registry.test/fedora:latest"]);
        assert_eq!(names(conf, "fedora:40"), ["registry.test/fedora:40"]);
        assert_eq!(names(conf, &format!("fedora@{d}")), [format!("registry.test/fedora@{d}")]);
        assert_eq!(names(conf, "h:1/x"), ["h:1/x:latest"]);
    }
}
