// SPDX-License-Identifier: GPL-2.0-only
// What arrives at a unix socket, and what is sent there.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// What has come, or one message; 0 at the end. EMSGSIZE for a message that is longer, EOPNOTSUPP
// for one that brings descriptors where there is no @rights to add them to, or more than this
// process can have; it is lost either way, and what did come is in @rights. @flags: recvmsg(2)'s.
// With @who, of a socket with SO_PASSCRED, its sender.
Result<size_t> receive(int socket, std::span<std::byte> to, int flags, ucred* who = nullptr,
                       std::vector<UniqueFd>* rights = nullptr);

struct Received {
  size_t len = 0;
  size_t at = 0;  // the descriptors came with this byte, not with those before it
};

// The same of a socket of @type, SOCK_*, without waiting.
Result<Received> receive_from(int socket, int type, std::span<std::byte> to,
                              std::vector<UniqueFd>& rights);

// SOCK_STREAM or SOCK_SEQPACKET, of a socket that is connected; none of others. That the other end
// of one for datagrams is closed nobody is told.
std::optional<int> connection_type(int socket);

// Whether it can carry descriptors.
bool is_unix(int socket);

// Whom a message is said to be from.
struct Speaker {
  uint32_t uid = 0;
  uint32_t gid = 0;
};
// Where that is not known.
inline constexpr Speaker somebody{65534, 65534};

// As send(2), from this process and @as: who wants to know (SO_PASSCRED) would be told else who the
// thread really is. @rights, of which there are as many as the kernel takes at most, go along.
ssize_t send_as(int socket, std::span<const std::byte> bytes, Speaker as, int flags,
                std::span<const UniqueFd> rights = {});

}  // namespace qtfs
