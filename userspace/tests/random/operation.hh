// SPDX-License-Identifier: GPL-2.0-only
// One call of a random sequence. What it acts on does not depend on those before it: any part of a
// sequence is a sequence, too.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace qtfs {

enum class Kind : uint8_t {
  open,
  tmpfile,
  close,
  read,
  write,
  append,
  seek,
  truncate,
  ftruncate,
  fallocate,
  copy,
  map,
  fsync,
  fstat,
  linkfd,
  stat,
  readlink,
  readdir,
  mkdir,
  rmdir,
  unlink,
  rename,
  link,
  symlink,
  chmod,
  utimens,
  setxattr,
  getxattr,
  removexattr,
  listxattr,
  forget,
};

struct Operation {
  Kind kind{};
  unsigned handle = 0;
  unsigned other = 0;  // another handle
  std::string path;
  std::string to;       // another path
  unsigned choice = 0;  // which of its kind's flags
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t value = 0;  // what data is made of

  std::string text() const;
};

constexpr unsigned handle_count = 6;

// The sequence of a seed.
std::vector<Operation> make_operations(uint64_t seed, size_t count);

}  // namespace qtfs
