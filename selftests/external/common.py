# SPDX-License-Identifier: GPL-2.0
"""What the runners of public suites share. They run on the client, in the lab, as root."""
import ctypes
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
MNT = os.environ.get("MNT", "/mnt/host")
RESULTS = "/results"  # the lab's --results
LIMIT = 1200  # seconds, on ext4; over qtfs it is SLOWER times what that took, and a minute
SLOWER = 10
SAID_MAX = 20  # lines of a failure


def on_host(command):
    return subprocess.run(["on-host", command], capture_output=True, text=True, check=True,
                          errors="replace").stdout


def expected(suite, words=1):
    """{what, in so many words: why}, of the suite's file of that name."""
    out = {}
    with open(f"{HERE}/{suite}/expected", encoding="ascii") as f:
        for line in f:
            if not line.startswith("#") and line.strip():
                *what, why = line.split(None, words)
                out[" ".join(what)] = why.strip()
    return out


def own_ext4(place):
    """Makes a folder on an ext4 of this machine: one of its own, where it is not the server."""
    os.makedirs(place, exist_ok=True)
    subprocess.run(["modprobe", "-q", "loop"], check=False)
    if os.environ["QTFS_HOST_IP"] != os.environ["QTFS_CLIENT_IP"]:
        image = f"/tmp/{os.path.basename(place)}.ext4"
        make = f"truncate -s 512M {image} && mkfs.ext4 -q {image} && mount -o loop {image} {place}"
        subprocess.run(make, shell=True, check=True)


def places(suite):
    """Folders: on ext4 itself, on the server's over qtfs, and the server's name of that."""
    place = f"/srv/{suite}"
    own_ext4(place)
    for where in (f"{place}/local", f"{MNT}{place}/over"):
        os.makedirs(where)
    return f"{place}/local", f"{MNT}{place}/over", f"{place}/over"


class Results:
    """What has ended, and what was begun: tests take hours, and may take the machine with them."""

    def __init__(self, name):
        self.done, self.begun = {}, {}
        self.name, self.file = name, None
        if not os.path.ismount(RESULTS):
            return
        self.file = open(f"{RESULTS}/{name}", "a+", encoding="utf-8")
        self.file.seek(0)
        text = self.file.read()
        if text and not text.endswith("\n"):  # the machine ended while it wrote
            self.file.write("\n")
        for line in text.splitlines():
            try:
                self.take(json.loads(line))
            except ValueError:
                pass

    def take(self, result):
        test = result["test"]
        if result["state"] == "begun":
            self.begun[test] = self.begun.get(test, 0) + 1
        else:
            self.done[test] = result

    def write(self, **result):
        self.take(result)
        if self.file:
            self.file.write(json.dumps(result) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())

    def keep(self, test, **outputs):
        if self.file:
            folder = f"{RESULTS}/{self.name}.d"
            os.makedirs(folder, exist_ok=True)
            for where, text in outputs.items():
                with open(f"{folder}/{test.replace('/', '.')}.{where}", "w",
                          encoding="utf-8") as f:
                    f.write(text)


class Tap:
    """Prints it, and counts."""

    def __init__(self, suite, count):
        self.suite, self.number, self.failures = suite, 0, []
        self.sums = {"passed": 0, "failed": 0, "skipped": 0}
        print(f"1..{count}", flush=True)

    def add(self, test, state, why, said):
        self.number += 1
        self.sums[state] += 1
        if state == "failed":
            self.failures += [f"# {test}: {why}", *(f"#   {line}" for line in said)]
        mark = "not ok" if state == "failed" else "ok"
        skip = "SKIP " if state == "skipped" else ""
        print(f"{mark} {self.number} {test} # {skip}{why}", flush=True)

    def end(self):
        """Says what failed; the exit status."""
        sums = ", ".join(f"{count} {state}" for state, count in self.sums.items())
        print(*self.failures, f"# {self.suite}: {sums}", sep="\n", flush=True)
        return 1 if self.sums["failed"] or not self.sums["passed"] else 0


def run_each(suite, tests, verdict, results):
    """Those that have not ended in a run before; the exit status. verdict(test): (state, why, what
    was said)."""
    excused, tap = expected(suite), Tap(suite, len(tests))
    for test in tests:
        if test not in results.done:
            if results.begun.get(test, 0) > 1:
                state, why, said = "failed", "twice the machine ended while it ran", []
            else:
                results.write(test=test, state="begun")
                state, why, said = verdict(test)
            results.write(test=test, state=state, why=why, said=said)
        result = results.done[test]
        state, why = result["state"], result["why"]
        if state == "failed" and test in excused:
            state, why = "skipped", f"expected: {excused[test]}"
        tap.add(test, state, why, result["said"])
    return tap.end()


@dataclasses.dataclass
class Run:
    """How a program ended."""
    status: int | None  # None: killed by us
    seconds: float
    text: str

    def how(self):
        if self.status is None:
            return f"killed after {self.seconds:.0f} s"
        return f"signal {-self.status}" if self.status < 0 else f"status {self.status}"

    def end(self):
        return self.text.splitlines()[-SAID_MAX:]

    def limit_over_qtfs(self):
        return SLOWER * self.seconds + 60


def run(argv, limit, cwd=None, env=None):
    """Runs a program, and ends all that it left behind."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to us
    since = time.monotonic()
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=out, stderr=out, start_new_session=True) as process:
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                status = None
            seconds = time.monotonic() - since
            left = kill_all()
        out.seek(0)
        text = out.read().decode(errors="replace")
    if left:
        status, text = None, f"{text}\ncannot be killed: {' '.join(left)}\n"
    return Run(status, seconds, text)


def descendants():
    """{pid: name}; the orphans among them are ours, too."""
    parents, names = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        parents[int(pid)], names[int(pid)] = int(rest.split()[1]), name
    found, new = set(), {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in new} - found:
        found |= new
    return {pid: names[pid] for pid in found}


def kill_all():
    """Ends what a test left behind; the names of what does not end."""
    for _ in range(100):
        left = descendants()
        if not left:
            return []
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while reap():
            pass
        time.sleep(0.1)
    return sorted(left.values())


def reap():
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def unmount_below(directory):
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        mounts = [line.split()[1] for line in f]
    for mount in reversed(mounts):
        if mount.startswith(directory + "/"):
            subprocess.run(["umount", "-l", mount], check=False)
