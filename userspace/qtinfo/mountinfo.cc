// SPDX-License-Identifier: GPL-2.0-only
#include "qtinfo/mountinfo.hh"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace qtfs::qtinfo {

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

// Comparable form of a path; no symbolic link is followed, as that may ask a lost server.
std::string normal(const std::string& path) {
  auto out = std::filesystem::absolute(path).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/')
    out.pop_back();
  return out;
}

}  // namespace

std::vector<MountPoint> parse_mountinfo(std::istream& in) {
  std::vector<MountPoint> out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string id, parent, dev, root, where, flags, field, type, source, options;
    fields >> id >> parent >> dev >> root >> where >> flags;
    while (fields >> field && field != "-") {
    }
    if (!(fields >> type >> source >> options) || type != "qtfs")
      continue;
    MountPoint point{.where = unescape(where), .options = unescape(options)};
    if (std::sscanf(dev.c_str(), "%u:%u", &point.dev_major, &point.dev_minor) == 2)
      out.push_back(point);
  }
  return out;
}

std::vector<MountPoint> read_mountinfo() {
  std::ifstream in("/proc/self/mountinfo");
  return parse_mountinfo(in);
}

uint32_t find_mount(netlink::Qtfs& qtfs, const std::string& text) {
  uint32_t id = 0;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (err == std::errc{} && end == text.data() + text.size() && id > 0)
    return id;

  const std::string where = normal(text);
  for (const auto& point : read_mountinfo()) {
    if (point.where != where)
      continue;
    for (const auto& mount : qtfs.mounts())
      if (mount.dev_major == point.dev_major && mount.dev_minor == point.dev_minor)
        return mount.id;
    throw netlink::Error(ENOENT, text + ": mounted from another network namespace");
  }
  throw netlink::Error(ENOENT, text + ": not a mount point of qtfs, nor the id of a mount");
}

}  // namespace qtfs::qtinfo
