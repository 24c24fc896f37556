// SPDX-License-Identifier: GPL-2.0-only
// Where programs of this machine arrive that connect to a socket of the server.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

// A socket of @type, bound by the name @path to the inode that @dir makes of every name. Changes
// the process's root directory meanwhile: no other thread may look at paths.
Result<UniqueFd> bind_alias(int dir, const std::string& path, int type);

// Who connects: the module's number of it, and what SO_PEERCRED will tell.
struct Connector {
  uint64_t id = 0;
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// For connections to one socket of the server, each of which the module has announced: it has
// reached the server's program.
class Listener {
 public:
  explicit Listener(int type) : type_(type) {}
  int type() const { return type_; }
  // Who calls the socket @path will find it so; arguments as for bind_alias(). Who connects arrives
  // at the newest name, whatever his own.
  Status bind(int dir, const std::string& path);
  // Descriptors that become readable when somebody arrives.
  void add_to(std::vector<pollfd>& fds) const;
  // @who is about to connect; @peer is his connection. Of a process that lets many wait the oldest
  // are given up.
  void expect(const Connector& who, UniqueFd peer);
  // He is not, after all.
  void forget(uint64_t id);
  // Accepts who is there, and starts to copy.
  void accept_all();
  // Gives up those who never came.
  void expire();
  bool empty() const { return expected_.empty(); }

 private:
  struct Expected {
    Connector who;
    UniqueFd peer;
    std::chrono::steady_clock::time_point since;
  };
  struct Bound {
    UniqueFd fd;
    std::string path;
  };
  void accept_one(UniqueFd local);
  UniqueFd take(const ucred& who);

  int type_;
  std::vector<Bound> bound_;
  std::deque<Expected> expected_;
};

}  // namespace qtfs::agent
