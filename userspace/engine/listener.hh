// SPDX-License-Identifier: GPL-2.0-only
// Listening sockets: addresses as users write them.
#pragma once

#include <string>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

struct Listening {
  UniqueFd fd;
  uint16_t port = 0;
  bool loopback = false;
};

// "127.0.0.1:12345", "[::1]:12345". The error text says what is wrong.
Result<Listening> open_listener(const std::string& address, std::string& error);
// Whether an address is this machine's own only; false for what cannot be parsed.
bool is_loopback(const std::string& address);
std::string peer_name(int fd);

}  // namespace qtfs
