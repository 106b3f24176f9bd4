//! What the integration tests stand on: a [`Sandbox`] for each test (network and mount namespaces of its own,
//! own storage and run roots, registries on loopback), and the leak check at its end.
//!
//! The runner (`scripts/test.sh`) starts the test binary inside `tests/isolate.sh`; without that, tests that need
//! a sandbox say so and fail: a test that is silently skipped proves nothing.
#![allow(dead_code, reason = "each test module uses a part of it")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

pub mod bundle;
pub mod leaks;
pub mod proxy;
pub mod registry;
pub mod rootfs;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub use registry::{Registry, RegistryKind};

/// The binary under test: `$RCON`, or the one that cargo built beside the tests.
#[must_use]
pub fn rcon_binary() -> PathBuf {
    std::env::var_os("RCON").unwrap_or_else(|| env!("CARGO_BIN_EXE_rcon").into()).into()
}

/// PATH with a criu that works here, if there is one (`RCON_CRIU` names a folder with one that is not in PATH).
#[must_use]
pub fn criu_path() -> Option<String> {
    let before = std::env::var("RCON_CRIU").map(|dir| format!("{dir}:")).unwrap_or_default();
    let path = format!("{before}{}", std::env::var("PATH").expect("PATH"));
    let done = Command::new("sh").args(["-c", "criu check"]).env("PATH", &path).output().expect("sh");
    if done.status.success() {
        return Some(path);
    }
    eprintln!("not tested: criu is not there, or does not work with this kernel");
    None
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn from(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// stdout without the newline at its end, after checking that the command succeeded.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout.trim_end_matches('\n')
    }

    /// stderr, after checking that the command ended with `code`.
    #[track_caller]
    pub fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        &self.stderr
    }
}

/// One test's world. The calling thread moves into network and mount namespaces of its own, so children that it
/// starts see nothing of other tests. Dropping it checks for leaks, unless the test is already panicking.
pub struct Sandbox {
    dir: PathBuf,
    ids: Mutex<Vec<String>>,
    registries: Mutex<Vec<Registry>>,
    baseline: leaks::Baseline,
}

impl Sandbox {
    /// A fresh sandbox; `name` goes into the paths.
    #[must_use]
    pub fn new(name: &str) -> Self {
        assert_eq!(
            std::env::var("RCON_ISOLATED").as_deref(),
            Ok("1"),
            "run the integration tests by scripts/test.sh, or inside tests/isolate.sh"
        );
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("unshare needs root");
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none).expect("private mounts");
        let dir = PathBuf::from(format!(
            "/var/lib/rcon/test-{name}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(&dir).expect("test folder");
        sh("ip link set lo up
            ip link add host0 type veth peer name host1
            ip link set host1 up; ip addr add 192.0.2.1/24 dev host0; ip link set host0 up
            ip route add default via 192.0.2.254 dev host0");
        let run = dir.join("run");
        std::fs::create_dir(&run).expect("run folder");
        mount(Some("tmpfs"), &run, Some("tmpfs"), MsFlags::empty(), none).expect("run tmpfs");
        let baseline = leaks::Baseline::take();
        let sandbox = Self { dir, ids: Mutex::default(), registries: Mutex::default(), baseline };
        sandbox.write_registries_conf(None);
        sandbox
    }

    /// A sandbox with a plain registry, `docker.io` mirrored to it, so that `busybox` pulls.
    #[must_use]
    pub fn with_registry(name: &str) -> Self {
        let sandbox = Self::new(name);
        sandbox.registry(RegistryKind::Plain);
        sandbox
    }

    /// A sandbox in which these images are in the store already.
    #[must_use]
    pub fn with_images(name: &str, images: &[&str]) -> Self {
        let sandbox = Self::with_registry(name);
        for image in images {
            sandbox.rcon(["pull", "-q", image]).ok();
        }
        sandbox
    }

    /// Runs a container of busybox, with these flags, that sleeps.
    pub fn sleeper(&self, flags: &[&str]) {
        let words = ["run", "-d"].iter().chain(flags).chain(&["busybox", "sleep", "1000"]);
        self.rcon(words).ok();
    }

    /// Folder of this test.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Storage root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Run root.
    #[must_use]
    pub fn run_root(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Starts a registry on its fixed port (5000 plain, 5443 TLS, 5001 basic, 5010 token) and returns `host:port`.
    pub fn registry(&self, kind: RegistryKind) -> String {
        let registry = Registry::start(kind, None);
        let address = registry.address();
        if kind == RegistryKind::Plain {
            self.write_registries_conf(Some(&address));
        }
        self.registries.lock().expect("no test panicked holding it").push(registry);
        address
    }

    /// Starts an empty registry that a test may push to, on 127.0.0.1:`port`.
    pub fn empty_registry(&self, kind: RegistryKind, port: u16) -> String {
        let store = self.dir.join(format!("registry-{port}"));
        std::fs::create_dir_all(&store).expect("registry folder");
        let registry = Registry::start(kind, Some((port, &store)));
        let address = registry.address();
        self.registries.lock().expect("no test panicked holding it").push(registry);
        address
    }

    fn write_registries_conf(&self, mirror: Option<&str>) {
        let mut text = String::from("unqualified-search-registries = [\"docker.io\"]\n");
        if let Some(mirror) = mirror {
            text +=
                &format!("[[registry]]\nprefix = \"docker.io\"\nlocation = \"{mirror}\"\ninsecure = true\n");
        }
        std::fs::write(self.dir.join("registries.conf"), text).expect("registries.conf");
    }

    /// `rcon` with this sandbox's roots and an environment of its own.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(rcon_binary());
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.join("home"))
            .env("RCON_ROOT", self.root())
            .env("RCON_RUNROOT", self.run_root())
            .env("CONTAINERS_REGISTRIES_CONF", self.dir.join("registries.conf"))
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs `rcon ARGS` to its end.
    pub fn rcon<I, S>(&self, args: I) -> Done
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.args(args);
        self.finish(command)
    }

    /// Runs `rcon ARGS` with `input` on stdin.
    pub fn rcon_with_input<I, S>(&self, args: I, input: &[u8]) -> Done
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        use std::io::Write as _;
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rcon starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // The command may end before it has read everything.
            drop(stdin.write_all(&input));
        });
        let done = Done::from(&child.wait_with_output().expect("rcon ends"));
        writer.join().expect("writer");
        self.remember(&done);
        done
    }

    /// Runs a prepared command to its end, noting the container ids that it prints.
    pub fn finish(&self, mut command: Command) -> Done {
        let done = Done::from(&command.output().expect("command starts"));
        self.remember(&done);
        done
    }

    fn remember(&self, done: &Done) {
        let mut ids = self.ids.lock().expect("no test panicked holding it");
        for word in done.stdout.split_whitespace() {
            if word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
                ids.push(word.to_owned());
            }
        }
    }

    /// One field of `inspect --format`.
    #[track_caller]
    pub fn inspect(&self, container: &str, format: &str) -> String {
        self.rcon(["inspect", "--format", format, container]).ok().to_owned()
    }

    /// What is there now that was not there at the beginning.
    pub fn left(&self) -> Vec<String> {
        let ids = self.ids.lock().expect("no test panicked holding it").clone();
        leaks::find(&self.baseline, &self.root(), &self.run_root(), &ids)
    }

    /// Ends the test: removes all containers and volumes, then checks that nothing is left behind.
    fn check(&self) {
        let all = self.rcon(["ps", "-aq", "--no-trunc"]);
        if all.code == 0 && !all.stdout.trim().is_empty() {
            let mut args = vec!["rm", "-f", "-v", "-t", "0"];
            args.extend(all.stdout.split_whitespace());
            self.rcon(args).ok();
        }
        self.registries.lock().expect("no test panicked holding it").clear();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.left();
            if found.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind:\n{}", found.join("\n"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Keep the evidence, end what runs.
            drop(self.command().args(["rm", "-f", "-a", "-t", "0"]).output());
            return;
        }
        self.check();
        nix::mount::umount2(&self.run_root(), nix::mount::MntFlags::MNT_DETACH).ok();
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// Runs a shell text, which must succeed; returns its stdout.
#[track_caller]
pub fn sh(text: &str) -> String {
    let done = Done::from(&Command::new("sh").args(["-ec", text]).output().expect("sh starts"));
    done.ok().to_owned()
}

/// Polls until `check` holds; fails after 20 seconds (times 5 in the VM).
#[track_caller]
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let seconds = if std::env::var_os("RCON_VM").is_some() { 100 } else { 20 };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !check() {
        assert!(Instant::now() < deadline, "not so after {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What comes in time.
#[track_caller]
pub fn wait_until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    eventually("what is waited for", || {
        found = look();
        found.is_some()
    });
    found.expect("eventually fails otherwise")
}

/// Where `tests/fixtures/build.sh` put the images.
#[must_use]
pub fn fixtures() -> PathBuf {
    if let Some(dir) = std::env::var_os("RCON_FIXTURES") {
        return dir.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/build.sh");
    PathBuf::from(sh(script))
}
