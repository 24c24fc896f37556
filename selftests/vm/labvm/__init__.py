# SPDX-License-Identifier: GPL-2.0
"""What selftests/vm/lab is made of.

options   the command line
build     everything a run needs from this machine: kernel, module, programs
vm        one virtual machine
um        one that is a process, not an emulation
ivshmem   memory that two machines share
link      commands run in it
checks    what its kernel log must not have, leaks, the module's unloading
lab       the run: boot, engine, mount, command, checks
"""


class LabError(Exception):
    """The lab's own failure, as opposed to the command's."""
