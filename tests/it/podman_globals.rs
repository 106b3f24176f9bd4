//! podman's global flags: further image stores, networks that are defined in files, and those whose value says what is
//! so anyway.

use crate::support::Sandbox;

/// Flags that podman's own tests and scripts put before each command.
const USUAL: &[&str] = &[
    "--runtime=crun",
    "--conmon=/usr/bin/conmon",
    "--network-backend=netavark",
    "--db-backend=sqlite",
    "--storage-driver=overlay",
    "--events-backend=none",
];

#[test]
fn images_of_another_root_are_used_where_they_are() {
    let s = Sandbox::with_images("globals-lent", &["busybox"]);
    let lender = s.dir().join("lender");
    std::fs::rename(s.root(), &lender).expect("the store becomes another one");
    let option = format!("--storage-opt=overlay.imagestore={}", lender.display());
    let with = |args: &[&str]| s.rcon([&[option.as_str()][..], args].concat());
    let run = ["run", "--rm", "--network=none", "busybox", "echo", "up"];
    assert_eq!(with(&run).ok(), "up");
    assert!(with(&["images", "--filter=readonly=true"]).ok().contains("busybox"));
    assert!(!with(&["images", "--filter=readonly=false"]).ok().contains("busybox"));
    with(&["image", "prune", "-af"]).ok();
    assert!(with(&["images"]).ok().contains("busybox"), "another store's image is not pruned");
    // Once taken up it is there without the flag, too, and others can be built on it.
    s.rcon(["create", "--network=none", "--name=c", "busybox", "touch", "/made"]).ok();
    s.rcon(["start", "-a", "c"]).ok();
    s.rcon(["commit", "-q", "c", "made"]).ok();
    assert_eq!(s.rcon(["run", "--rm", "--network=none", "made", "ls", "/made"]).ok(), "/made");
    s.rcon(["rm", "c"]).ok();
    // Removing it takes away the record, not what belongs to the other store.
    with(&["rmi", "made", "busybox"]).ok();
    assert_eq!(with(&["images", "-q"]).ok(), "", "it stays away until the other store changes");
    let theirs = ["--root", lender.to_str().expect("a path"), "images"];
    assert!(s.rcon(theirs).ok().contains("busybox"));
    s.rcon(["--root", lender.to_str().expect("a path"), "tag", "busybox", "again"]).ok();
    assert!(with(&["images"]).ok().contains("again"));
    with(&["system", "reset", "--force"]).ok();
    assert!(s.rcon(theirs).ok().contains("busybox"));
    let told = s.rcon(["--storage-opt=overlay.mountopt=nodev", "ps"]).fails(125).to_owned();
    assert!(told.contains("overlay.mountopt is not supported"), "{told}");
}

#[test]
fn networks_are_taken_up_out_of_files() {
    let s = Sandbox::new("globals-nets");
    let dir = s.dir().join("networks");
    std::fs::create_dir(&dir).expect("a folder");
    let file = dir.join("fromfile.json");
    let definition = r#"{"name":"fromfile","id":"e1ef2749024b88f5663ca693a9118e036d6bfc48bcfe460faf45e9614a513e5c",
        "driver":"bridge","network_interface":"nv1","created":"2022-01-05T14:15:10.975493521-06:00",
        "subnets":[{"subnet":"10.100.0.0/16","gateway":"10.100.0.1"}],"ipv6_enabled":false,"internal":false,
        "dns_enabled":true,"ipam_options":{"driver":"host-local"}}"#;
    std::fs::write(&file, definition).expect("a file");
    std::fs::write(dir.join("bad.json"), "{").expect("a file");
    let option = format!("--network-config-dir={}", dir.display());
    let with = |args: &[&str]| s.rcon([&[option.as_str()][..], args].concat());
    let listed = with(&["network", "ls"]);
    assert!(listed.ok().contains("fromfile"), "{listed:?}");
    assert!(listed.stderr.contains("bad.json"), "{listed:?}");
    assert_eq!(
        with(&["network", "inspect", "fromfile", "-f", "{{(index .IPAM.Config 0).Subnet}}"]).ok(),
        "10.100.0.0/16"
    );
    with(&["network", "rm", "fromfile"]).ok();
    assert!(!file.exists(), "the network would come back");
    std::fs::write(&file, definition).expect("a file");
    assert!(with(&["network", "ls"]).ok().contains("fromfile"));
    std::fs::remove_file(&file).expect("it is there");
    assert!(!with(&["network", "ls"]).ok().contains("fromfile"));
}

#[test]
fn flags_that_say_what_is_so_are_taken_and_others_refused() {
    let s = Sandbox::with_images("globals-usual", &["busybox"]);
    let with = |args: &[&str]| s.rcon([USUAL, args].concat());
    with(&["run", "--rm", "--network=none", "--name=silent", "busybox", "true"]).ok();
    s.rcon(["run", "--rm", "--network=none", "--name=told", "busybox", "true"]).ok();
    let events = s.rcon(["events", "--since=1h", "--until=0s", "--filter=type=container"]);
    assert!(events.ok().contains("told") && !events.ok().contains("silent"), "{events:?}");
    for flag in ["--network-backend=cni", "--db-backend=boltdb", "--events-backend=journald"] {
        let told = s.rcon([flag, "ps"]).fails(125).to_owned();
        assert!(told.contains("want one of"), "{told}");
    }
}

#[test]
fn roots_that_share_network_files_share_the_default_network() {
    let s = Sandbox::with_images("globals-share", &["busybox"]);
    let dir = s.dir().join("networks");
    let option = format!("--network-config-dir={}", dir.display());
    let second = format!("--root={}", s.dir().join("second").display());
    let lent = format!("--storage-opt=overlay.imagestore={}", s.root().display());
    let run = format!("--runroot={}", s.run_root().join("second").display());
    s.rcon([&option, "run", "-d", "--name=a", "busybox", "sleep", "99"]).ok();
    let file = std::fs::read_to_string(dir.join("podman.json")).expect("the default network has a file");
    assert!(file.contains("\"name\": \"podman\""), "{file}");
    let with = |args: &[&str]| s.rcon([&[option.as_str(), &second, &run, &lent][..], args].concat());
    with(&["run", "-d", "--name=b", "busybox", "sleep", "99"]).ok();
    let address = "{{.NetworkSettings.IPAddress}}";
    let (a, b) = (s.inspect("a", address), with(&["inspect", "b", "-f", address]).ok().to_owned());
    assert_ne!(a, b);
    s.rcon(["exec", "a", "ping", "-c1", "-W5", &b]).ok();
    with(&["rm", "-ft0", "b"]).ok();
}
