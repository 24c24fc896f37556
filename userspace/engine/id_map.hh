// SPDX-License-Identifier: GPL-2.0-only
// Who the callers of a client are in one export, and what they are told of whose files are:
// squashed ids, and ids that have other numbers on the server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/creds.hh"
#include "lib/config.hh"
#include "lib/ref.hh"
#include "lib/result.hh"

namespace qtfs {

// Ids of one kind, users or groups, as the client and as the server number them. Without a range
// each id is itself.
class IdRanges {
 public:
  // The error text names what is wrong: a range without ids or with ids that do not exist, or two
  // that overlap at either end.
  static Result<IdRanges> make(const std::vector<IdRange>& ranges, std::string& error);

  // Nothing for an id that no range has.
  std::optional<uint32_t> to_server(uint32_t id) const;
  // overflow_id for an id that no range has.
  uint32_t to_client(uint32_t id) const;

  bool operator==(const IdRanges&) const = default;

 private:
  std::vector<IdRange> by_client_;  // the same ones, in either order
  std::vector<IdRange> by_server_;
};

// Never changes; lives as long as its export.
class IdMap {
 public:
  // Null where ids are served as they are. The error text names what is wrong.
  static Result<std::unique_ptr<const IdMap>> make(const ExportConfig& config, std::string& error);

  // Who a caller is on the server. He has no capabilities: root of the client, who can be anybody
  // there, would come back by theirs.
  Ref<const Cred> cred(const Cred& caller) const;

  // Of attributes and of what callers set. Squashing changes neither.
  const IdRanges& uids() const { return uids_; }
  const IdRanges& gids() const { return gids_; }

  // Whether nobody is more here than by way of @other.
  bool covers(const IdMap& other) const;

 private:
  IdMap() = default;
  uint32_t acting(uint32_t id, const IdRanges& ranges, uint32_t anon) const;

  Squash squash_ = Squash::none;
  uint32_t anon_uid_ = overflow_id;
  uint32_t anon_gid_ = overflow_id;
  IdRanges uids_;
  IdRanges gids_;
};

}  // namespace qtfs
