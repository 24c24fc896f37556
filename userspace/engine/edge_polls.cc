// SPDX-License-Identifier: GPL-2.0-only
#include "engine/edge_polls.hh"

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <span>

#include "engine/procfs.hh"

namespace qtfs {

bool EdgePolls::add(int fd, short events, RingOp& op) {
  if (tells_once(fd))  // and never hangs up, for which this is here
    return false;
  if (!epoll_)
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  epoll_event event{};
  event.events = EPOLLET | static_cast<unsigned short>(events);
  event.data.u64 = next_;
  if (!epoll_ || !own || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, own.get(), &event) < 0)
    return false;
  polls_.emplace(next_, Poll{&op, std::move(own)});
  ids_.emplace(&op, next_++);
  return true;
}

bool EdgePolls::remove(RingOp& op) {
  const auto found = ids_.find(&op);
  if (found == ids_.end())
    return false;
  const auto poll = polls_.find(found->second);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, poll->second.fd.get(), nullptr);
  polls_.erase(poll);
  ids_.erase(found);
  return true;
}

void EdgePolls::tell() {
  std::array<epoll_event, 64> batch;
  int count = 0;
  do {
    count = epoll_wait(epoll_.get(), batch.data(), static_cast<int>(batch.size()), 0);
    for (const epoll_event& event :
         std::span(batch).first(count > 0 ? static_cast<size_t>(count) : 0)) {
      // One that was told of may have removed another.
      const auto found = polls_.find(event.data.u64);
      if (found == polls_.end())
        continue;
      RingOp* op = found->second.op;
      op->done(op->self, {.result = static_cast<int>(event.events), .more = true});
    }
  } while (count == static_cast<int>(batch.size()));
}

}  // namespace qtfs
