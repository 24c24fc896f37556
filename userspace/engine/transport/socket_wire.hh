// SPDX-License-Identifier: GPL-2.0-only
// A connection's bytes through a socket, by the worker's ring.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "engine/ring.hh"
#include "engine/transport/wire.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class SocketWire final : public Wire {
 public:
  SocketWire(Conn& conn, UniqueFd fd);

  void receive() override;
  void stop_receiving() override;
  void send(std::vector<Payload>& queue) override;
  bool sending() const override { return tx_armed_; }
  void hurry() override { ring_.hurry(); }
  void close() override;
  bool idle() const override { return !rx_armed_ && !tx_armed_; }

 private:
  void on_recv(const Completion& completion);
  void take(const Completion& completion);
  void on_send(const Completion& completion);
  void send_rest();

  Conn& conn_;
  Ring& ring_;
  UniqueFd fd_;
  const bool waitall_;

  RingOp rx_op_;
  bool rx_armed_ = false;
  bool rx_cancelling_ = false;
  bool rx_bulk_ = false;      // what is armed fills a big frame
  unsigned bulk_streak_ = 0;  // a bulk frame was seen lately: no multishot for so many receives
  Buffer staging_;            // where the kernel has no provided buffers

  RingOp tx_op_;
  bool tx_armed_ = false;
  bool tx_full_ = false;  // the last send found no room: the next one waits
  Outgoing outgoing_;
  std::array<iovec, 64> iov_{};
  msghdr message_{};
};

}  // namespace qtfs
