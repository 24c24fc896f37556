// SPDX-License-Identifier: GPL-2.0-only
// The kernel's mount interface: filesystem contexts, and what they say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/unique_fd.hh"
#include "mount/options.hh"

namespace qtfs::mount {

// One mount to be made.
struct Plan {
  std::string source;   // as the user wrote it
  std::string target;   // the mount point
  std::string address;  // numeric; empty: the kernel's default
  Options options;
  std::string key;      // empty: none
  bool sloppy = false;  // options that the filesystem does not know are left out
  bool verbose = false;
};

// Both throw a Failure with the kernel's own words.
void make_mount(const Plan& plan);
void change_mount(const Plan& plan);

// Of a message as a context gives it, "e qtfs: text", what the user has to read.
std::string message_text(const std::string& message);

}  // namespace qtfs::mount
