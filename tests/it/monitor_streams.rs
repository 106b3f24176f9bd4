//! Streams of a container: separate, complete, half-closed; several clients; a slow or dead one blocks nobody;
//! terminals with their size and the keys that leave them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::rootfs::busybox;
use crate::support::{Sandbox, eventually};

fn run(sandbox: &Sandbox, flags: &[&str], script: &str) -> Command {
    let mut command = sandbox.command();
    command.args(["run", "--network", "none"]).args(flags);
    command.arg("--rootfs").arg(busybox(sandbox)).args(["sh", "-c", script]);
    command
}

#[test]
fn streams_are_separate_and_the_exit_code_is_the_process_s() {
    let sandbox = Sandbox::new("streams");
    let done = sandbox.finish(run(&sandbox, &["--rm"], "echo out; echo err >&2; exit 7"));
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (7, "out\n", "err\n"));
}

#[test]
fn input_ends_and_megabytes_go_both_ways() {
    let sandbox = Sandbox::new("input");
    let root = busybox(&sandbox);
    let root = root.to_str().expect("a plain path");
    let data: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut child = sandbox
        .command()
        .args(["run", "--rm", "-i", "--network", "none", "--rootfs", root, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rcon starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let sent = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).expect("all is taken"));
    let output = child.wait_with_output().expect("rcon ends");
    writer.join().expect("the writer ends");
    assert!(output.status.success());
    assert!(output.stdout == data, "{} of {} bytes came back", output.stdout.len(), data.len());

    sandbox.rcon(["run", "-d", "--name", "c", "--network", "none", "--rootfs", root, "sleep", "100"]).ok();
    let file = sandbox.dir().join("data");
    std::fs::write(&file, &data).expect("data");
    let out = sandbox.dir().join("out");
    // Files are never handed to a container: both ends are relayed.
    let status = sandbox
        .command()
        .args(["exec", "-i", "c", "cat"])
        .stdin(File::open(&file).expect("data"))
        .stdout(File::create(&out).expect("out"))
        .status()
        .expect("rcon runs");
    assert!(status.success());
    assert!(std::fs::read(&out).expect("out") == data);
    let links = sandbox.rcon_with_input(["exec", "-i", "c", "sh", "-c", "ls -l /proc/self/fd"], b"");
    assert!(!links.ok().contains("/data"), "{}", links.stdout);
}

#[test]
fn a_client_that_does_not_read_blocks_nobody() {
    let sandbox = Sandbox::new("slow");
    let script = "while [ ! -e /tmp/go ]; do echo soon; sleep 0.05; done; yes 0123456789abcde | head -c 4000000; \
        touch /tmp/done; sleep 100";
    sandbox.finish(run(&sandbox, &["-d", "--name", "c"], script)).ok();
    let attach = |name: &str| {
        let mut command = sandbox.command();
        command.args(["attach", "--no-stdin", name]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("rcon starts")
    };
    let mut slow = attach("c");
    let mut quick = attach("c");
    // Both are attached when they have read something.
    let mut from_quick = quick.stdout.take().expect("a pipe");
    for stream in [&mut from_quick, slow.stdout.as_mut().expect("a pipe")] {
        stream.read_exact(&mut [0; 1]).expect("a line");
    }
    let reader = std::thread::spawn(move || {
        // A short rest, as a terminal takes at a burst, costs nothing.
        std::thread::sleep(Duration::from_millis(400));
        let lines = BufReader::new(from_quick).lines().map_while(Result::ok);
        lines.filter(|line| line == "0123456789abcde").take(250_000).count()
    });
    sandbox.rcon(["exec", "c", "touch", "/tmp/go"]).ok();
    eventually("the container writes on", || {
        sandbox.rcon(["exec", "c", "test", "-e", "/tmp/done"]).code == 0
    });
    assert_eq!(reader.join().expect("the reader ends"), 250_000, "everything came");
    eventually("the log has everything", || {
        let log = sandbox.rcon(["logs", "c"]).stdout;
        log.lines().filter(|line| *line == "0123456789abcde").count() == 250_000
    });
    // The slow one is told, and ends.
    drop(slow.stdout.take());
    let _gone = slow.kill();
    let _ended = (slow.wait(), quick.kill(), quick.wait());
}

#[test]
fn the_client_that_started_it_gets_everything_however_slowly_it_reads() {
    let sandbox = Sandbox::new("backpressure");
    let script = "yes 0123456789abcde | head -c 3000000; exit 4";
    let mut child = run(&sandbox, &["--rm"], script).stdout(Stdio::piped()).spawn().expect("rcon starts");
    std::thread::sleep(Duration::from_millis(500));
    let mut all = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut all).expect("readable");
    assert_eq!(all.len(), 3_000_000);
    assert_eq!(child.wait().expect("rcon ends").code(), Some(4));
}

#[test]
fn a_killed_client_leaves_the_container_alone() {
    let sandbox = Sandbox::new("deadclient");
    let script = "while :; do echo tick; sleep 0.05; done";
    let mut child =
        run(&sandbox, &["--name", "c"], script).stdout(Stdio::piped()).spawn().expect("rcon starts");
    let mut first = [0; 5];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut first).expect("output");
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    let before = sandbox.rcon(["logs", "c"]).stdout.len();
    eventually("it goes on", || sandbox.rcon(["logs", "c"]).stdout.len() > before);
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
}

#[test]
fn signals_reach_the_process() {
    let sandbox = Sandbox::new("sigproxy");
    let script =
        "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.02; done";
    let mut child = run(&sandbox, &["--rm"], script).stdout(Stdio::piped()).spawn().expect("rcon starts");
    let mut out = child.stdout.take().expect("a pipe");
    let mut expect = |text: &str| {
        let mut got = vec![0; text.len()];
        out.read_exact(&mut got).expect("output");
        assert_eq!(String::from_utf8_lossy(&got), text);
    };
    expect("ready\n");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).expect("it is there");
    expect("usr1\n");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is there");
    expect("term\n");
    assert_eq!(child.wait().expect("rcon ends").code(), Some(9));
}

#[test]
fn input_of_a_detached_container_stays_open() {
    let sandbox = Sandbox::new("stdinopen");
    sandbox
        .finish(run(&sandbox, &["-d", "-i", "--name", "c"], "while read l; do echo got $l; done; echo end"))
        .ok();
    for word in ["one", "two"] {
        let mut attach = sandbox
            .command()
            .args(["attach", "c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        writeln!(attach.stdin.as_mut().expect("a pipe"), "{word}").expect("written");
        drop(attach.stdin.take());
        eventually("it is heard", || sandbox.rcon(["logs", "c"]).stdout.contains(&format!("got {word}")));
        let _gone = (attach.kill(), attach.wait());
    }
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
}

/// A terminal with `rcon` on it.
struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let pty = nix::pty::openpty(
            Some(&nix::pty::Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 }),
            None,
        )
        .expect("a pty");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a copy"));
        command.stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        let child = command.spawn().expect("rcon starts");
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&pty.master, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("non-blocking");
        Self { master: File::from(pty.master), child, seen: String::new() }
    }

    fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", self.seen);
            match self.master.read(&mut buffer) {
                Ok(n) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        let at = self.seen.find(text).expect("just found") + text.len();
        self.seen.drain(..at);
    }

    fn resize(&self, rows: u16, cols: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).expect("a terminal");
        // The kernel tells only the terminal's foreground group, and this is no session leader's terminal.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGWINCH).expect("it is there");
    }

    fn code(&mut self) -> Option<i32> {
        self.child.wait().expect("rcon ends").code()
    }
}

#[test]
fn a_terminal_is_left_and_come_back_to() {
    let sandbox = Sandbox::new("terminal");
    let mut first = Terminal::start(run(&sandbox, &["-it", "--name", "c"], "exec sh"));
    first.send("echo $((40+2)); test -t 0 && echo is-a-tty; stty size\n");
    first.until("42\r\n");
    first.until("is-a-tty");
    first.until("33 77");
    first.resize(20, 50);
    // The size travels by itself: ask until it is there.
    first.send("while [ \"$(stty size)\" != '20 50' ]; do sleep 0.05; done; echo re\"\"sized\n");
    first.until("resized");
    first.send("\x10\x11");
    assert_eq!(first.code(), Some(0));
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
    let mut again = sandbox.command();
    again.args(["attach", "c"]);
    let mut second = Terminal::start(again);
    // The prompt is there again without a key.
    second.until("# ");
    second.send("echo ba\"\"ck; exit 3\n");
    second.until("back");
    assert_eq!(second.code(), Some(3));
}

/// docker ends with 1 when it leaves what another command has started, podman with 0.
#[test]
fn who_leaves_what_others_started_is_told() {
    let sandbox = Sandbox::new("leaving");
    sandbox.finish(run(&sandbox, &["-dit", "--name", "c"], "exec sh")).ok();
    for (words, podman, code) in [
        (&["attach", "c"][..], false, 1),
        (&["exec", "-it", "c", "sh"], false, 1),
        (&["attach", "c"], true, 0),
        (&["exec", "-it", "c", "sh"], true, 0),
    ] {
        let mut command =
            if podman { crate::podman_manner::called(&sandbox, "podman") } else { sandbox.command() };
        command.args(words);
        let mut terminal = Terminal::start(command);
        terminal.until("# ");
        terminal.send("\x10\x11");
        if !podman {
            terminal.until("read escape sequence");
        }
        assert_eq!(terminal.code(), Some(code), "{words:?}");
    }
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
}

#[test]
fn other_detach_keys() {
    let sandbox = Sandbox::new("detachkeys");
    let mut first =
        Terminal::start(run(&sandbox, &["-it", "--detach-keys", "ctrl-x,y", "--name", "c"], "exec sh"));
    first.send("echo $((40+2))\n");
    first.until("42\r\n");
    first.send("\x10\x11echo $((50+3))\n");
    first.until("53\r\n");
    first.send("\x18y");
    assert_eq!(first.code(), Some(0));
    assert_eq!(sandbox.inspect("c", "{{.State.Running}}"), "true");
}

#[test]
fn exec_with_a_terminal() {
    let sandbox = Sandbox::new("exectty");
    sandbox.finish(run(&sandbox, &["-d", "--name", "c"], "sleep 1000")).ok();
    let mut command = sandbox.command();
    command.args(["exec", "-it", "c", "sh"]);
    let mut terminal = Terminal::start(command);
    terminal.send("echo $((40+2)); stty size; tty\n");
    terminal.until("42\r\n");
    terminal.until("33 77");
    terminal.until("/dev/pts/");
    terminal.send("exit 6\n");
    assert_eq!(terminal.code(), Some(6));
}
