// SPDX-License-Identifier: GPL-2.0-only
// Counters. Each thread counts in its own; they are summed when somebody asks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "qtfs/ops.h"

namespace qtfs {

class Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void sub(uint64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct Stats {
  std::array<Counter, QTFS_OP_NR> ops;
  Counter errors;  // requests answered with a failure
  Counter unknown_ops;
  Counter deferred;  // handed to a blocking thread
  Counter parked;    // told to wait without a tag
  Counter opening;   // that wait for a FIFO's other end just now, each on a thread of its own
  Counter cancelled;
  Counter accepted;  // connections
  Counter closed;
  Counter refused;          // connections over a limit
  Counter protocol_errors;  // connections closed for what they sent
  Counter auth_failures;
  Counter out_of_buffers;
  Counter spliced;  // reads that left without being copied
  Counter paused;   // times that a peer was not read from because it did not read
  Counter looks;    // at shared memory

  void add_to(Stats& sum) const;
  std::string text() const;
};

}  // namespace qtfs
