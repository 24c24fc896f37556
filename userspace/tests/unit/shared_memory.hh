// SPDX-License-Identifier: GPL-2.0-only
// Two windows as in qtfs/ring.h in this process's memory, and a client's end of them that anything
// with a socket can use.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/transport/pcie_device.hh"

namespace qtfs {

// Rings of @ring_size bytes for @queues queues, and doorbells.
class SharedMemory {
 public:
  SharedMemory(unsigned queues, size_t ring_size)
      : queues_(queues), ring_size_(ring_size), to_client_(size()), to_server_(size()) {
    for (unsigned i = 0; i < queues; i++)
      bells_.emplace_back(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  }

  // The device, for an engine.
  class Device final : public PcieDevice {
   public:
    explicit Device(SharedMemory& memory) : memory_(memory) {
      use("pcie:test", memory.to_server_.data(), memory.to_client_.data(),
          {offset, memory.ring_size_, memory.queues_});
    }
    void kick(unsigned queue) override { ring(memory_.bells_[queue].get()); }
    Status bind(unsigned queue, int eventfd) override {
      const std::lock_guard guard(memory_.mutex_);
      memory_.bound_[queue] = eventfd;
      return {};
    }
    Status ready() override { return {}; }

   private:
    SharedMemory& memory_;
  };

  // The client's end of a queue.
  PcieQueue::Memory client(unsigned queue) {
    const size_t said = QTFS_RING_QUEUE(queue);
    const size_t data = offset + queue * ring_size_;
    return {reinterpret_cast<qtfs_ring_queue*>(to_server_.data() + said),
            reinterpret_cast<const qtfs_ring_queue*>(to_client_.data() + said),
            to_server_.data() + data, to_client_.data() + data, ring_size_};
  }
  void ring_server(unsigned queue) {
    const std::lock_guard guard(mutex_);
    if (bound_[queue] >= 0)
      ring(bound_[queue]);
  }
  int bell(unsigned queue) const { return bells_[queue].get(); }

  static void ring(int bell) {
    const uint64_t one = 1;
    static_cast<void>(::write(bell, &one, sizeof(one)) == sizeof(one));
  }
  static void answer(int bell) {
    uint64_t count = 0;
    static_cast<void>(::read(bell, &count, sizeof(count)) == sizeof(count));
  }

 private:
  static constexpr size_t offset = QTFS_RING_PAGE * 8;
  size_t size() const { return offset + queues_ * ring_size_; }

  const unsigned queues_;
  const size_t ring_size_;
  std::vector<std::byte> to_client_;
  std::vector<std::byte> to_server_;
  std::vector<UniqueFd> bells_;
  std::mutex mutex_;  // protects bound_
  std::array<int, QTFS_RING_QUEUES_MAX> bound_ = [] {
    std::array<int, QTFS_RING_QUEUES_MAX> none{};
    none.fill(-1);
    return none;
  }();
};

// A connection over a queue, as one end of a socket pair.
class SharedMemoryLink {
 public:
  SharedMemoryLink(SharedMemory& memory, unsigned queue, uint32_t conn)
      : memory_(memory), number_(queue), queue_(memory.client(queue)) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
      std::abort();
    theirs_.reset(fds[0]);
    ours_.reset(fds[1]);
    queue_.join(conn);
    memory_.ring_server(number_);
    while (!queue_.joined())
      wait(0);
    thread_ = std::thread([this] { run(); });
  }
  ~SharedMemoryLink() {
    stop_ = true;
    SharedMemory::ring(memory_.bell(number_));
    thread_.join();
  }
  SharedMemoryLink(const SharedMemoryLink&) = delete;
  SharedMemoryLink& operator=(const SharedMemoryLink&) = delete;

  UniqueFd take_socket() { return std::move(theirs_); }

 private:
  void wait(short socket_events) {
    pollfd fds[2] = {{memory_.bell(number_), POLLIN, 0}, {ours_.get(), socket_events, 0}};
    ::poll(fds, socket_events ? 2 : 1, 1000);
    SharedMemory::answer(memory_.bell(number_));
  }

  // From the socket to the ring; false at the end.
  bool push() {
    const auto room = queue_.writable();
    if (!room)
      return false;
    if (room->empty())
      return true;
    const ssize_t got = ::recv(ours_.get(), room->data(), room->size(), MSG_DONTWAIT);
    if (got > 0 && queue_.produce(static_cast<size_t>(got)))
      memory_.ring_server(number_);
    return got > 0 || (got < 0 && errno == EAGAIN);
  }
  bool pull() {
    const auto bytes = queue_.readable();
    if (!bytes)
      return false;
    if (bytes->empty())
      return queue_.joined();
    const ssize_t put = ::send(ours_.get(), bytes->data(), bytes->size(), MSG_NOSIGNAL);
    if (put > 0 && queue_.consume(static_cast<size_t>(put)))
      memory_.ring_server(number_);
    return put > 0;
  }

  void run() {
    while (!stop_ && push() && pull()) {
      const bool full = queue_.writable() && queue_.writable()->empty();
      if (!queue_.sleep_rx() && !(full && queue_.sleep_tx()))
        wait(full ? 0 : POLLIN);
      queue_.wake_rx();
    }
    queue_.leave();
    memory_.ring_server(number_);
    shutdown(ours_.get(), SHUT_RDWR);
  }

  SharedMemory& memory_;
  const unsigned number_;
  PcieQueue queue_;
  UniqueFd theirs_;
  UniqueFd ours_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace qtfs
