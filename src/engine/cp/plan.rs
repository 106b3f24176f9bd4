//! Where a copy goes: docker's rules, as a function of what is there. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

/// What is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A file of any kind.
    File,
    /// A directory.
    Directory,
}

/// The facts.
pub(super) struct Wish {
    /// The source is a directory.
    pub(super) source_directory: bool,
    /// It was written with `/.`: its contents are meant, not itself.
    pub(super) source_contents: bool,
    /// Last component of the source.
    pub(super) source_name: OsString,
    /// Target, absolute and cleaned.
    pub(super) target: PathBuf,
    /// It was written with a trailing slash.
    pub(super) target_slash: bool,
    /// What is there.
    pub(super) found: Found,
    /// A directory may replace a file and the other way round.
    pub(super) overwrite: bool,
}

/// Where the archive is unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Landing {
    /// The directory.
    pub(super) directory: PathBuf,
    /// What the top of the source is called there; `None`: its contents go into the directory itself.
    pub(super) name: Option<OsString>,
}

/// docker's rules (`docker cp --help`, "the behaviour").
pub(super) fn landing(wish: &Wish) -> Result<Landing, &'static str> {
    let beside = || {
        let directory =
            wish.target.parent().map(PathBuf::from).ok_or("the root itself cannot be replaced")?;
        Ok(Landing { directory, name: wish.target.file_name().map(OsString::from) })
    };
    match (wish.source_directory, wish.found) {
        (false, Found::Directory) | (true, Found::Directory) if !wish.source_contents => {
            Ok(Landing { directory: wish.target.clone(), name: Some(wish.source_name.clone()) })
        }
        (_, Found::Directory) => Ok(Landing { directory: wish.target.clone(), name: None }),
        (false, Found::Nothing) if wish.target_slash => Err("no such directory"),
        (false, Found::File) if wish.target_slash => Err("not a directory"),
        (true, Found::File) if !wish.overwrite => Err("cannot copy directory onto a file"),
        _ => beside(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_follow_dockers_rules() {
        type Row = (bool, bool, bool, Found, Result<(&'static str, Option<&'static str>), ()>);
        let rows: [Row; 9] = [
            // source directory, contents, target slash, found → directory, name
            (false, false, false, Found::Nothing, Ok(("/t", Some("x")))),
            (false, false, true, Found::Nothing, Err(())),
            (false, false, false, Found::File, Ok(("/t", Some("x")))),
            (false, false, false, Found::Directory, Ok(("/t/x", Some("s")))),
            (true, false, false, Found::Nothing, Ok(("/t", Some("x")))),
            (true, false, false, Found::File, Err(())),
            (true, false, false, Found::Directory, Ok(("/t/x", Some("s")))),
            (true, true, false, Found::Directory, Ok(("/t/x", None))),
            (true, true, false, Found::Nothing, Ok(("/t", Some("x")))),
        ];
        for (n, (source_directory, source_contents, target_slash, found, want)) in
            rows.into_iter().enumerate()
        {
            let got = landing(&Wish {
                source_directory,
                source_contents,
                source_name: "s".into(),
                target: "/t/x".into(),
                target_slash,
                found,
                overwrite: false,
            });
            let want = want.map(|(d, name)| Landing { directory: d.into(), name: name.map(OsString::from) });
            assert_eq!(got.map_err(drop), want, "row {n}");
        }
    }
}
