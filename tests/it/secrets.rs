//! `rcon secret …` and `--secret`: what a container sees of a secret, and what nobody else does.

use crate::support::Sandbox;

#[test]
fn secrets_are_made_listed_shown_and_removed() {
    let s = Sandbox::new("secret-cmd");
    let id =
        s.rcon_with_input(["secret", "create", "-l", "tier=back", "db", "-"], b"hunter2").ok().to_owned();
    assert_eq!(id.len(), 25);
    let mut command = s.command();
    command.env("VALUE", "v").args(["secret", "create", "--env", "ev", "VALUE"]);
    s.finish(command).ok();
    let taken = s.rcon_with_input(["secret", "create", "db", "-"], b"x");
    assert!(taken.fails(1).contains("db"), "{}", taken.stderr);
    assert_eq!(s.rcon_with_input(["secret", "create", "--ignore", "db", "-"], b"x").ok(), id);
    assert_eq!(s.rcon(["secret", "ls", "--format", "{{.Name}} {{.Driver}}"]).ok(), "db file\nev file");
    assert!(s.rcon(["secret", "ls"]).ok().starts_with("ID "));
    assert_eq!(s.rcon(["secret", "ls", "-q", "--filter", "label=tier=back"]).ok(), id);
    let shown = s.rcon(["secret", "inspect", "db"]);
    assert!(shown.ok().contains("\"Name\": \"db\"") && !shown.stdout.contains("hunter2"), "{}", shown.stdout);
    let value = s.rcon(["secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", &id[..8]]);
    assert_eq!(value.ok(), "hunter2");
    assert!(s.rcon(["secret", "inspect", "--pretty", "db"]).ok().contains("Driver:          file"));
    let new = s.rcon_with_input(["secret", "create", "--replace", "db", "-"], b"new").ok().to_owned();
    assert_ne!(new, id);
    s.rcon(["secret", "exists", "db"]).ok();
    assert_eq!(s.rcon(["secret", "rm", "db"]).ok(), new);
    s.rcon(["secret", "exists", "db"]).fails(1);
    s.rcon(["secret", "rm", "db"]).fails(1);
    s.rcon(["secret", "rm", "-i", "db"]).ok();
    s.rcon_with_input(["secret", "create", "a/b", "-"], b"x").fails(1);
    s.rcon_with_input(["secret", "create", "empty", "-"], b"").fails(1);
    s.rcon(["secret", "rm", "--all"]).ok();
    assert_eq!(s.rcon(["secret", "ls", "-q"]).ok(), "");
}

#[test]
fn a_container_sees_its_secrets_as_long_as_it_lives() {
    let s = Sandbox::with_images("secret-run", &["busybox"]);
    s.rcon_with_input(["secret", "create", "db", "-"], b"hunter2").ok();
    s.rcon_with_input(["secret", "create", "key", "-"], b"k3y").ok();
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--secret",
        "db",
        "--secret",
        "key,type=env,target=KEY",
        "--secret",
        "source=db,target=/etc/db,uid=5,gid=6,mode=0400",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let look = |s: &Sandbox| {
        let script = "cat /run/secrets/db; echo \" $KEY\"; stat -c '%a %u %g' /run/secrets/db /etc/db";
        s.rcon(["exec", "c", "sh", "-c", script]).ok().to_owned()
    };
    assert_eq!(look(&s), "hunter2 k3y\n444 0 0\n400 5 6");
    let all = s.rcon(["inspect", "c"]);
    assert!(!all.ok().contains("hunter2") && !all.stdout.contains("k3y"), "values are not shown");
    assert_eq!(s.inspect("c", "{{range .Config.Secrets}}{{.Name}} {{end}}"), "db key db ");
    // What is no longer in the store is still in the container.
    s.rcon(["secret", "rm", "db", "key"]).ok();
    s.rcon(["restart", "-t", "0", "c"]).ok();
    assert_eq!(look(&s), "hunter2 k3y\n444 0 0\n400 5 6");
    assert!(!s.rcon(["export", "c"]).stdout.contains("hunter2"));
    let none = s.rcon(["run", "--rm", "--secret", "db", "busybox", "true"]);
    assert!(none.fails(125).contains("no such secret: db"), "{}", none.stderr);
    s.rcon(["run", "--rm", "--secret", "db,type=env,mode=0400", "busybox", "true"]).fails(125);
}
