// SPDX-License-Identifier: GPL-2.0-only
#include "lib/message.hh"

#include <unistd.h>

#include <array>
#include <cstring>

namespace qtfs {

namespace {

constexpr size_t rights_max = 253;  // SCM_MAX_FD

struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(rights_max * sizeof(int))];
};

#ifndef SCM_PIDFD
#define SCM_PIDFD 0x04  // Linux 6.5
#endif

void take_rights(const cmsghdr& head, std::vector<UniqueFd>& rights) {
  const size_t count = (head.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; i++) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&head) + i * sizeof(fd), sizeof(fd));
    rights.emplace_back(fd);
  }
}

// The next message's room in @control, after what @message has already.
void put_control(msghdr& message, Control& control, int type, const void* data, size_t len) {
  message.msg_control = control.bytes;
  auto* head = reinterpret_cast<cmsghdr*>(control.bytes + message.msg_controllen);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = type;
  head->cmsg_len = CMSG_LEN(len);
  std::memcpy(CMSG_DATA(head), data, len);
  message.msg_controllen += CMSG_SPACE(len);
}

}  // namespace

Result<size_t> receive(int socket, std::span<std::byte> to, int flags, ucred* who,
                       std::vector<UniqueFd>* rights) {
  Control control;
  iovec iov{to.data(), to.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  // Without room for descriptors the kernel makes none, and says so.
  message.msg_control = who || rights ? control.bytes : nullptr;
  message.msg_controllen = rights ? sizeof(control.bytes) : who ? CMSG_LEN(sizeof(ucred)) : 0;
  const ssize_t got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  if (got < 0)
    return Status::last();
  std::vector<UniqueFd> unwanted;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET)
      continue;
    if (who && head->cmsg_type == SCM_CREDENTIALS)
      std::memcpy(who, CMSG_DATA(head), sizeof(*who));
    if (rights && head->cmsg_type == SCM_RIGHTS)
      take_rights(*head, *rights);
    if (head->cmsg_type == SCM_PIDFD)
      take_rights(*head, unwanted);
  }
  if (message.msg_flags & MSG_CTRUNC)
    return Status::error(EOPNOTSUPP);
  if (message.msg_flags & MSG_TRUNC)
    return Status::error(EMSGSIZE);
  return static_cast<size_t>(got);
}

namespace {

// A system call for each of so many bytes at a time.
constexpr size_t slow_max = 512;

struct Ahead {
  size_t len = 0;
  bool more_than_bytes = false;
};

// What would be received; nothing is.
Result<Ahead> look_ahead(int socket, std::span<std::byte> to) {
  iovec iov{to.data(), to.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  const ssize_t got = recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0)
    return Status::last();
  return Ahead{static_cast<size_t>(got), (message.msg_flags & MSG_CTRUNC) != 0};
}

Result<Received> receive_stream(int socket, std::span<std::byte> to,
                                std::vector<UniqueFd>& rights) {
  Received received;
  while (received.len < to.size()) {
    const auto rest = to.subspan(received.len);
    const auto ahead = look_ahead(socket, rest);
    if (!ahead && received.len == 0)
      return ahead.status();
    if (!ahead || ahead->len == 0)
      break;
    // The kernel joins bytes with what follows them and has descriptors; that some are far ahead it
    // tells, but not where: byte by byte until they come. Others are for the next time.
    const bool slow = ahead->more_than_bytes;
    if (slow && (!rights.empty() || received.len >= slow_max))
      break;
    const auto got =
        receive(socket, rest.first(slow ? 1 : ahead->len), MSG_DONTWAIT, nullptr, &rights);
    if (!got)
      return got.status();
    if (slow && !rights.empty())
      received.at = received.len;
    received.len += *got;
    if (!slow)
      break;
  }
  return received;
}

}  // namespace

Result<Received> receive_from(int socket, int type, std::span<std::byte> to,
                              std::vector<UniqueFd>& rights) {
  if (type == SOCK_STREAM)
    return receive_stream(socket, to, rights);
  const auto got = receive(socket, to, MSG_DONTWAIT, nullptr, &rights);
  if (!got)
    return got.status();
  return Received{*got, 0};
}

std::optional<int> connection_type(int socket) {
  int type = 0;
  socklen_t len = sizeof(type);
  sockaddr_storage peer{};
  socklen_t peer_len = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
      getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &peer_len) < 0 ||
      (type != SOCK_STREAM && type != SOCK_SEQPACKET))
    return std::nullopt;
  return type;
}

bool is_unix(int socket) {
  int domain = 0;
  socklen_t len = sizeof(domain);
  return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

ssize_t send_as(int socket, std::span<const std::byte> bytes, Speaker as, int flags,
                std::span<const UniqueFd> rights) {
  const ucred who{getpid(), as.uid, as.gid};
  Control control;
  iovec iov{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (rights.size() > rights_max) {
    errno = E2BIG;
    return -1;
  }
  put_control(message, control, SCM_CREDENTIALS, &who, sizeof(who));
  if (!rights.empty()) {
    std::array<int, rights_max> fds{};
    for (size_t i = 0; i < rights.size(); i++)
      fds[i] = rights[i].get();
    put_control(message, control, SCM_RIGHTS, fds.data(), rights.size() * sizeof(int));
  }
  return sendmsg(socket, &message, flags);
}

}  // namespace qtfs
