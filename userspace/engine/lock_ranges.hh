// SPDX-License-Identifier: GPL-2.0-only
// Byte ranges under record locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace qtfs {

// From @start to @end inclusive; @type is a QTFS_LOCK_*.
struct LockRange {
  uint64_t start = 0;
  uint64_t end = UINT64_MAX;
  uint32_t type = 0;

  bool overlaps(const LockRange& other) const { return start <= other.end && other.start <= end; }
  bool within(const LockRange& other) const { return other.start <= start && end <= other.end; }
  // Of two owners.
  bool conflicts(const LockRange& other) const;
  bool operator==(const LockRange&) const = default;
};

// How many a session may hold.
struct LockQuota {
  std::atomic<uint64_t> used{0};
  uint64_t max = 0;
};

// What one owner holds on one file: disjoint, in order, neighbours of one type in one piece.
class RangeSet {
 public:
  RangeSet() = default;
  ~RangeSet();
  RangeSet(const RangeSet&) = delete;
  RangeSet& operator=(const RangeSet&) = delete;

  // In place of what was there; with QTFS_LOCK_NONE nothing is there then. What it holds counts
  // against @quota, always the same.
  void set(const LockRange& range, LockQuota& quota);
  bool conflicts(const LockRange& range) const;
  const std::vector<LockRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }

 private:
  std::vector<LockRange> ranges_;
  LockQuota* quota_ = nullptr;
};

}  // namespace qtfs
