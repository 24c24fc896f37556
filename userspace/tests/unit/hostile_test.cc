// SPDX-License-Identifier: GPL-2.0-only
// Frames in every shape, peers that misbehave, many at once, and the end.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/unit/fixture.hh"

namespace qtfs {

class Framing : public EngineTest, public ::testing::WithParamInterface<bool> {
 protected:
  // With and without what old kernels lack.
  void configure(Config& config) override { config.multishot = GetParam(); }
  std::vector<std::byte> lookup_frame(uint64_t tag) {
    Body body;
    body.put(qtfs_wire_lookup{htole64(root_), htole16(4), 0, 0}).name("file");
    return client_.frame(QTFS_OP_LOOKUP, tag, body.bytes());
  }
};

INSTANTIATE_TEST_SUITE_P(Rings, Framing, ::testing::Bool());

TEST_P(Framing, SplitAtEveryByte) {
  dir_.write("file", "");
  const auto frame = lookup_frame(5000);
  for (size_t split = 1; split < frame.size(); split++) {
    ASSERT_TRUE(client_.send_raw(Bytes(frame).first(split)).ok());
    usleep(200);
    ASSERT_TRUE(client_.send_raw(Bytes(frame).subspan(split)).ok());
    EXPECT_EQ(0, client_.wait(5000)->err()) << split;
  }
}

TEST_P(Framing, ByteByByte) {
  dir_.write("file", "");
  for (std::byte byte : lookup_frame(5000))
    ASSERT_TRUE(client_.send_raw(Bytes(&byte, 1)).ok());
  EXPECT_EQ(0, client_.wait(5000)->err());
}

TEST_P(Framing, ManyInOneSegment) {
  dir_.write("file", "");
  std::vector<std::byte> all;
  for (uint64_t tag = 5000; tag < 6000; tag++) {
    const auto frame = lookup_frame(tag);
    all.insert(all.end(), frame.begin(), frame.end());
  }
  ASSERT_TRUE(client_.send_raw(all).ok());
  for (uint64_t tag = 5000; tag < 6000; tag++)
    EXPECT_EQ(0, client_.wait(tag)->err());
}

TEST_P(Framing, BigFramesBetweenSmallOnes) {
  const auto made = client_.create(root_, "file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, made.err());
  std::mt19937 random(1);
  std::vector<uint64_t> tags;
  std::string want;
  for (int i = 0; i < 60; i++) {
    const size_t len = random() % 5 == 0 ? random() % 500000 : random() % 5000;
    const std::string part(len, static_cast<char>('a' + i % 26));
    const qtfs_wire_write body{made->opened.open, htole64(want.size()),
                               htole32(static_cast<uint32_t>(len)), 0};
    tags.push_back(*client_.send(QTFS_OP_WRITE, bytes_of(body), bytes_of(std::string_view(part))));
    want += part;
  }
  for (uint64_t tag : tags)
    EXPECT_EQ(0, client_.wait(tag)->err());
  EXPECT_EQ(want, dir_.read("file"));
}

TEST_P(Framing, ABigFrameInDribs) {
  const auto made = client_.create(root_, "file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, made.err());
  const std::string text(300000, 'z');
  const qtfs_wire_write body{made->opened.open, 0, htole32(300000), 0};
  const auto frame =
      client_.frame(QTFS_OP_WRITE, 7000, bytes_of(body), bytes_of(std::string_view(text)));
  for (size_t at = 0; at < frame.size(); at += 7001)
    ASSERT_TRUE(
        client_.send_raw(Bytes(frame).subspan(at, std::min<size_t>(7001, frame.size() - at))).ok());
  EXPECT_EQ(0, client_.wait(7000)->err());
  EXPECT_EQ(text, dir_.read("file"));
}

class Hostile : public EngineTest {
 protected:
  qtfs_wire_req header(uint16_t op = QTFS_OP_PING) {
    qtfs_wire_req out{};
    out.len = htole32(sizeof(out));
    out.op = htole16(op);
    out.tag = htole64(9);
    out.epoch = htole16(client_.epoch());
    out.slot = htole16(QTFS_NO_SLOT);
    return out;
  }
  void expect_closed(const qtfs_wire_req& bad, const char* what) {
    Client victim;
    ASSERT_TRUE(victim.connect("127.0.0.1", port()).ok());
    ASSERT_EQ(0, victim.start().err());
    const uint64_t before = stat_of(&Stats::protocol_errors);
    ASSERT_TRUE(victim.send_raw(bytes_of(bad)).ok());
    EXPECT_TRUE(victim.closed_by_peer()) << what;
    EXPECT_EQ(before + 1, stat_of(&Stats::protocol_errors)) << what;
    EXPECT_EQ(0, client_.ping().err()) << what;
  }
};

TEST_F(Hostile, MalformedHeadersEndTheConnection) {
  auto bad = header();
  bad.len = htole32(8);
  expect_closed(bad, "shorter than a header");
  bad = header();
  bad.len = htole32(0xffffffff);
  expect_closed(bad, "longer than allowed");
  bad = header();
  bad.body = htole32(8);
  expect_closed(bad, "body behind the frame");
  bad = header();
  bad.len = htole32(sizeof(bad) + 4);
  bad.body = htole32(4);
  expect_closed(bad, "body of 4 bytes");
  bad = header();
  bad.flags = htole16(0x8000);
  expect_closed(bad, "unknown flag");
  bad = header();
  bad.flags = htole16(QTFS_FRAME_REPLY);
  expect_closed(bad, "a reply");
  bad = header();
  bad.slot = 0;
  expect_closed(bad, "a slot that was not granted");
  bad = header();
  bad.slot_seq = htole32(1);
  expect_closed(bad, "a number without a slot");
  bad = header();
  bad.flags = htole16(QTFS_FRAME_REPLAY);
  expect_closed(bad, "a replay of nothing");
  bad = header();
  bad.tag = 0;
  expect_closed(bad, "no tag");
  bad = header();
  bad.flags = htole16(QTFS_FRAME_NOREPLY);
  expect_closed(bad, "a tag without reply");
  bad = header();
  bad.epoch = htole16(77);
  expect_closed(bad, "wrong epoch");
  expect_closed(header(QTFS_OP_HELLO), "handshake again");
}

TEST_F(Hostile, ShortBodiesEndTheConnection) {
  const auto answer = client_.call(QTFS_OP_GETATTR, Bytes());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(EPROTO, answer->err());
  EXPECT_TRUE(client_.closed_by_peer());
}

TEST_F(Hostile, QuestionsThatMakeNoSenseEndTheConnection) {
  for (const qtfs_wire_poll& body : {qtfs_wire_poll{1, 2, 3, 0}, qtfs_wire_poll{1, 0, 3, 4}}) {
    Client other;
    connect(other);
    EXPECT_EQ(EPROTO, other.call(QTFS_OP_POLL, bytes_of(body))->err());
    EXPECT_TRUE(other.closed_by_peer());
  }
  Client other;
  connect(other);
  const auto results =
      Compound().add(QTFS_OP_POLL, Body().put(qtfs_wire_poll{1, 0, 1, 0})).run(other);
  EXPECT_NE(0, results.err());
  EXPECT_TRUE(other.closed_by_peer());
}

// Who asks about everything it has open and never reads what it is told is not read from.
TEST_F(Hostile, PushesThatNobodyTakesAreBounded) {
  mkfifo(dir_.path("fifo").c_str(), 0600);
  const uint64_t node = lookup("fifo");
  UniqueFd there(::open(dir_.path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  for (int i = 0; i < 200; i++) {
    const auto open = client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_NONBLOCK);
    ASSERT_EQ(0, open.err());
    ASSERT_EQ(0, client_.poll(id_of(*open)).err());
  }
  char byte = 0;
  for (int i = 0; i < 1000; i++)
    ASSERT_TRUE(write(there.get(), "x", 1) == 1 && read(there.get(), &byte, 1) == 1);
  ASSERT_EQ(1, write(there.get(), "x", 1));
  // What came up for each of them is told once.
  EXPECT_EQ(0, client_.ping().err());
  for (int i = 0; i < 200; i++)
    ASSERT_EQ(0, client_.push().err());
  const auto tag = client_.send(QTFS_OP_PING, {});
  const auto answer = client_.receive();
  ASSERT_EQ(0, answer.err());
  EXPECT_EQ(*tag, le64toh(answer->header.tag));
}

TEST_F(Hostile, OperationsBeforeASessionEndTheConnection) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  EXPECT_FALSE(other.ping().ok());
  Client garbage;
  ASSERT_TRUE(garbage.connect("127.0.0.1", port()).ok());
  ASSERT_TRUE(garbage
                  .send_raw(bytes_of(std::string_view(
                      "GET / HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n")))
                  .ok());
  EXPECT_TRUE(garbage.closed_by_peer());
}

TEST_F(Hostile, HalfClosedPeersGetTheirAnswers) {
  dir_.write("file", std::string(1 << 20, 'x'));
  const uint64_t file = open("file", QTFS_OPEN_READ);
  std::vector<uint64_t> tags;
  for (int i = 0; i < 20; i++)
    tags.push_back(*client_.send(QTFS_OP_READ,
                                 bytes_of(qtfs_wire_read{htole64(file), 0, htole32(1 << 20), 0})));
  shutdown(client_.fd(), SHUT_WR);
  for (uint64_t tag : tags)
    EXPECT_EQ(0, client_.wait(tag).err());
  EXPECT_TRUE(client_.closed_by_peer());
}

TEST_F(Hostile, MutatedFramesHarmNobody) {
  dir_.write("file", "some text");
  Client other;
  connect(other);
  std::mt19937 random(42);
  for (int round = 0; round < 300; round++) {
    Client peer;
    ASSERT_TRUE(peer.connect("127.0.0.1", port()).ok());
    ASSERT_EQ(0, peer.start().err());
    ASSERT_EQ(0, peer.add_cred({.id = 1}).err());
    peer.cred = 1;
    const auto root = peer.attach(dir_.path());
    ASSERT_EQ(0, root.err());
    for (int i = 0; i < 20; i++) {
      const auto op = static_cast<uint16_t>(random() % (QTFS_OP_NR + 2));
      std::vector<std::byte> body((random() % 20) * 8);
      for (std::byte& byte : body)
        byte = static_cast<std::byte>(random() % 4 ? 0 : random());
      if (body.size() >= 8)
        std::memcpy(body.data(), &root->node, 8);
      if (op == QTFS_OP_UNLINK || op == QTFS_OP_RMDIR)
        continue;
      auto frame = peer.frame(op, 100000u + static_cast<uint64_t>(i), body);
      if (random() % 8 == 0)
        frame[random() % frame.size()] = static_cast<std::byte>(random());
      if (!peer.send_raw(frame).ok())
        break;
    }
    if (round % 10 == 0) {
      EXPECT_EQ("some text", *other.read_file(root_, "file")) << round;
    }
  }
}

class LittleMemory : public EngineTest {
  void configure(Config& config) override { config.limits.memory_max = 1 << 20; }
};

TEST_F(LittleMemory, APeerThatDoesNotReadIsNotReadFrom) {
  dir_.write("file", std::string(1 << 20, 'x'));
  const uint64_t file = open("file", QTFS_OPEN_READ);
  const qtfs_wire_read body{htole64(file), 0, htole32(1 << 20), 0};
  // Far more answers than the connection may hold; sending stalls instead of memory growing.
  const int flags = fcntl(client_.fd(), F_GETFL);
  fcntl(client_.fd(), F_SETFL, flags | O_NONBLOCK);
  const auto frame = client_.frame(QTFS_OP_READ, 1, bytes_of(body));
  int sent = 0;
  size_t part = 0;  // of a frame, when the socket was full
  while (stat_of(&Stats::paused) == 0) {
    const Bytes rest = Bytes(frame).subspan(part);
    const ssize_t put = ::send(client_.fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    ASSERT_TRUE(put > 0 || errno == EAGAIN);
    if (put < 0)
      usleep(1000);
    part = put > 0 ? part + static_cast<size_t>(put) : part;
    sent += part == frame.size();
    part %= frame.size();
    ASSERT_LT(sent, 1000000);
  }
  fcntl(client_.fd(), F_SETFL, flags);
  if (part > 0) {
    ASSERT_TRUE(client_.send_raw(Bytes(frame).subspan(part)).ok());
    sent++;
  }
  for (int i = 0; i < sent; i++) {
    const auto answer = client_.receive();
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(size_t{1} << 20, answer->payload.size());
  }
  EXPECT_EQ(0, client_.ping().err());
}

// Big requests are on their way in when the connection has to wait for its peer.
TEST_F(LittleMemory, BigFramesSurviveAPause) {
  dir_.write("file", std::string(1 << 20, 'x'));
  const auto made = client_.create(root_, "new", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, made.err());
  const uint64_t file = open("file", QTFS_OPEN_READ);
  const std::string part(1 << 20, 'y');
  std::vector<uint64_t> tags(40);
  std::thread sender([&] {
    for (uint64_t& tag : tags) {
      tag = *client_.send(QTFS_OP_READ,
                          bytes_of(qtfs_wire_read{htole64(file), 0, htole32(1 << 20), 0}));
      const qtfs_wire_write body{made->opened.open, 0, htole32(1 << 20), 0};
      client_.send(QTFS_OP_WRITE, bytes_of(body), bytes_of(std::string_view(part))).ok();
    }
  });
  while (stat_of(&Stats::paused) == 0)
    usleep(1000);
  for (int i = 0; i < 80; i++)
    ASSERT_EQ(0, client_.receive().err()) << i;
  sender.join();
  EXPECT_EQ(part, dir_.read("new"));
}

class Crowd : public EngineTest {
  void configure(Config& config) override {
    config.threads = 4;
    config.limits.fds_max = 16;
  }
};

TEST_F(Crowd, ManyClientsAtOnce) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 6; t++) {
    threads.emplace_back([this, t, &failures] {
      Client own;
      Client& client = own;
      bool fine = own.connect("127.0.0.1", port()).ok();
      // Half of them work in one session.
      fine = fine && (t % 2 ? own.start().ok() : own.join(client_).ok());
      fine = fine && own.add_cred({.id = 10 + t, .uid = t % 3 ? 0u : 1000u, .gid = 1000}).ok();
      own.cred = 10 + t;
      const auto root = own.attach(dir_.path());
      for (int i = 0; fine && i < 60; i++) {
        const std::string name = "t" + std::to_string(t) + "-" + std::to_string(i);
        const auto made = client.create(id_of(*root), name, QTFS_OPEN_READ | QTFS_OPEN_WRITE);
        const uint64_t file = made ? le64toh(made->opened.open) : 0;
        fine = made.ok() && client.write(file, 0, name).ok() && client.fsync(file).ok() &&
               *client.read(file, 0, 100) == name && client.release(file).ok();
        const auto shared = client.lookup(id_of(*root), "t0-0");
        if (shared)
          client.forget(id_of(*shared), le64toh(shared->stamp)).ok();
        const auto dir = client.open(id_of(*root), QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
        fine = fine && client.readdir(id_of(*dir), 0, 65536, QTFS_READDIR_PLUS).ok() &&
               client.release(id_of(*dir)).ok();
      }
      failures += !fine;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(0, failures);
}

class Ending : public EngineTest {};

TEST_F(Ending, WhatRunsIsFinishedAndAnswered) {
  dir_.write("file", std::string(1 << 20, 'x'));
  const uint64_t file = open("file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  std::vector<uint64_t> tags;
  for (int i = 0; i < 20; i++) {
    tags.push_back(*client_.send(QTFS_OP_READ,
                                 bytes_of(qtfs_wire_read{htole64(file), 0, htole32(1 << 20), 0})));
    tags.push_back(*client_.send(QTFS_OP_FSYNC, bytes_of(qtfs_wire_fsync{htole64(file), 0, 0})));
  }
  tags.push_back(*client_.send(QTFS_OP_PING, {}));
  EXPECT_EQ(0, client_.wait(tags.back())->err());
  tags.pop_back();
  std::thread stopper([this] { engine_->stop(std::chrono::seconds(20)); });
  for (uint64_t tag : tags)
    EXPECT_EQ(0, client_.wait(tag).err());
  EXPECT_TRUE(client_.closed_by_peer());
  stopper.join();
}

TEST_F(Ending, WhatBlocksIsInterruptedAfterTheBound) {
  mkfifo(dir_.path("fifo").c_str(), 0600);
  const uint64_t pipe = open("fifo", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  const qtfs_wire_read body{htole64(pipe), 0, htole32(10), 0};
  ASSERT_TRUE(client_.send(QTFS_OP_READ, bytes_of(body)).ok());
  EXPECT_EQ(0, client_.ping().err());
  engine_->stop(std::chrono::milliseconds(50));
  EXPECT_TRUE(client_.closed_by_peer());
}

}  // namespace qtfs
