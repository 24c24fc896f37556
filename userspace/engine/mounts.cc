// SPDX-License-Identifier: GPL-2.0-only
#include "engine/mounts.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <climits>
#include <optional>
#include <sstream>

namespace qtfs {

namespace {

// mountinfo writes blanks and the like as \ooo.
std::string unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      int code = 0;
      const auto parsed = std::from_chars(&text[i + 1], &text[i + 4], code, 8);
      if (parsed.ptr == &text[i + 4]) {
        out += static_cast<char>(code);
        i += 3;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

std::optional<std::string> path_of(int fd) {
  std::array<char, PATH_MAX> path;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t len = readlink(link.c_str(), path.data(), path.size());
  if (len <= 0 || static_cast<size_t>(len) >= path.size())
    return std::nullopt;
  return std::string(path.data(), static_cast<size_t>(len));
}

std::optional<uint64_t> mount_of(int fd) {
  struct statx stx {};
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
    return std::nullopt;
  return stx.stx_mnt_id;
}

std::string below(const std::string& dir, const std::string& name) {
  return dir == "/" ? dir + name : dir + "/" + name;
}

}  // namespace

Status Mounts::open() {
  std::lock_guard guard(mutex_);
  file_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file_)
    return Status::last();
  generation_ = 1;
  std::string text;
  refresh_locked();
  return {};
}

void Mounts::refresh() {
  std::lock_guard guard(mutex_);
  refresh_locked();
}

void Mounts::refresh_locked() {
  pollfd poll_fd{file_.get(), POLLPRI, 0};
  const bool changed = poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLPRI | POLLERR));
  if (!changed && !mounts_.empty())
    return;
  std::string text;
  std::array<char, 16384> chunk;
  off_t offset = 0;
  ssize_t got = 0;
  while ((got = pread(file_.get(), chunk.data(), chunk.size(), offset)) > 0) {
    text.append(chunk.data(), static_cast<size_t>(got));
    offset += got;
  }
  parse(text);
  generation_.fetch_add(1, std::memory_order_release);
}

void Mounts::parse(const std::string& text) {
  mounts_.clear();
  any_qtfs_ = false;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    std::istringstream fields(line);
    Mount mount;
    std::string dev, root, point, type;
    if (!(fields >> mount.id >> mount.parent >> dev >> root >> point))
      continue;
    const size_t dash = line.find(" - ");
    if (dash == line.npos)
      continue;
    std::istringstream(line.substr(dash + 3)) >> type;
    mount.point = unescape(point);
    mount.qtfs = type == "qtfs";
    any_qtfs_ |= mount.qtfs;
    mounts_.push_back(std::move(mount));
  }
}

const Mounts::Mount* Mounts::top_at(uint64_t parent, const std::string& point) const {
  const Mount* found = nullptr;
  for (size_t i = 0; i < mounts_.size(); i++) {
    const Mount& mount = mounts_[i];
    if (mount.parent == parent && mount.id != parent && mount.point == point) {
      found = &mount;
      parent = mount.id;
      i = static_cast<size_t>(-1);  // what is stacked on it may stand before it
    }
  }
  return found;
}

bool Mounts::is_qtfs(int dir, const std::string& name) {
  std::lock_guard guard(mutex_);
  refresh_locked();
  if (!any_qtfs_)
    return false;
  const auto path = path_of(dir);
  const auto mount = mount_of(dir);
  if (!path || !mount)
    return true;
  const Mount* top = top_at(*mount, below(*path, name));
  return top && top->qtfs;
}

std::vector<std::string> Mounts::qtfs_names(int dir) {
  std::lock_guard guard(mutex_);
  refresh_locked();
  std::vector<std::string> names;
  if (!any_qtfs_)
    return names;
  const auto path = path_of(dir);
  const auto mount = mount_of(dir);
  if (!path || !mount)
    return names;
  const std::string prefix = below(*path, "");
  for (const Mount& candidate : mounts_) {
    if (candidate.point.compare(0, prefix.size(), prefix) != 0)
      continue;
    const std::string name = candidate.point.substr(prefix.size());
    if (name.empty() || name.find('/') != name.npos)
      continue;
    const Mount* top = top_at(*mount, candidate.point);
    if (top && top->qtfs)
      names.push_back(name);
  }
  return names;
}

}  // namespace qtfs
