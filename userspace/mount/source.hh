// SPDX-License-Identifier: GPL-2.0-only
// What is mounted: the first argument of mount(8).
#pragma once

#include <string>
#include <string_view>

namespace qtfs::mount {

// "/srv", "host:/srv", "[2001:db8::1]:/srv", with "tcp:" before the latter two; "vsock:2:/srv".
struct Source {
  std::string channel;  // empty: not named
  std::string host;     // empty: the module's default; without brackets; of vsock, a CID
  std::string path;     // absolute
};

// Throws a Failure that says what is wrong.
Source parse_source(std::string_view text);

}  // namespace qtfs::mount
