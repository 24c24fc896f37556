// SPDX-License-Identifier: GPL-2.0-only
// Descriptors that travel with what a connection to a unix socket carries (SCM_RIGHTS).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// Of one connection.
class Rights {
 public:
  // @waiting: how many wait, of all connections of a session.
  explicit Rights(std::shared_ptr<std::atomic<uint32_t>> waiting) : waiting_(std::move(waiting)) {}
  // Closes what still waits on a thread of its own: that may take long.
  ~Rights();

  // To go with what is sent next. ENFILE where too many wait.
  Status give(UniqueFd fd);
  // Not to go, after all.
  void drop_given();
  // Calls @send, as sendmsg(2), with what was given; that is done with if something was sent.
  ssize_t send(const std::function<ssize_t(std::span<const UniqueFd>)>& send);

  // These came with what was received, with the byte @at of it: all or, with ENFILE, none of them.
  Status came(std::vector<UniqueFd> fds, size_t at);
  bool any_came();
  // The first of those, if any; and their place.
  UniqueFd take(size_t& at);

 private:
  bool count(size_t more);

  std::shared_ptr<std::atomic<uint32_t>> waiting_;
  std::mutex mutex_;  // protects the rest
  std::vector<UniqueFd> given_;
  std::deque<UniqueFd> came_;
  size_t at_ = 0;
};

}  // namespace qtfs
