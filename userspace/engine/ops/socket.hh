// SPDX-License-Identifier: GPL-2.0-only
// Connections to the server's unix sockets, and sockets that programs of a client have bound.
#pragma once

#include "engine/ops/ops.hh"

namespace qtfs {

// Connects to who listens at the socket behind @fd, with the thread's credentials. Defers to a
// thread of its own where the listener's queue is full.
Result<Opened> connect_socket(Call& call, int fd, uint32_t flags);

// Makes a socket of a kind, QTFS_SOCKET_*, under a name, and listens there. EOPNOTSUPP where that
// cannot be.
Result<UniqueFd> bind_socket(int dir, const std::string& name, uint32_t kind, mode_t mode);

// A connection, or a socket that is bound; ENOTSOCK.
Result<Ref<Open>> open_socket(const Call& call, uint64_t wire_open);

// SOCK_* of a QTFS_SOCKET_*, and the other way round.
std::optional<int> socket_type(uint32_t kind);
std::optional<uint32_t> socket_kind(int type);

// What has come, or one message. With @rights descriptors may come along, which wait in
// open.rights.
Result<size_t> receive_at(Open& open, std::span<std::byte> to, bool rights);

// Sends, together with what open.rights has to go, with the thread's credential, which the receiver
// may ask for (SCM_CREDENTIALS): the kernel would say who the engine is. As send(2).
ssize_t send_as(Creds& creds, Open& open, Bytes bytes);

}  // namespace qtfs
