// SPDX-License-Identifier: GPL-2.0-only
// Mounts on the server: mount -o remote.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qtfs::mount {

// What the server's kernel gets of mount -o.
struct Remote {
  std::string type;     // fstype=
  std::string options;  // the others, as they were written
};

// Nothing where "remote" is not among the options. Throws a Failure.
std::optional<Remote> parse_remote(std::string_view options);

// On the server, on what it has as @target here. Both throw a Failure with its kernel's own words.
void mount_remote(const std::string& source, const std::string& target, const Remote& remote);
void unmount_remote(const std::string& target);

}  // namespace qtfs::mount
