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
    let which = selection(args.containers, choice, false, "update")?;
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
        env: environment.set,
        unset_env,
        labels: env::labels(&[], &args.label)?,
        unset_labels: args.unsetlabel,
        rlimits: args.ulimit,
        publish: args.publish_add,
        unpublish: args.publish_rm,
        mounts,
        unmount: args.mount_rm,
    };
    let mut each = Each::new(ui);
    crate::engine::update::update(ctx.engine()?, &which, &options, &mut |done| each.echo(done))?;
    Ok(each.exit())
}
