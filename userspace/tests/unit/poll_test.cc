// SPDX-License-Identifier: GPL-2.0-only
// FIFOs that meet and wait without a thread, and what tells a client that something is ready.
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "engine/ring.hh"
#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

constexpr uint32_t rd = QTFS_OPEN_READ;
constexpr uint32_t wr = QTFS_OPEN_WRITE;
constexpr uint32_t nonblock = QTFS_OPEN_NONBLOCK;

class FifoTest : public EngineTest {
 protected:
  uint64_t fifo(const std::string& name = "fifo") {
    mkfifo(dir_.path(name).c_str(), 0600);
    return lookup(name);
  }
  Result<uint64_t> send_open(uint64_t node, uint32_t flags) {
    return client_.send(QTFS_OP_OPEN,
                        bytes_of(qtfs_wire_open{htole64(node), 0, htole32(flags), 0, 0}));
  }
  Result<uint64_t> send_read(uint64_t open, uint32_t count = 100) {
    return client_.send(QTFS_OP_READ,
                        bytes_of(qtfs_wire_read{htole64(open), 0, htole32(count), 0}));
  }
  Result<uint64_t> send_write(uint64_t open, std::string_view bytes) {
    const qtfs_wire_write body{htole64(open), 0, htole32(static_cast<uint32_t>(bytes.size())), 0};
    return client_.send(QTFS_OP_WRITE, bytes_of(body), bytes_of(bytes));
  }
  uint64_t opened_by(uint64_t tag) {
    const auto answer = client_.wait(tag);
    EXPECT_EQ(0, answer->err());
    return le64toh(answer->as<qtfs_wire_opened>().open);
  }
  // A process of the server, as far as the FIFO is concerned.
  UniqueFd local(int flags, const std::string& name = "fifo") {
    return UniqueFd(::open(dir_.path(name).c_str(), flags | O_CLOEXEC));
  }
  void another_client_meets_its_peer() {
    Client other;
    connect(other);
    const auto node = id_of(*other.lookup(root_, (fifo("theirs"), "theirs")));
    const auto tag =
        other.send(QTFS_OP_OPEN, bytes_of(qtfs_wire_open{htole64(node), 0, htole32(rd), 0, 0}));
    UniqueFd there = local(O_WRONLY, "theirs");
    EXPECT_TRUE(there);
    EXPECT_EQ(0, other.wait(*tag)->err());
  }
};

}  // namespace

class Fifos : public FifoTest {};

TEST_F(Fifos, MeetAProcessOfTheServer) {
  const uint64_t node = fifo();
  const auto reader = send_open(node, rd);
  UniqueFd there = local(O_WRONLY);
  ASSERT_TRUE(there);
  const uint64_t open = opened_by(*reader);
  EXPECT_LT(0u, client_.parked());
  const auto tag = send_read(open);
  ASSERT_EQ(5, write(there.get(), "there", 5));
  auto answer = client_.wait(*tag);
  EXPECT_EQ("there", answer->text());
  there.reset();
  EXPECT_EQ("", *client_.read(open, 0, 10));
}

TEST_F(Fifos, OpenAsLocally) {
  const uint64_t node = fifo();
  EXPECT_EQ(ENXIO, client_.open(node, wr | nonblock).err());
  const auto reader = client_.open(node, rd | nonblock);
  ASSERT_EQ(0, reader.err());
  EXPECT_EQ("", *client_.read(id_of(*reader), 0, 10));  // nobody writes
  EXPECT_EQ("", *client_.read(id_of(*reader), 0, 10, QTFS_READ_NOWAIT));
  const auto writer = client_.open(node, wr);
  ASSERT_EQ(0, writer.err());
  EXPECT_EQ(EAGAIN, client_.read(id_of(*reader), 0, 10, QTFS_READ_NOWAIT).err());
  ASSERT_EQ(0, client_.release(id_of(*reader)).err());
  EXPECT_EQ(EPIPE, client_.write(id_of(*writer), 0, "x").err());
  EXPECT_EQ(0, client_.open(node, rd | wr).err());
}

TEST_F(Fifos, SayHowMuchIsThere) {
  const auto open = client_.open(fifo(), rd | wr);
  ASSERT_EQ(0, client_.write(id_of(*open), 0, "seven..").err());
  EXPECT_EQ(7u, *client_.readable(id_of(*open)));
  dir_.write("file", "text");
  EXPECT_EQ(ENOTTY, client_.readable(this->open("file", rd)).err());
}

TEST_F(Fifos, AreWrittenWholeOrInPieces) {
  const auto open = client_.open(fifo(), rd | wr);
  UniqueFd there = local(O_RDONLY);
  const std::string big(200000, 'b');
  const auto tag = send_write(id_of(*open), big);
  std::string got;
  std::string buffer(4096, 0);
  while (got.size() < big.size()) {
    const ssize_t n = read(there.get(), buffer.data(), buffer.size());
    ASSERT_LT(0, n);
    got.append(buffer.data(), static_cast<size_t>(n));
  }
  EXPECT_EQ(big, got);
  const auto answer = client_.wait(*tag);
  EXPECT_EQ(200000u, le32toh(answer->as<qtfs_wire_write_rep>().count));
  // Without waiting: what there is room for; not more than PIPE_BUF is never cut.
  const auto part = client_.write(id_of(*open), 0, big, QTFS_WRITE_NOWAIT);
  ASSERT_EQ(0, part.err());
  EXPECT_GT(200000u, le32toh(part->count));
  EXPECT_EQ(EAGAIN, client_.write(id_of(*open), 0, big.substr(0, 4096), QTFS_WRITE_NOWAIT).err());
}

TEST_F(Fifos, AnInterruptedWriteSaysHowFarItCame) {
  const auto open = client_.open(fifo(), rd | wr);
  const std::string big(200000, 'b');
  const auto tag = send_write(id_of(*open), big);
  EXPECT_EQ(0, client_.ping().err());
  EXPECT_EQ(uint32_t{QTFS_CANCEL_COMPLETED}, *client_.cancel(*tag));
  const auto answer = client_.wait(*tag);
  ASSERT_EQ(0, answer->err());
  EXPECT_EQ(*client_.readable(id_of(*open)), le32toh(answer->as<qtfs_wire_write_rep>().count));
}

TEST_F(Fifos, HundredsWaitAndTheRestGoesOn) {
  std::vector<uint64_t> opens;
  std::vector<uint64_t> reads;
  for (int i = 0; i < 300; i++)
    opens.push_back(*send_open(fifo("f" + std::to_string(i)), i % 2 ? rd : wr));
  const uint64_t both = id_of(*client_.open(fifo(), rd | wr));
  for (int i = 0; i < 300; i++)
    reads.push_back(*send_read(both));
  dir_.write("file", "text");
  EXPECT_EQ("text", *client_.read_file(root_, "file"));
  EXPECT_EQ(0, client_.fsync(open("file", rd)).err());
  while (stat_of(&Stats::opening) < 300)
    usleep(1000);
  // They meet, each of them.
  for (int i = 200; i < 300; i++) {
    const auto peer = client_.open(lookup("f" + std::to_string(i)), i % 2 ? wr : rd);
    ASSERT_EQ(0, peer.err());
    EXPECT_NE(0u, opened_by(opens[static_cast<size_t>(i)]));
  }
  for (size_t i = 0; i < 200; i++) {
    EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(opens[i]));
    EXPECT_EQ(EINTR, client_.wait(opens[i])->err());
  }
  for (const uint64_t tag : reads)
    EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(tag));
  EXPECT_EQ(650u, client_.parked());  // those who came to meet a writer, too
  EXPECT_EQ(650u, stat_of(&Stats::parked));
  while (stat_of(&Stats::opening) > 0)
    usleep(1000);
}

// One client does not get all the threads.
TEST_F(Fifos, AThousandWaitAndAnotherClientMeetsItsPeer) {
  std::vector<uint64_t> tags;
  for (int i = 0; i < 1000; i++)
    tags.push_back(*send_open(fifo("f" + std::to_string(i)), rd));
  while (stat_of(&Stats::opening) < 1000)
    usleep(1000);
  another_client_meets_its_peer();
  for (size_t i = 0; i < 999; i++) {
    EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(tags[i]));
    EXPECT_EQ(EINTR, client_.wait(tags[i])->err());
  }
  UniqueFd last = local(O_WRONLY, "f999");
  EXPECT_TRUE(last);
  EXPECT_NE(0u, opened_by(tags[999]));
}

// More than may be parked are refused; those that are go on.
TEST_F(Fifos, NotMoreThanSoManyWait) {
  const uint64_t both = id_of(*client_.open(fifo(), rd | wr));
  std::vector<uint64_t> tags;
  for (int i = 0; i < 1100; i++)
    tags.push_back(*send_read(both));
  EXPECT_EQ(0, client_.ping().err());
  EXPECT_EQ(1024u, client_.parked());
  EXPECT_EQ(ENFILE, client_.wait(tags.back())->err());
  ASSERT_EQ(0, client_.write(both, 0, "one").err());
  // Whichever it is.
  const auto first = client_.receive();
  ASSERT_EQ(0, first.err());
  EXPECT_EQ(QTFS_OP_PUSH_UNPARK, le16toh(first->header.op));
  EXPECT_EQ("one", first->text());
}

// Over however many connections, while others are let in.
TEST_F(Fifos, OneClientDoesNotGetAllTheThreads) {
  Client second;
  ASSERT_TRUE(second.connect("127.0.0.1", port()).ok());
  ASSERT_EQ(0, second.join(client_).err());
  second.cred = 1;
  const qtfs_wire_open body{htole64(fifo()), 0, htole32(rd), 0, 0};
  for (int i = 0; i < 600; i++)
    for (Client* by : {&client_, &second})
      ASSERT_TRUE(by->send(QTFS_OP_OPEN, bytes_of(body)).ok());
  EXPECT_EQ(0, client_.ping().err());
  EXPECT_EQ(0, second.ping().err());
  EXPECT_EQ(1024u, client_.parked() + second.parked());
  another_client_meets_its_peer();
}

TEST_F(Fifos, WhoWaitsGoesWithTheConnection) {
  const uint64_t both = id_of(*client_.open(fifo(), rd | wr));
  for (int i = 0; i < 20; i++) {
    ASSERT_TRUE(send_read(both).ok());
    ASSERT_TRUE(send_open(fifo("f" + std::to_string(i)), rd).ok());
  }
  ASSERT_EQ(0, client_.poll(both).err());
  EXPECT_EQ(0, client_.ping().err());
  client_.close();
  while (engine_->sessions() != 0)
    usleep(1000);
  // Those who were interrupted let go of what they had in their own time.
  for (int i = 0; i < 5000 && local(O_WRONLY | O_NONBLOCK); i++)
    usleep(1000);
  errno = 0;
  EXPECT_FALSE(local(O_WRONLY | O_NONBLOCK));
  EXPECT_EQ(ENXIO, errno);
}

// As for clients that do not know of it.
TEST_F(Fifos, NobodyIsParkedUnasked) {
  Client plain;
  plain.features = 0;
  connect(plain);
  const auto open = plain.open(id_of(*plain.lookup(root_, (fifo(), "fifo"))), rd | wr);
  ASSERT_EQ(0, open.err());
  const auto tag =
      plain.send(QTFS_OP_READ, bytes_of(qtfs_wire_read{open->open, 0, htole32(100), 0}));
  ASSERT_EQ(0, plain.write(id_of(*open), 0, "text").err());
  EXPECT_EQ("text", plain.wait(*tag)->text());
  EXPECT_EQ(0u, plain.parked());
  EXPECT_EQ(EOPNOTSUPP, plain.poll(id_of(*open)).err());
}

// --- readiness; with and without what old kernels lack

class Polls : public FifoTest, public ::testing::WithParamInterface<bool> {
 protected:
  void configure(Config& config) override {
    config.multishot = GetParam();
    config.exports = {{.path = "/", .name = "root"}};
  }
  // What the next push says, which is of @open.
  uint32_t pushed(uint64_t open) {
    const auto push = client_.push();
    EXPECT_EQ(0, push.err());
    if (!push)
      return 0;
    const auto body = push->as<qtfs_wire_push_poll>();
    EXPECT_EQ(open, le64toh(body.open));
    EXPECT_LT(generation_, le64toh(body.generation));
    generation_ = le64toh(body.generation);
    return le32toh(body.mask);
  }
  void expect_push(uint64_t open, uint32_t mask) { EXPECT_EQ(mask, pushed(open) & mask); }
  // Nothing was pushed: what is sent now is answered, and nothing comes before it.
  void expect_quiet() {
    usleep(20000);
    const auto tag = client_.send(QTFS_OP_PING, {});
    const auto answer = client_.receive();
    ASSERT_EQ(0, answer.err());
    EXPECT_EQ(*tag, le64toh(answer->header.tag)) << "a push";
  }
  // Processor time of the whole engine over a second in which nobody does anything.
  static double idle_seconds() {
    timespec before{};
    timespec after{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    sleep(1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return static_cast<double>(after.tv_sec - before.tv_sec) +
           static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  }
  // The RELEASE of an open, in a compound of its own.
  struct Release {
    qtfs_wire_compound head;
    qtfs_wire_sub sub;
    qtfs_wire_release body;
  };
  static Release release_of(uint64_t open) {
    return {{htole16(1), {}},
            {htole16(QTFS_OP_RELEASE), 0, htole32(sizeof(qtfs_wire_release))},
            {htole64(open), 0, 0, 0}};
  }
  // What a READ says of the level after it.
  uint32_t level_after_read(uint64_t open, uint32_t count) {
    const auto answer = client_.call(
        QTFS_OP_READ,
        bytes_of(qtfs_wire_read{htole64(open), 0, htole32(count), htole32(QTFS_READ_NOWAIT)}));
    EXPECT_EQ(sizeof(qtfs_wire_read_rep) + sizeof(qtfs_wire_level), answer->body.size());
    const auto level = answer->as<qtfs_wire_level>(sizeof(qtfs_wire_read_rep));
    EXPECT_LT(generation_, le64toh(level.generation));
    generation_ = le64toh(level.generation);
    return le32toh(level.mask);
  }
  uint64_t generation_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Rings, Polls, ::testing::Bool());

TEST_P(Polls, WhatComesUpIsTold) {
  const uint64_t open = id_of(*client_.open(fifo(), rd | nonblock));
  EXPECT_EQ(0u, *client_.poll(open));
  UniqueFd there = local(O_WRONLY);
  expect_quiet();
  ASSERT_EQ(3, write(there.get(), "one", 3));
  expect_push(open, QTFS_POLL_IN);
  // Nobody looked: it need not be told again.
  ASSERT_EQ(3, write(there.get(), "two", 3));
  expect_quiet();
  EXPECT_EQ(uint32_t{QTFS_POLL_IN}, level_after_read(open, 3));
  expect_quiet();
  // Somebody did: each wake-up is told, not only what was not there before.
  ASSERT_EQ(3, write(there.get(), "new", 3));
  expect_push(open, QTFS_POLL_IN);
  EXPECT_EQ(0u, level_after_read(open, 100));
  ASSERT_EQ(3, write(there.get(), "end", 3));
  expect_push(open, QTFS_POLL_IN);
  there.reset();
  expect_push(open, QTFS_POLL_HUP);
  EXPECT_EQ(uint32_t{QTFS_POLL_HUP}, level_after_read(open, 100));
}

TEST_P(Polls, RoomAndTheOthersEnd) {
  UniqueFd there(::open((fifo(), dir_.path("fifo")).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const uint64_t open = id_of(*client_.open(fifo(), wr));
  EXPECT_EQ(uint32_t{QTFS_POLL_OUT}, *client_.poll(open));
  const std::string big(100000, 'b');
  ASSERT_EQ(0, client_.write(open, 0, big, QTFS_WRITE_NOWAIT).err());
  EXPECT_EQ(0u, *client_.poll(open));
  std::string buffer(100000, 0);
  ASSERT_LT(0, read(there.get(), buffer.data(), buffer.size()));
  expect_push(open, QTFS_POLL_OUT);
  there.reset();
  expect_push(open, QTFS_POLL_ERR);
  EXPECT_EQ(uint32_t{QTFS_POLL_OUT | QTFS_POLL_ERR}, *client_.poll(open));
}

TEST_P(Polls, AReleasedOpenIsClosed) {
  const uint64_t open = id_of(*client_.open(fifo(), rd | nonblock));
  ASSERT_EQ(0, client_.poll(open).err());
  ASSERT_EQ(0, client_.release(open).err());
  for (int i = 0; i < 1000 && local(O_WRONLY | O_NONBLOCK); i++)
    usleep(1000);
  errno = 0;
  EXPECT_FALSE(local(O_WRONLY | O_NONBLOCK));
  EXPECT_EQ(ENXIO, errno);
  EXPECT_EQ(EBADF, client_.poll(open).err());
}

// In a compound, by another connection: closed all the same.
TEST_P(Polls, WhereverItIsReleased) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  ASSERT_EQ(0, other.join(client_).err());
  other.cred = 1;
  for (Client* client : {&client_, &other}) {
    const uint64_t open = id_of(*client_.open(fifo(), rd | nonblock));
    ASSERT_EQ(0, client_.poll(open).err());
    const auto answer = client->call(QTFS_OP_COMPOUND, bytes_of(release_of(open)));
    ASSERT_EQ(0, answer->err());
    EXPECT_EQ(0u, answer->as<qtfs_wire_result>(sizeof(qtfs_wire_compound)).status);
    for (int i = 0; i < 1000 && local(O_WRONLY | O_NONBLOCK); i++)
      usleep(1000);
    EXPECT_FALSE(local(O_WRONLY | O_NONBLOCK));
  }
}

TEST_P(Polls, AreBoundToWhatCanBe) {
  const uint64_t open = id_of(*client_.open(fifo(), rd | nonblock));
  EXPECT_EQ(EINVAL, client_.poll(open, 0x1000).err());
  EXPECT_EQ(EBADF, client_.poll(12345).err());
  dir_.write("file", "");
  EXPECT_EQ(EPERM, client_.poll(this->open("file", rd)).err());
  // A flood of questions is answered, and no more than that comes.
  for (int i = 0; i < 20000; i++)
    ASSERT_TRUE(client_
                    .send(QTFS_OP_POLL,
                          bytes_of(qtfs_wire_poll{htole64(open), 0, htole32(i % 2), 0}), {},
                          QTFS_FRAME_NOREPLY)
                    .ok());
  EXPECT_EQ(0u, *client_.poll(open));
  EXPECT_EQ(0u, *client_.poll(open, 0));
  UniqueFd there = local(O_WRONLY);
  ASSERT_EQ(3, write(there.get(), "one", 3));
  expect_quiet();
}

struct AnyRing : testing::TestWithParam<RingConfig> {
  void SetUp() override {
    auto opened = Ring::open(GetParam());
    if (!opened)
      GTEST_SKIP() << "not on this machine";
    ring_ = std::move(*opened);
  }
  std::unique_ptr<Ring> ring_;
};

INSTANTIATE_TEST_SUITE_P(
    Io, AnyRing,
    testing::Values(RingConfig{.io = Io::uring, .entries = 64, .buffers = 4},
                    RingConfig{.io = Io::uring, .entries = 64, .buffers = 4, .multishot = false},
                    RingConfig{.io = Io::epoll}));

// A process in a mount namespace of its own, that mounts and unmounts when it is told to.
class Mounter {
 public:
  explicit Mounter(const std::string& where) {
    int fds[2];
    EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    here_.reset(fds[0]);
    UniqueFd there(fds[1]);
    pid_ = fork();
    if (pid_ == 0)
      close(fds[0]);  // else it would never see the end
    if (pid_ == 0)
      run(there.get(), where.c_str());
    there.reset();
    works_ = tell('?');
  }
  ~Mounter() {
    here_.reset();
    waitpid(pid_, nullptr, 0);
  }
  // 'm' or 'u'; whether it worked.
  bool tell(char what) {
    char answer = 0;
    return ::write(here_.get(), &what, 1) == 1 && ::read(here_.get(), &answer, 1) == 1 &&
           answer == 'y';
  }
  pid_t pid() const { return pid_; }
  bool works() const { return works_; }

 private:
  [[noreturn]] static void run(int fd, const char* where) {
    bool good = unshare(CLONE_NEWNS) == 0 &&
                mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    char what = 0;
    while (::read(fd, &what, 1) == 1) {
      if (what == 'm')
        good = mount("none", where, "tmpfs", 0, nullptr) == 0;
      if (what == 'u')
        good = umount(where) == 0;
      if (::write(fd, good ? "y" : "n", 1) != 1)
        break;
    }
    _exit(0);
  }

  UniqueFd here_;
  pid_t pid_ = -1;
  bool works_ = false;
};

// Of each kind of ring: what has come up before it is asked is told, if to nobody else.
TEST_P(AnyRing, WhatCameUpBeforeIsTold) {
  TempDir dir;
  Mounter mounter(dir.path());
  if (!mounter.works())
    GTEST_SKIP() << "cannot mount";
  UniqueFd mounts(
      ::open(("/proc/" + std::to_string(mounter.pid()) + "/mounts").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(mounts);
  pollfd before{mounts.get(), POLLPRI, 0};
  ASSERT_LE(0, poll(&before, 1, 0));
  ASSERT_TRUE(mounter.tell('m'));

  int got = 0;
  RingOp op{[](void* self, const Completion& c) { *static_cast<int*>(self) |= c.result; }, &got};
  ring_->poll_fd(mounts.get(), POLLPRI, false, op);
  for (int i = 0; i < 200 && !got; i++) {
    ASSERT_TRUE(ring_->poll().ok());
    usleep(10000);
  }
  EXPECT_TRUE(got & POLLPRI) << got;
}

// Who asks whether mounts have changed is told once; that must not be lost on the way.
TEST_P(Polls, WhatIsToldOnceIsNotLost) {
  const std::string where = dir_.path("mounted");
  mkdir(where.c_str(), 0700);
  Mounter mounter(where);
  if (!mounter.works())
    GTEST_SKIP() << "cannot mount";
  attach_path_ = "/";
  Client client;
  connect(client);
  const auto entry = client.walk(root_, "proc/" + std::to_string(mounter.pid()) + "/mounts");
  ASSERT_EQ(0, entry.err());
  const uint64_t open = id_of(*client.open(id_of(*entry), rd));
  const auto level = client.poll(open);
  ASSERT_EQ(0, level.err());
  EXPECT_EQ(QTFS_POLL_IN, *level & QTFS_POLL_IN);
  ASSERT_TRUE(mounter.tell('m'));
  const auto push = client.push();
  ASSERT_EQ(0, push.err());
  EXPECT_TRUE(le32toh(push->as<qtfs_wire_push_poll>().mask) & QTFS_POLL_PRI);
  // Another, which nobody is told of before somebody looks.
  ASSERT_TRUE(mounter.tell('u'));
  EXPECT_TRUE(*client.poll(open) & QTFS_POLL_PRI);
  EXPECT_FALSE(*client.poll(open) & QTFS_POLL_PRI);
}

// What stays up is told once, and not looked at again and again until the client does.
TEST_P(Polls, AnEndThatNobodyLooksAtCostsNothing) {
  const uint64_t open = id_of(*client_.open(fifo(), rd | nonblock));
  EXPECT_EQ(0u, *client_.poll(open));
  UniqueFd there = local(O_WRONLY);
  ASSERT_EQ(3, write(there.get(), "one", 3));
  expect_push(open, QTFS_POLL_IN);
  there.reset();
  expect_push(open, QTFS_POLL_HUP);
  // Another, of which there is nothing new to tell.
  there = local(O_WRONLY);
  ASSERT_EQ(3, write(there.get(), "two", 3));
  there.reset();
  EXPECT_GT(0.1, idle_seconds());
  EXPECT_EQ(uint32_t{QTFS_POLL_IN | QTFS_POLL_HUP}, *client_.poll(open));
}

// Connections to a process of the server, which may end one direction of them.
class HalfPolls : public Polls {
 protected:
  void SetUp() override {
    Polls::SetUp();
    if (IsSkipped())
      return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, dir_.path("s").c_str(), sizeof(address.sun_path) - 1);
    const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    ASSERT_EQ(0, listen(listener.get(), 1));
    const auto opened = client_.open(lookup("s"), QTFS_OPEN_CONNECT | rd | wr);
    ASSERT_EQ(0, opened.err());
    open_ = id_of(*opened);
    peer_.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(peer_);
  }

  uint64_t open_ = 0;
  UniqueFd peer_;
};

INSTANTIATE_TEST_SUITE_P(Rings, HalfPolls, ::testing::Bool());

TEST_P(HalfPolls, HalfAnEndIsToldAsSuch) {
  EXPECT_EQ(uint32_t{QTFS_POLL_OUT}, *client_.poll(open_));
  ASSERT_EQ(0, shutdown(peer_.get(), SHUT_WR));
  const uint32_t told = pushed(open_);
  EXPECT_EQ(uint32_t{QTFS_POLL_IN | QTFS_POLL_RDHUP}, told & ~uint32_t{QTFS_POLL_OUT});
  peer_.reset();
  expect_push(open_, QTFS_POLL_HUP);
}

TEST_P(HalfPolls, RoomIsToldAfterAnEnd) {
  ASSERT_EQ(0, shutdown(peer_.get(), SHUT_WR));
  const std::string much(1 << 16, 'x');
  while (client_.write(open_, 0, much, QTFS_WRITE_NOWAIT).ok())
    ;
  EXPECT_EQ(uint32_t{QTFS_POLL_IN | QTFS_POLL_RDHUP}, *client_.poll(open_));
  std::string taken(1 << 20, 0);
  while (recv(peer_.get(), taken.data(), taken.size(), MSG_DONTWAIT) > 0)
    ;
  expect_push(open_, QTFS_POLL_OUT);
}

TEST_P(HalfPolls, HalfAnEndIsFoundByWhoAsks) {
  ASSERT_EQ(0, shutdown(peer_.get(), SHUT_WR));
  EXPECT_EQ(uint32_t{QTFS_POLL_IN | QTFS_POLL_OUT | QTFS_POLL_RDHUP}, *client_.poll(open_));
}

// As many as a server may have, with a ring as large as it is there.
class ManyPolls : public Polls {
 protected:
  void configure(Config& config) override {
    Polls::configure(config);
    config.ring_entries = Config{}.ring_entries;
  }
  // Opens @node @count times and asks of each.
  void watch(uint64_t node, size_t count) {
    std::vector<uint64_t> opening;
    std::vector<uint64_t> asking;
    for (size_t i = 0; i < count; i++)
      opening.push_back(*send_open(node, rd | wr));
    for (const uint64_t tag : opening) {
      const qtfs_wire_poll body{htole64(opened_by(tag)), 0, htole32(QTFS_POLL_ALL), 0};
      asking.push_back(*client_.send(QTFS_OP_POLL, bytes_of(body)));
    }
    for (const uint64_t tag : asking) {
      const auto answer = client_.wait(tag);
      ASSERT_EQ(0, answer->err());
      EXPECT_EQ(uint32_t{QTFS_POLL_OUT}, le32toh(answer->as<qtfs_wire_poll>().mask));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Rings, ManyPolls, ::testing::Bool());

// Many that nothing happens to cost neither frames nor time; another is heard among them.
TEST_P(ManyPolls, AnIdleSetIsQuiet) {
  constexpr size_t batch = 200;  // as many requests as may be under way
  rlimit files{};
  ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));  // the engine has raised it
  // Where the ring tells once, each has a second descriptor.
  const size_t many = std::min<size_t>(10000, files.rlim_cur / (GetParam() ? 2 : 4));
  const uint64_t node = fifo();
  for (size_t i = 0; i < many && !HasFailure(); i += batch)
    watch(node, std::min(batch, many - i));
  const uint64_t busy = id_of(*client_.open(fifo("busy"), rd | nonblock));
  EXPECT_EQ(0u, *client_.poll(busy));
  expect_quiet();
  EXPECT_GT(0.1, idle_seconds());
  expect_quiet();
  UniqueFd there = local(O_WRONLY, "busy");
  ASSERT_EQ(1, write(there.get(), "x", 1));
  expect_push(busy, QTFS_POLL_IN);
}

}  // namespace qtfs
