# SPDX-License-Identifier: GPL-2.0
"""The network filesystems to compare with: how a host serves /srv/bench, and how a client mounts
a folder of it. Each with its default options, unless that would be unfair to it."""
import dataclasses

BENCH = "/srv/bench"


@dataclasses.dataclass(frozen=True)
class Peer:
    words: str          # for people
    serve: str          # on the host, in a shell; KEYS is a folder with ssh's
    mount: str          # on the client, in a shell; {ip}, {name} of the folder, {at}, {keys}
    type: str           # as /proc/mounts has it
    packages: tuple = ()  # of Debian, that nothing else here needs


# The longest request is what the kernel itself chooses from 4 GiB of memory up.
# Nobody has a lock or an open file to reclaim, so the time for that may end.
# The export is its own root: the machine's, an overlay, cannot be one.
NFSD = f"""
[ ! -e /proc/fs/nfsd/versions ] || exit 0
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /var/lib/nfs/v4recovery /run/rpc_pipefs
rpcbind </dev/null >/dev/null 2>&1 || true
echo 1048576 >/proc/fs/nfsd/max_block_size
exportfs -o rw,sync,no_subtree_check,no_root_squash,fsid=0 10.0.0.0/24:{BENCH}
rpc.nfsd --host 0.0.0.0 8
echo Y >/proc/fs/nfsd/v4_end_grace
rpc.mountd --port 20048 </dev/null >/dev/null 2>&1
"""

# A client of its own: one machine has one connection, or four, to one server.
NCONNECT = """
ip netns add four
ip link add link eth0 name four0 netns four type macvlan mode bridge
ip -n four addr add 10.0.0.44/24 dev four0
ip -n four link set four0 up
ip -n four link set lo up
nsenter --net=/run/netns/four mount -t nfs -o vers=4.2,nconnect=4 {ip}:/{name} {at}
"""

# It wants a name of who connects.
DIOD = f"""
echo 10.0.0.2 dpu >>/etc/hosts
setsid diod --foreground --no-auth --listen 0.0.0.0:564 --export {BENCH} --logdest syslog \
	</dev/null >/tmp/diod.log 2>&1 &
until ss -Htln 'sport = :564' | grep -q .; do sleep 0.1; done
"""

KSMBD = f"""
modprobe ksmbd
mkdir -p /etc/ksmbd /run
printf '[global]\\nserver string = bench\\n[bench]\\npath = {BENCH}\\nread only = no\\nforce user = root\\n' \
	>/etc/ksmbd/ksmbd.conf
ksmbd.adduser -a root -p bench </dev/null >/dev/null 2>&1
setsid ksmbd.mountd </dev/null >/tmp/ksmbd.log 2>&1
until ss -Htln 'sport = :445' | grep -q .; do sleep 0.1; done
"""

SSHD = """
mkdir -p /run/sshd
/usr/sbin/sshd -h KEYS/host -o AuthorizedKeysFile=KEYS/client.pub -o StrictModes=no -o UsePAM=no \
	-o PermitRootLogin=yes </dev/null >/tmp/sshd.log 2>&1
"""

NFS4 = "mount -t nfs -o vers=4.2 {ip}:/{name} {at}"
PEERS = {
    "nfs": Peer("NFSv4.2", NFSD, NFS4, "nfs4"),
    "nfs4x": Peer("NFSv4.2, nconnect=4", NFSD, NCONNECT, "nfs4"),
    "nfs3": Peer("NFSv3", NFSD, "mount -t nfs -o vers=3,nolock,proto=tcp,mountport=20048,"
                 f"mountproto=tcp {{ip}}:{BENCH}/{{name}} {{at}}", "nfs"),
    # Its default is no cache at all.
    "9p": Peer("9p (diod)", DIOD, "mount -t 9p -o trans=tcp,version=9p2000.L,uname=root,"
               f"access=any,cache=loose,aname={BENCH} {{ip}} {{at}}", "9p", ("diod",)),
    "cifs": Peer("CIFS (ksmbd)", KSMBD, "mount -t cifs -o username=root,password=bench "
                 "//{ip}/bench {at}", "cifs", ("ksmbd-tools", "cifs-utils")),
    "sshfs": Peer("sshfs", SSHD, "sshfs -o IdentityFile={keys}/client,StrictHostKeyChecking=no,"
                  f"UserKnownHostsFile=/dev/null root@{{ip}}:{BENCH}/{{name}} {{at}}",
                  "fuse.sshfs", ("sshfs", "openssh-server", "openssh-client")),
}
# Those that mount all of /srv/bench.
WHOLE = ("9p", "cifs")


def place(name, at):
    """Where the files of this peer are, when it is mounted at @at."""
    return f"{at}/{name}" if name in WHOLE else at
