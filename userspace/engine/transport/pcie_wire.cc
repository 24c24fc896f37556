// SPDX-License-Identifier: GPL-2.0-only
#include "engine/transport/pcie_wire.hh"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "engine/conn.hh"
#include "engine/worker.hh"

namespace qtfs {

uint32_t PcieLine::knocks() const {
  const uint32_t peer = queue_.peer_conn();
  return wire_ || peer == queue_.conn() ? 0 : peer;
}

std::string PcieLine::peer() const {
  return fmt::format("{} queue {}", device_.name(), number_);
}

PcieWire::PcieWire(Conn& conn, PcieLine& line, uint32_t number)
    : conn_(conn),
      line_(line),
      outgoing_(conn.worker().context()),
      staging_(conn.worker().context().buffers.take(staging_size)) {
  line_.wire_ = this;
  line_.queue_.join(number);
  line_.kick();
}

PcieWire::~PcieWire() {
  line_.wire_ = nullptr;
}

void PcieWire::close() {
  line_.queue_.leave();
  line_.kick();
  outgoing_.clear();
}

// --- receiving

// The bytes are copied before anybody looks at them: the client could still change them.
bool PcieWire::take_some(Bytes bytes) {
  const std::span<std::byte> bulk = conn_.bulk_room();
  const size_t len = std::min(bytes.size(), bulk.empty() ? staging_.capacity() : bulk.size());
  std::byte* to = bulk.empty() ? staging_.data() : bulk.data();
  std::memcpy(to, bytes.data(), len);
  const bool ring_it = line_.queue_.consume(len);
  if (bulk.empty())
    conn_.received({to, len});
  else
    conn_.bulk_received(len);
  return ring_it;
}

// No more than a ring full: others must have their turn, however fast the client is.
bool PcieWire::take() {
  bool taken = false;
  bool ring_it = false;
  for (size_t some = 0; conn_.wants() && some < line_.queue_.size();) {
    const auto bytes = line_.queue_.readable();
    if (!bytes || !staging_) {
      conn_.close();
      taken = true;
      break;
    }
    if (bytes->empty()) {
      if (!ended_ && !line_.queue_.joined()) {
        ended_ = true;
        conn_.peer_ended();
        taken = true;
      }
      break;
    }
    ring_it |= take_some(*bytes);
    some += std::min(bytes->size(), size_t{staging_size});
    taken = true;
  }
  if (ring_it)
    line_.kick();
  return taken;
}

bool PcieWire::poll() {
  bool moved = !outgoing_.empty() && push();
  if (outgoing_.empty() && (moved || std::exchange(emptied_, false))) {
    moved = true;
    conn_.send_done();
  }
  if (take()) {
    moved = true;
    conn_.receive_done();
  }
  return moved;
}

bool PcieWire::sleep() {
  if (conn_.closing())
    return false;
  bool news = emptied_;
  if (conn_.wants())
    news |= line_.queue_.sleep_rx();
  if (!outgoing_.empty())
    news |= line_.queue_.sleep_tx();
  return news;
}

// --- sending

// From memory, or file pages from a pipe, which are copied here for the first time.
Result<size_t> PcieWire::copy_out(std::span<std::byte> to) {
  Payload& payload = outgoing_.front();
  const size_t len = std::min(to.size(), payload.size());
  if (!payload.pipe) {
    std::memcpy(to.data(), payload.buffer.data(), len);
    return len;
  }
  const ssize_t got = ::read(payload.pipe.out(), to.data(), len);
  if (got <= 0)
    return got < 0 ? Status::last() : Status::error(EIO);
  return static_cast<size_t>(got);
}

bool PcieWire::push() {
  bool pushed = false;
  bool ring_it = false;
  while (!outgoing_.empty()) {
    const auto room = line_.queue_.writable();
    if (room && room->empty())
      break;
    const auto len = room ? copy_out(*room) : Result<size_t>(room.status());
    if (!len) {
      conn_.close();
      return true;
    }
    ring_it |= line_.queue_.produce(*len);
    outgoing_.consume(*len);
    conn_.sent(*len);
    pushed = true;
  }
  if (ring_it)
    line_.kick();
  return pushed;
}

void PcieWire::send(std::vector<Payload>& queue) {
  outgoing_.start(queue);
  push();
  emptied_ = outgoing_.empty();
}

}  // namespace qtfs
