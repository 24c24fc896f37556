// SPDX-License-Identifier: GPL-2.0-only
// Devices of the server: who may open them, and which ioctls are made.
#include <sys/ioctl.h>

#include "qtfs/device.h"
#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

// Numbers on the wire, which stay what they are.
constexpr uint32_t tcgets = 2;
constexpr uint32_t get_size = 10;
constexpr uint32_t set_size = 11;
constexpr uint32_t flush = 15;

}  // namespace

class Devices : public EngineTest {
 protected:
  void configure(Config& config) override {
    config.exports = {{.path = "/", .name = "all", .devices = true}};
    attach_path_ = "/";
  }
  void SetUp() override {
    EngineTest::SetUp();
    master_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!engine_ || !master_ || grantpt(master_.get()) < 0 || unlockpt(master_.get()) < 0)
      GTEST_SKIP() << "no pty";
    name_ = ptsname(master_.get());
  }
  Result<Answer> command(uint64_t open, uint32_t number, std::string_view in, uint32_t out,
                         uint64_t value = 0) {
    qtfs_wire_ioctl body{};
    body.open = htole64(open);
    body.cmd = htole32(number);
    body.out_max = htole32(out);
    body.arg = htole64(value);
    return client_.call(QTFS_OP_IOCTL, bytes_of(body), bytes_of(in));
  }
  int error(uint64_t open, uint32_t number, std::string_view in, uint32_t out) {
    const auto answer = command(open, number, in, out);
    return answer ? answer->err() : answer.err();
  }

  UniqueFd master_;
  std::string name_;
};

TEST_F(Devices, ATerminalIsReadWrittenAndSet) {
  const uint64_t tty = open(name_.substr(1), QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_NE(0u, tty);
  using namespace std::string_view_literals;
  EXPECT_EQ(0, error(tty, set_size, "\x21\0\x65\0\0\0\0\0"sv, 0));
  winsize size{};
  ASSERT_EQ(0, ioctl(master_.get(), TIOCGWINSZ, &size));
  EXPECT_EQ(33, size.ws_row);
  EXPECT_EQ(101, size.ws_col);
  const auto got = command(tty, get_size, "", 8);
  ASSERT_TRUE(got && !got->err());
  EXPECT_EQ(
      "\x21\0\x65\0\0\0\0\0"sv,
      std::string_view(reinterpret_cast<const char*>(got->payload.data()), got->payload.size()));
  ASSERT_EQ(2, write(master_.get(), "x\n", 2));
  const auto text = client_.read(tty, 0, 100);
  ASSERT_EQ(0, text.err());
  EXPECT_EQ("x\n", *text);
  ASSERT_EQ(2, write(master_.get(), "y\n", 2));
  const auto flushed = command(tty, flush, "", 0, 0);  // TCIFLUSH
  EXPECT_TRUE(flushed && !flushed->err());
  EXPECT_EQ(EAGAIN, client_.read(tty, 0, 100, QTFS_READ_NOWAIT).err());
}

TEST_F(Devices, ArgumentsHaveTheirLengths) {
  const uint64_t tty = open(name_.substr(1), QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  EXPECT_EQ(0, error(tty, tcgets, "", 36));
  EXPECT_EQ(EINVAL, error(tty, tcgets, "", 35));
  EXPECT_EQ(EINVAL, error(tty, tcgets, "", 1 << 20));
  EXPECT_EQ(EINVAL, error(tty, tcgets, "x", 36));
  EXPECT_EQ(EINVAL, error(tty, set_size, "", 0));
  EXPECT_EQ(EINVAL, error(tty, set_size, std::string(9, 'x'), 0));
}

TEST_F(Devices, WhatIsNotListedIsNotMade) {
  const uint64_t tty = open(name_.substr(1), QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  for (const uint32_t number :
       {0u, uint32_t{QTFS_IOCTL_READABLE}, 31u, 50u, uint32_t{TIOCSTI}, uint32_t{TIOCGWINSZ}, ~0u})
    EXPECT_EQ(ENOTTY, error(tty, number, "", 0)) << number;
  dir_.write("file", "x");
  const uint64_t file = open(dir_.path("file").substr(1), QTFS_OPEN_READ);
  EXPECT_EQ(ENOTTY, error(file, tcgets, "", 36));
}

TEST_F(Devices, ErrorsAreTheDevices) {
  const uint64_t null = open("dev/null", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_NE(0u, null);
  EXPECT_EQ(ENOTTY, error(null, tcgets, "", 36));
  EXPECT_EQ(0u, client_.read(null, 0, 10)->size());
  EXPECT_EQ(0, client_.write(null, 0, "gone").err());
}

// Numbers of terminals are inode numbers, and used again.
TEST_F(Devices, ANewOneUnderTheNameOfAnOldOne) {
  const uint64_t old_node = lookup(name_.substr(1));
  const uint64_t dir = lookup("dev/pts");
  const std::string base = name_.substr(name_.rfind('/') + 1);
  master_.reset();
  master_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(0, unlockpt(master_.get()));
  if (ptsname(master_.get()) != name_)
    GTEST_SKIP() << "somebody else has it";
  const auto opened = client_.open_at(old_node, dir, base, QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(0, error(id_of(*opened), tcgets, "", 36));
  EXPECT_EQ(0, error(open(name_.substr(1), QTFS_OPEN_READ), tcgets, "", 36));
}

class NoDevices : public Devices {
 protected:
  void configure(Config& config) override {
    Devices::configure(config);
    config.exports[0].devices = false;
  }
};

TEST_F(NoDevices, AreOpened) {
  const auto node = client_.walk(root_, name_.substr(1));
  ASSERT_EQ(0, node.err());
  EXPECT_EQ(EACCES, client_.open(id_of(*node), QTFS_OPEN_READ).err());
}

}  // namespace qtfs
