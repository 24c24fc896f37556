// SPDX-License-Identifier: GPL-2.0-only
#include "mount/key.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/mount_failure.hh"
#include "lib/unique_fd.hh"

namespace qtfs::mount {

namespace {

constexpr size_t key_max = 4096;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Failure(exit_usage, "key file " + path + ": " + why);
}

}  // namespace

std::string read_key(const std::string& path) {
  // A FIFO in the file's place must not hang the boot.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || fstat(fd.get(), &st) != 0)
    refuse(path, std::strerror(errno));
  if (!S_ISREG(st.st_mode))
    refuse(path, "not a regular file");
  if (st.st_mode & (S_IRWXG | S_IRWXO))
    refuse(path, "others may read or change it; chmod 600 it");

  std::array<char, key_max + 1> text{};
  const ssize_t n = read(fd.get(), text.data(), text.size());
  if (n < 0)
    refuse(path, std::strerror(errno));
  std::string key(text.data(), static_cast<size_t>(n));
  explicit_bzero(text.data(), text.size());
  if (key.size() > key_max)
    refuse(path, "longer than " + std::to_string(key_max) + " bytes");
  // What ends the line does not belong to the key.
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r'))
    key.pop_back();
  if (key.empty())
    refuse(path, "empty");
  return key;
}

}  // namespace qtfs::mount
