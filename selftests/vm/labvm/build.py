# SPDX-License-Identifier: GPL-2.0
"""What a run needs from this machine. Everything is quiet unless it fails."""
import contextlib
import fcntl
import os
import subprocess

from . import LabError

VM_DIR = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
REPO = os.path.dirname(os.path.dirname(VM_DIR))
BUILD = f"{REPO}/build"
CACHE = os.environ.get("QTFS_CACHE", "/var/cache/qtfs-lab")
UM = ("um", "um-plain")  # of the kernels those that are user-mode Linux
NO_BUILD = os.environ.get("LAB_NO_BUILD") == "1"


class Kernel:
    """A kernel of the cache, prepared."""

    def __init__(self, name):
        self.name = name
        p = subprocess.run([f"{VM_DIR}/kernels", "get", name], stdout=subprocess.PIPE, text=True,
                           check=False)
        if p.returncode:
            raise LabError(f"no kernel {name}")
        self.dir = p.stdout.strip()
        with open(f"{self.dir}/release", encoding="ascii") as f:
            self.release = f.read().strip()
        self.is_um = name in UM
        self.is_debug = name in ("debug", "um")
        self.modules = None
        if os.path.exists(f"{self.dir}/modules"):
            self.modules = os.path.realpath(f"{self.dir}/modules")


@contextlib.contextmanager
def locked(name):
    """Two labs must not build the same thing at once."""
    os.makedirs(BUILD, exist_ok=True)
    with open(f"{BUILD}/.{name}.lock", "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def run(what, *argv):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                       stdin=subprocess.DEVNULL, env=env, text=True, errors="replace")
    if p.returncode:
        raise LabError(f"cannot build {what}:\n{p.stdout}")


def agent():
    """The program that serves commands in a VM."""
    source, program = f"{VM_DIR}/guest/labd.c", f"{BUILD}/vm/labd"
    with locked("labd"):
        if not newer(program, source):
            os.makedirs(f"{BUILD}/vm", exist_ok=True)
            run("labd", "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o",
                program + ".new", source)
            os.rename(program + ".new", program)
    return program


def newer(product, source):
    try:
        return os.path.getmtime(product) > os.path.getmtime(source)
    except OSError:
        return False


def module(kernel, name="qtfs"):
    """A module for a kernel: a copy of the sources is built, since objects land beside them."""
    tree = f"{BUILD}/modules/{kernel.release}"
    if not NO_BUILD:
        with locked(f"modules-{kernel.release}"):
            os.makedirs(tree, exist_ok=True)
            run("a copy of the module's sources", "rsync", "-a", "--delete",
                "--filter=P *.o", "--filter=P *.ko", "--filter=P .*.cmd", "--filter=P *.mod",
                "--filter=P *.mod.c", "--filter=P modules.order", "--filter=P Module.symvers",
                f"{REPO}/kmod", f"{REPO}/include", tree)
            run(f"the module for {kernel.release}", "make", "-s", "-C", f"{tree}/kmod",
                f"KDIR={kernel.dir}/build", *(["ARCH=um"] if kernel.is_um else []))
    return f"{tree}/kmod/{name}.ko"


def programs():
    """Engine and tools."""
    tree = f"{BUILD}/release"
    if not NO_BUILD:
        with locked("release"):
            if not os.path.exists(f"{tree}/build.ninja"):
                run("the programs", "cmake", "--preset", "release", "-S", f"{REPO}/userspace")
            run("the programs", "cmake", "--build", tree, "--target", "engine", "qtfs-agent", "qtinfo",
                "mount.qtfs", "random_ops")
    return tree


def selftests(say):
    """The C programs among the tests; returns (their folder, kselftest's).

    One that does not compile is a test that fails when it is run, no more.
    """
    p = subprocess.run([f"{VM_DIR}/kernels", "kselftest"], stdout=subprocess.PIPE, text=True,
                       check=False)
    if p.returncode:
        raise LabError("no kselftest")
    kselftest = p.stdout.strip()
    if not NO_BUILD:
        with locked("selftests"):
            try:
                run("every selftest", "make", "-s", "-k", "-C", f"{REPO}/selftests",
                    f"KSELFTEST={kselftest}")
            except LabError as e:
                say(f"{e}\ngoing on; the tests that do not compile will fail")
    return f"{BUILD}/selftests", kselftest
