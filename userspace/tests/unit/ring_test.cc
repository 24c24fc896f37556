// SPDX-License-Identifier: GPL-2.0-only
// What completes, when, and in which order, on either kind of ring.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/ring.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

namespace {

constexpr int len = 8192;

struct Rings : testing::TestWithParam<Io> {
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    here.reset(fds[0]);
    there.reset(fds[1]);
    auto opened = Ring::open({.io = GetParam(), .entries = 64, .buffers = 4});
    if (!opened)
      GTEST_SKIP() << "not on this machine";
    ring = std::move(*opened);
  }
  // Notes @name and the result when it completes.
  struct Noted {
    std::vector<std::pair<char, int>>& log;
    char name;
    RingOp op{[](void* self, const Completion& completion) {
                auto* noted = static_cast<Noted*>(self);
                noted->log.emplace_back(noted->name, completion.result);
              },
              this};
  };
  void send_now(Noted& noted) {
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    ring->send_now(here.get(), message, noted.op);
  }

  UniqueFd here, there;
  std::unique_ptr<Ring> ring;
  std::vector<std::pair<char, int>> log;
  Noted sent{log, 's'};
  std::vector<char> bytes = std::vector<char>(len, 'x');
  iovec iov{bytes.data(), bytes.size()};
  msghdr message{};
};

using Log = std::vector<std::pair<char, int>>;

}  // namespace

// run() waits for ever if hurry() does nothing.
TEST_P(Rings, WhoIsInAHurryNeedNoOtherEvent) {
  send_now(sent);
  ring->hurry();
  ASSERT_TRUE(ring->run().ok());
  EXPECT_EQ((Log{{'s', len}}), log);
}

// What the event's handler sends next must not find the last one under way.
TEST_P(Rings, SendingIsToldOfBeforeWhatCameAfterIt) {
  Noted came{log, 'r'};
  std::byte byte{};
  ring->recv_into(here.get(), {&byte, 1}, false, came.op);
  send_now(sent);
  ASSERT_EQ(1, write(there.get(), "y", 1));
  while (log.size() < 2)
    ASSERT_TRUE(ring->run().ok());
  EXPECT_EQ((Log{{'s', len}, {'r', 1}}), log);
}

// Nobody reads: that wakes up by itself.
TEST_P(Rings, AFullSocketIsToldAtOnce) {
  for (int i = 0; i < 10000 && (log.empty() || log.back().second == len); i++) {
    send_now(sent);
    ring->hurry();
    ASSERT_TRUE(ring->run().ok());
  }
  if (log.back().second >= 0) {  // some of it still found room
    EXPECT_GT(len, log.back().second);
    send_now(sent);
    ASSERT_TRUE(ring->run().ok());
  }
  EXPECT_EQ(std::pair('s', -EAGAIN), log.back());
  send_now(sent);
  ASSERT_TRUE(ring->run().ok());
  EXPECT_EQ(std::pair('s', -EAGAIN), log.back());
}

// Of a send that found room for a part, that part is told: no byte goes twice.
TEST_P(Rings, APartIsTold) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in addr{};
  addr.sin_family = AF_INET;
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t addr_len = sizeof(addr);
  auto* any = reinterpret_cast<sockaddr*>(&addr);
  ASSERT_EQ(0, bind(listener.get(), any, addr_len));
  ASSERT_EQ(0, listen(listener.get(), 1));
  ASSERT_EQ(0, getsockname(listener.get(), any, &addr_len));
  here.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(0, connect(here.get(), any, addr_len));
  there.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  bytes.resize(64 << 20);  // more than a socket takes
  iov = {bytes.data(), bytes.size()};
  send_now(sent);
  ring->hurry();
  while (log.empty())
    ASSERT_TRUE(ring->run().ok());
  ASSERT_LT(0, log[0].second);
  ASSERT_GT(bytes.size(), static_cast<size_t>(log[0].second));
  shutdown(here.get(), SHUT_WR);
  size_t came = 0;
  for (ssize_t n = 1; n != 0;) {
    n = read(there.get(), bytes.data(), bytes.size());
    ASSERT_TRUE(n >= 0 || errno == EAGAIN);
    came += n > 0 ? static_cast<size_t>(n) : 0;
  }
  EXPECT_EQ(static_cast<size_t>(log[0].second), came);
}

INSTANTIATE_TEST_SUITE_P(Io, Rings, testing::Values(Io::uring, Io::epoll),
                         [](const auto& io) { return io.param == Io::uring ? "uring" : "epoll"; });

}  // namespace qtfs
