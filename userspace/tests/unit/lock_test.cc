// SPDX-License-Identifier: GPL-2.0-only
// Locks that clients take on the server, among themselves and against its processes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <map>
#include <random>

#include "engine/lock_ranges.hh"
#include "fixture.hh"

namespace qtfs {

namespace {

constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;
constexpr uint64_t end_of_file = UINT64_MAX;

}  // namespace

// Against a plain array of what each byte is.
TEST(RangeSets, SayWhatEachByteIs) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; round++) {
    LockQuota quota;
    std::array<uint32_t, 40> bytes{};
    RangeSet set;
    for (int i = 0; i < 30; i++) {
      uint64_t start = random() % bytes.size();
      uint64_t end = random() % bytes.size();
      if (start > end)
        std::swap(start, end);
      const auto type = static_cast<uint32_t>(1 + random() % 3);
      set.set({start, end, type}, quota);
      std::fill(bytes.begin() + static_cast<long>(start),
                bytes.begin() + static_cast<long>(end) + 1, type == QTFS_LOCK_NONE ? 0 : type);
      std::array<uint32_t, 40> seen{};
      uint64_t before = 0;
      uint32_t before_type = 0;
      for (const LockRange& range : set.ranges()) {
        ASSERT_LE(range.start, range.end);
        ASSERT_TRUE(range.start > before || before_type == 0);
        ASSERT_FALSE(range.start == before + 1 && range.type == before_type);  // in one piece
        before = range.end;
        before_type = range.type;
        for (uint64_t at = range.start; at <= range.end; at++)
          seen.at(at) = range.type;
      }
      ASSERT_EQ(bytes, seen);
      ASSERT_EQ(set.ranges().size(), quota.used);
    }
  }
}

TEST(RangeSets, ReachTheLastByte) {
  LockQuota quota;
  RangeSet set;
  set.set({0, end_of_file, QTFS_LOCK_READ}, quota);
  set.set({10, end_of_file, QTFS_LOCK_WRITE}, quota);
  set.set({20, 29, QTFS_LOCK_NONE}, quota);
  const std::vector<LockRange> expected = {
      {0, 9, QTFS_LOCK_READ}, {10, 19, QTFS_LOCK_WRITE}, {30, end_of_file, QTFS_LOCK_WRITE}};
  EXPECT_EQ(expected, set.ranges());
  EXPECT_TRUE(set.conflicts({end_of_file, end_of_file, QTFS_LOCK_READ}));
  EXPECT_FALSE(set.conflicts({20, 29, QTFS_LOCK_WRITE}));
  EXPECT_FALSE(set.conflicts({0, 9, QTFS_LOCK_READ}));
}

class Locks : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (IsSkipped())
      return;
    dir_.write("file", "text");
    file_ = open("file", rw);
    local_.reset(::open(dir_.path("file").c_str(), O_RDWR | O_CLOEXEC));
  }

  qtfs_wire_lock body(uint64_t owner, uint32_t type, uint64_t start = 0, uint64_t end = end_of_file,
                      uint32_t flags = 0) const {
    qtfs_wire_lock body{};
    body.open = htole64(file_);
    body.owner = htole64(owner);
    body.start = htole64(start);
    body.end = htole64(end);
    body.type = htole32(type);
    body.flags = htole32(flags);
    return body;
  }
  int lock(uint64_t owner, uint32_t type, uint64_t start = 0, uint64_t end = end_of_file,
           uint32_t flags = 0) {
    return client_.lock(body(owner, type, start, end, flags)).err();
  }
  int unlock(uint64_t owner, uint64_t start = 0, uint64_t end = end_of_file, uint32_t flags = 0) {
    return client_.unlock(body(owner, QTFS_LOCK_NONE, start, end, flags)).err();
  }
  // Asked for, and not had yet.
  uint64_t begin(uint64_t owner, uint32_t type, uint64_t start = 0, uint64_t end = end_of_file,
                 uint32_t flags = 0) {
    const auto tag =
        client_.send(QTFS_OP_LOCK, bytes_of(body(owner, type, start, end, flags | QTFS_LOCK_WAIT)));
    EXPECT_EQ(0, client_.ping().err());
    return *tag;
  }
  int end(uint64_t tag) { return client_.wait(tag)->err(); }

  // A process of the server, as fcntl(2) sees it: 0 or errno.
  int local(short type, off_t start = 0, off_t len = 0) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_start = start;
    lock.l_len = len;
    return fcntl(local_.get(), F_SETLK, &lock) < 0 ? errno : 0;
  }

  uint64_t file_ = 0;
  UniqueFd local_;
};

TEST_F(Locks, ExcludeProcessesOfTheServer) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE, 10, 19));
  EXPECT_EQ(EAGAIN, local(F_RDLCK, 19, 1));
  EXPECT_EQ(0, local(F_WRLCK, 20, 1));
  EXPECT_EQ(EAGAIN, lock(1, QTFS_LOCK_WRITE, 15, 20));
  EXPECT_EQ(0, unlock(1, 15, 17));
  EXPECT_EQ(0, local(F_WRLCK, 15, 3));
  EXPECT_EQ(EAGAIN, local(F_WRLCK, 14, 1));
  EXPECT_EQ(EAGAIN, local(F_WRLCK, 18, 1));
}

TEST_F(Locks, ReadersShare) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_READ));
  EXPECT_EQ(0, lock(2, QTFS_LOCK_READ));
  EXPECT_EQ(0, local(F_RDLCK));
  EXPECT_EQ(EAGAIN, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(0, local(F_UNLCK));
  EXPECT_EQ(0, unlock(2));
  EXPECT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(EAGAIN, local(F_RDLCK));
}

TEST_F(Locks, OwnersAreApartAndOfOneSession) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(EAGAIN, lock(2, QTFS_LOCK_READ));
  Client other;
  connect(other);
  qtfs_wire_lock theirs = body(1, QTFS_LOCK_READ);
  theirs.open = other.open(id_of(*other.lookup(root_, "file")), QTFS_OPEN_READ)->open;
  EXPECT_EQ(EAGAIN, other.lock(theirs).err());
  // Through another open of the same file, as closing any of them does.
  const uint64_t before = file_;
  file_ = open("file", QTFS_OPEN_READ);
  EXPECT_EQ(0, unlock(1));
  file_ = before;
  EXPECT_EQ(0, other.lock(theirs).err());
  EXPECT_EQ(EAGAIN, lock(1, QTFS_LOCK_WRITE));
  other.close();
  while (engine_->sessions() != 1)
    usleep(1000);
  EXPECT_EQ(0, lock(1, QTFS_LOCK_WRITE));
}

TEST_F(Locks, NeedTheFileOpenForWhatTheySay) {
  file_ = open("file", QTFS_OPEN_READ);
  EXPECT_EQ(EBADF, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(EBADF, lock(1, QTFS_LOCK_WRITE, 0, 9, QTFS_LOCK_OFD));
  ASSERT_EQ(0, lock(1, QTFS_LOCK_READ, 10, 19));
  file_ = open("file", QTFS_OPEN_WRITE);
  EXPECT_EQ(EBADF, lock(1, QTFS_LOCK_READ));
  // The owner's first description could only be read from.
  EXPECT_EQ(0, lock(1, QTFS_LOCK_WRITE, 0, 9));
  EXPECT_EQ(EAGAIN, local(F_WRLCK, 10, 1));
  EXPECT_EQ(0, local(F_RDLCK, 10, 1));
  EXPECT_EQ(EAGAIN, local(F_RDLCK, 9, 1));
}

TEST_F(Locks, OfAnOpenEndWithIt) {
  const uint64_t second = open("file", rw);
  for (const uint32_t flags : {QTFS_LOCK_OFD, QTFS_LOCK_FLOCK}) {
    ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE, 0, end_of_file, flags));
    const uint64_t first = std::exchange(file_, second);
    EXPECT_EQ(EAGAIN, lock(1, QTFS_LOCK_WRITE, 0, end_of_file, flags));
    file_ = first;
    ASSERT_EQ(0, client_.release(first).err());
    file_ = second;
    EXPECT_EQ(0, lock(2, QTFS_LOCK_WRITE, 0, end_of_file, flags));
    EXPECT_EQ(0, unlock(3, 0, end_of_file, flags));
    file_ = open("file", rw);
  }
}

TEST_F(Locks, FlockIsTheServersFlock) {
  ASSERT_EQ(0, lock(0, QTFS_LOCK_READ, 0, 0, QTFS_LOCK_FLOCK));
  EXPECT_EQ(0, flock(local_.get(), LOCK_SH | LOCK_NB));
  EXPECT_EQ(EAGAIN, lock(0, QTFS_LOCK_WRITE, 0, 0, QTFS_LOCK_FLOCK));
  EXPECT_EQ(0, flock(local_.get(), LOCK_UN));
  EXPECT_EQ(0, lock(0, QTFS_LOCK_WRITE, 0, 0, QTFS_LOCK_FLOCK));
  EXPECT_EQ(-1, flock(local_.get(), LOCK_SH | LOCK_NB));
  EXPECT_EQ(0, local(F_WRLCK));  // nothing to do with the other kind
  ASSERT_EQ(0, client_.mkdir(root_, "dir").err());
  file_ = open("dir", QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
  EXPECT_EQ(0, lock(0, QTFS_LOCK_WRITE, 0, 0, QTFS_LOCK_FLOCK));
  EXPECT_EQ(0, lock(1, QTFS_LOCK_READ));
}

TEST_F(Locks, TellWhoIsInTheWay) {
  ASSERT_EQ(0, local(F_WRLCK, 100, 50));
  auto found = client_.getlock(body(1, QTFS_LOCK_READ, 120, end_of_file));
  ASSERT_EQ(0, found.err());
  EXPECT_EQ(QTFS_LOCK_WRITE, le32toh(found->type));
  EXPECT_EQ(100u, le64toh(found->start));
  EXPECT_EQ(149u, le64toh(found->end));
  EXPECT_EQ(static_cast<uint32_t>(getpid()), le32toh(found->pid));
  ASSERT_EQ(0, lock(2, QTFS_LOCK_WRITE, 0, 9));
  found = client_.getlock(body(1, QTFS_LOCK_READ, 0, 50));
  EXPECT_EQ(QTFS_LOCK_WRITE, le32toh(found->type));
  EXPECT_EQ(0u, le32toh(found->pid));
  EXPECT_EQ(QTFS_LOCK_NONE, le32toh(client_.getlock(body(2, QTFS_LOCK_READ, 0, 50))->type));
  // What the very open holds is in a process's way as well.
  ASSERT_EQ(0, lock(0, QTFS_LOCK_WRITE, 300, 309, QTFS_LOCK_OFD));
  found = client_.getlock(body(1, QTFS_LOCK_WRITE, 305, 305));
  EXPECT_EQ(QTFS_LOCK_WRITE, le32toh(found->type));
}

TEST_F(Locks, AreWaitedFor) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  const uint64_t tag = begin(2, QTFS_LOCK_WRITE);
  EXPECT_EQ(1u, client_.parked());
  ASSERT_EQ(0, unlock(1));
  EXPECT_EQ(0, end(tag));
  EXPECT_EQ(EAGAIN, local(F_RDLCK));
  // And for processes of the server.
  ASSERT_EQ(0, unlock(2));
  ASSERT_EQ(0, local(F_WRLCK));
  const uint64_t again = begin(2, QTFS_LOCK_READ);
  ASSERT_EQ(0, local(F_UNLCK));
  EXPECT_EQ(0, end(again));
  EXPECT_EQ(EAGAIN, local(F_WRLCK));
}

TEST_F(Locks, OldClientsWaitWithTheirTag) {
  Client plain;
  plain.features = 0;
  connect(plain);
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  qtfs_wire_lock theirs = body(1, QTFS_LOCK_READ, 0, end_of_file, QTFS_LOCK_WAIT);
  theirs.open = plain.open(id_of(*plain.lookup(root_, "file")), QTFS_OPEN_READ)->open;
  const auto tag = plain.send(QTFS_OP_LOCK, bytes_of(theirs));
  EXPECT_EQ(0, plain.ping().err());
  ASSERT_EQ(0, unlock(1));
  EXPECT_EQ(0, plain.wait(*tag)->err());
  EXPECT_EQ(0u, plain.parked());
}

TEST_F(Locks, WaitingIsCancelled) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  const uint64_t tag = begin(2, QTFS_LOCK_WRITE, 0, 9);
  const uint64_t behind = begin(3, QTFS_LOCK_WRITE, 0, 9);
  EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(behind));
  EXPECT_EQ(EINTR, end(behind));
  EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(tag));
  EXPECT_EQ(EINTR, end(tag));
  ASSERT_EQ(0, unlock(1));
  EXPECT_EQ(0, local(F_WRLCK));
}

TEST_F(Locks, CirclesAreToldOf) {
  Client other;
  connect(other);
  qtfs_wire_lock theirs = body(1, QTFS_LOCK_WRITE, 20, 29);
  theirs.open = other.open(id_of(*other.lookup(root_, "file")), rw)->open;
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE, 0, 9));
  ASSERT_EQ(0, lock(2, QTFS_LOCK_WRITE, 10, 19));
  ASSERT_EQ(0, other.lock(theirs).err());
  const uint64_t one = begin(1, QTFS_LOCK_WRITE, 10, 10);
  const uint64_t two = begin(2, QTFS_LOCK_WRITE, 20, 20);
  theirs.start = htole64(5);
  theirs.end = htole64(5);
  EXPECT_EQ(EAGAIN, other.lock(theirs).err());
  theirs.flags = htole32(QTFS_LOCK_WAIT);
  EXPECT_EQ(EDEADLK, other.lock(theirs).err());
  other.close();
  EXPECT_EQ(0, end(two));
  ASSERT_EQ(0, unlock(2));
  EXPECT_EQ(0, end(one));
}

TEST_F(Locks, OfSyntheticFilesAndImpossibleOnesAreErrors) {
  EXPECT_EQ(EINVAL, lock(1, QTFS_LOCK_NONE));
  EXPECT_EQ(EINVAL, lock(1, QTFS_LOCK_READ, 10, 9));
  EXPECT_EQ(EINVAL, lock(1, QTFS_LOCK_READ, uint64_t{1} << 63));
  EXPECT_EQ(0, lock(1, QTFS_LOCK_READ, INT64_MAX, INT64_MAX));
  file_++;
  EXPECT_EQ(EBADF, lock(1, QTFS_LOCK_READ));
  file_--;
  EXPECT_EQ(EPROTO, lock(1, QTFS_LOCK_READ, 0, 9, 0x80));
  EXPECT_TRUE(client_.closed_by_peer());
}

class FewLocks : public Locks {
  void configure(Config& config) override { config.limits.locks_max = 10; }
};

TEST_F(FewLocks, AreAllAClientGets) {
  int err = 0;
  uint64_t had = 0;
  for (; err == 0 && had < 20; had++)
    err = lock(had % 3, QTFS_LOCK_WRITE, 10 * had, 10 * had);
  EXPECT_EQ(ENOLCK, err);
  EXPECT_EQ(10u, had);
  for (uint64_t owner = 0; owner < 3; owner++)
    EXPECT_EQ(0, unlock(owner));
  EXPECT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  EXPECT_EQ(0, lock(0, QTFS_LOCK_WRITE, 0, 9, QTFS_LOCK_FLOCK));
}

class OneLockThread : public Locks {
 protected:
  void configure(Config& config) override { config.limits.blocking_threads_max = 2; }

  // Each has it once, in whatever order.
  void unlock_all(std::map<uint64_t, uint64_t> owners) {
    while (!owners.empty()) {
      const auto answer = client_.receive();
      ASSERT_TRUE(answer.ok());
      if (le16toh(answer->header.op) != QTFS_OP_PUSH_UNPARK)
        continue;
      const auto push = answer->as<qtfs_wire_push_unpark>();
      const auto found = owners.find(le64toh(push.park));
      ASSERT_NE(owners.end(), found);
      EXPECT_EQ(0u, le32toh(push.status));
      ASSERT_TRUE(client_.send(QTFS_OP_UNLOCK, bytes_of(body(found->second, QTFS_LOCK_NONE))).ok());
      owners.erase(found);
    }
    EXPECT_EQ(0, client_.ping().err());
  }
};

// Those that wait for the same lock need one thread altogether, and nobody's turn is lost.
TEST_F(OneLockThread, IsEnoughForEveryWaiter) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE));
  std::map<uint64_t, uint64_t> owners;  // by tag
  for (uint64_t owner = 2; owner < 500; owner++)
    owners[begin(owner, owner % 2 ? QTFS_LOCK_READ : QTFS_LOCK_WRITE, 0, 99)] = owner;
  EXPECT_EQ(0, client_.fsync(file_).err());
  const uint64_t first = owners.begin()->first;
  EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(first));
  EXPECT_EQ(EINTR, end(first));
  owners.erase(first);
  ASSERT_EQ(0, unlock(1));
  unlock_all(owners);
  EXPECT_EQ(0, local(F_WRLCK));
}

// More than there are threads wait for different locks: none waits for another's.
TEST_F(OneLockThread, IsEnoughForDifferentLocks) {
  std::map<uint64_t, uint64_t> owners;
  for (uint64_t n = 0; n < 20; n++)
    ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE, 10 * n, 10 * n + 9));
  for (uint64_t n = 0; n < 20; n++)
    owners[begin(100 + n, QTFS_LOCK_WRITE, 10 * n, 10 * n)] = 100 + n;
  // The last one first: nobody else moves.
  ASSERT_EQ(0, unlock(1, 190, 199));
  EXPECT_EQ(0, end(owners.rbegin()->first));
  owners.erase(std::prev(owners.end()));
  // A process of the server gives back unseen.
  ASSERT_EQ(0, local(F_WRLCK, 300, 10));
  const uint64_t unseen = begin(200, QTFS_LOCK_WRITE, 300, 300);
  ASSERT_EQ(0, local(F_UNLCK, 300, 10));
  EXPECT_EQ(0, end(unseen));
  // And an open that is closed.
  const uint64_t before = std::exchange(file_, open("file", rw));
  ASSERT_EQ(0, lock(0, QTFS_LOCK_WRITE, 400, 400, QTFS_LOCK_OFD));
  const uint64_t other = std::exchange(file_, before);
  const uint64_t closed = begin(201, QTFS_LOCK_WRITE, 400, 400);
  ASSERT_EQ(0, client_.release(other).err());
  EXPECT_EQ(0, end(closed));
  ASSERT_EQ(0, unlock(1));
  unlock_all(owners);
}

// Only what is in the way of all of a part is in the way of the whole.
TEST_F(Locks, AnotherPartIsHadBeforeThose) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_WRITE, 0, 9));
  ASSERT_EQ(0, lock(2, QTFS_LOCK_WRITE, 90, 99));
  const uint64_t whole = begin(3, QTFS_LOCK_WRITE, 0, 99);
  const uint64_t part = begin(4, QTFS_LOCK_WRITE, 95, 99);
  ASSERT_EQ(0, unlock(2));
  EXPECT_EQ(0, end(part));
  ASSERT_EQ(0, unlock(1));
  ASSERT_EQ(0, unlock(4));
  EXPECT_EQ(0, end(whole));
}

// Who holds what the one before it waits for must not wait behind it.
TEST_F(Locks, UpgradesAreNotBehindThoseTheyHoldUp) {
  ASSERT_EQ(0, lock(1, QTFS_LOCK_READ));
  ASSERT_EQ(0, lock(2, QTFS_LOCK_READ));
  const uint64_t writer = begin(3, QTFS_LOCK_WRITE);
  const uint64_t upgrade = begin(1, QTFS_LOCK_WRITE);
  ASSERT_EQ(0, unlock(2));
  EXPECT_EQ(0, end(upgrade));
  ASSERT_EQ(0, unlock(1));
  EXPECT_EQ(0, end(writer));
}

}  // namespace qtfs
