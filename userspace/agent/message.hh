// SPDX-License-Identifier: GPL-2.0-only
// What a program of this machine sends.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <vector>

#include "lib/result.hh"

namespace qtfs::agent {

// Longer messages are not passed on.
constexpr size_t message_max = 262144;

// What has come, or one message; 0 at the end. EMSGSIZE for a message that is longer, EOPNOTSUPP
// for one that brings descriptors, which is lost either way. With @who, sockets of SO_PASSCRED, its
// sender.
Result<size_t> receive(int socket, std::vector<std::byte>& to, ucred* who = nullptr);

}  // namespace qtfs::agent
