// SPDX-License-Identifier: GPL-2.0-only
// What arrives at a unix socket.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>

#include "lib/result.hh"

namespace qtfs {

// What has come, or one message; 0 at the end. EMSGSIZE for a message that is longer, EOPNOTSUPP
// for one that brings descriptors, which is lost either way. @flags:
// recvmsg(2)'s. With @who, of a socket with SO_PASSCRED, its sender.
Result<size_t> receive(int socket, std::span<std::byte> to, int flags, ucred* who = nullptr);

}  // namespace qtfs
