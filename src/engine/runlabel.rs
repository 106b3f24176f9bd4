//! `container runlabel`: runs the command that a label of an image holds.
//!
//! The command is the image's maker's and runs on the host with the caller's rights, as podman has it: `--display` shows it
//! without running it. Words for this program (`podman`, `docker`, `rcon`) mean this very program.

use std::process::{Command, Stdio};

use super::commit::changes::words;
use super::context::Context;
use super::error::{Error, Kind};
use super::images::{self, WantedImage};
use super::progress::Progress;
use super::rm;
use crate::model::create::RegistryOptions;
use crate::model::image::Image;
use crate::model::lifecycle::PullPolicy;

/// How to run a label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunlabelOptions {
    /// Further arguments.
    pub args: Vec<String>,
    /// `--name`: what `NAME` stands for, if not the image's last part.
    pub name: Option<String>,
    /// `--opt1` to `--opt3`: what `$OPT1` to `$OPT3` stand for.
    pub optional: [Option<String>; 3],
    /// `--replace`: a container of the command's `--name` is removed first.
    pub replace: bool,
    /// `--pull=false`: an image that is not there is not fetched.
    pub local: bool,
    /// Registry flags, where the image is not there.
    pub registry: RegistryOptions,
}

/// A command to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Its words.
    pub argv: Vec<String>,
    /// The first one means this program.
    own: bool,
    name: String,
    image: String,
}

/// The command of a label.
///
/// # Errors
/// No such image, none to be had, or no such label.
pub fn command(
    ctx: &Context,
    label: &str,
    image: &str,
    options: &RunlabelOptions,
    progress: &dyn Progress,
) -> Result<Labelled, Error> {
    let store = ctx.store()?;
    let policy = if options.local { PullPolicy::Never } else { PullPolicy::Missing };
    let wanted = WantedImage { name: image, platform: None, policy, registry: &options.registry };
    let found = images::ensure(ctx, &store, &wanted, progress)?;
    let value = found.config.labels.iter().find(|(key, _)| key.eq_ignore_ascii_case(label));
    let text = value.map(|(_, text)| text.as_str()).filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("cannot find the value of label: {label} in image: {image}"))
    })?;
    let names = Names { name: name(image, &found, options), image: shown(ctx, &found), options };
    let mut argv: Vec<String> =
        words(&names.expand(text)).iter().enumerate().map(|(n, word)| names.word(n, word)).collect();
    argv.extend(options.args.iter().cloned());
    let first = argv.first().cloned().unwrap_or_default();
    let own = ["podman", "rcon"].contains(&first.as_str()) || first.rsplit('/').next() == Some("docker");
    Ok(Labelled { argv, own, name: names.name, image: names.image })
}

/// The image's name in full, or its id.
fn shown(ctx: &Context, image: &Image) -> String {
    let name = image.names.first().and_then(|name| name.parse().ok());
    name.map_or_else(|| image.id.hex().to_owned(), |name| ctx.shown(&name))
}

/// The last part of the image's name, without its tag.
fn name(typed: &str, image: &Image, options: &RunlabelOptions) -> String {
    if let Some(name) = &options.name {
        return name.clone();
    }
    let by_id = image.id.hex().starts_with(typed);
    let full = image.names.first().filter(|_| by_id).map_or(typed, String::as_str);
    let last = full.rsplit('/').next().unwrap_or(full);
    last.split([':', '@']).next().unwrap_or(last).to_owned()
}

/// What the words of a label stand for.
struct Names<'a> {
    name: String,
    image: String,
    options: &'a RunlabelOptions,
}

impl Names<'_> {
    fn value(&self, variable: &str) -> String {
        let [one, two, three] = &self.options.optional;
        let given = match variable {
            "NAME" => return self.name.clone(),
            "IMAGE" => return self.image.clone(),
            "OPT1" => one.clone(),
            "OPT2" => two.clone(),
            "OPT3" => three.clone(),
            "PWD" => std::env::current_dir().ok().map(|dir| dir.display().to_string()),
            "HOME" => super::env::all().into_iter().find(|(name, _)| name == "HOME").map(|(_, home)| home),
            _ => None,
        };
        given.unwrap_or_default()
    }

    /// `$NAME` and `${NAME}`.
    fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let (variable, left) = match after.strip_prefix('{').and_then(|a| a.split_once('}')) {
                Some(braced) => braced,
                None => {
                    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            if variable.is_empty() {
                out.push('$');
            } else {
                out.push_str(&self.value(variable));
            }
            rest = left;
        }
        out + rest
    }

    /// A word that is `NAME` or `IMAGE`, or ends with one after an equals sign.
    fn word(&self, number: usize, word: &str) -> String {
        if number == 0 {
            return word.to_owned();
        }
        let (before, last) = word.rsplit_once('=').map_or(("", word), |(b, last)| (b, last));
        let meant = match last {
            "NAME" => &self.name,
            "IMAGE" => &self.image,
            _ => return word.to_owned(),
        };
        if word.len() == last.len() { meant.clone() } else { format!("{before}={meant}") }
    }
}

impl Labelled {
    /// Runs it with our streams (`quiet`: with none) and returns its exit code. `program` is what this program was called.
    ///
    /// # Errors
    /// There is no such program, or the container that it replaces cannot be removed.
    pub fn run(
        &self,
        ctx: &Context,
        options: &RunlabelOptions,
        quiet: bool,
        program: &str,
    ) -> Result<i32, Error> {
        use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
        let replaced = self.argv.iter().position(|word| word == "--name").and_then(|n| self.argv.get(n + 1));
        if let Some(name) = replaced.filter(|_| options.replace) {
            rm::replace(ctx, &ctx.store()?, name)?;
        }
        let first = self.argv.first().map_or("", String::as_str);
        let mut command = Command::new(if self.own { "/proc/self/exe" } else { first });
        if self.own {
            command.arg0(program);
        }
        command.args(self.argv.iter().skip(1)).env("NAME", &self.name).env("IMAGE", &self.image);
        for (variable, value) in ["OPT1", "OPT2", "OPT3"].into_iter().zip(&options.optional) {
            command.envs(value.iter().map(|value| (variable, value)));
        }
        if quiet {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        }
        let status =
            command.status().map_err(|e| Error::with_source(Kind::Command, format!("running {first}"), e))?;
        Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_names() {
        let options =
            RunlabelOptions { optional: [Some("one".to_owned()), None, None], ..RunlabelOptions::default() };
        let names = Names { name: "web".to_owned(), image: "localhost/web:1".to_owned(), options: &options };
        assert_eq!(names.expand("run $OPT1 ${OPT2}x $IMAGE $ $$"), "run one x localhost/web:1 $ $$");
        let all = ["NAME", "--name=NAME", "IMAGE=IMAGE", "NAMES", "a=b"].map(|word| names.word(1, word));
        assert_eq!(all, ["web", "--name=web", "IMAGE=localhost/web:1", "NAMES", "a=b"]);
        assert_eq!(names.word(0, "NAME"), "NAME");
    }
}
