// SPDX-License-Identifier: GPL-2.0-only
// A filesystem context of the kernel (fsopen(2), fspick(2)), and what it says.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/mount_options.hh"
#include "lib/unique_fd.hh"

namespace qtfs::mount {

class FsContext {
 public:
  // Told what the kernel says beside errors.
  using Note = std::function<void(const std::string& text)>;

  // For a new mount of @type. Invalid, with errno, when the kernel has none to give.
  static FsContext open(const char* type, Note note = {});
  // For the filesystem that is mounted at @path.
  static FsContext pick(const char* path, Note note = {});
  explicit operator bool() const { return static_cast<bool>(fd_); }

  // The rest throws a Failure with the kernel's own words.
  void set(const Option& option);
  void set_binary(const std::string& key, const std::string& value);
  void run(unsigned command);           // FSCONFIG_CMD_*
  UniqueFd mount(uint64_t attributes);  // MOUNT_ATTR_*; belongs nowhere yet

 private:
  FsContext(UniqueFd fd, Note note) : fd_(std::move(fd)), note_(std::move(note)) {}
  void configure(unsigned command, const std::string& key, const void* value, int aux);
  std::vector<std::string> take_messages();
  void tell(const std::vector<std::string>& messages) const;
  [[noreturn]] void fail(int err, const std::string& about);

  UniqueFd fd_;
  Note note_;
};

// Puts what fsmount(2) has made at @path below @dir, or at @dir itself where @path is empty.
// Returns as move_mount(2) does.
int move_mount_to(int mount, int dir, const char* path);

// Of a message as a context gives it, "e qtfs: text", what the user has to read.
std::string message_text(const std::string& message);

}  // namespace qtfs::mount
