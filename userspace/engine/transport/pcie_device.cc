// SPDX-License-Identifier: GPL-2.0-only
#include "engine/transport/pcie_device.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstring>

#include "uapi/linux/qtfs_pcie.h"

namespace qtfs {

namespace {

class CharDevice final : public PcieDevice {
 public:
  explicit CharDevice(UniqueFd fd) : fd_(std::move(fd)) {}
  ~CharDevice() override {
    if (in_)
      munmap(in_, info_.window_size);
    if (out_)
      munmap(out_, info_.window_size);
  }

  Status map(const std::string& name) {
    if (ioctl(fd_.get(), QTFS_PCIE_INFO, &info_) < 0)
      return Status::last();
    in_ = map_window(PROT_READ, QTFS_PCIE_MAP_IN);
    out_ = map_window(PROT_READ | PROT_WRITE, QTFS_PCIE_MAP_OUT);
    if (!in_ || !out_)
      return Status::last();
    use(name, in_, out_, {info_.ring_offset, info_.ring_size, info_.queues});
    return {};
  }

  void kick(unsigned queue) override {
    // What fails is a device that is gone, which the windows tell, too.
    static_cast<void>(ioctl(fd_.get(), QTFS_PCIE_KICK, queue));
  }

  Status bind(unsigned queue, int eventfd) override {
    const qtfs_pcie_bind bind{queue, eventfd};
    return ioctl(fd_.get(), QTFS_PCIE_BIND, &bind) < 0 ? Status::last() : Status();
  }

  Status ready() override {
    return ioctl(fd_.get(), QTFS_PCIE_READY) < 0 ? Status::last() : Status();
  }

 private:
  std::byte* map_window(int protection, uint64_t offset) {
    void* at = mmap(nullptr, info_.window_size, protection, MAP_SHARED, fd_.get(),
                    static_cast<off_t>(offset));
    return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
  }

  UniqueFd fd_;
  qtfs_pcie_info info_{};
  std::byte* in_ = nullptr;
  std::byte* out_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<PcieDevice>> PcieDevice::open(const std::string& address,
                                                     std::string& error) {
  const std::string number = address.substr(address.find(':') + 1);
  if (number.empty() || number.find_first_not_of("0123456789") != number.npos) {
    error = fmt::format("{}: what follows pcie: is the number of a device", address);
    return Status::error(EINVAL);
  }
  const std::string path = "/dev/qtfs_pcie" + number;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    const int err = errno;
    error = fmt::format("cannot listen on {}: {}: {}{}", address, path, std::strerror(err),
                        err == ENOENT  ? "; is qtfs_server.ko loaded, and the device there?"
                        : err == EBUSY ? "; another engine serves it"
                                       : "");
    return Status::error(err);
  }
  auto device = std::make_unique<CharDevice>(std::move(fd));
  if (Status status = device->map(address); !status) {
    error = fmt::format("cannot listen on {}: {}: {}", address, path, std::strerror(status.err()));
    return status;
  }
  return std::unique_ptr<PcieDevice>(std::move(device));
}

void PcieDevice::use(std::string name, const std::byte* in, std::byte* out,
                     const Geometry& geometry) {
  name_ = std::move(name);
  in_ = in;
  out_ = out;
  geometry_ = geometry;
  queues_ = geometry.queues;
}

PcieQueue::Memory PcieDevice::queue(unsigned number) const {
  const size_t said = QTFS_RING_QUEUE(number);
  const size_t ring = geometry_.ring_offset + number * geometry_.ring_size;
  return {reinterpret_cast<qtfs_ring_queue*>(out_ + said),
          reinterpret_cast<const qtfs_ring_queue*>(in_ + said), out_ + ring, in_ + ring,
          geometry_.ring_size};
}

}  // namespace qtfs
