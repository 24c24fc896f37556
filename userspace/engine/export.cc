// SPDX-License-Identifier: GPL-2.0-only
#include "engine/export.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/node.hh"
#include "engine/procfs.hh"
#include "qtfs/wire.h"

namespace qtfs {

namespace {

UniqueFd openat2_path(int dir, const char* name, uint64_t resolve) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, dir, name, &how, sizeof(how))));
}

// Components of an absolute path; nothing when it has "..".
std::optional<std::vector<std::string>> split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
    if (part == "..")
      return std::nullopt;
    if (!part.empty() && part != ".")
      parts.emplace_back(part);
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts) {
  std::string path;
  for (const std::string& part : parts)
    path += "/" + part;
  return path;
}

// How many components of @parts the export's path takes; nothing when it is not above them.
std::optional<size_t> covers(const Export& exported, const std::vector<std::string>& parts) {
  const auto own = split(exported.path);
  if (!own || own->size() > parts.size() || !std::equal(own->begin(), own->end(), parts.begin()))
    return std::nullopt;
  return own->size();
}

// What is walked into from above is served as the export above says: one below it that allows less
// would only seem to protect anything.
std::string conflict(const std::vector<Export>& exports) {
  for (const Export& inner : exports) {
    const auto parts = split(inner.path);
    for (const Export& outer : exports) {
      if (&outer == &inner || !covers(outer, *parts))
        continue;
      const std::string above = outer.path.empty() ? "/" : outer.path;
      if (inner.readonly && !outer.readonly)
        return fmt::format("export {}: read-only, but inside {}, which is writable", inner.path,
                           above);
      if (!inner.devices && outer.devices)
        return fmt::format("export {}: without devices, but inside {}, which has them", inner.path,
                           above);
      if (!inner.sockets && outer.sockets)
        return fmt::format("export {}: without sockets, but inside {}, which has them", inner.path,
                           above);
      if (!inner.allow_mount && outer.allow_mount)
        return fmt::format("export {}: without allow-mount, but inside {}, which has it",
                           inner.path, above);
      if (inner.ids && !(outer.ids && outer.ids->covers(*inner.ids)))
        return fmt::format("export {}: squashes or maps ids, but inside {}, which does not do so",
                           inner.path, above);
    }
  }
  return {};
}

Result<UniqueFd> open_root(const Export& exported) {
  const std::string path = exported.path.empty() ? "/" : exported.path;
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return Status::last();
  return fd;
}

}  // namespace

Result<UniqueFd> open_component(int dir, const std::string& name, Mounts& mounts) {
  constexpr int attempts = 16;
  for (int i = 0; i < attempts; i++) {
    UniqueFd fd = openat2_path(dir, name.c_str(), RESOLVE_NO_XDEV);
    if (fd)
      return fd;
    if (errno == EXDEV) {
      // Something is mounted there. Only then the mount table is asked.
      if (mounts.is_qtfs(dir, name))
        return Status::error(ELOOP);
      fd = openat2_path(dir, name.c_str(), 0);
      if (fd)
        return fd;
    }
    // A rename made the kernel unsure; or it took away, again, what had just been found.
    if (errno != EAGAIN && errno != EXDEV)
      return Status::last();
  }
  return Status::error(EAGAIN);
}

Result<UniqueFd> ExportRoot::get() const {
  std::lock_guard guard(mutex_);
  if (!fd_)
    return Status::error(ENOENT);
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy)
    return Status::last();
  return copy;
}

void ExportRoot::set(UniqueFd fd) {
  std::lock_guard guard(mutex_);
  std::swap(fd_, fd);
}

void Exports::remounted(const MountTree::Change& change) const {
  // Without asking any filesystem that has nothing to do with it: one may not answer.
  const auto went = [&](const UniqueFd& fd) {
    const uint64_t number = mount_number(fd.get());
    return number != 0 &&
           std::find(change.gone.begin(), change.gone.end(), number) != change.gone.end();
  };
  for (const Export& exported : exports_) {
    const auto before = exported.root->get();
    const bool came =
        std::any_of(change.points.begin(), change.points.end(), [&](const std::string& point) {
          return exported.path == point || is_below(exported.path, point);
        });
    if (before && !came && !went(*before))
      continue;
    auto now = open_root(exported);
    exported.root->set(now ? std::move(*now) : UniqueFd());
  }
}

Result<Exports> Exports::open(const std::vector<ExportConfig>& configs, std::string& error) {
  Exports exports;
  for (const ExportConfig& config : configs) {
    const auto parts = split(config.path);
    if (!parts || config.path.empty() || config.path[0] != '/') {
      error = fmt::format("export {}: not an absolute path without \"..\"", config.path);
      return Status::error(EINVAL);
    }
    Export made;
    made.path = join(*parts);
    made.name = config.name;
    made.readonly = config.readonly;
    made.devices = config.devices;
    made.sockets = config.sockets;
    made.allow_mount = config.allow_mount;
    made.index = static_cast<uint32_t>(exports.exports_.size());
    std::string wrong;
    auto ids = IdMap::make(config, wrong);
    if (!ids) {
      error = fmt::format("export {}: {}", config.path, wrong);
      return ids.status();
    }
    made.ids = std::move(*ids);
    auto root = open_root(made);
    if (!root) {
      error = fmt::format("export {}: {}", config.path, std::strerror(root.err()));
      return root.status();
    }
    made.root->set(std::move(*root));
    exports.exports_.push_back(std::move(made));
  }
  error = conflict(exports.exports_);
  if (!error.empty())
    return Status::error(EINVAL);
  return exports;
}

Result<Exports::Found> Exports::resolve(std::string_view path, Mounts& mounts) const {
  const auto parts = split(path);
  if (!parts || path.empty() || path[0] != '/')
    return Status::error(EACCES);
  Found found;
  size_t depth = 0;
  for (const Export& exported : exports_) {
    const auto own = covers(exported, *parts);
    if (own && (!found.exported || *own > depth)) {
      found.exported = &exported;
      depth = *own;
    }
  }
  if (!found.exported)
    return Status::error(EACCES);

  auto root = found.exported->root->get();
  if (!root)
    return root.status();
  found.dir = std::move(*root);
  for (size_t i = depth; i < parts->size(); i++) {
    if ((*parts)[i].size() > QTFS_NAME_MAX)
      return Status::error(ENAMETOOLONG);
    // Guarded from above; attaching below is no way round that.
    if (names_own_thread(found.dir.get(), (*parts)[i]))
      return Status::error(EACCES);
    auto next = open_component(found.dir.get(), (*parts)[i], mounts);
    if (!next)
      return next.status();
    found.dir = std::move(*next);
  }
  struct stat st {};
  if (fstat(found.dir.get(), &st) < 0)
    return Status::last();
  if (!S_ISDIR(st.st_mode))
    return Status::error(ENOTDIR);
  return found;
}

}  // namespace qtfs
