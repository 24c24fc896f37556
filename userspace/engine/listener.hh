// SPDX-License-Identifier: GPL-2.0-only
// Listening sockets: addresses as users write them.
#pragma once

#include <string>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

struct Listening {
  UniqueFd fd;
  uint32_t port = 0;
  bool guarded = false;  // loopback or vsock: no network leads there
};

// "127.0.0.1:12345", "[::1]:12345", "vsock:any:12345", "vsock:2:12345"; a port 0 is any free one.
// The error text says what is wrong.
Result<Listening> open_listener(const std::string& address, std::string& error);
// As it would be written for a listener.
std::string peer_name(int fd);
// Whether MSG_WAITALL may ask for any amount: of vsock, for no more than its buffer holds.
bool takes_waitall(int fd);

}  // namespace qtfs
