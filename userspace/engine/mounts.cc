// SPDX-License-Identifier: GPL-2.0-only
#include "engine/mounts.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <climits>

namespace qtfs {

namespace {

std::optional<uint64_t> mount_of(int fd) {
  struct statx stx {};
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
    return std::nullopt;
  return stx.stx_mnt_id;
}

// qtfs itself, or what stands for it in a mount table of our own.
bool is_qtfs_mount(const MountInfo& mount) {
  return mount.type == "qtfs" || mount.source == Mounts::stand_in;
}

// What follows @top in @path, which is below it; with the slash, if anything.
std::string rest_of(const std::string& path, const std::string& top) {
  return top == "/" ? (path == "/" ? "" : path) : path.substr(top.size());
}

bool is_within(const std::string& path, const std::string& top) {
  return top == "/" || path == top || is_below(path, top);
}

std::string joined(const std::string& top, const std::string& rest) {
  return rest.empty() ? top : top == "/" ? rest : top + rest;
}

}  // namespace

std::string path_below(const std::string& dir, const std::string& name) {
  return dir == "/" ? dir + name : dir + "/" + name;
}

std::optional<std::string> path_of(int fd) {
  std::array<char, PATH_MAX> path;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t len = readlink(link.c_str(), path.data(), path.size());
  if (len <= 0 || static_cast<size_t>(len) >= path.size())
    return std::nullopt;
  return std::string(path.data(), static_cast<size_t>(len));
}

Result<std::string> read_whole(int fd) {
  std::string text;
  std::array<char, 16384> chunk;
  ssize_t got = 0;
  while ((got = pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(text.size()))) > 0)
    text.append(chunk.data(), static_cast<size_t>(got));
  if (got < 0)
    return Status::last();
  return text;
}

Status Mounts::open() {
  std::lock_guard guard(mutex_);
  file_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file_)
    return Status::last();
  generation_ = 1;
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
  const auto text = read_whole(file_.get());
  if (!text)
    return;
  mounts_ = parse_mountinfo(*text);
  any_qtfs_ = std::any_of(mounts_.begin(), mounts_.end(), is_qtfs_mount);
  generation_.fetch_add(1, std::memory_order_release);
}

const MountInfo* Mounts::top_at(uint64_t parent, const std::string& point) const {
  const MountInfo* found = nullptr;
  for (size_t i = 0; i < mounts_.size(); i++) {
    const MountInfo& mount = mounts_[i];
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
  const MountInfo* top = top_at(*mount, path_below(*path, name));
  return top && is_qtfs_mount(*top);
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
  const std::string prefix = path_below(*path, "");
  for (const MountInfo& candidate : mounts_) {
    if (candidate.point.compare(0, prefix.size(), prefix) != 0)
      continue;
    const std::string name = candidate.point.substr(prefix.size());
    if (name.empty() || name.find('/') != name.npos)
      continue;
    const MountInfo* top = top_at(*mount, candidate.point);
    if (top && is_qtfs_mount(*top))
      names.push_back(name);
  }
  return names;
}

// The mount with that number, if @path is on it; without a number, what is seen at @path.
const MountInfo* Mounts::mount_at(const std::string& path, std::optional<uint64_t> id) const {
  const MountInfo* on = nullptr;
  // The last of those that are stacked on one place is seen.
  for (const MountInfo& mount : mounts_)
    if (is_within(path, mount.point) &&
        (id ? mount.id == *id : !on || mount.point.size() >= on->point.size()))
      on = &mount;
  return on;
}

std::optional<Mounts::Sight> Mounts::sight_on(const std::string& path, const MountInfo* on) const {
  if (!on)
    return std::nullopt;
  Sight sight;
  sight.places.push_back(path);
  sight.type = on->type;
  sight.within = joined(on->root, rest_of(path, on->point));
  for (const MountInfo& mount : mounts_) {
    if (mount.dev_major != on->dev_major || mount.dev_minor != on->dev_minor ||
        !is_within(sight.within, mount.root))
      continue;
    std::string place = joined(mount.point, rest_of(sight.within, mount.root));
    if (place != path)
      sight.places.push_back(std::move(place));
  }
  return sight;
}

std::optional<Mounts::Sight> Mounts::sight_of(const std::string& path, int fd) {
  const auto id = mount_of(fd);
  std::lock_guard guard(mutex_);
  refresh_locked();
  return sight_on(path, mount_at(path, id));
}

std::optional<Mounts::Sight> Mounts::sight_of_name(const std::string& path, int dir) {
  const auto id = mount_of(dir);
  std::lock_guard guard(mutex_);
  refresh_locked();
  const MountInfo* on = mount_at(path, id);
  const MountInfo* top = on && id ? top_at(on->id, path) : nullptr;
  return sight_on(path, top ? top : on);
}

}  // namespace qtfs
