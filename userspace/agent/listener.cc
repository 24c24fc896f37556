// SPDX-License-Identifier: GPL-2.0-only
#include "agent/listener.hh"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "agent/relay.hh"
#include "lib/log.hh"

namespace qtfs::agent {

namespace {

// Who was told that somebody listens connects at once, unless it is stopped or killed.
constexpr std::chrono::seconds expected_for(10);
constexpr ptrdiff_t expected_of_process = 64;
// Until somebody else gives some back.
constexpr std::chrono::milliseconds no_descriptors(10);
// Under as many names is one socket kept at a time.
constexpr size_t names_max = 8;

Status bind_as(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path)));
  const auto len = static_cast<socklen_t>(
      std::min(offsetof(sockaddr_un, sun_path) + path.size() + 1, sizeof(address)));
  return check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), len));
}

// While it exists, names start in a directory.
class Inside {
 public:
  explicit Inside(int dir) : root_(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    if (root_ && fchdir(dir) == 0)
      inside_ = chroot(".") == 0;
  }
  ~Inside() {
    // Going on in there would mean that nothing else is ever found again.
    if (inside_ && (fchdir(root_.get()) < 0 || chroot(".") < 0))
      std::abort();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return inside_; }

 private:
  UniqueFd root_;
  bool inside_ = false;
};

}  // namespace

Result<UniqueFd> bind_alias(int dir, const std::string& path, int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd)
    return Status::last();
  const Inside inside(dir);
  if (!inside)
    return Status::last();
  Status status = path.empty() ? Status::error(ENOENT) : bind_as(fd.get(), path);
  // A name that was only seen in part.
  if (!status)
    status = bind_as(fd.get(), "socket");
  if (!status)
    return status;
  return fd;
}

Status Listener::bind(int dir, const std::string& path) {
  if (!bound_.empty() && bound_.back().path == path)
    return {};
  auto fd = bind_alias(dir, path, type_ | SOCK_NONBLOCK);
  if (!fd)
    return fd.status();
  if (listen(fd->get(), SOMAXCONN) < 0)
    return Status::last();
  bound_.push_back({std::move(*fd), path});
  if (bound_.size() > names_max) {
    accept_all();  // who was on his way finds a newer one
    bound_.erase(bound_.begin());
  }
  return {};
}

void Listener::add_to(std::vector<pollfd>& fds) const {
  for (const Bound& bound : bound_)
    fds.push_back({bound.fd.get(), POLLIN, 0});
}

void Listener::expect(const Connector& who, UniqueFd peer) {
  const auto same = [&who](const Expected& one) { return one.who.pid == who.pid; };
  if (std::count_if(expected_.begin(), expected_.end(), same) >= expected_of_process)
    expected_.erase(std::find_if(expected_.begin(), expected_.end(), same));
  expected_.push_back({who, std::move(peer), std::chrono::steady_clock::now()});
}

void Listener::forget(uint64_t id) {
  std::erase_if(expected_, [id](const Expected& one) { return one.who.id == id; });
}

// The latest: those before may have been interrupted.
UniqueFd Listener::take(const ucred& who) {
  const auto found =
      std::find_if(expected_.rbegin(), expected_.rend(), [&who](const Expected& one) {
        return one.who.pid == static_cast<uint32_t>(who.pid) && one.who.uid == who.uid &&
               one.who.gid == who.gid;
      });
  if (found == expected_.rend())
    return {};
  UniqueFd peer = std::move(found->peer);
  expected_.erase(std::next(found).base());
  return peer;
}

void Listener::accept_one(UniqueFd local) {
  ucred who{};
  socklen_t len = sizeof(who);
  if (getsockopt(local.get(), SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
    return;
  UniqueFd peer = take(who);
  if (!peer)
    return log::debug("process {} was not announced", who.pid);
  if (Status status = start_relay(std::move(local), std::move(peer), type_); !status)
    log::warning("no thread for a connection: {}", std::strerror(status.err()));
}

void Listener::accept_all() {
  for (const Bound& bound : bound_) {
    while (true) {
      UniqueFd local(accept4(bound.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!local && (errno == EMFILE || errno == ENFILE))
        std::this_thread::sleep_for(no_descriptors);
      if (!local && errno != EINTR && errno != ECONNABORTED)
        break;
      if (local)
        accept_one(std::move(local));
    }
  }
}

void Listener::expire() {
  const auto now = std::chrono::steady_clock::now();
  while (!expected_.empty() && now - expected_.front().since > expected_for)
    expected_.pop_front();
}

}  // namespace qtfs::agent
