// SPDX-License-Identifier: GPL-2.0-only
// What arrives at a unix socket, and what is sent there.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/result.hh"

namespace qtfs {

// What has come, or one message; 0 at the end. EMSGSIZE for a message that is longer, EOPNOTSUPP
// for one that brings descriptors, which is lost either way. @flags:
// recvmsg(2)'s. With @who, of a socket with SO_PASSCRED, its sender.
Result<size_t> receive(int socket, std::span<std::byte> to, int flags, ucred* who = nullptr);

// Whom a message is said to be from.
struct Speaker {
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// As send(2), from this process and @as: who wants to know (SO_PASSCRED) would be told else who the
// thread really is.
ssize_t send_as(int socket, std::span<const std::byte> bytes, Speaker as, int flags);

}  // namespace qtfs
