// SPDX-License-Identifier: GPL-2.0-only
// Connections to the server's unix sockets: the mirror of kmod/socket.c.
//
// A connection is an open: READ and WRITE carry its bytes, wait in the loop like those of a FIFO,
// and hold up nobody else; POLL and RELEASE are those of every open. Only half a close needs an
// operation of its own, SHUTDOWN.
#include "engine/ops/socket.hh"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

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

ssize_t send_as(const Creds& creds, const Open& open, Bytes bytes) {
  const Ref<const Cred>& as = creds.current();
  const ucred who{getpid(), as ? as->uid : 0, as ? as->gid : 0};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(who))] = {};
  iovec iov{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_CREDENTIALS;
  head->cmsg_len = CMSG_LEN(sizeof(who));
  std::memcpy(CMSG_DATA(head), &who, sizeof(who));
  return sendmsg(open.fd.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

Status op_shutdown(Call& call) {
  const auto body = call.take<qtfs_wire_shutdown>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if (!(*open)->socket)
    return Status::error(ENOTSOCK);
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
