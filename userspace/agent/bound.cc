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

#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/relay.hh"
#include "lib/log.hh"
#include "qtfs/agent.h"

namespace qtfs::agent {

namespace {

// Whom the program shall see who looks with SO_PEERCRED: the thread, while it exists. Permissions
// are looked at where he connected. glibc's functions would change every thread.
class Stand {
 public:
  Stand(uint32_t uid, uint32_t gid) {
    if (syscall(SYS_setresgid, -1, gid, -1) < 0 || syscall(SYS_setresuid, -1, uid, -1) < 0)
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

// The program's socket, by its magic link: in whichever namespace it has its name.
Result<UniqueFd> connect_to(int place, int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd)
    return Status::last();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(place);
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0)
    return Status::last();
  return fd;
}

class Bound {
 public:
  Bound(int type, UniqueFd arrivals, UniqueFd place)
      : type_(type),
        arrivals_(std::move(arrivals)),
        place_(std::make_shared<UniqueFd>(std::move(place))) {}
  void run();

 private:
  bool take();
  bool take_connection();
  bool take_datagram();

  int type_;
  UniqueFd arrivals_;
  std::shared_ptr<UniqueFd> place_;  // who is connecting has it, too
  UniqueFd local_;                   // for datagrams
};

// Who cannot be led there finds his connection closed.
void connect_one(int type, int place, const qtfs_agent_accepted& who, UniqueFd peer) {
  Result<UniqueFd> local = Status::error(EPERM);
  if (const Stand stand(who.uid, who.gid); stand)
    local = connect_to(place, type);
  if (!local)
    return log::debug("a program of the server is not let in: {}", std::strerror(local.err()));
  if (Status status = start_relay(std::move(*local), std::move(peer), type); !status)
    log::warning("no thread for a connection: {}", std::strerror(status.err()));
}

// On a thread: the program may be long in accepting.
bool Bound::take_connection() {
  qtfs_agent_accepted who{};
  if (ioctl(arrivals_.get(), QTFS_AGENT_ACCEPT, &who) < 0)
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  auto peer = std::make_shared<UniqueFd>(who.fd);
  try {
    std::thread([type = type_, place = place_, who, peer] {
      connect_one(type, place->get(), who, std::move(*peer));
    }).detach();
  } catch (const std::system_error& error) {
    log::warning("no thread for a connection: {}", error.what());
  }
  return true;
}

// Each goes to whoever has the socket when it is sent: the program may make another of it.
bool Bound::take_datagram() {
  std::vector<std::byte> message(message_max);
  const ssize_t got = read(arrivals_.get(), message.data(), message.size());
  if (got < 0)
    return errno == EAGAIN || errno == EINTR || errno == EMSGSIZE || errno == EOPNOTSUPP;
  if (!local_) {
    auto made = connect_to(place_->get(), type_);
    if (!made)
      return made.err() != ECONNREFUSED;
    local_ = std::move(*made);
  }
  return send(local_.get(), message.data(), static_cast<size_t>(got), MSG_NOSIGNAL) >= 0 ||
         errno == EINTR || errno == ENOBUFS;
}

bool Bound::take() {
  return type_ == SOCK_DGRAM ? take_datagram() : take_connection();
}

void Bound::run() {
  pollfd wait{arrivals_.get(), POLLIN, 0};
  while (poll(&wait, 1, -1) >= 0 || errno == EINTR) {
    if (wait.revents & (POLLHUP | POLLERR | POLLNVAL))
      return;
    if ((wait.revents & POLLIN) && !take())
      return;
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
