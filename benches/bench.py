#!/usr/bin/env python3
"""bench.py [SECTION...]: times rcon, podman, docker and the bare runtimes, interleaved, and prints one table.

Called by run.sh inside the namespaces of tests/isolate.sh. Each row runs A, B, C, A, B, C … so that drift of the
machine meets all alike; medians are compared, min and max are shown.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = int(os.environ.get("BENCH_RUNS", "11"))
PEERS = os.environ.get("BENCH_PEERS", "podman docker").split()
FIXTURES = os.environ["RCON_FIXTURES"]
HERE = os.path.dirname(os.path.realpath(__file__))
REGISTRY = "127.0.0.1:5000"
NULL = subprocess.DEVNULL
rows = []


def sh(command, check=True, out=False):
    done = subprocess.run(command, stdin=NULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
        raise SystemExit("bench: %s: %d\n%s" % (" ".join(command), done.returncode, done.stderr))
    return done.stdout.strip() if out else done


class Engine:
    def __init__(self, name, command):
        self.name, self.command = name, command

    def __call__(self, *args, **more):
        return sh(self.command + list(args), **more)

    def pull_args(self, image):
        extra = [] if self.name == "docker" else ["--tls-verify=false"]
        return ["pull", "-q"] + extra + ["%s/%s" % (REGISTRY, image)]


def engines():
    found = [Engine("rcon", [os.environ["RCON"]])]
    if "podman" in PEERS and shutil.which("podman"):
        found.append(Engine("podman", ["podman", "--cgroup-manager=cgroupfs", "--events-backend=none"]))
    if "docker" in PEERS and shutil.which("dockerd"):
        start_docker()
        found.append(Engine("docker", ["docker"]))
    return found


def start_docker():
    config = tempfile.mkdtemp(dir="/run")
    with open(config + "/daemon.json", "w") as f:
        json.dump({"storage-driver": "overlay2", "insecure-registries": [REGISTRY]}, f)
    subprocess.Popen(["dockerd", "--config-file", config + "/daemon.json"], stdin=NULL, stdout=NULL,
                     stderr=open("/run/dockerd.log", "w"))
    for _ in range(300):
        if sh(["docker", "version"], check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise SystemExit("bench: dockerd did not start: " + open("/run/dockerd.log").read()[-2000:])


def timed(function):
    start = time.monotonic()
    function()
    return (time.monotonic() - start) * 1000


def row(name, variants, runs=RUNS):
    """variants: (engine name, function) pairs, run in turn; the first round warms up and does not count."""
    times = {n: [] for n, _ in variants}
    for i in range(runs + 1):
        for n, function in variants:
            t = timed(function)
            if i:
                times[n].append(t)
    rows.append((name, times))
    base = statistics.median(times["rcon"])
    for n, t in times.items():
        m = statistics.median(t)
        print("%-34s %-8s %9.1f ms  (%.1f – %.1f)  %5.1f x" % (name, n, m, min(t), max(t), m / base), flush=True)


def everywhere(found, *args):
    return [(e.name, lambda e=e: e(*args)) for e in found]


def bundle(directory, args):
    """A bundle of the busybox layer for the bare runtimes."""
    os.makedirs(directory + "/rootfs")
    sh(["tar", "-C", directory + "/rootfs", "-xf", FIXTURES + "/layers/busybox.tar"])
    sh(["runc", "spec", "-b", directory])
    path = directory + "/config.json"
    spec = json.load(open(path))
    spec["process"].update(terminal=False, args=args)
    spec["process"].pop("rlimits", None)
    json.dump(spec, open(path, "w"))


def seccomp():
    """The default profile of podman's package in the words of the OCI, for a container without the capabilities in it."""
    profile = json.load(open("/usr/share/containers/seccomp.json"))

    def ours(call):
        yes, no = call.get("includes") or {}, call.get("excludes") or {}
        return not yes.get("caps") and "amd64" in yes.get("arches", ["amd64"]) and "amd64" not in no.get("arches", [])
    plain = [c for c in profile["syscalls"] if ours(c)]
    calls = []
    for c in plain:
        call = {"names": c["names"], "action": c["action"]}
        for optional in ("args", "errnoRet"):
            if c.get(optional):
                call[optional] = c[optional]
        calls.append(call)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": calls}


def runtime_section(found):
    """The OCI runtimes alone, on one prepared bundle with a seccomp filter."""
    runtimes = [("rcon", [os.environ["RCON"], "runtime"])]
    runtimes += [(r, [r]) for r in ("crun", "runc") if PEERS and shutil.which(r)]
    directory = tempfile.mkdtemp(dir="/run")
    for name, args in (("true", ["true"]), ("sleep", ["sleep", "1000"])):
        bundle(directory + "/" + name, args)
        path = directory + "/" + name + "/config.json"
        spec = json.load(open(path))
        spec["linux"]["seccomp"] = seccomp()
        json.dump(spec, open(path, "w"))
    each = lambda work: [(n, lambda c=c: work(c)) for n, c in runtimes]
    quiet = lambda command: subprocess.run(command, stdin=NULL, stdout=NULL, stderr=NULL, check=True)
    runs = RUNS * 3
    row("runtime run true", each(lambda c: quiet(c + ["run", "-b", directory + "/true", "r"])), runs)

    def life(c):
        quiet(c + ["create", "-b", directory + "/true", "l"])
        quiet(c + ["start", "l"])
        quiet(c + ["delete", "-f", "l"])
    row("runtime create + start + delete", each(life), runs)
    for n, c in runtimes:
        quiet(c + ["run", "-d", "-b", directory + "/sleep", "x" + n])
    row("runtime exec true", [(n, lambda n=n, c=c: quiet(c + ["exec", "x" + n, "true"])) for n, c in runtimes], runs)
    for n, c in runtimes:
        quiet(c + ["delete", "-f", "x" + n])


def start_section(found):
    bare = []
    if PEERS:
        directory = tempfile.mkdtemp(dir="/run")
        bundle(directory + "/b", ["true"])
        for runtime in ("crun", "runc"):
            if shutil.which(runtime):
                bare.append((runtime, lambda r=runtime: sh([r, "run", "-b", directory + "/b", "bench"])))
    row("run --rm --network none true", everywhere(found, "run", "--rm", "--network", "none", "busybox", "true") + bare)
    row("run --rm true (default network)", everywhere(found, "run", "--rm", "busybox", "true"))
    row("run --rm -p 18080:80 true", everywhere(found, "run", "--rm", "-p", "18080:80", "busybox", "true"))


def life_section(found):
    for e in found:
        e("rm", "-f", "life", check=False)
    row("create", [(e.name, lambda e=e: e("create", "--name", "life", "busybox", "sleep", "1000"))
                   for e in cleaned(found, "rm", "life")])
    for e in found:
        e("rm", "-f", "life", check=False)
        e("create", "--name", "life", "busybox", "sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait")
    row("start + stop", [(e.name, lambda e=e: (e("start", "life"), e("stop", "life"))) for e in found])
    row("start + kill", [(e.name, lambda e=e: (e("start", "life"), e("kill", "life"), e("wait", "life"))) for e in found])
    for e in found:
        e("rm", "-f", "life")


class cleaned:
    """Iterates over engines whose calls are followed by a clean-up that is timed with them."""

    def __init__(self, found, *after):
        self.found, self.after = found, after

    def __iter__(self):
        for e in self.found:
            class Both:
                name = e.name

                def __call__(self, *args, e=e, after=self.after):
                    e(*args)
                    e(*after)
            yield Both()


def exec_section(found):
    for e in found:
        e("run", "-d", "--name", "ex", "busybox", "sleep", "1000")
    row("exec true", everywhere(found, "exec", "ex", "true"))
    for e in found:
        e("rm", "-f", "-t", "0", "ex") if e.name != "docker" else e("rm", "-f", "ex")


def ps_section(found):
    row("--version", everywhere(found, "--version"))
    for count in (5, 300):
        for e in found:
            have = len(e("ps", "-aq", out=True).split())
            for _ in range(count - have):
                e("create", "busybox", "true")
        row("ps -a of %d" % count, everywhere(found, "ps", "-a"))
    for e in found:
        ids = e("ps", "-aq", out=True).split()
        e("rm", *ids)


def parallel_section(found):
    def burst(e):
        script = 'seq 50 | xargs -P 8 -I{} "$@" run -d --name p{} busybox sleep 1000 >/dev/null'
        sh(["sh", "-c", script, "sh"] + e.command)

    def clear(e):
        zero = [] if e.name == "docker" else ["-t", "0"]
        e("rm", "-f", *zero, *["p%d" % i for i in range(1, 51)])
    times = {e.name: ([], []) for e in found}
    for _ in range(max(2, RUNS // 4)):
        for e in found:
            times[e.name][0].append(timed(lambda: burst(e)))
            times[e.name][1].append(timed(lambda: clear(e)))
    for i, name in enumerate(("50 x run -d, 8 at once", "rm -f of the 50")):
        base = statistics.median(times["rcon"][i])
        for n, t in times.items():
            m = statistics.median(t[i])
            print("%-34s %-8s %9.1f ms  (%.1f – %.1f)  %5.1f x" % (name, n, m, min(t[i]), max(t[i]), m / base), flush=True)


def memory_section(found):
    words = {"rcon": "__monitor", "podman": "conmon", "docker": "containerd-shim"}
    for e in found:
        for i in range(10):
            e("run", "-d", "--name", "m%d" % i, "busybox", "sleep", "1000")
        time.sleep(1)
        pss, private, n = 0, 0, 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if words[e.name] not in open("/proc/%s/cmdline" % pid).read().replace("\0", " "):
                    continue
                lines = dict(l.split(":", 1) for l in open("/proc/%s/smaps_rollup" % pid).read().splitlines()[1:])
            except (OSError, IndexError):
                continue
            n += 1
            pss += int(lines["Pss"].split()[0])
            private += int(lines["Private_Dirty"].split()[0]) + int(lines["Private_Clean"].split()[0])
        if n:
            print("%-34s %-8s %9.0f KB PSS, %.0f KB private (%d processes)"
                  % ("idle supervisor, ten running", e.name, pss / n, private / n, n), flush=True)
        zero = [] if e.name == "docker" else ["-t", "0"]
        e("rm", "-f", *zero, *["m%d" % i for i in range(10)])


def pull_section(found):
    for image in ("twelve", "twelve-zstd"):
        able = [e for e in found if not (image.endswith("zstd") and e.name == "docker")]
        variants = []
        for e in able:
            def pull(e=e):
                # Both hold the same layers: with either one left nothing would be pulled.
                for other in ("twelve", "twelve-zstd"):
                    e("rmi", "-f", "%s/%s" % (REGISTRY, other), check=False)
                sh(["sync", "-f", "/var/lib/rcon"])
                return timed(lambda: e(*e.pull_args(image)))
            variants.append((e.name, pull))
        times = {n: [] for n, _ in variants}
        for i in range(max(3, RUNS // 3) + 1):
            for n, function in variants:
                spent = function()
                if i:
                    times[n].append(spent)
        base = statistics.median(times["rcon"])
        for n, t in times.items():
            m = statistics.median(t)
            print("%-34s %-8s %9.1f ms  (%.1f – %.1f)  %5.1f x"
                  % ("cold pull, 12 layers" + (" zstd" if "zstd" in image else " gzip"), n, m, min(t), max(t), m / base), flush=True)


SECTIONS = {"start": start_section, "life": life_section, "exec": exec_section, "runtime": runtime_section, "ps": ps_section,
            "parallel": parallel_section, "memory": memory_section, "pull": pull_section}


def main():
    wanted = sys.argv[1:] or list(SECTIONS)
    for w in wanted:
        if w not in SECTIONS:
            raise SystemExit("bench: no section %s; there are %s" % (w, " ".join(SECTIONS)))
    registry = subprocess.Popen([HERE + "/../tests/fixtures/registry.sh", "plain", "5000", FIXTURES], stdin=NULL, stdout=NULL, stderr=NULL)
    try:
        for _ in range(100):
            if sh(["curl", "-fs", "http://%s/v2/" % REGISTRY], check=False).returncode == 0:
                break
            time.sleep(0.1)
        found = engines()
        for e in found:
            for image in ("busybox", "nginx"):
                e(*e.pull_args(image))
                e("tag", "%s/%s" % (REGISTRY, image), image if e.name != "podman" else "localhost/" + image)
        print("%s, %d processors, %d runs a row" % (os.uname().release, os.cpu_count(), RUNS))
        for w in wanted:
            SECTIONS[w](found)
    finally:
        registry.terminate()


main()
