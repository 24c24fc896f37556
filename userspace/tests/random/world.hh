// SPDX-License-Identifier: GPL-2.0-only
// A directory in which operations are made, and what they say.
#pragma once

#include <array>
#include <string>

#include "lib/unique_fd.hh"
#include "tests/random/operation.hh"

namespace qtfs {

class World {
 public:
  // In a directory that exists and is empty.
  explicit World(const std::string& root);

  // Makes the operation. What came of it, in words that are the same on any filesystem that does
  // what POSIX and Linux say.
  std::string apply(const Operation& op);
  // Everything that is there, in the order of names.
  std::string tree();

 private:
  std::string open(const Operation& op);
  std::string transfer(const Operation& op);
  std::string seek(const Operation& op);
  std::string allocate(const Operation& op);
  std::string copy(const Operation& op);
  std::string map(const Operation& op);
  std::string names(const Operation& op);
  std::string attributes(const Operation& op);
  std::string xattrs(const Operation& op);
  std::string list(const std::string& path) const;
  std::string describe(const std::string& path) const;
  int fd(unsigned handle) const { return handles_[handle].get(); }
  // A path for the calls that want one, below the root.
  std::string full(const std::string& path) const { return root_ + "/" + path; }

  std::string root_;
  UniqueFd dir_;
  std::array<UniqueFd, handle_count> handles_;
};

}  // namespace qtfs
