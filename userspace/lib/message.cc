// SPDX-License-Identifier: GPL-2.0-only
#include "lib/message.hh"

#include <unistd.h>

#include <cstring>

namespace qtfs {

Result<size_t> receive(int socket, std::span<std::byte> to, int flags, ucred* who) {
  // No room for descriptors: the kernel makes none, and says so.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec iov{to.data(), to.size()};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = who ? control : nullptr;
  message.msg_controllen = who ? CMSG_LEN(sizeof(ucred)) : 0;
  const ssize_t got = recvmsg(socket, &message, flags);
  if (got < 0)
    return Status::last();
  if (message.msg_flags & MSG_CTRUNC)
    return Status::error(EOPNOTSUPP);
  if (message.msg_flags & MSG_TRUNC)
    return Status::error(EMSGSIZE);
  const cmsghdr* head = who ? CMSG_FIRSTHDR(&message) : nullptr;
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS)
    std::memcpy(who, CMSG_DATA(head), sizeof(*who));
  return static_cast<size_t>(got);
}

ssize_t send_as(int socket, std::span<const std::byte> bytes, Speaker as, int flags) {
  const ucred who{getpid(), as.uid, as.gid};
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
  return sendmsg(socket, &message, flags);
}

}  // namespace qtfs
