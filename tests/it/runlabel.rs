//! `container runlabel`: commands that labels of images hold.

use crate::support::Sandbox;

#[test]
fn the_command_of_a_label_is_shown_and_run() {
    let s = Sandbox::with_images("runlabel", &["busybox"]);
    let commit = |name: &str, label: &str| {
        s.rcon(["create", "--name", "c", "busybox"]).ok();
        s.rcon(["commit", "-c", &format!("LABEL {label}"), "c", name]).ok();
        s.rcon(["rm", "c"]).ok();
    };
    commit("tool:1", r#"RUN="podman run --rm --network none --name NAME IMAGE echo ${OPT1} 'two words'""#);
    commit("host", r#"install="echo $NAME ${IMAGE}""#);
    let shown = s.rcon(["container", "runlabel", "--display", "RUN", "tool:1"]).ok().to_owned();
    assert!(shown.ends_with(" run --rm --network none --name tool tool:1 echo two words"), "{shown}");
    // This program, not one called podman; labels are found in any case.
    let ran = s.rcon(["container", "runlabel", "--opt1", "one", "run", "tool:1", "more"]);
    assert_eq!(ran.ok(), "one two words more");
    assert_eq!(
        s.rcon(["container", "runlabel", "-n", "n", "install", "host", "arg"]).ok(),
        "n host:latest arg"
    );
    assert_eq!(s.rcon(["container", "runlabel", "-q", "install", "host"]).ok(), "");
    // --replace takes the container of that name away.
    s.rcon(["create", "--name", "tool", "busybox"]).ok();
    s.rcon(["container", "runlabel", "RUN", "tool:1"]).fails(125);
    s.rcon(["container", "runlabel", "--replace", "RUN", "tool:1"]).ok();
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
    let none = s.rcon(["container", "runlabel", "RUN", "busybox"]);
    assert!(none.fails(1).contains("cannot find the value of label: RUN in image: busybox"), "{none:?}");
}
