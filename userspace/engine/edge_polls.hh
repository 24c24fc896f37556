// SPDX-License-Identifier: GPL-2.0-only
// Being told again and again what descriptors are ready for, where a ring tells only once: io_uring
// before Linux 6.0. By epoll, whose own descriptor the ring polls.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/ring.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class EdgePolls {
 public:
  // What to wait for with the ring whenever it has been ready; -1 before the first add().
  int fd() const { return epoll_.get(); }
  // As Ring::poll_fd(); false where the ring has to do it: the descriptor tells_once(), or cannot
  // be polled, or memory is short.
  bool add(int fd, short events, RingOp& op);
  // Whether @op was waited for; it is not any more, and has not been completed.
  bool remove(RingOp& op);
  // Completes, with more to come, what there is something to tell of.
  void tell();

 private:
  struct Poll {
    RingOp* op;
    UniqueFd fd;  // of our own: any number may wait for one
  };
  UniqueFd epoll_;
  uint64_t next_ = 1;
  std::unordered_map<uint64_t, Poll> polls_;
  std::unordered_map<const RingOp*, uint64_t> ids_;
};

}  // namespace qtfs
