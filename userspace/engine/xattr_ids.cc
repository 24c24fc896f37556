// SPDX-License-Identifier: GPL-2.0-only
#include "engine/xattr_ids.hh"

#include <endian.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <cstring>
#include <optional>

namespace qtfs {

namespace {

bool is_acl(std::string_view name) {
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

bool is_file_caps(std::string_view name) {
  return name == "security.capability";
}

// Gives each id of an ACL to @translate, with whether it is a user's, and puts what that returns in
// its place.
template <typename Translate>
Status translate_acl(std::span<std::byte> value, Translate translate) {
  posix_acl_xattr_header header{};
  if (value.size() < sizeof(header))
    return {};
  std::memcpy(&header, value.data(), sizeof(header));
  if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION ||
      (value.size() - sizeof(header)) % sizeof(posix_acl_xattr_entry) != 0)
    return {};
  for (size_t at = sizeof(header); at < value.size(); at += sizeof(posix_acl_xattr_entry)) {
    posix_acl_xattr_entry entry{};
    std::memcpy(&entry, value.data() + at, sizeof(entry));
    const uint16_t tag = le16toh(entry.e_tag);
    if (tag != ACL_USER && tag != ACL_GROUP)
      continue;
    const std::optional<uint32_t> id = translate(tag == ACL_USER, le32toh(entry.e_id));
    if (!id)
      return Status::error(EINVAL);
    entry.e_id = htole32(*id);
    std::memcpy(value.data() + at, &entry, sizeof(entry));
  }
  return {};
}

// Without a root of their own, capabilities are for the server's.
Status file_caps_to_client(const IdRanges& uids, std::span<std::byte> value) {
  vfs_ns_cap_data caps{};
  if (value.size() != sizeof(caps))
    return uids.to_client(0) == 0 ? Status() : Status::error(ENODATA);
  std::memcpy(&caps, value.data(), sizeof(caps));
  caps.rootid = htole32(uids.to_client(le32toh(caps.rootid)));
  std::memcpy(value.data(), &caps, sizeof(caps));
  return {};
}

}  // namespace

Status xattr_to_server(const IdMap& ids, std::string_view name, std::span<std::byte> value) {
  // Nobody may set file capabilities where there is a map.
  if (!is_acl(name))
    return {};
  return translate_acl(value, [&](bool user, uint32_t id) {
    return (user ? ids.uids() : ids.gids()).to_server(id);
  });
}

Status xattr_to_client(const IdMap& ids, std::string_view name, std::span<std::byte> value) {
  if (is_file_caps(name))
    return file_caps_to_client(ids.uids(), value);
  if (!is_acl(name))
    return {};
  return translate_acl(value, [&](bool user, uint32_t id) {
    return (user ? ids.uids() : ids.gids()).to_client(id);
  });
}

}  // namespace qtfs
