# SPDX-License-Identifier: GPL-2.0
"""One virtual machine that is a process: user-mode Linux, this machine's / as its root.

Its kernel runs as fast as any program, so one with KASAN and lockdep is several times as fast as
the same in an emulation.
"""
import os
import socket

from . import LabError
from .link import Gone, Link, OutOfTime
from .vm import BOOT_TIMEOUT, PORTS, Vm

# Its root may read this machine's files, and write to none but those of this run: $1, and $2 if it
# is not empty. Each file that it has open takes a descriptor here.
CONFINED = """
for dir in "$1" ${2:+"$2"}; do
	mount --bind "$dir" "$dir" || exit
done
mount -o remount,bind,ro / || exit
ulimit -c 0
ulimit -n "$(ulimit -H -n)"
shift 2
exec "$@"
"""


def memory_dir(run_dir, mebibytes):
    """Where the machine's memory can be a file that is executed: /dev/shm, or else slower."""
    try:
        shm = os.statvfs("/dev/shm")
    except OSError:
        return run_dir
    fits = shm.f_bavail * shm.f_frsize > mebibytes << 20
    return "/dev/shm" if fits and not shm.f_flag & os.ST_NOEXEC else run_dir


class UserMode(Vm):
    def __init__(self, *args):
        super().__init__(*args)
        pairs = [socket.socketpair() for _ in range(PORTS)]
        self.links = [Link(ours) for ours, _ in pairs]
        self.theirs = [theirs for _, theirs in pairs]
        self.results = os.path.realpath(self.options.results) if self.options.results else ""
        if any(c.isspace() for c in self.results):
            raise LabError(f"--results: '{self.results}' cannot be told to a kernel")

    def machine_arguments(self):
        ports = [f"ssl{i}=fd:{s.fileno()}" for i, s in enumerate(self.theirs)]
        return ["console=tty0", "stderr=1", "con0=null,fd:1", "con=null", "ssl=null", *ports,
                f"uml_dir={self.dir}"]

    def command_line(self, settings, devices):
        settings = {**settings, "hostfs": "1"}
        if self.results:
            settings["hostfs_results"] = self.results
        return ["unshare", "--mount", "--propagation", "private",
                "sh", "-c", CONFINED, "sh", self.dir, self.results,
                f"{self.kernel.dir}/vmlinux", f"mem={self.options.memory}M",
                f"initrd={self.kernel.dir}/initrd.gz", *self.kernel_arguments(settings).split()]

    def spawn(self, argv, log, **more):
        with open(self.console, "wb") as console:
            super().spawn(argv, console, pass_fds=[s.fileno() for s in self.theirs],
                          env={**os.environ, "TMPDIR": memory_dir(self.dir, self.options.memory)},
                          **more)
        for sock in self.theirs:
            sock.close()

    def connect(self):
        try:
            for link in self.links:
                link.await_ready(BOOT_TIMEOUT)
        except (Gone, OutOfTime) as e:
            raise LabError(f"{self.name} did not boot\n{self.tail()}") from e
        self.await_agent()
