// SPDX-License-Identifier: GPL-2.0-only
#include "lib/mountinfo.hh"

#include <cstdio>
#include <sstream>

namespace qtfs {

namespace {

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

// Spaces, tabs, newlines and backslashes are written as \ooo there.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::vector<MountInfo> parse_mountinfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    std::istringstream fields(line);
    MountInfo mount;
    std::string dev, root, point, field, source, options;
    fields >> mount.id >> mount.parent >> dev >> root >> point >> mount.flags;
    while (fields >> field && field != "-") {
    }
    // A source may be empty: then the options stand in its place.
    if (!(fields >> mount.type >> source) ||
        std::sscanf(dev.c_str(), "%u:%u", &mount.dev_major, &mount.dev_minor) != 2)
      continue;
    fields >> options;
    mount.root = unescape(root);
    mount.point = unescape(point);
    mount.source = unescape(source);
    mount.options = unescape(options);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

bool is_below(std::string_view path, std::string_view top) {
  return path.size() > top.size() && path.substr(0, top.size()) == top && path[top.size()] == '/';
}

}  // namespace qtfs
