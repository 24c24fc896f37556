// SPDX-License-Identifier: GPL-2.0-only
#include "agent/agent.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "agent/bound.hh"
#include "lib/log.hh"

namespace qtfs::agent {

namespace {

constexpr const char* device_path = "/dev/" QTFS_AGENT_DEVICE;
constexpr std::chrono::milliseconds look_after_every(1000);
constexpr int events_at_once = 64;

std::string path_of(const qtfs_agent_event& what) {
  const size_t len = std::min<size_t>(what.path_len, sizeof(what.path));
  return {what.path, len};
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::create(std::string& error) {
  UniqueFd device(open(device_path, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!device) {
    const Status status = Status::last();
    error = status.err() == ENOENT ? fmt::format("no {}: qtfs.ko is not loaded", device_path)
            : status.err() == EBUSY
                ? "another agent is running"
                : fmt::format("{}: {}", device_path, std::strerror(status.err()));
    return status;
  }
  return std::unique_ptr<Agent>(new Agent(std::move(device)));
}

// One socket for all who send to the same; they come without being asked again, if they want to.
Status Agent::serve_datagrams(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir) {
  const Key key{what.mount, what.node};
  const User user{what.uid, what.gid};
  const auto found = datagrams_.find(key);
  if (found != datagrams_.end() && !found->second->over()) {
    // What is over a moment later has lost a connection, and the next datagram makes another.
    found->second->expect(user, std::move(peer));
    return {};
  }
  auto local = bind_alias(dir.get(), path_of(what), SOCK_DGRAM);
  if (!local)
    return local.status();
  auto made = Datagrams::start(std::move(*local));
  if (!made)
    return made.status();
  (*made)->expect(user, std::move(peer));
  datagrams_[key] = std::move(*made);
  return {};
}

Status Agent::serve_connect(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir) {
  const int type = static_cast<int>(what.type);
  if (type == SOCK_DGRAM)
    return serve_datagrams(what, std::move(peer), std::move(dir));
  const Key key{what.mount, what.node};
  auto found = listeners_.find(key);
  if (found != listeners_.end() && found->second.type() != type) {
    listeners_.erase(found);  // another program has the socket now
    found = listeners_.end();
  }
  if (found == listeners_.end())
    found = listeners_.emplace(key, type).first;
  if (Status status = found->second.bind(dir.get(), path_of(what)); !status)
    return status;
  found->second.expect({what.id, what.pid, what.uid, what.gid}, std::move(peer));
  return {};
}

void Agent::take_connect(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir) {
  const Status status = serve_connect(what, std::move(peer), std::move(dir));
  log::debug("process {} connects to {}: {}", what.pid, path_of(what),
             status ? "expected" : std::strerror(status.err()));
  const qtfs_agent_answer answer{what.id, static_cast<uint32_t>(status.err()), 0};
  if (write(device_.get(), &answer, sizeof(answer)) == sizeof(answer))
    return;
  if (errno != ENOENT)
    log::warning("{}: {}", device_path, std::strerror(errno));
  // Whoever it was has given up.
  if (const auto found = listeners_.find({what.mount, what.node}); found != listeners_.end())
    found->second.forget(what.id);
}

void Agent::take_events() {
  qtfs_agent_event what{};
  // Not more than so many before those who have arrived get their turn.
  for (int i = 0; i < events_at_once; i++) {
    if (read(device_.get(), &what, sizeof(what)) != static_cast<ssize_t>(sizeof(what)))
      return;
    UniqueFd peer(what.peer), dir(what.dir);
    if (what.kind == QTFS_AGENT_CONNECT) {
      take_connect(what, std::move(peer), std::move(dir));
    } else if (what.kind == QTFS_AGENT_BOUND) {
      const int type = static_cast<int>(what.type);
      if (Status status = start_bound(type, std::move(peer), std::move(dir)); !status)
        log::warning("no thread for a socket: {}", std::strerror(status.err()));
    }
  }
}

// Listeners live as long as somebody is expected: they keep the mount in use.
void Agent::look_after() {
  const auto now = std::chrono::steady_clock::now();
  const bool expire = now >= next_look_;
  if (expire)
    next_look_ = now + look_after_every;
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    it->second.accept_all();
    if (expire)
      it->second.expire();
    it = it->second.empty() ? listeners_.erase(it) : std::next(it);
  }
  if (expire)
    std::erase_if(datagrams_, [](const auto& one) { return one.second->over(); });
}

Status Agent::wait(int stop) {
  std::vector<pollfd> fds{{device_.get(), POLLIN, 0}, {stop, POLLIN, 0}};
  for (const auto& [key, listener] : listeners_)
    listener.add_to(fds);
  const bool watching = !listeners_.empty() || !datagrams_.empty();
  const int ready =
      poll(fds.data(), fds.size(), watching ? static_cast<int>(look_after_every.count()) : -1);
  if (ready < 0 && errno != EINTR)
    return Status::last();
  if (fds[0].revents)
    take_events();
  look_after();
  stopping_ = fds[1].revents != 0;
  return {};
}

Status Agent::run(int stop) {
  while (!stopping_)
    if (Status status = wait(stop); !status)
      return status;
  return {};
}

}  // namespace qtfs::agent
