// SPDX-License-Identifier: GPL-2.0-only
// The ring where io_uring is forbidden: each operation is tried when it is asked for, and again
// when epoll says that it may succeed. A descriptor has one operation in each direction at a time.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <unordered_map>
#include <vector>

#include "engine/procfs.hh"
#include "engine/ring.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

namespace {

using clock = std::chrono::steady_clock;

constexpr unsigned batch = 64;

class EpollRing final : public Ring {
 public:
  Status setup() {
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    return epoll_ ? Status() : Status::last();
  }

  void accept(int fd, RingOp& op) override {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    start(fd, Direction::in, {.kind = Kind::accept, .op = &op});
  }
  void recv_multishot(int fd, RingOp& op) override { recv_select(fd, op); }
  void recv_select(int, RingOp& op) override { done_.push_back({&op, -EOPNOTSUPP}); }
  void recv_into(int fd, std::span<std::byte> to, bool, RingOp& op) override {
    start(fd, Direction::in, {.kind = Kind::recv, .op = &op, .to = to});
  }
  void sendmsg(int fd, const msghdr& message, bool more, RingOp& op) override {
    start(fd, Direction::out,
          {.kind = Kind::send, .op = &op, .message = &message, .flags = more ? MSG_MORE : 0});
  }
  void send_now(int fd, const msghdr& message, RingOp& op) override {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    done_.push_back({&op, sent < 0 ? -errno : static_cast<int>(sent)});
  }
  void hurry() override {}  // it is told of in any case
  void splice(int pipe, int fd, size_t len, RingOp& op) override {
    start(fd, Direction::out, {.kind = Kind::splice, .op = &op, .pipe = pipe, .len = len});
  }
  void read(int fd, std::span<std::byte> to, RingOp& op) override {
    // It may be a blocking descriptor: first it has to be readable.
    start(fd, Direction::in, {.kind = Kind::read, .op = &op, .to = to}, false);
  }
  void poll_fd(int fd, short events, bool once, RingOp& op) override;
  void timeout(unsigned seconds, RingOp& op) override {
    timers_.push_back({clock::now() + std::chrono::seconds(seconds), &op});
  }
  void cancel(RingOp& op) override;

  bool provided_buffers() const override { return false; }
  std::span<std::byte> buffer(int) override { return {}; }
  void recycle(int) override {}

  Status run() override { return turn(true).status(); }
  Result<bool> poll() override { return turn(false); }
  std::string describe() const override { return "epoll"; }

 private:
  enum class Kind : uint8_t { none, accept, recv, send, splice, read };
  enum class Direction : uint8_t { in, out };
  struct Operation {
    Kind kind = Kind::none;
    RingOp* op = nullptr;
    std::span<std::byte> to = {};
    const msghdr* message = nullptr;
    int flags = 0;
    int pipe = -1;
    size_t len = 0;
  };
  struct Descriptor {
    Operation in;
    Operation out;
  };
  struct Done {
    RingOp* op;
    int result;
    bool more = false;
  };
  // Who wants to know what a descriptor is ready for.
  struct Poll {
    RingOp* op;
    uint32_t events;
    bool once;
  };
  // The same, of what epoll would not do: it is told once, and asked for anew.
  struct Asked {
    RingOp* op;
    pollfd what;
  };
  // Marks them in what epoll gives back, where there are descriptors otherwise.
  static constexpr uint64_t polled = uint64_t{1} << 32;
  struct Timer {
    clock::time_point when;
    RingOp* op;
  };

  void start(int fd, Direction direction, const Operation& operation, bool at_once = true);
  bool attempt(int fd, Operation& operation);
  void watch(int fd);
  void ready(int fd, uint32_t events);
  void watch_polls(int fd);
  void tell_polls(int fd, uint32_t events);
  Status ask(int timeout);
  void expire();
  int patience() const;
  void complete_all();
  Result<bool> turn(bool wait);

  UniqueFd epoll_;
  std::unordered_map<int, Descriptor> waiting_;       // what did not succeed at once
  std::unordered_map<int, std::vector<Poll>> polls_;  // of other descriptors than those
  std::vector<Asked> asked_;                          // of those that tells_once() is true of
  std::vector<Timer> timers_;
  std::deque<Done> done_;
};

// Returns whether it is done, one way or the other.
bool EpollRing::attempt(int fd, Operation& operation) {
  ssize_t result = -1;
  switch (operation.kind) {
    case Kind::accept:
      result = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      break;
    case Kind::recv:
      result = ::recv(fd, operation.to.data(), operation.to.size(), MSG_DONTWAIT);
      break;
    case Kind::send:
      result = ::sendmsg(fd, operation.message, MSG_NOSIGNAL | MSG_DONTWAIT | operation.flags);
      break;
    case Kind::splice:
      result = ::splice(operation.pipe, nullptr, fd, nullptr, operation.len, SPLICE_F_NONBLOCK);
      break;
    case Kind::read:
      result = ::read(fd, operation.to.data(), operation.to.size());
      break;
    case Kind::none:
      return true;
  }
  if (result < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  done_.push_back({operation.op, result < 0 ? -errno : static_cast<int>(result)});
  operation = {};
  return true;
}

void EpollRing::start(int fd, Direction direction, const Operation& operation, bool at_once) {
  Operation mine = operation;
  if (at_once && attempt(fd, mine))
    return;
  Descriptor& descriptor = waiting_[fd];
  (direction == Direction::in ? descriptor.in : descriptor.out) = mine;
  watch(fd);
}

// One-shot: what is not waited for must not wake us. A descriptor may have been closed, and its
// number used again, without our hearing of it.
void EpollRing::watch(int fd) {
  const Descriptor& descriptor = waiting_[fd];
  epoll_event event{};
  event.events = EPOLLONESHOT;
  if (descriptor.in.kind != Kind::none)
    event.events |= EPOLLIN | EPOLLRDHUP;
  if (descriptor.out.kind != Kind::none)
    event.events |= EPOLLOUT;
  event.data.u64 = static_cast<uint64_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT)
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void EpollRing::poll_fd(int fd, short events, bool once, RingOp& op) {
  if (tells_once(fd)) {
    asked_.push_back({&op, {fd, events, 0}});
    return;
  }
  polls_[fd].push_back({&op, static_cast<uint32_t>(static_cast<unsigned short>(events)), once});
  watch_polls(fd);
}

// Changing what is waited for tells at once what is there already, to the others as well.
void EpollRing::watch_polls(int fd) {
  const auto found = polls_.find(fd);
  if (found->second.empty()) {
    polls_.erase(found);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    return;
  }
  epoll_event event{};
  event.events = EPOLLET;
  for (const Poll& poll : found->second)
    event.events |= poll.events;
  event.data.u64 = polled | static_cast<uint64_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0 ||
      (errno == ENOENT && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0))
    return;
  const int err = errno;
  for (const Poll& poll : found->second)
    done_.push_back({poll.op, -err});
  polls_.erase(found);
}

void EpollRing::tell_polls(int fd, uint32_t events) {
  const auto found = polls_.find(fd);
  if (found == polls_.end())
    return;
  const auto over = std::erase_if(found->second, [&](const Poll& poll) {
    const uint32_t mask = events & (poll.events | EPOLLERR | EPOLLHUP);
    if (mask)
      done_.push_back({poll.op, static_cast<int>(mask), !poll.once});
    return mask && poll.once;
  });
  if (over > 0)
    watch_polls(fd);
}

// Waits until epoll has something, or one that has to be asked.
Status EpollRing::ask(int timeout) {
  std::vector<pollfd> all{{epoll_.get(), POLLIN, 0}};
  for (const Asked& one : asked_)
    all.push_back(one.what);
  if (::poll(all.data(), all.size(), timeout) < 0)
    return errno == EINTR ? Status() : Status::last();
  const pollfd* answer = &all.front();
  std::erase_if(asked_, [&](const Asked& one) {
    const short events = (++answer)->revents;
    if (events)
      done_.push_back({one.op, events});
    return events != 0;
  });
  return {};
}

void EpollRing::ready(int fd, uint32_t events) {
  const auto found = waiting_.find(fd);
  if (found == waiting_.end())
    return;
  Descriptor& descriptor = found->second;
  const bool over = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (over || (events & (EPOLLIN | EPOLLRDHUP)))
    attempt(fd, descriptor.in);
  if (over || (events & EPOLLOUT))
    attempt(fd, descriptor.out);
  if (descriptor.in.kind == Kind::none && descriptor.out.kind == Kind::none)
    waiting_.erase(found);
  else
    watch(fd);
}

void EpollRing::cancel(RingOp& op) {
  for (auto& [fd, descriptor] : waiting_)
    for (Operation* operation : {&descriptor.in, &descriptor.out})
      if (operation->op == &op) {
        *operation = {};
        done_.push_back({&op, -ECANCELED});
        return;
      }
  for (auto& [fd, polls] : polls_) {
    if (std::erase_if(polls, [&](const Poll& poll) { return poll.op == &op; }) == 0)
      continue;
    done_.push_back({&op, -ECANCELED});
    return watch_polls(fd);
  }
  if (std::erase_if(asked_, [&](const Asked& one) { return one.op == &op; }) > 0) {
    done_.push_back({&op, -ECANCELED});
    return;
  }
  const auto timer =
      std::find_if(timers_.begin(), timers_.end(), [&](const Timer& t) { return t.op == &op; });
  if (timer != timers_.end()) {
    timers_.erase(timer);
    done_.push_back({&op, -ECANCELED});
  }
}

void EpollRing::expire() {
  const auto now = clock::now();
  std::erase_if(timers_, [&](const Timer& timer) {
    if (timer.when > now)
      return false;
    done_.push_back({timer.op, -ETIME});
    return true;
  });
}

// For epoll_wait(), in milliseconds.
int EpollRing::patience() const {
  if (timers_.empty())
    return -1;
  const auto next = std::min_element(timers_.begin(), timers_.end(), [](auto& a, auto& b) {
                      return a.when < b.when;
                    })->when;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock::now()).count();
  return static_cast<int>(std::max<int64_t>(left, 0));
}

// What completes may ask for more, which may complete at once: others must have their turn, too.
void EpollRing::complete_all() {
  for (unsigned i = 0; i < batch && !done_.empty(); i++) {
    const Done done = done_.front();
    done_.pop_front();
    Completion completion;
    completion.result = done.result;
    completion.more = done.more;
    done.op->done(done.op->self, completion);
  }
}

// Whether something completed.
Result<bool> EpollRing::turn(bool wait) {
  std::array<epoll_event, batch> events;
  int timeout = wait && done_.empty() ? patience() : 0;
  if (!asked_.empty()) {
    if (Status status = ask(timeout); !status)
      return status;
    timeout = 0;
  }
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  if (count < 0 && errno != EINTR)
    return Status::last();
  for (int i = 0; i < count; i++) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const auto fd = static_cast<int>(event.data.u64 & ~polled);
    if (event.data.u64 & polled)
      tell_polls(fd, event.events);
    else
      ready(fd, event.events);
  }
  expire();
  const bool any = !done_.empty();
  complete_all();
  return any;
}

}  // namespace

Result<std::unique_ptr<Ring>> open_epoll() {
  auto ring = std::make_unique<EpollRing>();
  if (Status status = ring->setup(); !status)
    return status;
  return std::unique_ptr<Ring>(std::move(ring));
}

}  // namespace qtfs
