// SPDX-License-Identifier: GPL-2.0-only
#include "agent/relay.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "agent/rights.hh"
#include "lib/log.hh"
#include "lib/message.hh"
#include "qtfs/agent.h"

namespace qtfs::agent {

namespace {

constexpr size_t stream_size = 65536;
// Thousands of connections are mostly idle.
constexpr int keep_buffers_ms = 1000;

// What travels in one direction.
struct Flow {
  explicit Flow(size_t size_) : size(size_) {}
  const size_t size;
  std::unique_ptr<std::byte[]> buffer;  // unless there is nothing for a while
  size_t begin = 0;
  size_t end = 0;
  std::vector<UniqueFd> rights;  // go with the byte at @rights_at
  size_t rights_at = 0;
  bool ended = false;  // nothing follows
  bool told = false;   // nor does the other side wait for more
  bool idle() const { return begin == end && !ended; }
  bool pending() const { return begin < end; }
  std::span<std::byte> room() {
    if (!buffer)
      buffer = std::make_unique_for_overwrite<std::byte[]>(size);
    return {buffer.get(), size};
  }
  // What can go at once.
  std::span<const std::byte> rest() const {
    const size_t to = !rights.empty() && begin < rights_at ? std::min(end, rights_at) : end;
    return {buffer.get() + begin, to - begin};
  }
  bool rights_go() const { return !rights.empty() && begin == rights_at; }
};

// Ends when both directions have; or when one side is gone and the other has all that it sent.
class Relay {
 public:
  Relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker, Passed passed)
      : local_(std::move(local)),
        peer_(std::move(peer)),
        type_(type),
        speaker_(speaker),
        passed_(passed),
        up_(type == SOCK_STREAM ? stream_size : message_max),
        down_(up_.size) {}
  void run();

 private:
  bool wait();
  void give_up(const char* which, int err);
  void take_local();
  void take_peer();
  void put_peer();
  void put_local();
  bool over() const;

  UniqueFd local_;  // a program of this machine
  UniqueFd peer_;   // one of the server
  const int type_;
  const Speaker speaker_;
  const Passed passed_;
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
  const int patience = up_.buffer || down_.buffer ? keep_buffers_ms : -1;
  pollfd fds[] = {
      {local_hung_ ? -1 : local_.get(), static_cast<short>(in(up_) | out(down_)), 0},
      {peer_hung_ ? -1 : peer_.get(), static_cast<short>(in(down_) | out(up_)), 0},
  };
  const int ready = poll(fds, std::size(fds), more ? 0 : patience);
  if (ready < 0)
    return errno == EINTR;
  for (Flow* flow : {&up_, &down_})
    if (ready == 0 && !more && !flow->pending())
      flow->buffer.reset();
  local_hung_ |= (fds[0].revents & POLLHUP) != 0;
  peer_hung_ |= (fds[1].revents & POLLHUP) != 0;
  local_readable_ = local_hung_ || (fds[0].revents & POLLIN);
  peer_readable_ = peer_hung_ || (fds[1].revents & POLLIN);
  return !((fds[0].revents | fds[1].revents) & (POLLERR | POLLNVAL));
}

bool is_hung(int fd) {
  pollfd one{fd, 0, 0};
  return poll(&one, 1, 0) > 0 && (one.revents & POLLHUP);
}

// Nothing may get lost unseen.
void Relay::give_up(const char* which, int err) {
  static log::RateLimit limit;
  broken_ = true;
  if (limit.allow())
    log::warning(
        "a program of {} passes a descriptor that cannot be passed on ({}): its connection is "
        "ended",
        which, std::strerror(err));
}

void Relay::take_local() {
  up_.rights.clear();
  const auto got = receive_from(local_.get(), type_, up_.room(), up_.rights);
  if (got.err() == EAGAIN)
    return;
  if (got.err() == EOPNOTSUPP)
    return give_up("this machine", got.err());
  if (!got) {
    broken_ = true;
    return;
  }
  up_.begin = 0;
  up_.end = got->len;
  up_.rights_at = got->at;
  up_.ended = got->len == 0;
}

void Relay::take_peer() {
  const ssize_t got = read(peer_.get(), down_.room().data(), down_.size);
  if (got < 0 && (errno == EOPNOTSUPP || errno == ENFILE))
    return give_up("the server", errno);
  if (got < 0) {
    broken_ = errno != EAGAIN && errno != EINTR;
    return;
  }
  auto rights = take_rights(peer_.get(), down_.rights_at);
  if (!rights)
    return give_up("the server", rights.err());
  if (!rights->empty() && !is_unix(local_.get()))
    return give_up("the server", EOPNOTSUPP);
  down_.rights = std::move(*rights);
  down_.begin = 0;
  down_.end = static_cast<size_t>(got);
  down_.ended = got == 0;
}

void Relay::put_peer() {
  while (up_.pending()) {
    if (up_.rights_go())
      if (Status status = give_rights(peer_.get(), std::exchange(up_.rights, {})); !status)
        return give_up("this machine", status.err());
    const ssize_t put = write(peer_.get(), up_.rest().data(), up_.rest().size());
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (put < 0 && passed_ != Passed::none) {
      broken_ = true;
      return;
    }
    if (put < 0) {  // nobody reads there any more; whoever writes here shall know
      shutdown(local_.get(), SHUT_RD);
      up_.begin = up_.end;
      up_.ended = up_.told = true;
      return;
    }
    up_.begin += static_cast<size_t>(put);
  }
  if (up_.ended && !up_.told) {
    if (passed_ != Passed::by_peer || !is_hung(local_.get()))
      ioctl(peer_.get(), QTFS_AGENT_SHUTDOWN, SHUT_WR);
    up_.told = true;
  }
}

void Relay::put_local() {
  while (down_.pending()) {
    const ssize_t put = send_as(
        local_.get(), down_.rest(), speaker_, MSG_DONTWAIT | MSG_NOSIGNAL,
        down_.rights_go() ? std::span<const UniqueFd>(down_.rights) : std::span<const UniqueFd>());
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (put < 0 && passed_ != Passed::none) {
      broken_ = true;
      return;
    }
    if (put < 0) {
      ioctl(peer_.get(), QTFS_AGENT_SHUTDOWN, SHUT_RD);
      down_.begin = down_.end;
      down_.ended = down_.told = true;
      return;
    }
    if (down_.rights_go())
      down_.rights.clear();
    down_.begin += static_cast<size_t>(put);
  }
  if (down_.ended && !down_.told) {
    if (passed_ != Passed::by_local || !is_hung(peer_.get()))
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
  if (passed_ == Passed::by_local)
    return;
  // Closed with something unread it would be a reset.
  shutdown(local_.get(), SHUT_RDWR);
  while (const auto rest = receive(local_.get(), up_.room(), MSG_DONTWAIT))
    if (*rest == 0)
      break;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    pollfd room{fd, POLLOUT, 0};
    if (put < 0 && errno == EAGAIN)
      poll(&room, 1, -1);
    else if (put < 0 && errno != EINTR)
      return false;
    if (put > 0)
      bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return true;
}

// The pipe may be a program's, too, that has it blocking or not, as it likes.
void copy_pipe(int from, int to) {
  std::vector<std::byte> buffer(stream_size);
  while (true) {
    pollfd fds[] = {{from, POLLIN, 0}, {to, 0, 0}};
    if (poll(fds, std::size(fds), -1) < 0 && errno != EINTR)
      return;
    if (fds[1].revents)  // nobody reads there any more
      return;
    if (!fds[0].revents)
      continue;
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
      return;
    if (got > 0 && !write_all(to, std::span(buffer).first(static_cast<size_t>(got))))
      return;
  }
}

}  // namespace

Status start_pipe(UniqueFd from, UniqueFd to, Counted counted) {
  try {
    std::thread([in = std::move(from), out = std::move(to), count = std::move(counted)] {
      copy_pipe(in.get(), out.get());
    }).detach();
  } catch (const std::system_error& error) {
    return Status::error(error.code().value());
  }
  return {};
}

Status start_relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker, Passed passed,
                   Counted counted) {
  if (fcntl(peer.get(), F_SETFL, O_NONBLOCK) < 0)
    return Status::last();
  try {
    auto relay = std::make_unique<Relay>(std::move(local), std::move(peer), type, speaker, passed);
    std::thread([own = std::move(relay), count = std::move(counted)] { own->run(); }).detach();
  } catch (const std::system_error& error) {
    return Status::error(error.code().value());
  }
  return {};
}

}  // namespace qtfs::agent
