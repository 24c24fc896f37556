// SPDX-License-Identifier: GPL-2.0-only
// Sessions of several connections, which different threads serve: who may join one, what they
// share, and what stays each one's own.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "fixture.hh"

namespace qtfs {

namespace {
constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;
}

class Joining : public EngineTest {
 protected:
  void configure(Config& config) override { config.threads = 4; }
  void SetUp() override {
    EngineTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure())
      join(second_);
  }
  void join(Client& client) {
    ASSERT_TRUE(client.connect("127.0.0.1", port()).ok());
    ASSERT_EQ(0, client.join(client_, psk_).err());
    client.cred = 1;
  }
  // Up to where SESSION is due.
  void greet(Client& client) {
    ASSERT_TRUE(client.connect("127.0.0.1", port()).ok());
    auto body = client.hello_body();
    if (!psk_.empty())
      body.auth = htole32(QTFS_AUTH_PSK);
    ASSERT_EQ(0, client.hello(body)->err());
    if (!psk_.empty()) {
      ASSERT_EQ(0, client.auth(psk_)->err());
    }
  }

  Client second_;
};

class JoiningWithKey : public Joining {
  void configure(Config& config) override {
    Joining::configure(config);
    psk_ = "a key that both know";
    dir_.write("psk", psk_);
    chmod(dir_.path("psk").c_str(), 0600);
    config.psk_file = dir_.path("psk");
  }
};

TEST_F(Joining, ConnectionsShareCredentialsNodesOpensAndLocks) {
  ASSERT_EQ(0, second_.add_cred({.id = 7, .uid = 1000, .gid = 1000, .caps = 0}).err());
  chmod(dir_.path().c_str(), 0777);
  client_.cred = 7;
  const auto made = client_.create(root_, "file", rw);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(1000u, le32toh(made->entry.attr.uid));
  client_.cred = 1;

  const uint64_t open = le64toh(made->opened.open);
  ASSERT_EQ(0, second_.write(open, 0, "from the other").err());
  EXPECT_EQ("from the other", *client_.read(open, 0, 100));
  EXPECT_EQ(id_of(made->entry), id_of(*second_.lookup(root_, "file")));

  // One owner, whichever connection asks for it.
  qtfs_wire_lock lock{};
  lock.open = htole64(open);
  lock.owner = htole64(3);
  lock.end = htole64(UINT64_MAX);
  lock.type = htole32(QTFS_LOCK_WRITE);
  ASSERT_EQ(0, client_.lock(lock).err());
  EXPECT_EQ(0, second_.lock(lock).err());
  EXPECT_EQ(uint32_t{QTFS_LOCK_NONE}, le32toh(second_.getlock(lock)->type));
  lock.owner = htole64(4);
  EXPECT_EQ(EAGAIN, second_.lock(lock).err());
  lock.owner = htole64(3);
  ASSERT_EQ(0, second_.unlock(lock).err());
  lock.owner = htole64(4);
  EXPECT_EQ(0, client_.lock(lock).err());

  ASSERT_EQ(0, second_.release(open).err());
  EXPECT_EQ(EBADF, client_.read(open, 0, 1).err());
  // Forgotten up to the latest stamp, which the other was given.
  const auto entry = second_.lookup(root_, "file");
  ASSERT_EQ(0, client_.forget(id_of(*entry), le64toh(made->entry.stamp)).err());
  EXPECT_EQ(0, client_.getattr(id_of(*entry)).err());
  ASSERT_EQ(0, client_.forget(id_of(*entry), le64toh(entry->stamp)).err());
  EXPECT_EQ(ESTALE, second_.getattr(id_of(*entry)).err());
  ASSERT_EQ(0, second_.put_cred(7).err());
  client_.cred = 7;
  EXPECT_EQ(ENOKEY, client_.lookup(root_, "file").err());
}

TEST_F(Joining, WrongSecretIsRefusedAndCounted) {
  const uint64_t before = stat_of(&Stats::auth_failures);
  for (int i = 0; i < 3; i++) {
    Digest guess = client_.secret();
    guess.at(static_cast<size_t>(i)) ^= std::byte{1};
    Client other;
    greet(other);
    EXPECT_EQ(EACCES, other.session(QTFS_SESSION_JOIN, &client_.session_id(), &guess)->err());
    EXPECT_TRUE(other.closed_by_peer());
  }
  EXPECT_EQ(before + 3, stat_of(&Stats::auth_failures));
  EXPECT_EQ(0, client_.ping().err());
  EXPECT_EQ(0, second_.ping().err());
}

TEST_F(Joining, OneSessionsSecretIsNotAnothers) {
  Client other;
  connect(other);
  Client third;
  greet(third);
  EXPECT_EQ(EACCES,
            third.session(QTFS_SESSION_JOIN, &client_.session_id(), &other.secret())->err());
}

// Who listens to one connection's proof cannot use it on the next.
TEST_F(Joining, AProofIsGoodOnce) {
  Client one;
  greet(one);
  qtfs_wire_session body{};
  body.action = htole16(QTFS_SESSION_JOIN);
  std::memcpy(body.id, client_.session_id().data(), sizeof(body.id));
  Client two;
  greet(two);
  const Digest proof = one.proof(client_.secret(), QTFS_LABEL_RESUME);
  std::memcpy(body.proof, proof.data(), proof.size());
  EXPECT_EQ(EACCES, two.call(QTFS_OP_SESSION, bytes_of(body))->err());
  EXPECT_EQ(0, one.call(QTFS_OP_SESSION, bytes_of(body))->err());
}

TEST_F(Joining, TheSecretIsToldToWhoMadeTheSessionOnly) {
  Client third;
  greet(third);
  const auto answer = third.session(QTFS_SESSION_JOIN, &client_.session_id(), &client_.secret());
  ASSERT_EQ(0, answer->err());
  const auto rep = answer->as<qtfs_wire_session_rep>();
  Digest told;
  std::memcpy(told.data(), rep.secret, told.size());
  EXPECT_EQ(Digest{}, told);
  EXPECT_NE(Digest{}, client_.secret());
}

TEST_F(JoiningWithKey, TheKeyAloneDoesNot) {
  Client third;
  greet(third);
  const Digest nothing{};
  EXPECT_EQ(EACCES, third.session(QTFS_SESSION_JOIN, &client_.session_id(), &nothing)->err());
}

TEST_F(JoiningWithKey, NorTheSecretAlone) {
  Client third;
  ASSERT_TRUE(third.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(EACCES, third.join(client_).err());
}

TEST_F(Joining, TwiceEndsTheConnectionOnly) {
  Client third;
  join(third);
  const auto again = third.session(QTFS_SESSION_JOIN, &client_.session_id(), &client_.secret());
  EXPECT_FALSE(again.ok());
  EXPECT_EQ(0, client_.ping().err());
  EXPECT_EQ(0, second_.ping().err());
  EXPECT_EQ(1u, engine_->sessions());
}

TEST_F(Joining, NotAfterTheEnd) {
  client_.close();
  second_.close();
  while (engine_->sessions() != 0)
    usleep(1000);
  Client late;
  greet(late);
  EXPECT_EQ(ESTALE,
            late.session(QTFS_SESSION_JOIN, &client_.session_id(), &client_.secret())->err());
}

// Whoever joins while the last connection goes either has the session or has not.
TEST_F(Joining, InTheMomentOfTheEnd) {
  for (int i = 0; i < 40; i++) {
    Client one;
    Client two;
    connect(one);
    greet(two);
    std::thread closer([&one] { one.close(); });
    const auto joined = two.session(QTFS_SESSION_JOIN, &one.session_id(), &one.secret());
    closer.join();
    ASSERT_TRUE(joined.ok());
    if (joined->err() == 0) {
      two.cred = 1;
      EXPECT_EQ(0, two.getattr(root_).err());
    } else {
      EXPECT_EQ(ESTALE, joined->err());
      EXPECT_TRUE(two.closed_by_peer());
    }
  }
  client_.close();
  second_.close();
  while (engine_->sessions() != 0)
    usleep(1000);
}

TEST_F(Joining, CancelReachesItsOwnConnectionOnly) {
  mkfifo(dir_.path("fifo").c_str(), 0600);
  const uint64_t pipe = id_of(*client_.open(lookup("fifo"), rw));
  const qtfs_wire_read read{htole64(pipe), 0, htole32(100), 0};
  const auto tag = client_.send(QTFS_OP_READ, bytes_of(read));
  ASSERT_EQ(0, client_.ping().err());
  EXPECT_EQ(uint32_t{QTFS_CANCEL_COMPLETED}, *second_.cancel(*tag));
  ASSERT_EQ(0, second_.write(pipe, 0, "still there").err());
  EXPECT_EQ("still there", client_.wait(*tag)->text());
}

// What it had waiting is over; what it opened is the session's.
TEST_F(Joining, AConnectionThatGoesTakesItsRequestsAlong) {
  dir_.write("file", "text");
  mkfifo(dir_.path("fifo").c_str(), 0600);
  const uint64_t node = lookup("file");
  const uint64_t pipe_node = lookup("fifo");
  const uint64_t file = id_of(*second_.open(node, QTFS_OPEN_READ));
  const uint64_t pipe = id_of(*second_.open(pipe_node, rw));
  const qtfs_wire_read read{htole64(pipe), 0, htole32(100), 0};
  const auto theirs = second_.send(QTFS_OP_READ, bytes_of(read));
  ASSERT_TRUE(theirs.ok());
  ASSERT_EQ(0, second_.ping().err());
  const uint64_t closed = stat_of(&Stats::closed);
  second_.close();
  while (stat_of(&Stats::closed) == closed)
    usleep(1000);
  ASSERT_EQ(0, client_.write(pipe, 0, "for whoever is left").err());
  EXPECT_EQ("for whoever is left", *client_.read(pipe, 0, 100));
  EXPECT_EQ("text", *client_.read(file, 0, 100));
  EXPECT_EQ(1u, engine_->sessions());
}

// A lock that one connection waits for is given back on another.
TEST_F(Joining, WaitingForWhatAnotherConnectionGivesBack) {
  dir_.write("file", "text");
  const uint64_t file = open("file", rw);
  qtfs_wire_lock lock{};
  lock.open = htole64(file);
  lock.owner = htole64(1);
  lock.end = htole64(UINT64_MAX);
  lock.type = htole32(QTFS_LOCK_WRITE);
  ASSERT_EQ(0, client_.lock(lock).err());
  qtfs_wire_lock waits = lock;
  waits.owner = htole64(2);
  waits.flags = htole32(QTFS_LOCK_WAIT);
  const auto tag = second_.send(QTFS_OP_LOCK, bytes_of(waits));
  ASSERT_EQ(0, second_.ping().err());
  ASSERT_EQ(0, client_.unlock(lock).err());
  EXPECT_EQ(0, second_.wait(*tag)->err());
  EXPECT_EQ(EAGAIN, client_.lock(lock).err());
}

// One session's tables from all threads at once: for the sanitizers, and for what is left over.
TEST_F(Joining, EverythingAtOnce) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  dir_.write("shared", std::string(300000, 's'));
  const uint64_t shared = open("shared", rw);
  for (uint32_t t = 0; t < 4; t++) {
    threads.emplace_back([this, t, shared, &failures] {
      Client own;
      bool fine = own.connect("127.0.0.1", port()).ok() && own.join(client_).ok();
      for (uint32_t i = 0; fine && i < 40; i++) {
        own.cred = 100 + (t + i) % 5;
        fine = own.add_cred({.id = own.cred}).ok();
        const auto name = "n" + std::to_string((t + i) % 3);
        const auto made = own.create(root_, name, rw);
        fine = fine && (made.ok() || made.err() == EAGAIN);
        if (made) {
          const uint64_t id = le64toh(made->opened.open);
          fine = fine && own.write(id, 0, name).ok() && own.read(id, 0, 100).ok() &&
                 own.release(id).ok();
          own.forget(id_of(made->entry), le64toh(made->entry.stamp)).ok();
        }
        own.unlink(root_, name).ok();
        qtfs_wire_lock lock{};
        lock.open = htole64(shared);
        lock.owner = htole64(t + 1);
        lock.start = htole64(i % 4 * 10);
        lock.end = htole64(i % 4 * 10 + 15);
        lock.type = htole32(QTFS_LOCK_WRITE);
        const int err = own.lock(lock).err();
        fine = fine && (err == 0 || err == EAGAIN) && own.unlock(lock).ok();
        fine = fine && own.read(shared, t * 70000, 70000).ok();
      }
      failures += !fine;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(0, failures);
  EXPECT_EQ(1u, engine_->sessions());
  // What was locked is free.
  qtfs_wire_lock all{};
  all.open = htole64(shared);
  all.owner = htole64(99);
  all.end = htole64(UINT64_MAX);
  all.type = htole32(QTFS_LOCK_WRITE);
  EXPECT_EQ(0, client_.lock(all).err());
}

class FewFromOne : public EngineTest {
  void configure(Config& config) override { config.limits.peer_connections_max = 3; }
};

TEST_F(FewFromOne, ConnectionsOfAPeerAreBounded) {
  Client second;
  Client third;
  Client fourth;
  ASSERT_TRUE(second.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(0, second.join(client_).err());
  connect(third);
  ASSERT_TRUE(fourth.connect("127.0.0.1", port()).ok());
  EXPECT_TRUE(fourth.closed_by_peer());
  EXPECT_EQ(1u, stat_of(&Stats::refused));
  const uint64_t closed = stat_of(&Stats::closed);
  second.close();
  while (stat_of(&Stats::closed) == closed)
    usleep(1000);
  // From elsewhere there may be as many again, and from here one.
  ASSERT_TRUE(fourth.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(0, fourth.start().err());
}

}  // namespace qtfs
