// SPDX-License-Identifier: GPL-2.0-only
#include "agent/rights.hh"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "agent/relay.hh"
#include "qtfs/agent.h"
#include "qtfs/wire.h"

namespace qtfs::agent {

namespace {

constexpr int copies_max = 1024;

Status give(int peer, qtfs_agent_right& what) {
  return check(ioctl(peer, QTFS_AGENT_GIVE, &what));
}

// What @fd is, if it is something that can be copied.
Result<qtfs_agent_right> kind_of(int fd) {
  struct stat st {};
  if (fstat(fd, &st) < 0)
    return Status::last();
  if (S_ISFIFO(st.st_mode)) {
    const int access = fcntl(fd, F_GETFL) & (O_ACCMODE | O_PATH);
    if (access == O_RDONLY)
      return qtfs_agent_right{-1, QTFS_RIGHT_PIPE_READ, 0, 0};
    if (access == O_WRONLY)
      return qtfs_agent_right{-1, QTFS_RIGHT_PIPE_WRITE, 0, 0};
    return Status::error(EOPNOTSUPP);
  }
  // Where it leads nowhere yet there is nothing to copy.
  const auto type = S_ISSOCK(st.st_mode) ? connection_type(fd) : std::nullopt;
  if (!type)
    return Status::error(EOPNOTSUPP);
  return qtfs_agent_right{-1, QTFS_RIGHT_SOCKET, *type, 0};
}

// Each takes a thread, and who passes them need not keep anything. None where there are too many.
Counted count_copy() {
  static std::atomic<int> copies{0};
  struct Copy {
    ~Copy() { copies--; }
  };
  auto counted = std::make_shared<Copy>();
  return copies++ < copies_max ? counted : nullptr;
}

// @local is of this machine, @remote leads to the server.
Status start_copying(const qtfs_agent_right& what, Passed by, UniqueFd local, UniqueFd remote) {
  Counted counted = count_copy();
  if (!counted)
    return Status::error(ENFILE);
  if (what.kind == QTFS_RIGHT_SOCKET)
    return start_relay(std::move(local), std::move(remote), what.type, somebody, by,
                       std::move(counted));
  // Whoever passed an end to read from has the other one write to it, and the other way round.
  const bool to_server = (what.kind == QTFS_RIGHT_PIPE_READ) == (by == Passed::by_local);
  if (to_server)
    return start_pipe(std::move(local), std::move(remote), std::move(counted));
  return start_pipe(std::move(remote), std::move(local), std::move(counted));
}

// Leaves @fd what it is, or takes it.
Status give_one(int peer, UniqueFd& fd) {
  qtfs_agent_right file{fd.get(), QTFS_RIGHT_FILE, 0, 0};
  if (Status status = give(peer, file); status.err() != EOPNOTSUPP)
    return status;
  auto what = kind_of(fd.get());
  if (!what)
    return what.status();
  if (Status status = give(peer, *what); !status)
    return status;
  return start_copying(*what, Passed::by_local, std::move(fd), UniqueFd(what->fd));
}

// The program's end of what @remote leads to.
Result<UniqueFd> local_end(const qtfs_agent_right& what, UniqueFd remote) {
  std::array<int, 2> ends{};
  const bool socket = what.kind == QTFS_RIGHT_SOCKET;
  const int made = socket ? socketpair(AF_UNIX, what.type | SOCK_CLOEXEC, 0, ends.data())
                          : pipe2(ends.data(), O_CLOEXEC);
  if (made < 0)
    return Status::last();
  UniqueFd first(ends[0]);
  UniqueFd second(ends[1]);
  if (what.kind == QTFS_RIGHT_PIPE_WRITE)
    std::swap(first, second);  // a pipe's second end is written to
  const Status status = start_copying(what, Passed::by_peer, std::move(second), std::move(remote));
  // EAGAIN would mean that there are no more.
  if (!status)
    return status.err() == EAGAIN ? Status::error(ENOMEM) : status;
  return first;
}

Result<UniqueFd> take_one(int peer, size_t& at) {
  qtfs_agent_right what{};
  if (ioctl(peer, QTFS_AGENT_TAKE, &what) < 0)
    return Status::last();
  UniqueFd fd(what.fd);
  at = what.at;
  if (what.kind == QTFS_RIGHT_FILE)
    return fd;
  return local_end(what, std::move(fd));
}

}  // namespace

void drop_rights(int peer) {
  qtfs_agent_right none{};
  // Where it fails the connection is lost, or passes none anyway.
  static_cast<void>(give(peer, none));
}

Status give_rights(int peer, std::vector<UniqueFd> fds) {
  Status status;
  for (UniqueFd& fd : fds)
    if (status = give_one(peer, fd); !status)
      break;
  // They may be of anybody's filesystem.
  std::erase_if(fds, [](const UniqueFd& fd) { return !fd; });
  close_elsewhere(std::move(fds));
  return status;
}

Result<std::vector<UniqueFd>> take_rights(int peer, size_t& at) {
  std::vector<UniqueFd> fds;
  Status failed;
  // All of them, also when one cannot be had: else they would be in the way of what follows.
  for (unsigned i = 0; i <= QTFS_RIGHTS_MAX; i++) {
    auto fd = take_one(peer, at);
    if (fd.err() == EAGAIN)
      break;
    if (fd)
      fds.push_back(std::move(*fd));
    else if (failed)
      failed = fd.status();
  }
  if (!failed)
    return failed;
  return fds;
}

}  // namespace qtfs::agent
