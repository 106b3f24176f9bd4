//! `rcon image tree`.

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::engine::images::{self, LayerNode};
use crate::model::units::human_size_fine;

/// Flags of `image tree`.
#[derive(clap::Args)]
struct TreeArgs {
    /// Show what stands on the image instead of its own layers
    #[arg(long)]
    whatrequires: bool,
    /// Image
    #[arg(value_name = "IMAGE", required = true, hide = true)]
    image: String,
}

pub(super) const DEF: Def = def!(
    TreeArgs,
    run,
    Section::Images,
    ["image tree"],
    "[OPTIONS] IMAGE",
    "Show the layers of an image, or what stands on it"
);

fn run(args: TreeArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let tree = images::tree(ctx.engine()?, &args.image, args.whatrequires)?;
    ui.line(format_args!("Image ID: {}", tree.id));
    ui.line(format_args!("Tags:     [{}]", tree.names.join(" ")));
    ui.line(format_args!("Size:     {}", human_size_fine(tree.size)));
    let Some(lowest) = &tree.layers else {
        ui.line("No Image Layers");
        return Ok(Exit::OK);
    };
    ui.line("Image Layers");
    let mut lines = Vec::new();
    draw(&level(lowest), "", &mut lines);
    for line in lines {
        ui.line(line);
    }
    Ok(Exit::OK)
}

/// A layer with what branches off above it; a chain without branches is one level.
struct Item<'a> {
    layer: &'a LayerNode,
    branches: Vec<Vec<Self>>,
}

fn level(lowest: &LayerNode) -> Vec<Item<'_>> {
    let (mut items, mut next) = (Vec::new(), Some(lowest));
    while let Some(layer) = next {
        let branches =
            if layer.above.len() > 1 { layer.above.iter().map(level).collect() } else { Vec::new() };
        next = if branches.is_empty() { layer.above.first() } else { None };
        items.push(Item { layer, branches });
    }
    items
}

fn draw(items: &[Item<'_>], indent: &str, lines: &mut Vec<String>) {
    for (n, item) in items.iter().enumerate() {
        let last = n + 1 == items.len();
        let (branch, rest) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let LayerNode { id, size, top_of, .. } = item.layer;
        let tops =
            if top_of.is_empty() { String::new() } else { format!(" Top Layer of: [{}]", top_of.join(" ")) };
        lines.push(format!("{indent}{branch}ID: {id} Size: {:>7}{tops}", human_size_fine(*size)));
        for below in &item.branches {
            draw(below, &format!("{indent}{rest}"), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(id: &str, above: Vec<LayerNode>) -> LayerNode {
        LayerNode { id: id.to_owned(), size: 1000, top_of: Vec::new(), above }
    }

    #[test]
    fn a_chain_is_one_level_and_branches_are_beneath() {
        let tree = layer(
            "a",
            vec![layer("b", vec![layer("c", Vec::new()), layer("d", vec![layer("e", Vec::new())])])],
        );
        let mut lines = Vec::new();
        draw(&level(&tree), "", &mut lines);
        let shape: Vec<String> =
            lines.iter().map(|l| l.replace(" Size:     1kB", "").replace("ID: ", "")).collect();
        assert_eq!(shape, ["├── a", "└── b", "    └── c", "    ├── d", "    └── e"]);
    }
}
