// SPDX-License-Identifier: GPL-2.0-only
#include "lib/fs_context.hh"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/mount_failure.hh"

namespace qtfs::mount {

namespace {

// By number: the C library has wrappers for these only since glibc 2.36.
int sys_fsopen(const char* type, unsigned flags) {
  return static_cast<int>(syscall(SYS_fsopen, type, flags));
}

int sys_fspick(int dir, const char* path, unsigned flags) {
  return static_cast<int>(syscall(SYS_fspick, dir, path, flags));
}

int sys_fsconfig(int fd, unsigned cmd, const char* key, const void* value, int aux) {
  return static_cast<int>(syscall(SYS_fsconfig, fd, cmd, key, value, aux));
}

int sys_fsmount(int fd, unsigned flags, unsigned attributes) {
  return static_cast<int>(syscall(SYS_fsmount, fd, flags, attributes));
}

}  // namespace

int move_mount_to(int mount, int dir, const char* path) {
  const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
  return static_cast<int>(syscall(SYS_move_mount, mount, "", dir, path, flags));
}

FsContext FsContext::open(const char* type, Note note) {
  return {UniqueFd(sys_fsopen(type, FSOPEN_CLOEXEC)), std::move(note)};
}

FsContext FsContext::pick(const char* path, Note note) {
  return {UniqueFd(sys_fspick(AT_FDCWD, path, FSPICK_CLOEXEC)), std::move(note)};
}

void FsContext::set(const Option& option) {
  if (option.value)
    configure(FSCONFIG_SET_STRING, option.key, option.value->c_str(), 0);
  else
    configure(FSCONFIG_SET_FLAG, option.key, nullptr, 0);
}

void FsContext::set_binary(const std::string& key, const std::string& value) {
  configure(FSCONFIG_SET_BINARY, key, value.data(), static_cast<int>(value.size()));
}

void FsContext::run(unsigned command) {
  if (sys_fsconfig(fd_.get(), command, nullptr, nullptr, 0) != 0)
    fail(errno, "");
  tell(take_messages());
}

UniqueFd FsContext::mount(uint64_t attributes) {
  UniqueFd mnt(sys_fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
  if (!mnt)
    fail(errno, "");
  return mnt;
}

void FsContext::configure(unsigned command, const std::string& key, const void* value, int aux) {
  if (sys_fsconfig(fd_.get(), command, key.c_str(), value, aux) != 0)
    fail(errno, "option " + key);
}

std::vector<std::string> FsContext::take_messages() {
  std::vector<std::string> out;
  std::array<char, 4096> text{};
  for (;;) {
    const ssize_t n = read(fd_.get(), text.data(), text.size());
    if (n <= 0)
      return out;
    out.emplace_back(text.data(), static_cast<size_t>(n));
  }
}

void FsContext::tell(const std::vector<std::string>& messages) const {
  for (const auto& message : messages)
    if (note_)
      note_(message_text(message));
}

// The kernel's words; where it has none, the error number's.
void FsContext::fail(int err, const std::string& about) {
  auto messages = take_messages();
  std::string text;
  if (messages.empty()) {
    text = (about.empty() ? "" : about + ": ") + std::strerror(err);
  } else {
    text = message_text(messages.back());
    messages.pop_back();
    tell(messages);
  }
  throw Failure(exit_failed, text, err);
}

std::string message_text(const std::string& message) {
  std::string text = message;
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (text.size() > 2 && text[1] == ' ')
    text.erase(0, 2);
  constexpr std::string_view prefix = "qtfs: ";
  if (text.starts_with(prefix))
    text.erase(0, prefix.size());
  return text;
}

}  // namespace qtfs::mount
