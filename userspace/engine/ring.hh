// SPDX-License-Identifier: GPL-2.0-only
// What one thread waits for: operations on descriptors, and their completions. There is one kind on
// io_uring and, where that is forbidden, one on epoll; callers see the same calls.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "lib/result.hh"

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
  bool quiet = false;  // the ring's: only its failure will be told
};

enum class Io : uint8_t { automatic, uring, epoll };

struct RingConfig {
  Io io = Io::automatic;  // io_uring, unless this machine forbids it
  unsigned entries = 4096;
  unsigned buffers = 128;  // a power of two
  unsigned buffer_size = 32768;
  bool multishot = true;  // false: as on kernels without it
  bool sqpoll = false;    // io_uring: a kernel thread submits, which costs a processor
};

class Ring {
 public:
  static Result<std::unique_ptr<Ring>> open(const RingConfig& config);
  virtual ~Ring() = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // May be single-shot: armed again by the caller when !more.
  virtual void accept(int fd, RingOp& op) = 0;
  // Into provided buffers, until it fails; only where provided_buffers().
  virtual void recv_multishot(int fd, RingOp& op) = 0;
  // Once, into one provided buffer; likewise.
  virtual void recv_select(int fd, RingOp& op) = 0;
  // Once, into @to; with @all only when full, where that can be had.
  virtual void recv_into(int fd, std::span<std::byte> to, bool all, RingOp& op) = 0;
  // @more: other bytes follow at once.
  virtual void sendmsg(int fd, const msghdr& message, bool more, RingOp& op) = 0;
  // As much as there is room for, or EAGAIN: never waits for the peer. Having gone well is no
  // reason to wake up: that is told with whatever completes next, before it.
  virtual void send_now(int fd, const msghdr& message, RingOp& op) = 0;
  // Something waits for a send_now(): the next run() tells of it without waiting.
  virtual void hurry() = 0;
  // Up to @len bytes from a pipe to a socket.
  virtual void splice(int pipe, int fd, size_t len, RingOp& op) = 0;
  virtual void read(int fd, std::span<std::byte> to, RingOp& op) = 0;
  // Tells what @fd is ready for, of @events (poll(2)): at once if there is something, and again
  // whenever it is woken, with what it is ready for then. @once, or where that cannot be had: one
  // time, and !more. Any number of these on a descriptor.
  virtual void poll_fd(int fd, short events, bool once, RingOp& op) = 0;
  virtual void timeout(unsigned seconds, RingOp& op) = 0;
  // What is cancelled completes, soon, with ECANCELED or as it would have.
  virtual void cancel(RingOp& op) = 0;

  virtual bool provided_buffers() const = 0;
  virtual std::span<std::byte> buffer(int id) = 0;
  virtual void recycle(int id) = 0;

  // Submits what was asked for, waits for at least one completion, calls everything that is done.
  virtual Status run() = 0;
  // The same without waiting; whether something completed.
  virtual Result<bool> poll() = 0;

  // What is in use, for one line of the log.
  virtual std::string describe() const = 0;

 protected:
  Ring() = default;
};

// The two kinds, for Ring::open().
Result<std::unique_ptr<Ring>> open_uring(const RingConfig& config);
Result<std::unique_ptr<Ring>> open_epoll();

}  // namespace qtfs
