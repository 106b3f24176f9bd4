//! What a container wants of a secret: the syntax of `--secret`. The stored secrets are `storage::secrets`' matter.

use std::str::FromStr;

use super::ParseError;

/// One `--secret NAME[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRequest {
    /// Name or id of the secret.
    pub source: String,
    /// How it arrives.
    pub place: SecretPlace,
}

/// How a secret arrives in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// As a file.
    File {
        /// Absolute path, or a name below /run/secrets; the secret's own name where it is not said.
        target: Option<String>,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Mode, 0444 by default.
        mode: u32,
    },
    /// As an environment variable, called like the secret where it is not said.
    Variable(Option<String>),
}

impl FromStr for SecretRequest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: String| ParseError::new("secret", text, why);
        let mut words = Words::default();
        for (n, field) in text.split(',').enumerate() {
            let Some((key, value)) = field.split_once('=') else {
                if n > 0 || field.is_empty() {
                    return Err(bad("want NAME, then KEY=VALUE pairs".to_owned()));
                }
                words.source = Some(field);
                continue;
            };
            match key {
                "source" | "src" => words.source = Some(value),
                "type" => words.kind = Some(value),
                "target" | "destination" | "dst" => words.target = Some(value.to_owned()),
                "uid" => {
                    words.uid = Some(value.parse().map_err(|_| bad(format!("uid {value} is no number")))?);
                }
                "gid" => {
                    words.gid = Some(value.parse().map_err(|_| bad(format!("gid {value} is no number")))?);
                }
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).ok().filter(|m| *m <= 0o7777);
                    words.mode = Some(mode.ok_or_else(|| bad(format!("mode {value} is not octal")))?);
                }
                _ => return Err(bad(format!("{key} is none of type, source, target, uid, gid, mode"))),
            }
        }
        words.finish().map_err(|why| bad(why.to_owned()))
    }
}

#[derive(Default)]
struct Words<'a> {
    source: Option<&'a str>,
    kind: Option<&'a str>,
    target: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
}

impl Words<'_> {
    fn finish(self) -> Result<SecretRequest, &'static str> {
        let source = self.source.filter(|s| !s.is_empty()).ok_or("the secret's name is missing")?.to_owned();
        let target = self.target.filter(|t| !t.is_empty());
        let place = match self.kind {
            None | Some("mount") => SecretPlace::File {
                target,
                uid: self.uid.unwrap_or(0),
                gid: self.gid.unwrap_or(0),
                mode: self.mode.unwrap_or(0o444),
            },
            Some("env") if self.uid.or(self.gid).or(self.mode).is_some() => {
                return Err("uid, gid and mode cannot be set with type=env");
            }
            Some("env") if target.as_ref().is_some_and(|t| t.contains(['=', '\0'])) => {
                return Err("the target is no name of a variable");
            }
            Some("env") => SecretPlace::Variable(target),
            Some(_) => return Err("type is mount or env"),
        };
        Ok(SecretRequest { source, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podmans_grammar() {
        let file = |target: Option<&str>, uid, gid, mode| SecretPlace::File {
            target: target.map(str::to_owned),
            uid,
            gid,
            mode,
        };
        let place = |text: &str| text.parse::<SecretRequest>().map(|r| r.place);
        assert_eq!(place("db"), Ok(file(None, 0, 0, 0o444)));
        assert_eq!(place("source=db,mode=0400,uid=5,gid=6,target=x"), Ok(file(Some("x"), 5, 6, 0o400)));
        assert_eq!(place("db,type=env,target=DB"), Ok(SecretPlace::Variable(Some("DB".to_owned()))));
        for wrong in ["", "type=env", "db,x", "db,mode=9", "db,type=env,uid=1", "db,type=file", "db,x=y"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
