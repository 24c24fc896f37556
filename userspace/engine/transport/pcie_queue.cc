// SPDX-License-Identifier: GPL-2.0-only
#include "engine/transport/pcie_queue.hh"

#include <endian.h>

#include <algorithm>
#include <atomic>

namespace qtfs {

namespace {

// Orders write-combining memory too, which C++'s fences do not.
void write_barrier() {
#if defined(__x86_64__)
  asm volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
  asm volatile("dsb st" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

void full_barrier() {
#if defined(__x86_64__)
  asm volatile("mfence" ::: "memory");
#elif defined(__aarch64__)
  asm volatile("dsb sy" ::: "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

uint64_t load(const __le64& from) {
  return le64toh(__atomic_load_n(&from, __ATOMIC_ACQUIRE));
}
uint32_t load(const __le32& from) {
  return le32toh(__atomic_load_n(&from, __ATOMIC_ACQUIRE));
}
void store(__le64& to, uint64_t value) {
  __atomic_store_n(&to, htole64(value), __ATOMIC_RELEASE);
}
void store(__le32& to, uint32_t value) {
  __atomic_store_n(&to, htole32(value), __ATOMIC_RELEASE);
}

// Whether a sleep of the peer's has to be ended, which is done once.
bool asleep(const __le32& flag, uint32_t& rung) {
  const uint32_t sleep = load(flag);
  if (sleep == 0 || sleep == rung)
    return false;
  rung = sleep;
  return true;
}

// Posts the flag, and waits until it, and what the peer posted before, have arrived.
void post_and_flush(__le32& flag, uint32_t& sleeps) {
  sleeps = std::max(1u, sleeps + 1);
  store(flag, sleeps);
  full_barrier();
  static_cast<void>(load(flag));
  full_barrier();
}

}  // namespace

uint32_t PcieQueue::peer_conn() const {
  return load(memory_.in->conn);
}

void PcieQueue::join(uint32_t conn) {
  conn_ = conn;
  head_ = 0;
  tail_ = 0;
  rung_rx_ = 0;
  rung_tx_ = 0;
  store(memory_.out->head, 0);
  store(memory_.out->tail, 0);
  store(memory_.out->rx_sleep, 0);
  store(memory_.out->tx_sleep, 0);
  write_barrier();  // a connection begins at 0
  store(memory_.out->conn, conn);
  full_barrier();  // before the doorbell
}

void PcieQueue::leave() {
  write_barrier();  // what was sent still counts
  store(memory_.out->conn, 0);
  full_barrier();  // before the doorbell
}

uint64_t PcieQueue::used() const {
  return load(memory_.in->head) - tail_;
}

uint64_t PcieQueue::unread() const {
  return head_ - load(memory_.in->tail);
}

Result<Bytes> PcieQueue::readable() const {
  // In this order: what was sent before the end still counts, what comes with another connection
  // does not.
  const uint32_t peer = peer_conn();
  if (peer != 0 && peer != conn_)
    return Bytes();
  const uint64_t count = used();
  if (count > memory_.size)
    return peer == 0 ? Result<Bytes>(Bytes()) : Status::error(EPROTO);
  const size_t at = tail_ & (memory_.size - 1);
  return Bytes(memory_.in_data + at, std::min<size_t>(count, memory_.size - at));
}

Result<std::span<std::byte>> PcieQueue::writable() const {
  const uint64_t count = unread();
  if (!joined())
    return Status::error(EPIPE);
  if (count > memory_.size)
    return Status::error(EPROTO);
  full_barrier();  // the peer has read what will be overwritten
  const size_t at = head_ & (memory_.size - 1);
  return std::span(memory_.out_data + at,
                   std::min<size_t>(memory_.size - count, memory_.size - at));
}

bool PcieQueue::consume(size_t len) {
  full_barrier();  // the bytes are read before they may be overwritten
  tail_ += len;
  store(memory_.out->tail, tail_);
  full_barrier();  // the index before the flag is looked at
  return asleep(memory_.in->tx_sleep, rung_tx_);
}

bool PcieQueue::produce(size_t len) {
  write_barrier();  // bytes before the index
  head_ += len;
  store(memory_.out->head, head_);
  full_barrier();  // the index before the flag is looked at
  return asleep(memory_.in->rx_sleep, rung_rx_);
}

bool PcieQueue::sleep_rx() {
  post_and_flush(memory_.out->rx_sleep, sleeps_);
  return used() != 0 || !joined();
}

bool PcieQueue::sleep_tx() {
  post_and_flush(memory_.out->tx_sleep, sleeps_);
  return unread() != memory_.size || !joined();
}

void PcieQueue::wake_rx() {
  store(memory_.out->rx_sleep, 0);
}

}  // namespace qtfs
