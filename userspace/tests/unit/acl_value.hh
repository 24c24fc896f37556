// SPDX-License-Identifier: GPL-2.0-only
// POSIX ACLs as their attributes have them.
#pragma once

#include <endian.h>
#include <linux/posix_acl.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace qtfs {

// Of each entry the tag, the permissions, the id.
inline std::string acl_of(const std::vector<std::array<uint32_t, 3>>& entries,
                          uint32_t version = 2) {
  std::string value;
  const auto put = [&](uint32_t word) {
    word = htole32(word);
    value.append(reinterpret_cast<const char*>(&word), sizeof(word));
  };
  put(version);
  for (const auto& entry : entries) {
    put(entry[0] | entry[1] << 16);
    put(entry[2]);
  }
  return value;
}

// Mode 0600, and reading for one user and one group.
inline std::string acl_for(uint32_t user, uint32_t group) {
  constexpr uint32_t nobody = UINT32_MAX;
  return acl_of({{ACL_USER_OBJ, 6, nobody},
                 {ACL_USER, 4, user},
                 {ACL_GROUP_OBJ, 0, nobody},
                 {ACL_GROUP, 4, group},
                 {ACL_MASK, 4, nobody},
                 {ACL_OTHER, 0, nobody}});
}

}  // namespace qtfs
