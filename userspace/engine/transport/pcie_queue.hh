// SPDX-License-Identifier: GPL-2.0-only
// Bytes through one queue of shared memory (qtfs/ring.h). docs/protocol.md ("Shared memory") says
// in which order the memory is accessed, tests/model/ring.pml checks it; kmod/pcie/ring.c is the
// client's side of it.
//
// The peer may write anything at any time: each number is fetched once and then checked, and bytes
// are copied out before they are looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/bytes.hh"
#include "lib/result.hh"
#include "qtfs/ring.h"

namespace qtfs {

class PcieQueue {
 public:
  // Of one queue: what this end says and what the peer says, and the rings each fills.
  struct Memory {
    qtfs_ring_queue* out = nullptr;
    const qtfs_ring_queue* in = nullptr;
    std::byte* out_data = nullptr;
    const std::byte* in_data = nullptr;
    size_t size = 0;
  };

  explicit PcieQueue(const Memory& memory) : memory_(memory) {}

  // The connection that the peer takes part in; 0: none.
  uint32_t peer_conn() const;
  // The last one that this end took part in.
  uint32_t conn() const { return conn_; }
  bool joined() const { return peer_conn() == conn_; }
  // Bytes of a ring.
  size_t size() const { return memory_.size; }
  // Begins a connection, from zero. The peer sees the number last.
  void join(uint32_t conn);
  // The peer sees the end after everything that was sent.
  void leave();

  // What came, as far as it lies together; empty for nothing. EPROTO: the peer's numbers are
  // impossible.
  Result<Bytes> readable() const;
  // Room, as far as it lies together.
  Result<std::span<std::byte>> writable() const;
  // The first @len of those are done with. Returns whether the peer sleeps and has to be rung.
  bool consume(size_t len);
  bool produce(size_t len);

  // Asks to be rung when readable() or writable() changes. Returns whether it has changed already.
  bool sleep_rx();
  bool sleep_tx();
  // Need not be rung any more.
  void wake_rx();

 private:
  uint64_t used() const;
  uint64_t unread() const;

  const Memory memory_;
  uint32_t conn_ = 0;
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  uint32_t sleeps_ = 0;
  uint32_t rung_rx_ = 0;
  uint32_t rung_tx_ = 0;
};

}  // namespace qtfs
