// SPDX-License-Identifier: GPL-2.0-only
// The server's end of memory shared over PCIe: /dev/qtfs_pcieN of qtfs_server.ko.
#pragma once

#include <memory>
#include <string>

#include "engine/transport/pcie_queue.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// Used by all workers at once: nothing of it changes.
class PcieDevice {
 public:
  PcieDevice() = default;
  PcieDevice(const PcieDevice&) = delete;
  PcieDevice& operator=(const PcieDevice&) = delete;
  virtual ~PcieDevice() = default;

  // "pcie:0". The error text says what is wrong.
  static Result<std::unique_ptr<PcieDevice>> open(const std::string& address, std::string& error);
  static bool names(const std::string& address) { return address.starts_with("pcie:"); }

  const std::string& name() const { return name_; }
  unsigned queues() const { return queues_; }
  PcieQueue::Memory queue(unsigned number) const;

  // Rings the client for a queue.
  virtual void kick(unsigned queue) = 0;
  // @eventfd gets 1 when the client rings for it.
  virtual Status bind(unsigned queue, int eventfd) = 0;
  // Clients may come.
  virtual Status ready() = 0;

 protected:
  struct Geometry {
    size_t ring_offset = 0;
    size_t ring_size = 0;
    unsigned queues = 0;
  };
  // Windows as in qtfs/ring.h; they stay where they are.
  void use(std::string name, const std::byte* in, std::byte* out, const Geometry& geometry);

 private:
  std::string name_;
  unsigned queues_ = 0;
  Geometry geometry_;
  const std::byte* in_ = nullptr;
  std::byte* out_ = nullptr;
};

}  // namespace qtfs
