# SPDX-License-Identifier: GPL-2.0
"""The command line of selftests/vm/lab."""
import argparse
import sys

from .build import UM

DESCRIPTION = """\
Boots two virtual machines, `host` with the engine, which exports its /, and
`dpu`, where that is mounted at /mnt/host; runs COMMAND on the dpu, as root, in
the current directory. This machine's files are visible in both, and what they
write vanishes with them. `on-host COMMAND` there runs a shell command on the
host, like ssh. Afterwards unmounts, unloads the module and looks for warnings
of both kernels."""

EPILOG = """\
exit status: COMMAND's; 1 when only the checks after it failed; 124 when it ran
out of time; 125 when the lab itself failed."""


class Parser(argparse.ArgumentParser):
    """Like its base, with the lab's exit status."""

    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(125, f"lab: {message}\n")


def parse(argv):
    p = Parser(prog="lab", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False,
               formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kernel", default="6.12", help="6.1, 6.12 (default), debug, um (debug as user-mode Linux, needs --one), "
                        "um-plain (the same without debugging, for long suites), or a Debian release")
    p.add_argument("--host-kernel", metavar="KERNEL",
                   help="of the host, if another (with debug, which only the client needs: 6.12)")
    p.add_argument("--channel", default="tcp",
                   choices=["tcp", "vsock", "pcie", "pcie-plain"],
                   help="how the two talk (tcp); vsock needs --one, pcie needs two; pcie-plain: "
                        "without doorbells")
    p.add_argument("--one", action="store_true", help="one virtual machine is both ends")
    p.add_argument("--timeout", type=float, default=600, metavar="S", help="for COMMAND (600)")
    p.add_argument("--memory", type=mebibytes, metavar="M", help="of each machine, in MiB")
    p.add_argument("--smp", type=int, default=1, metavar="N",
                   help="processors of each (1), which take turns")
    p.add_argument("--engine-args", default="", metavar="ARGS", help="more arguments of the engine")
    p.add_argument("--mount-options", default="", metavar="OPTS", help="for mount -o")
    p.add_argument("--results", metavar="DIR", help="a folder, to appear writable as /results")
    p.add_argument("--bare", action="store_true", help="no engine, no module, no mount")
    p.add_argument("--shell", action="store_true", help="a prompt on the dpu instead of COMMAND")
    p.add_argument("--verbose", action="store_true", help="kernel consoles to stderr")
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND [ARG...]")
    o = p.parse_args(argv)
    if o.command[:1] == ["--"]:
        o.command = o.command[1:]
    if o.shell and o.command:
        p.error("--shell takes no COMMAND")
    if not o.shell and not o.command:
        p.error("which COMMAND?")
    if o.kernel in UM and not o.one:
        p.error(f"--kernel {o.kernel} needs --one: user-mode Linux has no network link to another")
    if o.channel == "vsock" and not o.one:
        p.error("--channel vsock needs --one: without vhost-vsock QEMU connects no two machines "
                "by vsock; one machine talks to itself over the kernel's loopback")
    if o.channel.startswith("pcie") and o.one:
        p.error("--channel pcie connects two machines")
    if o.shell and not sys.stdin.isatty():
        p.error("--shell needs a terminal")
    return complete(o)


def mebibytes(text):
    return int(text[:-1] if text[-1:] in "Mm" else text)


def complete(o):
    if o.host_kernel is None:
        o.host_kernel = "6.12" if o.kernel == "debug" else o.kernel
    if o.memory is None:
        o.memory = 2048 if o.kernel in ("debug", *UM) else 1536
    return o
