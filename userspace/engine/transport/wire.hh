// SPDX-License-Identifier: GPL-2.0-only
// What moves a connection's bytes: a socket, or a queue in shared memory. The connection knows
// frames, the wire does not. Only the worker's thread touches either.
#pragma once

#include <vector>

#include "engine/reply.hh"

namespace qtfs {

class Conn;
struct Context;

// Calls its connection: bulk_room(), received(), bulk_received() and then receive_done() for what
// came; peer_ended(); sent() and send_done(); close() when it fails.
class Wire {
 public:
  virtual ~Wire() = default;
  // Takes what comes, for as long as the connection wants it.
  virtual void receive() = 0;
  // Takes nothing more, soon. Another receive() may follow.
  virtual void stop_receiving() = 0;
  // Sends all of @queue, which is empty then. Not while it is sending().
  virtual void send(std::vector<Payload>& queue) = 0;
  virtual bool sending() const = 0;
  // Something is waiting for send_done().
  virtual void hurry() = 0;
  // Ends both directions, soon.
  virtual void close() = 0;
  // Will call its connection no more unless asked to; may be destroyed.
  virtual bool idle() const = 0;
};

// What is being sent, in order.
class Outgoing {
 public:
  explicit Outgoing(Context& context) : context_(context) {}

  bool empty() const { return done_ == parts_.size(); }
  // Only when empty.
  void start(std::vector<Payload>& queue);
  void clear();
  Payload& front() { return parts_[done_]; }
  // In order, from front() on.
  size_t count() const { return parts_.size() - done_; }
  Payload& operator[](size_t i) { return parts_[done_ + i]; }
  // The first @len bytes are gone; what held them is used again.
  void consume(size_t len);

 private:
  Context& context_;
  std::vector<Payload> parts_;
  size_t done_ = 0;
};

}  // namespace qtfs
