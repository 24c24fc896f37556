// SPDX-License-Identifier: GPL-2.0-only
#include "tests/random/operation.hh"

#include <fmt/format.h>

#include <iterator>

namespace qtfs {

namespace {

// How often, against the others.
struct Weight {
  Kind kind;
  const char* name;
  unsigned weight;
};

constexpr Weight weights[] = {
    {Kind::open, "open", 14},
    {Kind::tmpfile, "tmpfile", 1},
    {Kind::close, "close", 4},
    {Kind::read, "read", 10},
    {Kind::write, "write", 14},
    {Kind::append, "append", 5},
    {Kind::seek, "seek", 4},
    {Kind::truncate, "truncate", 3},
    {Kind::ftruncate, "ftruncate", 4},
    {Kind::fallocate, "fallocate", 4},
    {Kind::copy, "copy", 3},
    {Kind::map, "map", 4},
    {Kind::fsync, "fsync", 2},
    {Kind::fstat, "fstat", 5},
    {Kind::linkfd, "linkfd", 1},
    {Kind::stat, "stat", 8},
    {Kind::readlink, "readlink", 2},
    {Kind::readdir, "readdir", 4},
    {Kind::mkdir, "mkdir", 6},
    {Kind::rmdir, "rmdir", 3},
    {Kind::unlink, "unlink", 5},
    {Kind::rename, "rename", 8},
    {Kind::link, "link", 4},
    {Kind::symlink, "symlink", 3},
    {Kind::chmod, "chmod", 3},
    {Kind::utimens, "utimens", 2},
    {Kind::setxattr, "setxattr", 3},
    {Kind::getxattr, "getxattr", 3},
    {Kind::removexattr, "removexattr", 1},
    {Kind::listxattr, "listxattr", 2},
    {Kind::forget, "forget", 1},
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}

  uint64_t below(uint64_t bound) { return engine_() % bound; }

  Kind kind() {
    unsigned sum = 0;
    for (const Weight& w : weights)
      sum += w.weight;
    uint64_t at = below(sum);
    for (const Weight& w : weights) {
      if (at < w.weight)
        return w.kind;
      at -= w.weight;
    }
    return Kind::stat;
  }

  // Few names, so that operations meet.
  std::string path() {
    static constexpr const char* names[] = {"a", "b", "c", "d"};
    std::string path = names[below(std::size(names))];
    while (below(5) < 2 && path.size() < 5)
      path += std::string("/") + names[below(std::size(names))];
    if (below(100) == 0)
      path += std::string(254 + below(2), 'n');  // NAME_MAX is 255, and one is there
    return path;
  }

  // Borders of pages and blocks more often than others.
  uint64_t size(uint64_t most) {
    const uint64_t any = below(most);
    switch (below(4)) {
      case 0:
        return any & ~uint64_t{4095};
      case 1:
        return any % 64;
      default:
        return any;
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace

std::string Operation::text() const {
  const char* name = "?";
  for (const Weight& w : weights)
    if (w.kind == kind)
      name = w.name;
  return fmt::format("{} handle={},{} path={} to={} choice={} offset={} length={} value={}", name,
                     handle, other, path, to, choice, offset, length, value);
}

std::vector<Operation> make_operations(uint64_t seed, size_t count) {
  Dice dice(seed);
  std::vector<Operation> operations(count);
  for (Operation& op : operations) {
    op.kind = dice.kind();
    op.handle = static_cast<unsigned>(dice.below(handle_count));
    op.other = static_cast<unsigned>(dice.below(handle_count));
    op.path = dice.path();
    op.to = dice.path();
    op.choice = static_cast<unsigned>(dice.below(64));
    op.offset = dice.size(100000);
    op.length = dice.size(30000);
    op.value = dice.below(256);
  }
  return operations;
}

}  // namespace qtfs
