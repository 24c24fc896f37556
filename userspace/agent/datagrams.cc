// SPDX-License-Identifier: GPL-2.0-only
#include "agent/datagrams.hh"

#include <sys/socket.h>
#include <sys/time.h>

#include <cstddef>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/relay.hh"
#include "agent/rights.hh"
#include "lib/log.hh"
#include "lib/message.hh"

namespace qtfs::agent {

namespace {

constexpr std::chrono::seconds keep_for(60);

// Whether later datagrams may go where this one could not.
bool passes(int err) {
  return err == EAGAIN || err == EINTR || err == EMSGSIZE || err == EOPNOTSUPP || err == ENOBUFS;
}

}  // namespace

Result<std::shared_ptr<Datagrams>> Datagrams::start(UniqueFd local) {
  const timeval patience{1, 0};
  const int yes = 1;
  if (setsockopt(local.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
      setsockopt(local.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
    return Status::last();
  std::shared_ptr<Datagrams> made(new Datagrams(std::move(local)));
  try {
    std::thread([made] { made->run(); }).detach();
  } catch (const std::system_error& error) {
    return Status::error(error.code().value());
  }
  return made;
}

bool Datagrams::expect(User user, UniqueFd peer) {
  const std::lock_guard guard(mutex_);
  used_ = std::chrono::steady_clock::now();
  peers_.try_emplace(user, std::move(peer));
  return !ended_;
}

bool Datagrams::over() {
  const std::lock_guard guard(mutex_);
  return ended_;
}

// Valid on the thread: only that closes them.
int Datagrams::peer_of(User user) {
  const std::lock_guard guard(mutex_);
  used_ = std::chrono::steady_clock::now();
  const auto found = peers_.find(user);
  return found == peers_.end() ? -1 : found->second.get();
}

bool Datagrams::idle() {
  const std::lock_guard guard(mutex_);
  ended_ = std::chrono::steady_clock::now() - used_ > keep_for;
  return ended_;
}

void Datagrams::run() {
  static log::RateLimit limit;
  std::vector<std::byte> buffer(message_max);
  while (true) {
    ucred who{};
    std::vector<UniqueFd> rights;
    const auto got = receive(local_.get(), buffer, 0, &who, &rights);
    if (!got) {
      close_elsewhere(std::move(rights));
      if (got.err() == EAGAIN ? idle() : !passes(got.err()))
        break;
      if (got.err() != EAGAIN && limit.allow())
        log::warning("datagrams are lost: {}", std::strerror(got.err()));
      continue;
    }
    const int peer = peer_of({who.uid, who.gid});
    if (Status status = give_rights(peer, std::move(rights)); !status) {
      if (limit.allow())
        log::warning("a datagram is lost: its descriptors cannot be passed on ({})",
                     std::strerror(status.err()));
      drop_rights(peer);
      continue;
    }
    // Nobody receives any more: who sends next finds that out.
    if (peer < 0 || write(peer, buffer.data(), *got) >= 0)
      continue;
    if (!passes(errno))
      break;
    drop_rights(peer);
  }
  const std::lock_guard guard(mutex_);
  ended_ = true;
  local_.reset();
  peers_.clear();
}

}  // namespace qtfs::agent
