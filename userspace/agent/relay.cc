// SPDX-License-Identifier: GPL-2.0-only
#include "agent/relay.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "lib/log.hh"
#include "lib/message.hh"
#include "qtfs/agent.h"

namespace qtfs::agent {

namespace {

constexpr size_t stream_size = 65536;

// What travels in one direction.
struct Flow {
  explicit Flow(size_t size) : buffer(size) {}
  std::vector<std::byte> buffer;
  size_t begin = 0;
  size_t end = 0;
  bool ended = false;  // nothing follows
  bool told = false;   // nor does the other side wait for more
  bool idle() const { return begin == end && !ended; }
  bool pending() const { return begin < end; }
};

// Ends when both directions have; or when one side is gone and the other has all that it sent.
class Relay {
 public:
  Relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker)
      : local_(std::move(local)),
        peer_(std::move(peer)),
        speaker_(speaker),
        up_(type == SOCK_STREAM ? stream_size : message_max),
        down_(up_.buffer.size()) {}
  void run();

 private:
  bool wait();
  void take_local();
  void take_peer();
  void put_peer();
  void put_local();
  bool over() const;

  UniqueFd local_;  // a program of this machine
  UniqueFd peer_;   // one of the server
  Speaker speaker_;
  Flow up_;
  Flow down_;
  bool local_hung_ = false;  // both its directions are closed
  bool peer_hung_ = false;
  bool local_readable_ = false;
  bool peer_readable_ = false;
  bool broken_ = false;
};

// Who has hung up can always be read, to the end; poll(2) would say so again and again, also while
// nothing can be read because the other side takes nothing.
bool Relay::wait() {
  const auto in = [](const Flow& flow) { return flow.idle() ? POLLIN : 0; };
  const auto out = [](const Flow& flow) { return flow.pending() ? POLLOUT : 0; };
  const bool more = (local_hung_ && up_.idle()) || (peer_hung_ && down_.idle());
  pollfd fds[] = {
      {local_hung_ ? -1 : local_.get(), static_cast<short>(in(up_) | out(down_)), 0},
      {peer_hung_ ? -1 : peer_.get(), static_cast<short>(in(down_) | out(up_)), 0},
  };
  if (poll(fds, std::size(fds), more ? 0 : -1) < 0)
    return errno == EINTR;
  local_hung_ |= (fds[0].revents & POLLHUP) != 0;
  peer_hung_ |= (fds[1].revents & POLLHUP) != 0;
  local_readable_ = local_hung_ || (fds[0].revents & POLLIN);
  peer_readable_ = peer_hung_ || (fds[1].revents & POLLIN);
  return !((fds[0].revents | fds[1].revents) & (POLLERR | POLLNVAL));
}

void Relay::take_local() {
  static log::RateLimit limit;
  const auto got = receive(local_.get(), up_.buffer, MSG_DONTWAIT);
  if (got.err() == EAGAIN)
    return;
  if (!got) {
    if (got.err() == EOPNOTSUPP && limit.allow())
      log::warning("a program passes descriptors over a connection to the server: it is ended");
    broken_ = true;
    return;
  }
  up_.begin = 0;
  up_.end = *got;
  up_.ended = *got == 0;
}

void Relay::take_peer() {
  const ssize_t got = read(peer_.get(), down_.buffer.data(), down_.buffer.size());
  if (got < 0) {
    broken_ = errno != EAGAIN && errno != EINTR;
    return;
  }
  down_.begin = 0;
  down_.end = static_cast<size_t>(got);
  down_.ended = got == 0;
}

void Relay::put_peer() {
  while (up_.pending()) {
    const ssize_t put = write(peer_.get(), up_.buffer.data() + up_.begin, up_.end - up_.begin);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (put < 0) {  // nobody reads there any more; whoever writes here shall know
      shutdown(local_.get(), SHUT_RD);
      up_.begin = up_.end;
      up_.ended = up_.told = true;
      return;
    }
    up_.begin += static_cast<size_t>(put);
  }
  if (up_.ended && !up_.told) {
    ioctl(peer_.get(), QTFS_AGENT_SHUTDOWN, SHUT_WR);
    up_.told = true;
  }
}

void Relay::put_local() {
  while (down_.pending()) {
    const std::span<const std::byte> rest(down_.buffer.data() + down_.begin,
                                          down_.end - down_.begin);
    const ssize_t put = send_as(local_.get(), rest, speaker_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (put < 0) {
      ioctl(peer_.get(), QTFS_AGENT_SHUTDOWN, SHUT_RD);
      down_.begin = down_.end;
      down_.ended = down_.told = true;
      return;
    }
    down_.begin += static_cast<size_t>(put);
  }
  if (down_.ended && !down_.told) {
    shutdown(local_.get(), SHUT_WR);
    down_.told = true;
  }
}

bool Relay::over() const {
  return broken_ || (up_.told && down_.told) || (local_hung_ && up_.told) ||
         (peer_hung_ && down_.told);
}

void Relay::run() {
  while (!over() && wait()) {
    if (local_readable_ && up_.idle())
      take_local();
    if (peer_readable_ && down_.idle())
      take_peer();
    put_peer();
    put_local();
  }
  // Closed with something unread it would be a reset.
  shutdown(local_.get(), SHUT_RDWR);
  while (const auto rest = receive(local_.get(), up_.buffer, MSG_DONTWAIT))
    if (*rest == 0)
      break;
}

}  // namespace

Status start_relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker) {
  if (fcntl(peer.get(), F_SETFL, O_NONBLOCK) < 0)
    return Status::last();
  try {
    auto relay = std::make_unique<Relay>(std::move(local), std::move(peer), type, speaker);
    std::thread([own = std::move(relay)] { own->run(); }).detach();
  } catch (const std::system_error& error) {
    return Status::error(error.code().value());
  }
  return {};
}

}  // namespace qtfs::agent
