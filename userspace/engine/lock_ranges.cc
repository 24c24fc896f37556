// SPDX-License-Identifier: GPL-2.0-only
#include "engine/lock_ranges.hh"

#include <qtfs/wire.h>

#include <algorithm>

namespace qtfs {

namespace {

void append(std::vector<LockRange>& ranges, const LockRange& range) {
  LockRange* last = ranges.empty() ? nullptr : &ranges.back();
  if (last && last->type == range.type && last->end + 1 == range.start)
    last->end = range.end;
  else
    ranges.push_back(range);
}

}  // namespace

bool LockRange::conflicts(const LockRange& other) const {
  return overlaps(other) && (type == QTFS_LOCK_WRITE || other.type == QTFS_LOCK_WRITE);
}

RangeSet::~RangeSet() {
  if (quota_)
    quota_->used -= ranges_.size();
}

void RangeSet::set(const LockRange& range, LockQuota& quota) {
  std::vector<LockRange> now;
  bool placed = range.type == QTFS_LOCK_NONE;
  now.reserve(ranges_.size() + 2);
  for (const LockRange& old : ranges_) {
    if (old.start < range.start)
      append(now, {old.start, std::min(old.end, range.start - 1), old.type});
    if (!placed && old.end >= range.start) {
      append(now, range);
      placed = true;
    }
    if (old.end > range.end)
      append(now, {std::max(old.start, range.end + 1), old.end, old.type});
  }
  if (!placed)
    append(now, range);
  quota_ = &quota;
  quota.used += now.size() - ranges_.size();
  ranges_ = std::move(now);
}

bool RangeSet::conflicts(const LockRange& range) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const LockRange& held) { return held.conflicts(range); });
}

}  // namespace qtfs
