# SPDX-License-Identifier: GPL-2.0
"""Shared memory with doorbells between the machines: the server that QEMU's
ivshmem-doorbell device asks for memory, its own number, and who else is there
(docs/specs/ivshmem-spec.rst of QEMU). Debian packages none.

Every message is a 64-bit number, some with a descriptor.
"""
import array
import os
import socket
import struct
import threading

VERSION = 0
VECTORS = 16


class Server:
    def __init__(self, path, size):
        self.path = path
        self.memory = os.memfd_create("ivshmem", os.MFD_CLOEXEC)
        os.ftruncate(self.memory, size)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.lock = threading.Lock()  # protects peers
        self.peers = {}  # number: (socket, its doorbells)
        self.next = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                number, self.next = self.next, self.next + 1
                self.greet(peer, number)
            threading.Thread(target=self.serve, args=(peer, number), daemon=True).start()

    def greet(self, peer, number):
        bells = [os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(VECTORS)]
        send(peer, VERSION)
        send(peer, number)
        send(peer, -1, self.memory)
        for other, (there, theirs) in self.peers.items():
            introduce(there, number, bells)
            introduce(peer, other, theirs)
        introduce(peer, number, bells)
        self.peers[number] = (peer, bells)

    def serve(self, peer, number):
        """Until it hangs up: the others are told."""
        try:
            while peer.recv(64):
                pass
        except OSError:
            pass
        with self.lock:
            _, bells = self.peers.pop(number)
            for there, _ in self.peers.values():
                send(there, number)
        for bell in bells:
            os.close(bell)
        peer.close()

    def close(self):
        self.listener.close()
        os.close(self.memory)


def introduce(to, number, bells):
    for bell in bells:
        send(to, number, bell)


def send(to, number, fd=None):
    ancillary = []
    if fd is not None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    try:
        to.sendmsg([struct.pack("<q", number)], ancillary)
    except OSError:
        pass  # it is about to be noticed


def device(path):
    """For QEMU's command line."""
    return ["-chardev", f"socket,id=shm,path={path}",
            "-device", f"ivshmem-doorbell,chardev=shm,vectors={VECTORS}"]


def plain(path, size):
    """The same memory without doorbells: a file that both map."""
    return ["-object", f"memory-backend-file,id=shm,share=on,mem-path={path},size={size}",
            "-device", "ivshmem-plain,memdev=shm"]
