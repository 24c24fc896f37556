// SPDX-License-Identifier: GPL-2.0-only
#include "lib/mount_options.hh"

#include <linux/mount.h>

#include <algorithm>
#include <array>

#include "lib/mount_failure.hh"

namespace qtfs::mount {

namespace {

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

// An option of the mount point, not of the filesystem.
struct Attribute {
  std::string_view name;
  uint64_t set;
  uint64_t clear;
};

constexpr uint64_t user_attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

constexpr Attribute attributes[] = {
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", 0, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", 0, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", 0, MOUNT_ATTR__ATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    // Read-only is a matter of the superblock and of the mount point.
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    // Who may mount what fstab lists, implies what it must not bring.
    {"user", user_attributes | MOUNT_ATTR_NOEXEC, 0},
    {"users", user_attributes | MOUNT_ATTR_NOEXEC, 0},
    {"owner", user_attributes, 0},
    {"group", user_attributes, 0},
};

// mount(8) gives a remount all options that shall hold, without those that are the default:
// what is not named is taken back. Access times stay as they are unless named.
constexpr uint64_t replaced_by_remount = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                                         MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME |
                                         MOUNT_ATTR_NOSYMFOLLOW;

// Flags of any superblock, which the kernel takes for every filesystem.
constexpr std::array<std::string_view, 8> superblock_flags = {
    "ro", "rw", "sync", "async", "dirsync", "lazytime", "nolazytime", "mand"};

// For mount(8), systemd and the boot scripts, whatever the filesystem.
constexpr std::array<std::string_view, 6> nobodys = {"defaults", "auto",     "noauto",
                                                     "_netdev",  "_rnetdev", "nofail"};

// Likewise, but of another filesystem they may be its own; addr= is what the kernel shows of a
// mount.
constexpr std::array<std::string_view, 16> not_ours = {
    "addr",    "user",    "nouser",  "users",  "nousers", "owner", "noowner", "group",
    "nogroup", "comment", "uhelper", "helper", "silent",  "loud",  "nomand",  "pamconsole"};

bool is_ignored(const Option& option, For whom) {
  const auto among = [&](const auto& names) {
    return std::ranges::find(names, option.key) != names.end();
  };
  if (option.key.starts_with("x-") || option.key.starts_with("X-"))
    return true;
  return whom == For::qtfs ? among(nobodys) || among(not_ours) : !option.value && among(nobodys);
}

// Whether the helper keeps the option for itself.
bool take_own(Options& options, const Option& option) {
  std::string* target = option.key == "server"                            ? &options.server
                        : option.key == "trans"                           ? &options.channel
                        : option.key == "psk" || option.key == "psk-file" ? &options.key_file
                                                                          : nullptr;
  if (!target)
    return false;
  if (option.value.value_or("").empty())
    throw Failure(exit_usage, "option " + option.key + ": a value is missing");
  *target = *option.value;
  return true;
}

bool take_attribute(Options& options, const Option& option) {
  const auto* found = std::ranges::find(attributes, option.key, &Attribute::name);
  // dev=remote is the filesystem's.
  if (found == std::end(attributes) || (option.key == "dev" && option.value))
    return false;
  options.attributes = (options.attributes & ~found->clear) | found->set;
  options.attributes_clear = (options.attributes_clear | found->clear) & ~found->set;
  // What is set replaces the whole access time field.
  if (found->clear == MOUNT_ATTR__ATIME)
    options.attributes_clear |= MOUNT_ATTR__ATIME;
  return true;
}

}  // namespace

std::vector<Option> split_options(std::string_view text) {
  std::vector<Option> out;
  std::string one;
  bool quoted = false;
  const auto flush = [&] {
    if (one.empty())
      return;
    const auto equals = one.find('=');
    if (equals == std::string::npos)
      out.push_back({one, std::nullopt});
    else
      out.push_back({one.substr(0, equals), one.substr(equals + 1)});
    one.clear();
  };
  for (const char c : text) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      flush();
    else
      one += c;
  }
  if (quoted)
    throw Failure(exit_usage, "options: a double quote is not closed");
  flush();
  return out;
}

Options parse_options(std::string_view text, For whom) {
  Options options;
  for (auto& option : split_options(text)) {
    if (option.key.empty())
      throw Failure(exit_usage, "options: nothing before \"=" + option.value.value_or("") + "\"");
    if (whom == For::qtfs && option.key == "remount") {
      options.remount = true;
      continue;
    }
    if (whom == For::qtfs && take_own(options, option))
      continue;
    // Of another filesystem what has a value is its own, "user=" too.
    const bool attribute = !(whom == For::any && option.value) && take_attribute(options, option);
    const bool flag = std::ranges::find(superblock_flags, option.key) != superblock_flags.end();
    if (flag || !(attribute || is_ignored(option, whom)))
      options.filesystem.push_back(std::move(option));
  }
  if (options.remount)
    options.attributes_clear |= replaced_by_remount & ~options.attributes;
  return options;
}

}  // namespace qtfs::mount
