// SPDX-License-Identifier: GPL-2.0-only
// mount's -o: what is the kernel's, the filesystem's, and this helper's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qtfs::mount {

struct Option {
  std::string key;
  std::optional<std::string> value;
};

struct Options {
  // For the filesystem, in the order given; superblock flags such as "ro" are among them.
  std::vector<Option> filesystem;
  uint64_t attributes = 0;        // MOUNT_ATTR_* to set
  uint64_t attributes_clear = 0;  // and to clear, on a remount
  std::string server;             // server=, a name or an address
  std::string channel;            // trans=
  std::string key_file;           // psk=, psk-file=
  bool remount = false;
};

// Splits at commas; a value between double quotes may hold commas, the quotes go.
std::vector<Option> split_options(std::string_view text);

// Whose options they are: those of any filesystem may be named as the helper's own.
enum class For : unsigned char { qtfs, any };

// Sorts them out; later options override earlier ones. Throws a Failure.
Options parse_options(std::string_view text, For whom = For::qtfs);

}  // namespace qtfs::mount
