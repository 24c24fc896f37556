// SPDX-License-Identifier: GPL-2.0-only
#include "engine/procfs.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace qtfs {

namespace {

constexpr ino_t proc_root_ino = 1;  // PROC_ROOT_INO of the kernel, in every instance

bool is_proc_root(int dir) {
  struct statfs fs {};
  struct stat st {};
  return fstatfs(dir, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(dir, &st) == 0 &&
         st.st_ino == proc_root_ino;
}

}  // namespace

bool names_own_thread(int dir, std::string_view name) {
  if (name.empty() || name.find_first_not_of("0123456789") != name.npos || !is_proc_root(dir))
    return false;
  // It may be of another PID namespace: only it knows the engine's numbers there.
  char self[32] = {};
  const ssize_t len = readlinkat(dir, "self", self, sizeof(self) - 1);
  if (len <= 0)
    return false;
  const std::string_view process(self, static_cast<size_t>(len));
  if (name == process)
    return true;
  const std::string task = fmt::format("{}/task/{}", process, name);
  return faccessat(dir, task.c_str(), F_OK, 0) == 0;
}

AskerLink asker_link(int dir, std::string_view name) {
  const bool process = name == "self" || name == "thread-self";
  const bool machine = name == "net" || name == "mounts";
  if ((!process && !machine) || !is_proc_root(dir))
    return AskerLink::none;
  return process ? AskerLink::process : AskerLink::machine;
}

bool is_memory(ino_t ino) {
  static const std::vector<ino_t> numbers = [] {
    std::vector<ino_t> found;
    struct stat proc {};
    struct stat st {};
    if (stat("/proc", &proc) < 0)
      return found;
    for (const char* name :
         {"/proc/kcore", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags"})
      if (stat(name, &st) == 0 && st.st_dev == proc.st_dev)  // not what a container has over it
        found.push_back(st.st_ino);
    return found;
  }();
  return std::find(numbers.begin(), numbers.end(), ino) != numbers.end();
}

bool tells_once(int fd) {
  struct statfs fs {};
  struct stat st {};
  return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 &&
         S_ISREG(st.st_mode);
}

}  // namespace qtfs
