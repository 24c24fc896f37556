// SPDX-License-Identifier: GPL-2.0-only
// The machine's own mount table, followed by polling mountinfo: which mounts are qtfs itself.
// Entering one would make the engine wait for a client that may be waiting for the engine.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/mountinfo.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class MountTree;

// The text of a file whose size says nothing, from its beginning.
Result<std::string> read_whole(int fd);
// The path of @name in the directory @dir.
std::string path_below(const std::string& dir, const std::string& name);
// Where what a descriptor is of has its place, in the table of the calling thread.
std::optional<std::string> path_of(int fd);

class Mounts {
 public:
  // The source of what a table of our own has in the place of a mount of qtfs.
  static constexpr const char* stand_in = "qtfs:not-served";

  Status open();

  // Whether what is mounted on @name of the directory @dir is qtfs. Touches nothing but the table.
  bool is_qtfs(int dir, const std::string& name);
  // Names in @dir on which qtfs is mounted. Cheap when there is none anywhere.
  std::vector<std::string> qtfs_names(int dir);
  // What is at a path of the table.
  struct Sight {
    std::string type;                 // of its filesystem
    std::string within;               // its path there
    std::vector<std::string> places;  // where in the table that can be seen, @path among them
  };
  // @fd: of what is at @path. Nothing where that is no place of the table's.
  std::optional<Sight> sight_of(const std::string& path, int fd);
  // @dir: of the directory that has the name at the end of @path.
  std::optional<Sight> sight_of_name(const std::string& path, int dir);
  // Goes up with every change of the table.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  void refresh();
  // That of the engine's own, if it has one.
  MountTree* tree() const { return tree_.load(std::memory_order_acquire); }
  void set_tree(MountTree* tree) { tree_.store(tree, std::memory_order_release); }

 private:
  void refresh_locked();
  const MountInfo* mount_at(const std::string& path, std::optional<uint64_t> id) const;
  std::optional<Sight> sight_on(const std::string& path, const MountInfo* on) const;
  // The topmost of the mounts stacked on @point, whose parent is mount @parent.
  const MountInfo* top_at(uint64_t parent, const std::string& point) const;

  std::mutex mutex_;  // protects everything below
  UniqueFd file_;
  bool any_qtfs_ = false;
  std::vector<MountInfo> mounts_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<MountTree*> tree_{nullptr};
};

}  // namespace qtfs
