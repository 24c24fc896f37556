// SPDX-License-Identifier: GPL-2.0-only
// Descriptors in what connections to unix sockets carry.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "lib/message.hh"
#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

std::string text_behind(int fd) {
  char text[64];
  const ssize_t got = read(fd, text, sizeof(text));
  return got < 0 ? std::strerror(errno) : std::string(text, static_cast<size_t>(got));
}

// Exclusive, of the whole file.
qtfs_wire_lock flock_of(uint64_t open) {
  qtfs_wire_lock lock{};
  lock.open = htole64(open);
  lock.end = htole64(~uint64_t{0});
  lock.type = htole32(QTFS_LOCK_WRITE);
  lock.flags = htole32(QTFS_LOCK_FLOCK);
  return lock;
}

}  // namespace

// A connection to a program, which is this one.
class RightsTest : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, dir_.path("s").c_str(), sizeof(address.sun_path) - 1);
    const UniqueFd listener(socket(AF_UNIX, type() | SOCK_CLOEXEC, 0));
    ASSERT_EQ(0, bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    ASSERT_EQ(0, listen(listener.get(), 1));
    const auto opened =
        client_.open(lookup("s"), QTFS_OPEN_CONNECT | QTFS_OPEN_READ | QTFS_OPEN_WRITE);
    ASSERT_EQ(0, opened.err());
    id_ = id_of(*opened);
    peer_.reset(accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(peer_);
    dir_.write("file", "content");
  }
  virtual int type() const { return SOCK_STREAM; }

  Status give_file(uint64_t right, uint64_t offset = 0) {
    return client_
        .give({htole64(id_), htole64(right), htole64(offset), htole32(QTFS_RIGHT_FILE), 0})
        .status();
  }
  Result<qtfs_wire_opened> give_new(uint32_t kind, uint32_t socket = 0) {
    return client_.give({htole64(id_), 0, 0, htole32(kind), htole32(socket)});
  }
  // What the program gets with the next message, which is @text.
  std::vector<UniqueFd> received(const std::string& text) {
    EXPECT_EQ(0, client_.write(id_, 0, text).err());
    std::vector<UniqueFd> fds;
    std::vector<std::byte> buffer(100);
    const auto got = receive(peer_.get(), buffer, 0, nullptr, &fds);
    EXPECT_EQ(text.size(), got ? *got : 0);
    return fds;
  }
  // The program passes @fds.
  void pass(std::vector<UniqueFd> fds) {
    const char byte = 'x';
    ASSERT_EQ(1, send_as(peer_.get(), std::as_bytes(std::span(&byte, 1)), {}, 0, fds));
  }
  void pass(int fd) {
    std::vector<UniqueFd> fds;
    fds.emplace_back(dup(fd));
    pass(std::move(fds));
  }
  Result<qtfs_wire_taken> passed(int fd) {
    pass(fd);
    EXPECT_EQ("x", *client_.read(id_, 0, 100, QTFS_READ_RIGHTS));
    return client_.take(id_);
  }

  uint64_t id_ = 0;
  UniqueFd peer_;
};

TEST_F(RightsTest, AFileIsTheVeryOne) {
  const uint64_t right = open("file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, give_file(right, 3).err());
  const auto fds = received("here");
  ASSERT_EQ(1u, fds.size());
  EXPECT_EQ(O_RDWR, fcntl(fds[0].get(), F_GETFL) & O_ACCMODE);
  EXPECT_EQ("tent", text_behind(fds[0].get()));
  EXPECT_EQ(3, pwrite(fds[0].get(), "CON", 3, 0));
  EXPECT_EQ("CONtent", *client_.read(right, 0, 100));
  // It stays when the client closes its own.
  EXPECT_EQ(0, client_.release(right).err());
  EXPECT_EQ(3, pwrite(fds[0].get(), "con", 3, 0));
  // Nothing goes along with what follows.
  EXPECT_TRUE(received("more").empty());
}

TEST_F(RightsTest, LocksAreCommon) {
  const uint64_t right = open("file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, give_file(right).err());
  const auto fds = received("here");
  ASSERT_EQ(1u, fds.size());
  ASSERT_EQ(0, flock(fds[0].get(), LOCK_EX | LOCK_NB));
  EXPECT_EQ(0, client_.lock(flock_of(right)).err());
}

TEST_F(RightsTest, AppendingStaysSo) {
  ASSERT_EQ(0, give_file(open("file", QTFS_OPEN_WRITE | QTFS_OPEN_APPEND)).err());
  const auto fds = received("here");
  ASSERT_EQ(1u, fds.size());
  EXPECT_EQ(4, write(fds[0].get(), "more", 4));
  EXPECT_EQ("contentmore", dir_.read("file"));
}

TEST_F(RightsTest, NothingIsTruncatedAgain) {
  const uint64_t right = open("file", QTFS_OPEN_WRITE | QTFS_OPEN_APPEND | QTFS_OPEN_TRUNC);
  ASSERT_EQ(0, client_.write(right, 0, "log").err());
  ASSERT_EQ(0, give_file(right).err());
  EXPECT_EQ(1u, received("here").size());
  EXPECT_EQ("log", dir_.read("file"));
}

// Positions and status flags are the program's own.
TEST_F(RightsTest, DataIsReadAndWrittenAsBefore) {
  const uint64_t right = open("file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, give_file(right, 2).err());
  ASSERT_EQ(0, give_file(right, 0).err());
  const auto fds = received("here");
  ASSERT_EQ(2u, fds.size());
  EXPECT_EQ(2, lseek(fds[0].get(), 0, SEEK_CUR));
  ASSERT_EQ(0, fcntl(fds[0].get(), F_SETFL, O_APPEND));
  EXPECT_EQ(0, client_.write(right, 0, "C").err());
  EXPECT_EQ("Content", dir_.read("file"));

  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDWR | O_CLOEXEC));
  const auto taken = passed(fd.get());
  ASSERT_EQ(0, taken.err());
  ASSERT_EQ(0, fcntl(fd.get(), F_SETFL, O_APPEND));
  EXPECT_EQ(0, client_.write(id_of(taken->opened), 1, "O").err());
  EXPECT_EQ("COntent", dir_.read("file"));
}

TEST_F(RightsTest, TheyComeWithTheirBytes) {
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  const std::string header(1000, 'h');
  ASSERT_EQ(1000, write(peer_.get(), header.data(), header.size()));
  pass(fd.get());
  ASSERT_EQ(5, write(peer_.get(), "after", 5));
  std::string text;
  Result<qtfs_wire_taken> taken = Status::error(EAGAIN);
  size_t before = 0;
  while (taken.err() == EAGAIN) {
    before = text.size();
    const auto more = client_.read(id_, 0, 4096, QTFS_READ_RIGHTS | QTFS_READ_NOWAIT);
    ASSERT_EQ(0, more.err());
    text += *more;
    taken = client_.take(id_);
  }
  ASSERT_EQ(0, taken.err());
  EXPECT_EQ(header.size(), before + le32toh(taken->at));
  if (text.size() < header.size() + 6)
    text += *client_.read(id_, 0, 4096, QTFS_READ_RIGHTS | QTFS_READ_NOWAIT);
  EXPECT_EQ(header + "xafter", text);
}

TEST_F(RightsTest, WhatWasGivenCanBeTakenBack) {
  ASSERT_EQ(0, give_file(open("file", QTFS_OPEN_READ)).err());
  EXPECT_EQ(0, give_new(QTFS_RIGHT_NONE).err());
  EXPECT_TRUE(received("nothing").empty());
}

TEST_F(RightsTest, SeveralInOrder) {
  dir_.write("other", "other's");
  ASSERT_EQ(0, mkdir(dir_.path("dir").c_str(), 0755));
  ASSERT_EQ(0, give_file(open("file", QTFS_OPEN_READ)).err());
  ASSERT_EQ(0, give_file(open("dir", QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY)).err());
  ASSERT_EQ(0, give_file(open("other", QTFS_OPEN_READ)).err());
  const auto fds = received("three");
  ASSERT_EQ(3u, fds.size());
  EXPECT_EQ("content", text_behind(fds[0].get()));
  EXPECT_EQ(0, faccessat(fds[1].get(), "../file", R_OK, 0));
  EXPECT_EQ("other's", text_behind(fds[2].get()));
}

TEST_F(RightsTest, AFifoWaitsAsItsProgramWants) {
  ASSERT_EQ(0, mkfifo(dir_.path("fifo").c_str(), 0600));
  const UniqueFd other(::open(dir_.path("fifo").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(0, give_file(open("fifo", QTFS_OPEN_READ)).err());
  const auto fds = received("here");
  ASSERT_EQ(1u, fds.size());
  EXPECT_FALSE(fcntl(fds[0].get(), F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(4, write(other.get(), "line", 4));
  EXPECT_EQ("line", text_behind(fds[0].get()));
}

TEST_F(RightsTest, PipesAndSocketsOfTheClient) {
  const auto reads = give_new(QTFS_RIGHT_PIPE_READ);
  const auto writes = give_new(QTFS_RIGHT_PIPE_WRITE);
  const auto both = give_new(QTFS_RIGHT_SOCKET, QTFS_SOCKET_SEQPACKET);
  ASSERT_TRUE(reads.ok() && writes.ok() && both.ok());
  const auto fds = received("three");
  ASSERT_EQ(3u, fds.size());
  ASSERT_EQ(0, client_.write(id_of(*reads), 0, "to be read").err());
  EXPECT_EQ("to be read", text_behind(fds[0].get()));
  EXPECT_EQ(7, write(fds[1].get(), "written", 7));
  EXPECT_EQ("written", *client_.read(id_of(*writes), 0, 100));
  EXPECT_EQ(QTFS_SOCKET_SEQPACKET, le32toh(both->socket));
  EXPECT_EQ(7, write(fds[2].get(), "message", 7));
  EXPECT_EQ("message", *client_.read(id_of(*both), 0, 100));
  // One end closes, and the other hears.
  EXPECT_EQ(0, client_.release(id_of(*reads)).err());
  EXPECT_EQ("", text_behind(fds[0].get()));
  EXPECT_EQ(EBADF, client_.read(id_of(*reads), 0, 100).err());
}

TEST_F(RightsTest, WhatCannotBeGiven) {
  EXPECT_EQ(EBADF, give_file(4711).err());
  EXPECT_EQ(EOPNOTSUPP, give_file(id_).err());
  EXPECT_EQ(EINVAL, give_new(77).err());
  EXPECT_EQ(EINVAL, give_new(QTFS_RIGHT_SOCKET, 9).err());
  EXPECT_EQ(EINVAL, give_new(QTFS_RIGHT_SOCKET, QTFS_SOCKET_DGRAM).err());
  const uint64_t file = open("file", QTFS_OPEN_READ);
  EXPECT_EQ(ENOTSOCK,
            client_.give({htole64(file), htole64(file), 0, htole32(QTFS_RIGHT_FILE), 0}).err());
  ASSERT_EQ(0, chmod(dir_.path("file").c_str(), 0711));
  EXPECT_EQ(EACCES, give_file(open("file", QTFS_OPEN_EXEC)).err());
  for (unsigned i = 0; i < QTFS_RIGHTS_MAX; i++)
    ASSERT_EQ(0, give_file(file).err());
  EXPECT_EQ(ENFILE, give_file(file).err());
  EXPECT_EQ(QTFS_RIGHTS_MAX, received("many").size());
}

TEST_F(RightsTest, WhatHasAnotherContentStaysHere) {
  engine_->rules().add({.path = dir_.path("file"),
                        .type = QTFS_TYPE_REG,
                        .action = RuleAction::content,
                        .text = "text"});
  EXPECT_EQ(EACCES, give_file(open("file", QTFS_OPEN_READ)).err());
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(EACCES, passed(fd.get()).err());
}

TEST_F(RightsTest, AFileOfTheTreeIsTaken) {
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(2, lseek(fd.get(), 2, SEEK_SET));
  const auto taken = passed(fd.get());
  ASSERT_EQ(0, taken.err());
  EXPECT_EQ(QTFS_RIGHT_FILE, le32toh(taken->kind));
  EXPECT_EQ(QTFS_OPEN_READ | QTFS_OPEN_WRITE, le32toh(taken->flags));
  EXPECT_EQ(2u, le64toh(taken->offset));
  EXPECT_EQ(lookup("file"), le64toh(taken->entry.node));
  EXPECT_EQ("content", *client_.read(id_of(taken->opened), 0, 100));
  ASSERT_EQ(0, flock(fd.get(), LOCK_EX | LOCK_NB));
  EXPECT_EQ(0, client_.lock(flock_of(id_of(taken->opened))).err());
  EXPECT_EQ(EAGAIN, client_.take(id_).err());
}

TEST_F(RightsTest, OneWithoutANameIsTaken) {
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(0, unlink(dir_.path("file").c_str()));
  const auto taken = passed(fd.get());
  ASSERT_EQ(0, taken.err());
  EXPECT_EQ(0u, le32toh(taken->entry.attr.nlink));
  EXPECT_EQ("content", *client_.read(id_of(taken->opened), 0, 100));
  EXPECT_EQ(EBADF, client_.write(id_of(taken->opened), 0, "no").err());
}

TEST_F(RightsTest, ADirectoryIsTaken) {
  ASSERT_EQ(0, mkdir(dir_.path("dir").c_str(), 0755));
  dir_.write("dir/in", "inside");
  const UniqueFd fd(::open(dir_.path("dir").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto taken = passed(fd.get());
  ASSERT_EQ(0, taken.err());
  EXPECT_EQ(lookup("dir"), le64toh(taken->entry.node));
  EXPECT_EQ("inside", *client_.read_file(le64toh(taken->entry.node), "in"));
}

TEST_F(RightsTest, PipesAndSocketsAreTaken) {
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
  const UniqueFd reads(ends[0]), writes(ends[1]);
  const auto from = passed(reads.get());
  ASSERT_EQ(0, from.err());
  EXPECT_EQ(QTFS_RIGHT_PIPE_READ, le32toh(from->kind));
  EXPECT_EQ(0u, le64toh(from->entry.node));
  EXPECT_EQ(4, write(writes.get(), "pipe", 4));
  EXPECT_EQ("pipe", *client_.read(id_of(from->opened), 0, 100));
  // Others who have it wait as before.
  EXPECT_FALSE(fcntl(reads.get(), F_GETFL) & O_NONBLOCK);
  const auto to = passed(writes.get());
  ASSERT_EQ(0, to.err());
  EXPECT_EQ(QTFS_RIGHT_PIPE_WRITE, le32toh(to->kind));
  EXPECT_EQ(0, client_.write(id_of(to->opened), 0, "back").err());
  EXPECT_EQ("back", text_behind(reads.get()));

  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
  const UniqueFd far(ends[0]), near(ends[1]);
  const auto both = passed(far.get());
  ASSERT_EQ(0, both.err());
  EXPECT_EQ(QTFS_RIGHT_SOCKET, le32toh(both->kind));
  EXPECT_EQ(QTFS_SOCKET_STREAM, le32toh(both->opened.socket));
  EXPECT_EQ(0, client_.write(id_of(both->opened), 0, "hello").err());
  EXPECT_EQ("hello", text_behind(near.get()));
}

TEST_F(RightsTest, WhatCannotBeTaken) {
  TempDir elsewhere;
  elsewhere.write("file", "outside");
  const UniqueFd outside(::open(elsewhere.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(EXDEV, passed(outside.get()).err());
  const UniqueFd memory(memfd_create("memory", MFD_CLOEXEC));
  EXPECT_EQ(EXDEV, passed(memory.get()).err());
  const UniqueFd proc(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(EOPNOTSUPP, passed(proc.get()).err());
  const UniqueFd path(::open(dir_.path("file").c_str(), O_PATH | O_CLOEXEC));
  EXPECT_EQ(EOPNOTSUPP, passed(path.get()).err());
  const UniqueFd device(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(EOPNOTSUPP, passed(device.get()).err());
  const UniqueFd listens(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(EOPNOTSUPP, passed(listens.get()).err());
  EXPECT_EQ(ENOTSOCK, client_.take(open("file", QTFS_OPEN_READ)).err());
  EXPECT_EQ(EAGAIN, client_.take(id_).err());
}

// A name that has another file by now does not lead there.
TEST_F(RightsTest, AnotherInItsPlaceIsNot) {
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(0, link(dir_.path("file").c_str(), dir_.path("kept").c_str()));
  ASSERT_EQ(0, unlink(dir_.path("file").c_str()));
  dir_.write("file", "another");
  pass(fd.get());
  EXPECT_EQ("x", *client_.read(id_, 0, 100, QTFS_READ_RIGHTS));
  const auto taken = client_.take(id_);
  // The kernel may know the name that is left.
  if (taken)
    EXPECT_EQ("content", *client_.read(id_of(taken->opened), 0, 100));
  else
    EXPECT_EQ(EXDEV, taken.err());
}

TEST_F(RightsTest, TheyAreTakenBeforeAnythingElse) {
  const UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  pass(fd.get());
  EXPECT_EQ("x", *client_.read(id_, 0, 100, QTFS_READ_RIGHTS));
  pass(fd.get());
  EXPECT_EQ(EBUSY, client_.read(id_, 0, 100, QTFS_READ_RIGHTS).err());
  EXPECT_EQ(0, client_.take(id_).err());
  // Who does not expect any loses what brings some.
  EXPECT_EQ(EOPNOTSUPP, client_.read(id_, 0, 100).err());
  EXPECT_EQ(EAGAIN, client_.take(id_).err());
}

class ReadOnlyRights : public RightsTest {
  void configure(Config& config) override {
    config.exports = {{.path = dir_.path(), .name = "x", .readonly = true}};
  }
};

TEST_F(ReadOnlyRights, TakeNothingToWriteTo) {
  const UniqueFd writes(::open(dir_.path("file").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(EROFS, passed(writes.get()).err());
  const UniqueFd reads(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(0, passed(reads.get()).err());
}

}  // namespace qtfs
