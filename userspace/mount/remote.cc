// SPDX-License-Identifier: GPL-2.0-only
#include "mount/remote.hh"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/mount_failure.hh"
#include "lib/mount_options.hh"
#include "lib/unique_fd.hh"
#include "qtfs/remote.h"

namespace qtfs::mount {

namespace {

void ask(const std::string& target, unsigned long command, std::string what) {
  const UniqueFd dir(open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir)
    throw Failure(exit_failed, target + ": " + std::strerror(errno), errno);
  std::array<char, 1024> said{};
  qtfs_remote_mount how{};
  how.what = reinterpret_cast<uintptr_t>(what.data());
  how.what_len = static_cast<uint32_t>(what.size());
  how.said = reinterpret_cast<uintptr_t>(said.data());
  how.said_len = said.size();
  if (ioctl(dir.get(), command, &how) == 0)
    return;
  if (errno == ENOTTY)
    throw Failure(exit_usage, target + ": not a directory of a mount of qtfs", errno);
  if (errno == EPERM && !said[0])
    throw Failure(exit_usage, "only root can mount", errno);
  if (errno == EOPNOTSUPP && !said[0])
    throw Failure(exit_failed, "the server is too old to mount for clients", errno);
  // Written by another machine: a terminal would obey some of it.
  for (char& c : said)
    if (c && static_cast<unsigned char>(c) < ' ')
      c = '?';
  throw Failure(exit_failed, said[0] ? said.data() : target + ": " + std::strerror(errno), errno);
}

std::string joined(const Option& option) {
  if (!option.value)
    return option.key;
  const bool quoted = option.value->find(',') != std::string::npos;
  const char* quote = quoted ? "\"" : "";
  return option.key + "=" + quote + *option.value + quote;
}

}  // namespace

std::optional<Remote> parse_remote(std::string_view options) {
  Remote remote;
  bool wanted = false;
  bool again = false;
  for (const Option& option : split_options(options)) {
    again |= option.key == "remount";
    if (option.key == "remote" && !option.value)
      wanted = true;
    else if (option.key == "fstype")
      remote.type = option.value.value_or("");
    else
      remote.options += (remote.options.empty() ? "" : ",") + joined(option);
  }
  if (!wanted)
    return std::nullopt;
  if (again)
    throw Failure(exit_usage, "option remote: what is mounted there cannot be remounted");
  if (remote.type.empty())
    throw Failure(exit_usage, "option remote: which filesystem? Add fstype=TYPE");
  return remote;
}

void mount_remote(const std::string& source, const std::string& target, const Remote& remote) {
  std::string what;
  for (const std::string& part : {remote.type, source, remote.options})
    what.append(part.c_str(), part.size() + 1);
  ask(target, QTFS_REMOTE_MOUNT, std::move(what));
  // Walking into it makes it a mount of this machine, too.
  const UniqueFd inside(open((target + "/.").c_str(), O_PATH | O_CLOEXEC));
}

void unmount_remote(const std::string& target) {
  ask(target, QTFS_REMOTE_UMOUNT, {});
}

}  // namespace qtfs::mount
