// SPDX-License-Identifier: GPL-2.0-only
// A connection's bytes through a queue in shared memory. Nothing calls back: whoever runs the
// worker's loop looks (poll), and asks to be rung before it sleeps.
#pragma once

#include "engine/transport/pcie_device.hh"
#include "engine/transport/wire.hh"

namespace qtfs {

class PcieLine;

class PcieWire final : public Wire {
 public:
  // Joins the connection that knocked with @number.
  PcieWire(Conn& conn, PcieLine& line, uint32_t number);
  ~PcieWire() override;

  void receive() override {}
  void stop_receiving() override {}
  void send(std::vector<Payload>& queue) override;
  bool sending() const override { return !outgoing_.empty(); }
  void hurry() override {}  // it goes on by itself
  void close() override;
  bool idle() const override { return true; }

  // Moves what can be moved now. Returns whether there was something.
  bool poll();
  // The worker goes to sleep; returns whether it has to look again first.
  bool sleep();

 private:
  bool take();
  bool take_some(Bytes bytes);
  bool push();
  Result<size_t> copy_out(std::span<std::byte> to);

  static constexpr size_t staging_size = 16384;

  Conn& conn_;
  PcieLine& line_;
  Outgoing outgoing_;
  Buffer staging_;
  bool ended_ = false;
  bool emptied_ = false;  // send() sent everything: the connection has to hear of it
};

// One queue of a device: who uses it.
class PcieLine {
 public:
  PcieLine(PcieDevice& device, unsigned number)
      : device_(device), number_(number), queue_(device.queue(number)) {}
  PcieLine(const PcieLine&) = delete;
  PcieLine& operator=(const PcieLine&) = delete;

  PcieQueue& queue() { return queue_; }
  PcieWire* wire() { return wire_; }
  // The number of a client that wants to connect, or 0.
  uint32_t knocks() const;
  void kick() { device_.kick(number_); }
  std::string peer() const;
  Status bind(int eventfd) { return device_.bind(number_, eventfd); }

 private:
  friend PcieWire;
  PcieDevice& device_;
  const unsigned number_;
  PcieQueue queue_;
  PcieWire* wire_ = nullptr;
};

}  // namespace qtfs
