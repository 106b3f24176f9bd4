//! Where an image comes from or goes to, as podman and skopeo write it: `docker://`, `docker-archive:FILE[:NAME]`,
//! `oci-archive:FILE[:NAME]`, `oci:DIR[:NAME]`, `dir:DIR`, `containers-storage:NAME`. Only the syntax.

use std::path::PathBuf;

/// Form of images in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileForm {
    /// A tar as `docker save` writes it.
    DockerArchive,
    /// A tar of an OCI layout.
    OciArchive,
    /// An OCI layout in a directory.
    OciDir,
    /// A directory with one manifest and its blobs side by side.
    Dir,
}

/// A place in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// Form of what is there.
    pub form: FileForm,
    /// File or directory.
    pub path: PathBuf,
    /// Name in it.
    pub name: Option<String>,
}

/// A place of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A name, in the store or in a registry.
    Name(String),
    /// Explicitly in a registry.
    Registry(String),
    /// Explicitly in the store.
    Store(String),
    /// In files.
    Files(FilePlace),
    /// A transport that there is and that we do not speak: its name.
    Unsupported(String),
}

impl Place {
    /// Takes a text apart. Whether the name in it is one is another question.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("docker://") {
            return Self::Registry(name.to_owned());
        }
        let Some((prefix, rest)) = text.split_once(':') else { return Self::Name(text.to_owned()) };
        let form = match prefix {
            "docker-archive" => FileForm::DockerArchive,
            "oci-archive" => FileForm::OciArchive,
            "oci" => FileForm::OciDir,
            "dir" => FileForm::Dir,
            "containers-storage" => return Self::Store(rest.to_owned()),
            "docker-daemon" | "ostree" | "sif" | "tarball" | "atomic" => {
                return Self::Unsupported(prefix.to_owned());
            }
            _ => return Self::Name(text.to_owned()),
        };
        let (path, name) = match rest.split_once(':') {
            // A directory of one image has no names in it.
            _ if form == FileForm::Dir => (rest, None),
            Some((path, name)) => (path, Some(name.to_owned()).filter(|n| !n.is_empty())),
            None => (rest, None),
        };
        Self::Files(FilePlace { form, path: PathBuf::from(path), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let files = |form, path: &str, name: Option<&str>| {
            Place::Files(FilePlace { form, path: path.into(), name: name.map(str::to_owned) })
        };
        for (text, want) in [
            ("nginx:1", Place::Name("nginx:1".into())),
            ("docker", Place::Name("docker".into())),
            ("docker://q.io/a:1", Place::Registry("q.io/a:1".into())),
            ("containers-storage:a:1", Place::Store("a:1".into())),
            ("docker-archive:/a.tar", files(FileForm::DockerArchive, "/a.tar", None)),
            ("docker-archive:a.tar:q.io/b:2", files(FileForm::DockerArchive, "a.tar", Some("q.io/b:2"))),
            ("oci-archive:a.tar:", files(FileForm::OciArchive, "a.tar", None)),
            ("oci:/d:t", files(FileForm::OciDir, "/d", Some("t"))),
            ("dir:/d:t", files(FileForm::Dir, "/d:t", None)),
            ("docker-daemon:a:1", Place::Unsupported("docker-daemon".into())),
        ] {
            assert_eq!(Place::of(text), want, "{text}");
        }
    }
}
