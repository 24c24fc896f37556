// SPDX-License-Identifier: GPL-2.0-only
// What is exported, and the only two ways to resolve a name: one component below a directory's
// descriptor, or an attach path below an export's root.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engine/id_map.hh"
#include "engine/mount_tree.hh"
#include "engine/mounts.hh"
#include "lib/config.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// The directory of an export: another one once its filesystem was unmounted, or one mounted there.
class ExportRoot {
 public:
  // O_PATH; ENOENT while there is none.
  Result<UniqueFd> get() const;
  void set(UniqueFd fd);

 private:
  mutable std::mutex mutex_;  // protects fd_
  UniqueFd fd_;
};

struct Export {
  std::string path;  // absolute, without "." and ".." and a slash at the end ("" is the root)
  std::string name;
  bool readonly = false;
  bool devices = false;
  bool sockets = true;
  bool allow_mount = false;  // by clients, on this machine
  uint32_t index = 0;
  std::unique_ptr<const IdMap> ids;  // null: they are the clients' own
  std::unique_ptr<ExportRoot> root = std::make_unique<ExportRoot>();
};

// O_PATH on @name below @dir, as the caller; no symlink followed, no qtfs mount entered (ELOOP).
Result<UniqueFd> open_component(int dir, const std::string& name, Mounts& mounts);

class Exports {
 public:
  // The error text names what is wrong.
  static Result<Exports> open(const std::vector<ExportConfig>& configs, std::string& error);

  struct Found {
    const Export* exported = nullptr;
    UniqueFd dir;
  };
  // The directory at an absolute path that is inside an export.
  Result<Found> resolve(std::string_view path, Mounts& mounts) const;

  // Follows a change of the mounts, by their numbers. From any thread.
  void remounted(const MountTree::Change& change) const;

  const std::vector<Export>& list() const { return exports_; }

 private:
  std::vector<Export> exports_;
};

}  // namespace qtfs
