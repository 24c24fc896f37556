// SPDX-License-Identifier: GPL-2.0-only
// Step 6 of a request's path: one peer connection. Assembles frames, keeps its limits, and sends
// the answers. Only its worker's thread touches it.
#pragma once

#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/call.hh"
#include "engine/dispatch.hh"
#include "engine/frame.hh"
#include "engine/handshake.hh"
#include "engine/transport/wire.hh"
#include "engine/watch.hh"

namespace qtfs {

class Worker;

class Conn final : private WatchHost {
 public:
  Conn(Worker& worker, std::string peer);
  ~Conn();

  void start(std::unique_ptr<Wire> wire);
  // Once a second, while it is timed().
  void tick();
  bool timed() const { return !handshake_.ready() || draining_; }
  // Takes no more requests; closes when everything is answered and sent.
  void drain();
  // At once; what runs is interrupted.
  void close();
  bool closing() const { return closing_; }
  // Nothing refers to it any more.
  bool gone() const { return closing_ && wire_->idle() && jobs_ == 0 && watches_.idle(); }
  // The machine's mounts have changed.
  void remounted();
  // A call that a blocking thread ran, as far as it comes there.
  void finished(Call& call);

  // For its wire. Whether bytes are wanted at all:
  bool wants() const { return !closing_ && !draining_ && !paused_ && !close_when_sent_; }
  // Where the rest of a big frame belongs; empty when none is under way.
  std::span<std::byte> bulk_room();
  // @bytes came, in front of everything that is to come, or were put into bulk_room().
  void received(Bytes bytes);
  void bulk_received(size_t len);
  // That was all for now.
  void receive_done();
  // It sends no more.
  void peer_ended();
  // Of what was to be sent, so much is gone; and as much as could be sent at once.
  void sent(size_t len) {
    queued_bytes_ -= len;
    drain_age_ = 0;
  }
  void send_done();

  Worker& worker() { return worker_; }
  const std::string& peer() const { return peer_; }

 private:
  static constexpr size_t bulk_min = 65536;  // payloads from here on are received in place

  // A call that waits for a descriptor to become ready.
  struct Wait {
    Conn& conn;
    Call& call;
    RingOp op;
    std::list<Wait>::iterator self;
  };

  void receive();
  void feed(Bytes bytes);
  size_t feed_bulk(Bytes bytes);
  size_t feed_partial(Bytes bytes);
  size_t feed_fresh(Bytes bytes);
  bool begin_frame(const FrameHeader& header, Bytes start);
  void frame(const FrameHeader& header, Bytes bytes, Buffer* owned);
  bool admit(const FrameHeader& header, const OpInfo& info);
  void execute(Call& call, Bytes bytes, Buffer* owned);
  void defer(Call& call, Bytes bytes, Buffer* owned);
  void suspend(Call& call);
  void resume(Wait& wait);
  void over(Call& call);
  void interrupt_waits();
  void cancel(Call& call);
  void poll(Call& call);
  void finish(Call& call);
  void answer(Call& call);
  void answer_cancel(uint64_t tag, uint32_t outcome);
  bool park(Call& call);
  bool may_open(Call& call);
  void unpark(Call& call);
  Ring& watch_ring() override;
  void push_ready(uint64_t open, const qtfs_wire_level& level) override;
  void push(uint16_t op, Bytes body);
  void watches_gone() override { settle(); }
  void enqueue(Bytes header, Bytes body, Payload payload);
  void flush();
  bool congested() const;
  void resume_if_possible();
  void violated(const char* what);
  void settle();

  Worker& worker_;
  const std::string peer_;
  std::unique_ptr<Wire> wire_;
  Handshake handshake_;
  WatchTable watches_;
  unsigned age_ = 0;        // seconds
  unsigned drain_age_ = 0;  // seconds since nothing more is taken and the last answer left

  uint64_t received_at_ = 0;
  Buffer partial_;               // beginning of a small frame
  Buffer bulk_;                  // of a big one
  size_t expected_ = 0;          // length of the frame in partial_ or bulk_, 0 before it is known
  FrameHeader header_;           // of that frame, then
  std::vector<std::byte> held_;  // came while paused

  std::vector<Payload> queue_;
  size_t queued_bytes_ = 0;  // of it, and of what the wire has

  std::list<Wait> waits_;
  unsigned jobs_ = 0;
  unsigned parked_ = 0;  // of them
  size_t job_bytes_ = 0;
  bool paused_ = false;
  bool mounts_owed_ = false;  // that they changed is to be told when all else is sent
  bool draining_ = false;
  bool closing_ = false;
  bool close_when_sent_ = false;
};

}  // namespace qtfs
