// SPDX-License-Identifier: GPL-2.0-only
// Step 6 of a request's path: one peer connection. Assembles frames, keeps its limits, and sends
// the answers. Only its worker's thread touches it.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/call.hh"
#include "engine/dispatch.hh"
#include "engine/frame.hh"
#include "engine/handshake.hh"
#include "engine/ring.hh"

namespace qtfs {

class Worker;

class Conn {
 public:
  Conn(Worker& worker, UniqueFd fd, std::string peer);
  ~Conn();

  void start();
  // Once a second.
  void tick();
  // Takes no more requests; closes when everything is answered and sent.
  void drain();
  // At once; what runs is interrupted.
  void close();
  // Nothing refers to it any more.
  bool gone() const { return closing_ && !rx_armed_ && !tx_armed_ && jobs_ == 0; }
  // A call that a blocking thread ran.
  void finished(Call& call);

  Worker& worker() { return worker_; }
  const std::string& peer() const { return peer_; }

 private:
  enum class Rx : uint8_t { multishot, select, direct };
  static constexpr size_t bulk_min = 65536;  // payloads from here on are received in place

  void on_recv(const Completion& completion);
  void on_send(const Completion& completion);
  void arm();
  void peer_ended();
  void received(Bytes bytes);
  void feed(Bytes bytes);
  size_t feed_bulk(Bytes bytes);
  size_t feed_partial(Bytes bytes);
  size_t feed_fresh(Bytes bytes);
  bool begin_frame(const FrameHeader& header, Bytes start);
  void frame(Bytes bytes, Buffer* owned);
  bool admit(const FrameHeader& header, const OpInfo& info);
  void execute(Call& call, Bytes bytes, Buffer* owned);
  void defer(Call& call, Bytes bytes, Buffer* owned);
  void cancel(Call& call);
  void finish(Call& call);
  void answer(Call& call);
  void answer_cancel(uint64_t tag, uint32_t outcome);
  void enqueue(Bytes header, Bytes body, Payload payload);
  void flush();
  void send_rest();
  void sent(size_t len);
  bool congested() const;
  void resume_if_possible();
  void violated(const char* what);
  void settle();

  Worker& worker_;
  UniqueFd fd_;
  const std::string peer_;
  Handshake handshake_;
  unsigned age_ = 0;        // seconds
  unsigned drain_age_ = 0;  // seconds since nothing more is taken

  RingOp rx_op_;
  const bool waitall_;
  Rx rx_ = Rx::multishot;
  bool rx_armed_ = false;
  bool rx_cancelling_ = false;
  unsigned bulk_streak_ = 0;  // a bulk frame was seen lately: no multishot for so many receives
  uint64_t received_at_ = 0;
  Buffer staging_;               // where the kernel has no provided buffers
  Buffer partial_;               // beginning of a small frame
  Buffer bulk_;                  // of a big one
  size_t expected_ = 0;          // length of the frame in partial_ or bulk_, 0 before it is known
  std::vector<std::byte> held_;  // came while paused

  RingOp tx_op_;
  bool tx_armed_ = false;
  std::vector<Payload> queue_;
  std::vector<Payload> sending_;
  size_t sent_ = 0;  // payloads of sending_ that are done
  size_t queued_bytes_ = 0;
  std::array<iovec, 64> iov_{};
  msghdr message_{};

  unsigned jobs_ = 0;
  size_t job_bytes_ = 0;
  bool paused_ = false;
  bool draining_ = false;
  bool closing_ = false;
  bool close_when_sent_ = false;
};

}  // namespace qtfs
