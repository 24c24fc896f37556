// SPDX-License-Identifier: GPL-2.0-only
// Datagrams to a program of the server, as to its /dev/log.
#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <memory>
#include <mutex>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  auto operator<=>(const User&) const = default;
};

// One socket for all who send to one of the server's, on a thread of its own; until nobody has for
// a while. What a user sends goes by the connection that was made as this user. Answers have no way
// back: who sends need not have an address.
class Datagrams {
 public:
  // @local is bound. EAGAIN where there can be no more threads.
  static Result<std::shared_ptr<Datagrams>> start(UniqueFd local);
  // @user is about to send, by @peer unless there is a connection. False where all has just ended.
  bool expect(User user, UniqueFd peer);
  bool over();

 private:
  explicit Datagrams(UniqueFd local) : local_(std::move(local)) {}
  void run();
  int peer_of(User user);
  bool idle();

  UniqueFd local_;
  std::mutex mutex_;  // protects the rest
  std::map<User, UniqueFd> peers_;
  std::chrono::steady_clock::time_point used_ = std::chrono::steady_clock::now();
  bool ended_ = false;
};

}  // namespace qtfs::agent
