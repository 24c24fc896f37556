// SPDX-License-Identifier: GPL-2.0-only
// Mounts of qtfs on this machine, by the kernel's mount interface.
#pragma once

#include <string>

#include "lib/mount_options.hh"

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

}  // namespace qtfs::mount
