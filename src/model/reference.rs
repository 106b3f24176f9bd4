//! Image references: docker's grammar, normal form and display.
//!
//! `nginx` is `docker.io/library/nginx:latest`; `host:5000/a/b:tag@sha256:…` keeps all its parts.
//! Which registries an unqualified name is looked up in is `image::resolve`'s matter.
//!
//! The grammar (distribution's "reference"): `[domain/]component[/component…][:tag][@digest]`, where the part
//! before the first slash is a domain when it holds a dot or a colon, is `localhost`, or has upper-case letters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;
use super::digest::Digest;

/// The registry that docker means when none is named.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The tag that is meant when neither tag nor digest is given.
pub const DEFAULT_TAG: &str = "latest";

/// Longest name (registry, slash and repository), as distribution has it.
const MAX_NAME: usize = 255;

/// Longest tag.
const MAX_TAG: usize = 128;

/// A fully qualified image reference: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImageRef {
    /// Registry host with optional port, `docker.io`, `127.0.0.1:5000`.
    pub registry: String,
    /// Repository path, `library/nginx`.
    pub repository: String,
    /// Tag; `None` only where a digest is given.
    pub tag: Option<String>,
    /// Digest pin.
    pub digest: Option<Digest>,
}

/// What a user typed where an image is meant, before short names are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageName {
    /// The registry was named (`host/…` with a dot, a port or `localhost`).
    Qualified(ImageRef),
    /// A short name: `nginx`, `library/nginx:1`, `team/app@sha256:…`.
    Short {
        /// Repository as typed, without registry.
        repository: String,
        /// Tag as typed.
        tag: Option<String>,
        /// Digest as typed.
        digest: Option<Digest>,
    },
}

impl ImageRef {
    /// Registry and repository, `docker.io/library/nginx`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The name as docker shows it: `nginx`, `team/app`, `quay.io/a/b`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        match self.repository.strip_prefix("library/") {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            _ => self.repository.clone(),
        }
    }

    /// The whole reference as docker shows it: `nginx:latest`, `quay.io/a/b@sha256:…`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The reference with this tag instead, and without a digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The reference with this digest and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// What the registry is asked for: the digest if there is one, else the tag.
    #[must_use]
    pub fn version(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(d), _) => d.as_str(),
            (None, Some(t)) => t,
            (None, None) => DEFAULT_TAG,
        }
    }

    fn with_suffix(&self, mut s: String) -> String {
        if let Some(tag) = &self.tag {
            s.push(':');
            s.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            s.push('@');
            s.push_str(digest.as_str());
        }
        s
    }
}

impl fmt::Display for ImageRef {
    /// The full form, `docker.io/library/nginx:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl FromStr for ImageRef {
    type Err = ParseError;

    /// Parses as docker does: a short name is docker.io's.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(s.parse::<ImageName>()?.in_registry(DEFAULT_REGISTRY))
    }
}

impl ImageName {
    /// The full reference when a short name is looked up in `registry` (docker.io puts single names into
    /// `library/`); a qualified name stays what it is.
    #[must_use]
    pub fn in_registry(&self, registry: &str) -> ImageRef {
        match self {
            Self::Qualified(r) => r.clone(),
            Self::Short { repository, tag, digest } => {
                let tag = match (tag, digest) {
                    (None, None) => Some(DEFAULT_TAG.to_owned()),
                    _ => tag.clone(),
                };
                ImageRef {
                    registry: registry.to_owned(),
                    repository: in_library(registry, repository),
                    tag,
                    digest: digest.clone(),
                }
            }
        }
    }

    /// The tag as typed, or the default one of a qualified name.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Qualified(r) => r.tag.as_deref(),
            Self::Short { tag, .. } => tag.as_deref(),
        }
    }

    /// The digest, if one was typed.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Qualified(r) => r.digest.as_ref(),
            Self::Short { digest, .. } => digest.as_ref(),
        }
    }
}

impl fmt::Display for ImageName {
    /// As typed, but for the default tag of a qualified name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qualified(r) => r.fmt(f),
            Self::Short { repository, tag, digest } => {
                f.write_str(repository)?;
                if let Some(t) = tag {
                    write!(f, ":{t}")?;
                }
                digest.iter().try_for_each(|d| write!(f, "@{d}"))
            }
        }
    }
}

impl FromStr for ImageName {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let err = |why: String| ParseError::new("image reference", s, why);
        if s.is_empty() {
            return Err(err("it is empty".into()));
        }
        if is_image_id(s) {
            return Err(err("64 hex digits are an image id, not a name".into()));
        }
        if let Some((scheme, _)) = s.split_once("://") {
            return Err(err(format!("it is a URL; leave out {scheme}://")));
        }
        let (rest, digest) = match s.split_once('@') {
            Some((rest, d)) => {
                (rest, Some(d.parse::<Digest>().map_err(|e| err(format!("digest: {}", e.why)))?))
            }
            None => (s, None),
        };
        let (domain, rest) = split_domain(rest);
        domain.map_or(Ok(()), check_domain).map_err(err)?;
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        check_path(path).map_err(err)?;
        if let Some(t) = tag {
            check_tag(t).map_err(err)?;
        }
        if domain.map_or(0, |d| d.len() + 1) + path.len() > MAX_NAME {
            return Err(err(format!("the name is longer than {MAX_NAME} characters")));
        }
        let tag = tag.map(str::to_owned);
        let Some(domain) = domain else {
            return Ok(Self::Short { repository: path.to_owned(), tag, digest });
        };
        // Docker Hub's old index host is the same registry.
        let domain = if domain == "index.docker.io" { DEFAULT_REGISTRY } else { domain };
        let tag = match (tag, &digest) {
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (tag, _) => tag,
        };
        let repository = in_library(domain, path);
        Ok(Self::Qualified(ImageRef { registry: domain.to_owned(), repository, tag, digest }))
    }
}

/// Whether `s` is a full image id without `sha256:`, which no repository may be called.
fn is_image_id(s: &str) -> bool {
    s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// docker.io's official images live in `library/`.
fn in_library(registry: &str, repository: &str) -> String {
    if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    }
}

fn split_domain(s: &str) -> (Option<&str>, &str) {
    match s.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, s),
    }
}

fn check_domain(domain: &str) -> Result<(), String> {
    let bad = || Err(format!("{domain:?} is not a registry host"));
    let (host, port) = match domain.strip_prefix('[') {
        Some(inner) => {
            let Some((v6, after)) = inner.split_once(']') else { return bad() };
            if v6.is_empty() || !v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
                return bad();
            }
            match after.strip_prefix(':') {
                Some(port) => (None, Some(port)),
                None if after.is_empty() => (None, None),
                None => return bad(),
            }
        }
        None => match domain.split_once(':') {
            Some((h, p)) => (Some(h), Some(p)),
            None => (Some(domain), None),
        },
    };
    if let Some(p) = port
        && (p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(format!("{p:?} is not a port"));
    }
    let label = |l: &str| {
        let b = l.as_bytes();
        b.first().is_some_and(u8::is_ascii_alphanumeric)
            && b.last().is_some_and(u8::is_ascii_alphanumeric)
            && b.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
    };
    match host {
        Some(h) if !h.split('.').all(label) => bad(),
        _ => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("the repository name ({path}) must be lowercase"));
    }
    for c in path.split('/') {
        if !is_component(c) {
            return Err(format!(
                "{c:?} is not a name: want lower-case letters and digits, joined by '.', '_', '__' or '-'"
            ));
        }
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(c: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = c.as_bytes();
    let mut i = 0;
    loop {
        let word = i;
        while i < bytes.len() && alnum(bytes[i]) {
            i += 1;
        }
        if i == word {
            return false;
        }
        if i == bytes.len() {
            return true;
        }
        let sep = i;
        while i < bytes.len() && !alnum(bytes[i]) {
            i += 1;
        }
        match &bytes[sep..i] {
            b"." | b"_" | b"__" => {}
            s if s.iter().all(|b| *b == b'-') => {}
            _ => return false,
        }
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if ok {
        Ok(())
    } else {
        Err(format!(
            "{tag:?} is not a tag: want at most {MAX_TAG} of [A-Za-z0-9_.-], not starting with '.' or '-'"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn normal_forms_are_dockers() {
        let table = [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"),
            ("team/app", "docker.io/team/app:latest", "team/app:latest"),
            ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
            ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("[fd00:1::2]/a", "[fd00:1::2]/a:latest", "[fd00:1::2]/a:latest"),
            (
                "quay.io/a__b/c-d--e_f.g:V1.0-x_Y",
                "quay.io/a__b/c-d--e_f.g:V1.0-x_Y",
                "quay.io/a__b/c-d--e_f.g:V1.0-x_Y",
            ),
            ("Reg/app", "Reg/app:latest", "Reg/app:latest"),
            (
                "sub-dom1.foo.com:80/bar/baz",
                "sub-dom1.foo.com:80/bar/baz:latest",
                "sub-dom1.foo.com:80/bar/baz:latest",
            ),
            ("0.0.0.0:1/x", "0.0.0.0:1/x:latest", "0.0.0.0:1/x:latest"),
        ];
        for (given, full, familiar) in table {
            let r: ImageRef = given.parse().unwrap();
            assert_eq!((r.to_string().as_str(), r.familiar().as_str()), (full, familiar), "{given}");
            assert_eq!(full.parse::<ImageRef>().unwrap(), r, "round trip of {given}");
        }
    }

    #[test]
    fn digests_keep_the_tag_and_add_none() {
        let r: ImageRef = format!("nginx@{D}").parse().unwrap();
        assert_eq!((r.tag.as_deref(), r.version()), (None, D));
        let r: ImageRef = format!("nginx:1@{D}").parse().unwrap();
        assert_eq!((r.tag.as_deref(), r.version()), (Some("1"), D));
        assert_eq!(r.familiar(), format!("nginx:1@{D}"));
        let r: ImageRef = format!("host:1/x@{D}").parse().unwrap();
        assert_eq!(r.to_string(), format!("host:1/x@{D}"));
    }

    #[test]
    fn short_and_qualified_differ() {
        assert!(matches!("nginx".parse().unwrap(), ImageName::Short { .. }));
        assert!(matches!("a/b".parse().unwrap(), ImageName::Short { .. }));
        assert!(matches!("a.b/c".parse().unwrap(), ImageName::Qualified(_)));
        assert!(matches!("localhost/c".parse().unwrap(), ImageName::Qualified(_)));
        let n: ImageName = "nginx".parse().unwrap();
        assert_eq!(n.in_registry("quay.io").to_string(), "quay.io/nginx:latest");
        assert_eq!(n.to_string(), "nginx");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long_tag = format!("a:{}", "x".repeat(129));
        let long_name = "a/".repeat(128) + "a";
        let hex = "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4";
        let table = [
            ("", "empty"),
            ("Nginx", "lowercase"),
            ("a/Nginx", "lowercase"),
            ("docker.io/Foo", "lowercase"),
            (hex, "image id"),
            (&long_tag, "not a tag"),
            (&long_name, "longer than 255"),
            ("a:", "not a tag"),
            ("a:-x", "not a tag"),
            ("a:b:c", "not a tag"),
            (":x", "not a name"),
            ("a//b", "not a name"),
            ("/a", "not a name"),
            ("a/", "not a name"),
            ("a..b", "not a name"),
            ("a___b", "not a name"),
            ("a-_b", "not a name"),
            ("-a", "not a name"),
            ("a_", "not a name"),
            ("a b", "not a name"),
            ("a@sha256:12", "digest"),
            ("a@md5:d41d8cd98f00b204e9800998ecf8427e", "digest"),
            ("-h.com/a", "not a registry host"),
            ("h..com/a", "not a registry host"),
            ("h:x/a", "not a port"),
            ("h:/a", "not a port"),
            ("[::1/a", "not a registry host"),
            ("[zz]:1/a", "not a registry host"),
            ("h.com:1:2/a", "not a port"),
            ("unix:///x", "leave out unix://"),
            ("https://x/y", "leave out https://"),
            ("ünïcode", "not a name"),
        ];
        for (given, want) in table {
            let e = given.parse::<ImageName>().expect_err(given);
            assert!(e.to_string().contains(want), "{given}: {e}");
        }
    }

    #[test]
    fn lengths_up_to_the_limit_are_taken() {
        assert!(format!("a:{}", "x".repeat(128)).parse::<ImageName>().is_ok());
        assert!(("a/".repeat(127) + "a").parse::<ImageName>().is_ok());
    }
}
