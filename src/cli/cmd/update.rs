//! `rcon update`.

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::env;
use crate::cli::args::health::HealthArgs;
use crate::cli::args::resources::ResourceArgs;
use crate::cli::args::select::{LatestArg, SelectArgs, selection};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::Outcome;
use crate::cli::ui::Ui;
use crate::engine::update::UpdateOptions;
use crate::model::lifecycle::RestartPolicy;
use crate::model::mount::MountRequest;
use crate::model::network::PortRequest;
use crate::model::process::Rlimit;

/// Flags of `update`.
#[derive(clap::Args)]
struct UpdateArgs {
    #[command(flatten)]
    resources: ResourceArgs,
    #[command(flatten)]
    health: HealthArgs,
    /// Restart policy
    #[arg(long, value_name = "POLICY", help_heading = "Container")]
    restart: Option<RestartPolicy>,
    /// Set an environment variable for the next start
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Container")]
    env: Vec<String>,
    /// Remove an environment variable
    #[arg(long, value_name = "NAME", help_heading = "Container")]
    unsetenv: Vec<String>,
    /// Set a label
    #[arg(long, visible_alias = "label-add", value_name = "KEY[=VALUE]", help_heading = "Container")]
    label: Vec<String>,
    /// Remove a label
    #[arg(long, visible_alias = "label-rm", value_name = "KEY", help_heading = "Container")]
    unsetlabel: Vec<String>,
    /// Limits of the process for the next start
    #[arg(long, value_name = "NAME=SOFT[:HARD]", help_heading = "Container")]
    ulimit: Vec<Rlimit>,
    /// Publish a further port
    #[arg(long, value_name = "[[IP:][HOST]:]PORT[/PROTOCOL]", help_heading = "Container")]
    publish_add: Vec<PortRequest>,
    /// Publish a port of the container no more
    #[arg(long, value_name = "PORT[/PROTOCOL]", help_heading = "Container")]
    publish_rm: Vec<String>,
    /// Add a mount, as -v
    #[arg(long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = MountRequest::parse_volume,
          help_heading = "Container")]
    mount_add: Vec<MountRequest>,
    /// Remove the mount at a path of the container
    #[arg(long, value_name = "TARGET", help_heading = "Container")]
    mount_rm: Vec<String>,
    #[command(flatten)]
    latest: LatestArg,
    /// Containers
    #[arg(value_name = "CONTAINER", hide = true)]
    containers: Vec<String>,
}

pub(super) const DEF: Def = def!(
    UpdateArgs,
    run,
    Section::Containers,
    ["update", "container update"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Change limits, restart policy, health check, environment, labels, ports and mounts"
);

fn run(args: UpdateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let choice = SelectArgs { latest: args.latest.latest, ..SelectArgs::default() };
    let words = run_words(std::env::args().collect(), &args.containers);
    let which = selection(args.containers, choice, false, "update")?;
    let health_log = args.health.log();
    let (health, health_on_failure) = args.health.into_options()?;
    let environment = env::environment(&[], &args.env, &env::caller)?;
    let mut unset_env = args.unsetenv;
    unset_env.extend(environment.unset);
    let mut mounts = args.mount_add;
    for mount in &mut mounts {
        if let Some(source) = mount.source.as_deref().filter(|s| s.starts_with('.')) {
            mount.source = Some(crate::cli::args::mounts::absolute(source)?);
        }
    }
    let options = UpdateOptions {
        resources: args.resources.into_options()?,
        restart: args.restart,
        health,
        health_on_failure,
        health_log,
        env: environment.set,
        unset_env,
        labels: env::labels(&[], &args.label)?,
        unset_labels: args.unsetlabel,
        rlimits: args.ulimit,
        publish: args.publish_add,
        unpublish: args.publish_rm,
        mounts,
        unmount: args.mount_rm,
        words,
    };
    let mut each = Each::new(ui);
    crate::engine::update::update(ctx.engine()?, &which, &options, &mut |done| each.echo(done))?;
    Ok(each.exit())
}

/// The flags of this command line as `run` takes them; what only takes away is left out.
fn run_words(line: Vec<String>, containers: &[String]) -> Vec<String> {
    let mut words = line.into_iter().skip_while(|w| w != "update").skip(1).peekable();
    let mut out: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if word.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
            _ => (word, None),
        };
        let renamed = match flag.as_str() {
            "--publish-rm" | "--mount-rm" | "--unsetlabel" | "--label-rm" => {
                if value.is_none() {
                    words.next();
                }
                continue;
            }
            "-l" | "--latest" | "--" => continue,
            "--publish-add" => "-p",
            "--mount-add" => "-v",
            "--label-add" => "--label",
            other => other,
        };
        let renamed = renamed.to_owned();
        match value {
            Some(value) if renamed.starts_with("--") => out.push(format!("{renamed}={value}")),
            Some(value) => out.extend([renamed, value]),
            None if !renamed.starts_with('-') && containers.contains(&renamed) => {
                // A name, unless it is the value of the flag before.
                let is_value = out.last().is_some_and(|w| w.starts_with('-') && !w.contains('='));
                let later = words.clone().filter(|w| containers.contains(w)).count();
                if is_value && later >= containers.len() {
                    out.push(renamed);
                }
            }
            None => out.push(renamed),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn flags_of_an_update_as_run_has_them() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let line =
            words("rcon update --publish-add 80:80 --mount-rm /x -m 64m --label-add=a=b c1 --restart always");
        assert_eq!(
            super::run_words(line, &words("c1")),
            words("-p 80:80 -m 64m --label=a=b --restart always")
        );
    }
}
