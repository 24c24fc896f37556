// SPDX-License-Identifier: GPL-2.0-only
// A client that has come as far as a file, and the requests that are measured on it.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "lib/client.hh"

namespace qtfs {

// The result, or an exception that says what went wrong.
template <typename T>
T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(std::strerror(result.err()));
  return std::move(*result);
}
void must(Status status);

struct FileClient {
  // @name in @dir, which the engine on @port of 127.0.0.1 exports.
  FileClient(uint16_t port, const std::string& dir, const std::string& name);

  std::vector<std::byte> getattr() const;
  std::vector<std::byte> read(uint32_t count) const;
  std::vector<std::byte> write(const std::string& bytes) const;

  Client client;
  uint64_t dir = 0;
  uint64_t node = 0;
  uint64_t open = 0;  // for reading and writing
};

// Bytes of the answers.
constexpr size_t getattr_answer = sizeof(qtfs_wire_rep) + sizeof(qtfs_wire_attr);
constexpr size_t write_answer = sizeof(qtfs_wire_rep) + sizeof(qtfs_wire_write_rep);
constexpr size_t read_answer(size_t count) {
  return sizeof(qtfs_wire_rep) + sizeof(qtfs_wire_read_rep) + count;
}

}  // namespace qtfs
