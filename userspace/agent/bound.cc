// SPDX-License-Identifier: GPL-2.0-only
#include "agent/bound.hh"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/relay.hh"
#include "agent/rights.hh"
#include "lib/log.hh"
#include "qtfs/agent.h"

namespace qtfs::agent {

namespace {

// More wait at the engine, where they take nothing of this machine.
constexpr int connecting_max = 16;
constexpr int connecting_look_ms = 20;
// Until somebody gives some back.
constexpr std::chrono::milliseconds shortage(10);

// Whom the program shall see who looks with SO_PEERCRED: the thread, while it exists. Permissions
// are looked at where he connected. glibc's functions would change every thread.
class Stand {
 public:
  Stand(uint32_t uid, uint32_t gid) {
    constexpr uint32_t unchanged = 0xffffffff;
    if (uid == unchanged || gid == unchanged || syscall(SYS_setgroups, 0, nullptr) < 0 ||
        syscall(SYS_setresgid, -1, gid, -1) < 0 || syscall(SYS_setresuid, -1, uid, -1) < 0)
      return;
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, 0);
    good_ = true;
  }
  ~Stand() {
    syscall(SYS_setresuid, -1, 0, -1);
    syscall(SYS_setresgid, -1, 0, -1);
  }
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;
  explicit operator bool() const { return good_; }

 private:
  bool good_ = false;
};

// A program's socket. Those who are connecting have it, too.
struct Target {
  int type;
  UniqueFd place;
  std::atomic<int> connecting{0};

  // By its magic link: in whichever namespace it has its name.
  Result<UniqueFd> connect_to() const {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!fd)
      return Status::last();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(place.get());
    std::memcpy(address.sun_path, path.data(), path.size());
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0)
      return Status::last();
    return fd;
  }
};

// Who cannot be led there finds his connection closed.
void connect_one(const Target& target, const qtfs_agent_accepted& who, UniqueFd peer) {
  Result<UniqueFd> local = Status::error(EPERM);
  if (const Stand stand(who.uid, who.gid); stand)
    local = target.connect_to();
  if (!local)
    return log::debug("a program of the server is not let in: {}", std::strerror(local.err()));
  const Status status =
      start_relay(std::move(*local), std::move(peer), target.type, {who.uid, who.gid});
  if (!status)
    log::warning("no thread for a connection: {}", std::strerror(status.err()));
}

enum class Next { go_on, wait, end };

// After an attempt to take what has arrived.
Next after(int err) {
  switch (err) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EMSGSIZE:
    case EOPNOTSUPP:
      return Next::go_on;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ETIMEDOUT:
    case ESTALE:
      return Next::wait;
    default:
      return Next::end;
  }
}

class Bound {
 public:
  Bound(int type, UniqueFd arrivals, UniqueFd place) : arrivals_(std::move(arrivals)) {
    target_->type = type;
    target_->place = std::move(place);
  }
  void run();

 private:
  bool full() const { return target_->connecting >= connecting_max; }
  Next take();
  Next take_connection();
  Next take_datagram();
  void pass(std::span<const std::byte> datagram, const std::vector<UniqueFd>& rights);

  UniqueFd arrivals_;
  std::shared_ptr<Target> target_ = std::make_shared<Target>();
  UniqueFd local_;  // for datagrams
  std::vector<std::byte> buffer_;
};

// On a thread: the program may be long in accepting.
Next Bound::take_connection() {
  qtfs_agent_accepted who{};
  if (ioctl(arrivals_.get(), QTFS_AGENT_ACCEPT, &who) < 0)
    return after(errno);
  auto peer = std::make_shared<UniqueFd>(who.fd);
  target_->connecting++;
  try {
    std::thread([target = target_, who, peer] {
      connect_one(*target, who, std::move(*peer));
      target->connecting--;
    }).detach();
  } catch (const std::system_error& error) {
    target_->connecting--;
    log::warning("no thread for a connection: {}", error.what());
  }
  return Next::go_on;
}

// What the program does not take is lost, as any datagram may be.
void Bound::pass(std::span<const std::byte> datagram, const std::vector<UniqueFd>& rights) {
  if (!local_) {
    auto made = target_->connect_to();
    if (!made)
      return;
    const int size = 2 * static_cast<int>(message_max);
    setsockopt(made->get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    local_ = std::move(*made);
  }
  if (send_as(local_.get(), datagram, somebody, MSG_NOSIGNAL, rights) < 0 && errno != EMSGSIZE &&
      errno != EPERM)
    local_.reset();
}

Next Bound::take_datagram() {
  buffer_.resize(message_max);
  const ssize_t got = read(arrivals_.get(), buffer_.data(), buffer_.size());
  if (got < 0)
    return after(errno);
  size_t at = 0;
  const auto rights = take_rights(arrivals_.get(), at);
  if (!rights) {
    log::warning("a datagram is lost: its descriptors cannot be passed on ({})",
                 std::strerror(rights.err()));
    return Next::go_on;
  }
  pass(std::span(buffer_).first(static_cast<size_t>(got)), *rights);
  return Next::go_on;
}

Next Bound::take() {
  return target_->type == SOCK_DGRAM ? take_datagram() : take_connection();
}

// Until the program's socket is closed; or the server is lost, which the attempt tells.
void Bound::run() {
  pollfd wait{arrivals_.get(), 0, 0};
  while (true) {
    wait.events = full() ? 0 : POLLIN;
    wait.revents = 0;
    if (poll(&wait, 1, full() ? connecting_look_ms : -1) < 0 && errno != EINTR)
      return;
    if (wait.revents & (POLLHUP | POLLNVAL))
      return;
    if (!wait.revents)
      continue;
    const Next next = take();
    if (next == Next::end)
      return;
    if (next == Next::wait || (wait.revents & POLLERR))
      std::this_thread::sleep_for(shortage);
  }
}

}  // namespace

Status start_bound(int type, UniqueFd arrivals, UniqueFd place) {
  if (fcntl(arrivals.get(), F_SETFL, O_NONBLOCK) < 0)
    return Status::last();
  // Its root directory is its own before the caller's may change; see bind_alias().
  std::promise<bool> apart;
  auto is_apart = apart.get_future();
  try {
    auto bound = std::make_unique<Bound>(type, std::move(arrivals), std::move(place));
    std::thread([own = std::move(bound), told = std::move(apart)]() mutable {
      const bool done = unshare(CLONE_FS) == 0;
      told.set_value(done);
      if (done)
        own->run();
    }).detach();
  } catch (const std::system_error& error) {
    return Status::error(error.code().value());
  }
  return is_apart.get() ? Status() : Status::error(EPERM);
}

}  // namespace qtfs::agent
