// SPDX-License-Identifier: GPL-2.0-only
#include "engine/transport/socket_wire.hh"

#include "engine/conn.hh"
#include "engine/listener.hh"
#include "engine/worker.hh"

namespace qtfs {

namespace {
constexpr unsigned bulk_streak = 8;
constexpr size_t staging_size = 65536;
constexpr size_t worth_aiming = 16384;  // what is left of a big frame
constexpr size_t small_send = 65536;    // finds room but for a peer that does not read
}  // namespace

SocketWire::SocketWire(Conn& conn, UniqueFd fd)
    : conn_(conn),
      ring_(conn.worker().ring()),
      fd_(std::move(fd)),
      waitall_(takes_waitall(fd_.get())),
      outgoing_(conn.worker().context()) {
  rx_op_ = {[](void* self, const Completion& c) { static_cast<SocketWire*>(self)->on_recv(c); },
            this};
  tx_op_ = {[](void* self, const Completion& c) { static_cast<SocketWire*>(self)->on_send(c); },
            this};
}

// --- receiving

void SocketWire::receive() {
  if (rx_armed_)
    return;
  rx_armed_ = true;
  rx_cancelling_ = false;
  const std::span<std::byte> bulk = conn_.bulk_room();
  rx_bulk_ = !bulk.empty();
  if (rx_bulk_) {
    bulk_streak_ = bulk_streak;
    ring_.recv_into(fd_.get(), bulk, waitall_, rx_op_);
  } else if (!ring_.provided_buffers()) {
    if (!staging_)
      staging_ = conn_.worker().context().buffers.take(staging_size);
    ring_.recv_into(fd_.get(), {staging_.data(), staging_.capacity()}, false, rx_op_);
  } else if (bulk_streak_ > 0) {
    bulk_streak_--;
    ring_.recv_select(fd_.get(), rx_op_);
  } else {
    ring_.recv_multishot(fd_.get(), rx_op_);
  }
}

void SocketWire::stop_receiving() {
  if (!rx_armed_ || rx_cancelling_)
    return;
  rx_cancelling_ = true;
  ring_.cancel(rx_op_);
}

void SocketWire::take(const Completion& completion) {
  const auto len = static_cast<size_t>(completion.result);
  if (completion.buffer >= 0)
    conn_.received(ring_.buffer(completion.buffer).first(len));
  else if (rx_bulk_)
    conn_.bulk_received(len);
  else
    conn_.received({staging_.data(), len});
}

void SocketWire::on_recv(const Completion& completion) {
  const int result = completion.result;
  if (!completion.more)
    rx_armed_ = false;
  if (result > 0)
    take(completion);
  if (completion.buffer >= 0)
    ring_.recycle(completion.buffer);
  const bool transient = result == -ENOBUFS || result == -ECANCELED || result == -EINTR;
  if (result == 0)
    conn_.peer_ended();
  else if (result < 0 && !transient)
    conn_.close();
  if (result == -ENOBUFS)
    conn_.worker().context().stats.out_of_buffers.add();
  // The rest of a big frame is better received where it belongs.
  if (rx_armed_ && !rx_bulk_ && conn_.bulk_room().size() >= worth_aiming)
    stop_receiving();
  conn_.receive_done();
}

// --- sending

void SocketWire::send(std::vector<Payload>& queue) {
  outgoing_.start(queue);
  send_rest();
}

// As much as one operation takes: what is in memory, up to the next pipe, or that pipe.
void SocketWire::send_rest() {
  tx_armed_ = true;
  if (const Pipe& pipe = outgoing_.front().pipe) {
    ring_.splice(pipe.out(), fd_.get(), pipe.size(), tx_op_);
    return;
  }
  size_t count = 0;
  size_t len = 0;
  for (; count < outgoing_.count() && !outgoing_[count].pipe && count < iov_.size(); count++) {
    iov_[count] = {outgoing_[count].buffer.data(), outgoing_[count].buffer.size()};
    len += iov_[count].iov_len;
  }
  message_ = {};
  message_.msg_iov = iov_.data();
  message_.msg_iovlen = count;
  const bool more = count < outgoing_.count();
  if (!tx_full_ && !more && len <= small_send)
    ring_.send_now(fd_.get(), message_, tx_op_);
  else
    ring_.sendmsg(fd_.get(), message_, more, tx_op_);
}

void SocketWire::on_send(const Completion& completion) {
  tx_armed_ = false;
  tx_full_ = completion.result == -EAGAIN;
  if (completion.result > 0) {
    const auto len = static_cast<size_t>(completion.result);
    outgoing_.consume(len);
    conn_.sent(len);
  } else if (completion.result != -EINTR && completion.result != -EAGAIN) {
    conn_.close();
  }
  if (!outgoing_.empty() && !conn_.closing())
    send_rest();
  else
    outgoing_.clear();
  conn_.send_done();
}

void SocketWire::close() {
  shutdown(fd_.get(), SHUT_RDWR);  // ends what the ring does with it
  if (tx_armed_)
    ring_.hurry();
  if (rx_armed_)
    ring_.cancel(rx_op_);
}

}  // namespace qtfs
