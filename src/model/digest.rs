//! Content digests (`sha256:…`) and the ids built from them: diffID, chainID, image id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// A content digest, `algorithm:hex`, as in the OCI image spec ("Digests"). sha256 and sha512.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Digest of a layer's uncompressed tar (OCI image spec, "Layer DiffID").
pub type DiffId = Digest;

/// Digest that names a stack of layers (OCI image spec, "Layer ChainID"); rcon's layer key.
pub type ChainId = Digest;

impl Digest {
    /// A sha256 digest from its 32 bytes.
    #[must_use]
    pub fn sha256(bytes: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut s = String::with_capacity(71);
        s.push_str("sha256:");
        for b in bytes {
            // Writing to a String cannot fail.
            let _ = write!(s, "{b:02x}");
        }
        Self(s)
    }

    /// `sha256` or `sha512`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(a, _)| a)
    }

    /// The hex digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, h)| h)
    }

    /// The first 12 hex digits, as listings show them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    /// The whole text, `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ParseError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let err = |why: &str| Err(ParseError::new("digest", s, why));
        let Some((algorithm, hex)) = s.split_once(':') else {
            return err("want algorithm:hex");
        };
        let want = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return err("only sha256 and sha512 are known"),
        };
        if hex.len() != want || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return err("wrong length, or not lower-case hex");
        }
        Ok(Self(s.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(d: Digest) -> Self {
        d.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
