// SPDX-License-Identifier: GPL-2.0-only
// One thread's io_uring. The only place that knows liburing: what the running kernel lacks is
// found out when the ring is opened, and the callers see the same calls.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lib/result.hh"

struct io_uring;
struct io_uring_sqe;

namespace qtfs {

struct Completion {
  int result = 0;
  bool more = false;  // a multishot operation goes on
  int buffer = -1;    // which provided buffer was filled; hand it back by recycle()
};

// One kind of completion of one object. Lives as long as an operation that names it is under way.
struct RingOp {
  void (*done)(void* self, const Completion& completion) = nullptr;
  void* self = nullptr;
};

struct RingConfig {
  unsigned entries = 4096;
  unsigned buffers = 128;  // a power of two
  unsigned buffer_size = 32768;
  bool multishot = true;  // false: as on kernels without it
};

class Ring {
 public:
  static Result<std::unique_ptr<Ring>> open(const RingConfig& config);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Single-shot where the kernel is too old: armed again by the caller when !more.
  void accept(int fd, RingOp& op);
  // Into provided buffers, until it fails; only where provided_buffers().
  void recv_multishot(int fd, RingOp& op);
  // Once, into one provided buffer.
  void recv_select(int fd, RingOp& op);
  // Once, into @to; with @all only when full, where the kernel can.
  void recv_into(int fd, std::span<std::byte> to, bool all, RingOp& op);
  // @more: other bytes follow at once.
  void sendmsg(int fd, const msghdr& message, bool more, RingOp& op);
  // As much as there is room for, or EAGAIN: completes as soon as it is submitted, which costs no
  // system call of its own.
  void send_now(int fd, const msghdr& message, RingOp& op);
  // Up to @len bytes from a pipe to a socket; a thread of the kernel waits for room.
  void splice(int pipe, int fd, size_t len, RingOp& op);
  void read(int fd, std::span<std::byte> to, RingOp& op);
  void timeout(unsigned seconds, RingOp& op);
  void cancel(RingOp& op);

  bool provided_buffers() const { return buf_ring_ != nullptr; }
  std::span<std::byte> buffer(int id);
  void recycle(int id);

  // Submits what was asked for, waits for at least one completion, calls everything that is done.
  Status run();
  // The same without waiting.
  Status poll();

  // What is in use, for one line of the log.
  std::string describe() const;
  uint64_t out_of_buffers() const { return out_of_buffers_.load(std::memory_order_relaxed); }

 private:
  Ring() = default;
  Status setup(const RingConfig& config);
  Status setup_buffers(const RingConfig& config);
  bool probe_multishot();
  io_uring_sqe* sqe(RingOp* op);
  Status submitted(int ret);
  void complete_all();
  void complete(uint64_t data, int result, unsigned flags);

  std::unique_ptr<io_uring> ring_;
  struct BufRing;
  std::unique_ptr<BufRing> buf_ring_;
  bool multishot_ = false;
  unsigned flags_ = 0;
  unsigned immediate_ = 0;  // of what is to be submitted, so many complete with that
  std::atomic<uint64_t> out_of_buffers_{0};
};

}  // namespace qtfs
