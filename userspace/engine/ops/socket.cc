// SPDX-License-Identifier: GPL-2.0-only
// Connections to the server's unix sockets: the mirror of kmod/socket.c; and sockets that programs
// of a client have bound: that of kmod/bound.c.
//
// A connection is an open: READ and WRITE carry its bytes, wait in the loop like those of a FIFO,
// and hold up nobody else; POLL and RELEASE are those of every open. Only half a close needs an
// operation of its own, SHUTDOWN.
#include "engine/ops/socket.hh"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <vector>

#include "lib/message.hh"

namespace qtfs {

namespace {

constexpr struct {
  uint32_t wire;
  int native;
} kinds[] = {
    {QTFS_SOCKET_STREAM, SOCK_STREAM},
    {QTFS_SOCKET_SEQPACKET, SOCK_SEQPACKET},
    {QTFS_SOCKET_DGRAM, SOCK_DGRAM},
};

// By the socket's magic link: the very object, with the caller's permissions, which is whom the
// other end sees, too.
Result<UniqueFd> connect_as(int fd, int type) {
  UniqueFd made(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!made)
    return Status::last();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, FdPath(fd).c_str(), sizeof(address.sun_path) - 1);
  if (connect(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    return Status::last();
  return made;
}

}  // namespace

std::optional<int> socket_type(uint32_t kind) {
  for (const auto& one : kinds)
    if (one.wire == kind)
      return one.native;
  return std::nullopt;
}

std::optional<uint32_t> socket_kind(int type) {
  for (const auto& one : kinds)
    if (one.native == type)
      return one.wire;
  return std::nullopt;
}

// Who listens decides what kind of socket it is; the wrong one has no effect.
Result<Opened> connect_socket(Call& call, int fd, uint32_t flags) {
  const bool on_thread = call.opener && call.may_block;
  for (const auto& kind : kinds) {
    auto made = connect_as(fd, kind.native | (on_thread ? 0 : SOCK_NONBLOCK));
    if (made && fcntl(made->get(), F_SETFL, O_RDWR | O_NONBLOCK) < 0)
      return Status::last();
    if (made) {
      Opened opened;
      opened.fd = std::move(*made);
      opened.socket = kind.wire;
      return opened;
    }
    // Its queue is full, and nothing else tells when that ends.
    if (made.err() == EAGAIN && !on_thread && !(flags & QTFS_OPEN_NONBLOCK)) {
      call.opener = true;
      call.parks = true;
      return Status::defer();
    }
    if (made.err() != EPROTOTYPE)
      return made.status();
  }
  return Status::error(EPROTOTYPE);
}

Result<UniqueFd> bind_socket(int dir, const std::string& name, uint32_t kind, mode_t mode) {
  const auto type = socket_type(kind);
  if (!type)
    return Status::error(EINVAL);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = std::string(FdPath(dir).c_str()) + "/" + name;
  if (path.size() >= sizeof(address.sun_path))
    return Status::error(EOPNOTSUPP);
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd made(socket(AF_UNIX, *type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The name's mode is that of the socket before it.
  if (!made || fchmod(made.get(), mode) < 0)
    return Status::last();
  if (bind(made.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
    return errno == EADDRINUSE ? Status::error(EEXIST) : Status::last();
  if (*type != SOCK_DGRAM && listen(made.get(), SOMAXCONN) < 0)
    return Status::last();
  return made;
}

Result<Ref<Open>> open_socket(const Call& call, uint64_t wire_open) {
  auto open = call.open(wire_open);
  if (open && !(*open)->socket)
    return Status::error(ENOTSOCK);
  return open;
}

namespace {

std::vector<gid_t> peer_groups(int fd) {
  std::vector<gid_t> groups(NGROUPS_MAX);
  auto len = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &len) < 0)
    len = 0;
  groups.resize(len / sizeof(gid_t));
  return groups;
}

// Whether he who has arrived may still connect: programs take permissions away between bind(2) and
// listen(2), while nobody arrives at their own socket. What capabilities he has nobody tells.
bool may_connect(Call& call, int fd, const ucred& who, int socket_fd) {
  if (who.uid == 0)
    return true;
  Creds& creds = call.context->creds;
  const Ref<const Cred> before = creds.current();
  const Ref<const Cred> he = make_ref<const Cred>(who.uid, who.gid, peer_groups(fd), uint64_t{0});
  const bool may =
      creds.assume(he).ok() && (allowed(socket_fd, "", QTFS_MAY_WRITE, false) & QTFS_MAY_WRITE);
  return creds.assume(before).ok() && may;
}

}  // namespace

Status op_accept(Call& call) {
  const auto body = call.take<qtfs_wire_accept>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto bound = open_socket(call, body->open);
  if (!bound)
    return bound.status();
  if (Status status = call.act(*(*bound)->node); !status)
    return status;
  Opened made;
  made.fd.reset(accept4((*bound)->fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!made.fd)
    return Status::last();
  made.socket = (*bound)->socket;
  ucred who{};
  socklen_t len = sizeof(who);
  if (getsockopt(made.fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
    return Status::last();
  const auto fd = call.fd_of((*bound)->node);
  if (!fd)
    return fd.status();
  if (!may_connect(call, made.fd.get(), who, (*fd)->get()))
    return Status::error(ECONNABORTED);
  const auto attr = fd_attr((*fd)->get(), *(*bound)->node);
  if (!attr)
    return attr.status();
  made.attr = *attr;
  const auto opened = grant_open(call, (*bound)->node, std::move(made),
                                 QTFS_OPEN_CONNECT | QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  if (!opened)
    return opened.status();
  if (const IdMap* ids = (*bound)->node->domain.ids()) {
    who.uid = ids->uids().to_client(who.uid);
    who.gid = ids->gids().to_client(who.gid);
  }
  call.reply.put(qtfs_wire_accepted{*opened, htole32(who.uid), htole32(who.gid)});
  return {};
}

Result<size_t> receive_at(Open& open, std::span<std::byte> to, bool rights) {
  if (open.rights->any_came())
    return Status::error(EBUSY);
  if (!rights)
    return receive(open.fd.get(), to, MSG_DONTWAIT);
  std::vector<UniqueFd> fds;
  const auto got = receive_from(open.fd.get(), *socket_type(open.socket), to, fds);
  if (!got) {
    close_elsewhere(std::move(fds));
    return got.status();
  }
  if (!fds.empty())
    if (Status status = open.rights->came(std::move(fds), got->at); !status)
      return status;
  return got->len;
}

ssize_t send_as(Creds& creds, Open& open, Bytes bytes) {
  const Ref<const Cred> as = creds.current();
  const Speaker speaker = open.passed ? somebody : Speaker{as ? as->uid : 0, as ? as->gid : 0};
  // Only who is root may speak for others.
  std::optional<Privileged> privileged;
  if (open.passed)
    privileged.emplace(creds);
  return open.rights->send([&](std::span<const UniqueFd> fds) {
    return send_as(open.fd.get(), bytes, speaker, MSG_DONTWAIT | MSG_NOSIGNAL, fds);
  });
}

Status op_shutdown(Call& call) {
  const auto body = call.take<qtfs_wire_shutdown>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto open = open_socket(call, body->open);
  if (!open)
    return open.status();
  switch (le32toh(body->how)) {
    case QTFS_SHUT_READ:
      return check(shutdown((*open)->fd.get(), SHUT_RD));
    case QTFS_SHUT_WRITE:
      return check(shutdown((*open)->fd.get(), SHUT_WR));
    case QTFS_SHUT_READ | QTFS_SHUT_WRITE:
      return check(shutdown((*open)->fd.get(), SHUT_RDWR));
    default:
      return Status::error(EINVAL);
  }
}

}  // namespace qtfs
