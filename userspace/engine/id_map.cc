// SPDX-License-Identifier: GPL-2.0-only
#include "engine/id_map.hh"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qtfs {

namespace {

constexpr uint32_t id_max = UINT32_MAX - 1;  // -1 is nobody's

// The client's or the server's ids of a range.
using Side = uint32_t IdRange::*;

std::string written(const IdRange& range, Side side) {
  return fmt::format("{}-{}", range.*side, range.*side + (range.count - 1));
}

bool exists(const IdRange& range, Side side) {
  return range.*side <= id_max && range.count - 1 <= id_max - range.*side;
}

std::string problem_of(const IdRange& range) {
  if (range.count == 0)
    return fmt::format("{} to {}: a count of 0", range.client, range.server);
  if (exists(range, &IdRange::client) && exists(range, &IdRange::server))
    return {};
  return fmt::format("{} to {}: {} ids from there go over {}", range.client, range.server,
                     range.count, id_max);
}

std::vector<IdRange> sorted(std::vector<IdRange> ranges, Side side) {
  std::sort(ranges.begin(), ranges.end(),
            [&](const IdRange& a, const IdRange& b) { return a.*side < b.*side; });
  return ranges;
}

// Two of @ranges, in the order of @side, that have an id in common.
std::string overlap(const std::vector<IdRange>& ranges, Side side, std::string_view whose) {
  for (size_t i = 1; i < ranges.size(); i++) {
    const IdRange& before = ranges[i - 1];
    if (ranges[i].*side - before.*side < before.count)
      return fmt::format("the {}'s ids {} and {} overlap", whose, written(before, side),
                         written(ranges[i], side));
  }
  return {};
}

// @ranges are in the order of @from.
std::optional<uint32_t> translated(const std::vector<IdRange>& ranges, Side from, Side to,
                                   uint32_t id) {
  if (ranges.empty())
    return id;
  auto found =
      std::upper_bound(ranges.begin(), ranges.end(), id,
                       [&](uint32_t wanted, const IdRange& range) { return wanted < range.*from; });
  if (found == ranges.begin())
    return std::nullopt;
  --found;
  const uint32_t at = id - (*found).*from;
  if (at >= found->count)
    return std::nullopt;
  return (*found).*to + at;
}

}  // namespace

Result<IdRanges> IdRanges::make(const std::vector<IdRange>& ranges, std::string& error) {
  for (const IdRange& range : ranges)
    if (error = problem_of(range); !error.empty())
      return Status::error(EINVAL);
  IdRanges made;
  made.by_client_ = sorted(ranges, &IdRange::client);
  made.by_server_ = sorted(ranges, &IdRange::server);
  error = overlap(made.by_client_, &IdRange::client, "client");
  if (error.empty())
    error = overlap(made.by_server_, &IdRange::server, "server");
  if (!error.empty())
    return Status::error(EINVAL);
  return made;
}

std::optional<uint32_t> IdRanges::to_server(uint32_t id) const {
  return translated(by_client_, &IdRange::client, &IdRange::server, id);
}

uint32_t IdRanges::to_client(uint32_t id) const {
  return translated(by_server_, &IdRange::server, &IdRange::client, id).value_or(overflow_id);
}

Result<std::unique_ptr<const IdMap>> IdMap::make(const ExportConfig& config, std::string& error) {
  for (const auto& [name, id] :
       {std::pair("anon-uid", config.anon_uid), std::pair("anon-gid", config.anon_gid)})
    if (id > id_max) {
      error = fmt::format("{}: {} is no id", name, id);
      return Status::error(EINVAL);
    }
  std::string wrong;
  auto uids = IdRanges::make(config.uid_map, wrong);
  if (!uids) {
    error = "uid-map: " + wrong;
    return uids.status();
  }
  auto gids = IdRanges::make(config.gid_map, wrong);
  if (!gids) {
    error = "gid-map: " + wrong;
    return gids.status();
  }
  std::unique_ptr<IdMap> made;
  if (config.squash != Squash::none || !config.uid_map.empty() || !config.gid_map.empty()) {
    made.reset(new IdMap);
    made->squash_ = config.squash;
    made->anon_uid_ = config.anon_uid;
    made->anon_gid_ = config.anon_gid;
    made->uids_ = std::move(*uids);
    made->gids_ = std::move(*gids);
  }
  return std::unique_ptr<const IdMap>(std::move(made));
}

uint32_t IdMap::acting(uint32_t id, const IdRanges& ranges, uint32_t anon) const {
  if (squash_ == Squash::all || (squash_ == Squash::root && id == 0))
    return anon;
  return ranges.to_server(id).value_or(anon);
}

Ref<const Cred> IdMap::cred(const Cred& caller) const {
  std::vector<gid_t> groups;
  if (squash_ != Squash::all) {
    groups.reserve(caller.groups.size());
    for (const gid_t group : caller.groups)
      groups.push_back(acting(group, gids_, anon_gid_));
  }
  return make_ref<const Cred>(acting(caller.uid, uids_, anon_uid_),
                              acting(caller.gid, gids_, anon_gid_), std::move(groups), uint64_t{0});
}

bool IdMap::covers(const IdMap& other) const {
  return squash_ >= other.squash_ && anon_uid_ == other.anon_uid_ && anon_gid_ == other.anon_gid_ &&
         uids_ == other.uids_ && gids_ == other.gids_;
}

}  // namespace qtfs
