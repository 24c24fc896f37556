// SPDX-License-Identifier: GPL-2.0-only
// Queues in shared memory, and the engine behind them.
#include <random>

#include "tests/unit/fixture.hh"
#include "tests/unit/shared_memory.hh"

namespace qtfs {

namespace {

constexpr size_t small_ring = 4096;

// One end sends, the other receives, both by looking, then sleeping.
struct Pair {
  Pair()
      : memory(1, small_ring),
        server(SharedMemory::Device(memory).queue(0)),
        client(memory.client(0)) {
    client.join(7);
    server.join(7);
  }
  SharedMemory memory;
  PcieQueue server;
  PcieQueue client;
  UniqueFd server_bell{eventfd(0, EFD_CLOEXEC)};
  UniqueFd client_bell{eventfd(0, EFD_CLOEXEC)};
};

std::byte pattern(uint64_t i) {
  return static_cast<std::byte>(i * 31 + i / 251);
}

// As a client would that lies to an engine which is just looking.
void claim(__le64& number, uint64_t value) {
  __atomic_store_n(&number, htole64(value), __ATOMIC_RELEASE);
}

void send_all(PcieQueue& queue, uint64_t count, int own_bell, int peer_bell) {
  std::mt19937 random(1);
  for (uint64_t sent = 0; sent < count;) {
    const auto room = queue.writable();
    ASSERT_TRUE(room.ok());
    if (room->empty()) {
      if (!queue.sleep_tx())
        SharedMemory::answer(own_bell);
      continue;
    }
    const size_t len = std::min({room->size(), size_t{1 + random() % 1500}, size_t{count - sent}});
    for (size_t i = 0; i < len; i++)
      (*room)[i] = pattern(sent + i);
    if (queue.produce(len))
      SharedMemory::ring(peer_bell);
    sent += len;
  }
}

void receive_all(PcieQueue& queue, uint64_t count, int own_bell, int peer_bell) {
  std::mt19937 random(2);
  for (uint64_t got = 0; got < count;) {
    const auto bytes = queue.readable();
    ASSERT_TRUE(bytes.ok());
    if (bytes->empty()) {
      if (!queue.sleep_rx())
        SharedMemory::answer(own_bell);
      queue.wake_rx();
      continue;
    }
    const size_t len = std::min(bytes->size(), size_t{1 + random() % 2500});
    for (size_t i = 0; i < len; i++)
      ASSERT_EQ(pattern(got + i), (*bytes)[i]) << got + i;
    if (queue.consume(len))
      SharedMemory::ring(peer_bell);
    got += len;
  }
}

}  // namespace

// Both ways at once, with every sleep ended by the other's doorbell: one that is lost hangs.
TEST(PcieQueue, CarriesBytesBothWays) {
  Pair pair;
  constexpr uint64_t count = 4 << 20;
  const int client = pair.client_bell.get();
  const int server = pair.server_bell.get();
  // A bell is rung for bytes as for room: sleepers of both kinds share it, hence one direction.
  for (bool up : {true, false}) {
    PcieQueue& from = up ? pair.client : pair.server;
    PcieQueue& to = up ? pair.server : pair.client;
    std::thread sender([&] { send_all(from, count, up ? client : server, up ? server : client); });
    receive_all(to, count, up ? server : client, up ? client : server);
    sender.join();
  }
}

TEST(PcieQueue, WhatWasSentBeforeTheEndIsRead) {
  Pair pair;
  pair.client.writable()->front() = std::byte{42};
  pair.client.produce(1);
  pair.client.leave();
  ASSERT_EQ(1u, pair.server.readable()->size());
  EXPECT_EQ(std::byte{42}, pair.server.readable()->front());
  pair.server.consume(1);
  EXPECT_TRUE(pair.server.readable()->empty());
  EXPECT_FALSE(pair.server.joined());
  EXPECT_EQ(EPIPE, pair.server.writable().err());
}

TEST(PcieQueue, AnotherConnectionIsNotThisOne) {
  Pair pair;
  pair.client.produce(10);
  pair.client.join(8);
  pair.client.produce(20);
  EXPECT_TRUE(pair.server.readable()->empty());
  pair.server.join(8);
  EXPECT_EQ(20u, pair.server.readable()->size());
}

TEST(PcieQueue, ImpossibleNumbersAreAnError) {
  for (const uint64_t lie : {uint64_t{small_ring + 1}, UINT64_MAX, uint64_t{1} << 63}) {
    Pair pair;
    const PcieQueue::Memory memory = pair.memory.client(0);
    claim(memory.out->head, lie);  // more than there is room for
    EXPECT_EQ(EPROTO, pair.server.readable().err()) << lie;
    claim(memory.out->tail, 0 - lie);  // less than was there
    EXPECT_EQ(EPROTO, pair.server.writable().err()) << lie;
    claim(memory.out->tail, 1);  // what was never sent
    EXPECT_EQ(EPROTO, pair.server.writable().err()) << lie;
  }
}

TEST(PcieQueue, RingsOnceForEachSleep) {
  Pair pair;
  EXPECT_FALSE(pair.client.produce(1));
  pair.server.consume(1);
  EXPECT_FALSE(pair.server.sleep_rx());
  EXPECT_TRUE(pair.client.produce(1));
  EXPECT_FALSE(pair.client.produce(1));
  EXPECT_TRUE(pair.server.sleep_rx());  // something is there: no sleep
  pair.server.consume(2);
  EXPECT_FALSE(pair.server.sleep_rx());
  EXPECT_TRUE(pair.client.produce(1));
}

class Pcie : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (!IsSkipped()) {
      auto device = std::make_unique<SharedMemory::Device>(memory_);
      ASSERT_TRUE(engine_->serve(std::move(device)).ok());
    }
  }
  void TearDown() override { engine_.reset(); }

  void start(Client& client, SharedMemoryLink& link) {
    client.connect_by(link.take_socket());
    ASSERT_EQ(0, client.start().err());
    ASSERT_EQ(0, client.add_cred({.id = 1}).err());
    client.cred = 1;
    const auto root = client.attach(dir_.path());
    ASSERT_EQ(0, root.err());
    root_ = id_of(*root);
  }

  SharedMemory memory_{4, 65536};
};

TEST_F(Pcie, Serves) {
  SharedMemoryLink link(memory_, 0, 1);
  Client client;
  start(client, link);
  dir_.write("file", "text");
  EXPECT_EQ("text", *client.read_file(root_, "file"));
}

// A queue that was busy a moment ago does not have the engine look at it for others' sake.
TEST_F(Pcie, OthersAreServedWithoutLooking) {
  SharedMemoryLink link(memory_, 0, 1);
  Client client;
  start(client, link);
  for (int i = 0; i < 100; i++)
    ASSERT_EQ(0, client.getattr(root_).err());
  std::vector<Client> others(2);  // one for each of its threads
  for (Client& other : others)
    connect(other);
  usleep(10000);
  const uint64_t before = stat_of(&Stats::looks);
  constexpr uint64_t count = 200;
  for (uint64_t i = 0; i < count; i++)
    ASSERT_EQ(0, others[i % 2].getattr(root_).err());
  EXPECT_LT(stat_of(&Stats::looks) - before, 4 * count);
}

// Larger than the ring, which is full most of the time.
TEST_F(Pcie, LargeFramesBothWays) {
  SharedMemoryLink link(memory_, 1, 1);
  Client client;
  start(client, link);
  dir_.write("file", "");
  const auto entry = client.walk(root_, "file");
  ASSERT_EQ(0, entry.err());
  const auto opened = client.open(id_of(*entry), QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, opened.err());
  std::string data(1 << 20, '\0');
  for (size_t i = 0; i < data.size(); i++)
    data[i] = static_cast<char>(pattern(i));
  for (unsigned i = 0; i < 4; i++)
    ASSERT_EQ(0, client.write(id_of(*opened), i * data.size(), data).err());
  for (unsigned i = 0; i < 4; i++) {
    const auto answer = client.read(id_of(*opened), i * data.size(), 1 << 20);
    ASSERT_EQ(0, answer.err());
    EXPECT_TRUE(*answer == data) << i;
  }
}

TEST_F(Pcie, QueuesAreUsedAgain) {
  for (uint32_t conn = 1; conn < 20; conn++) {
    SharedMemoryLink link(memory_, 2, conn);
    Client client;
    start(client, link);
    EXPECT_EQ(0, client.ping().err());
  }
}

// The client starts anew without having said that it left.
TEST_F(Pcie, AnotherConnectionEndsTheOneBefore) {
  PcieQueue queue(memory_.client(3));
  for (uint32_t conn = 1; conn < 5; conn++) {
    queue.join(conn);
    memory_.ring_server(3);
    while (!queue.joined())
      std::this_thread::yield();
  }
  queue.leave();
  memory_.ring_server(3);
  while (queue.peer_conn() != 0)
    std::this_thread::yield();
}

TEST_F(Pcie, LiesCostTheLinkOnly) {
  SharedMemoryLink good(memory_, 0, 1);
  Client client;
  start(client, good);
  for (uint32_t conn = 1; conn < 4; conn++) {
    PcieQueue queue(memory_.client(1));
    queue.join(conn);
    memory_.ring_server(1);
    while (!queue.joined())
      std::this_thread::yield();
    claim(memory_.client(1).out->head, uint64_t{1} << (20 * conn));
    memory_.ring_server(1);
    while (queue.peer_conn() != 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(0, client.ping().err());
}

// Frames that make no sense, in a ring that the client goes on scribbling on.
TEST_F(Pcie, NoiseCostsTheLinkOnly) {
  SharedMemoryLink good(memory_, 0, 1);
  Client client;
  start(client, good);
  std::mt19937 random(3);
  for (uint32_t conn = 1; conn < 50; conn++) {
    PcieQueue queue(memory_.client(1));
    queue.join(conn);
    memory_.ring_server(1);
    while (!queue.joined())
      std::this_thread::yield();
    const std::span<std::byte> room = *queue.writable();
    for (std::byte& byte : room.first(4096))
      byte = static_cast<std::byte>(random());
    queue.produce(4096);
    memory_.ring_server(1);
    while (queue.peer_conn() != 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(0, client.ping().err());
}

TEST_F(Pcie, TheEngineLeavesWhenItEnds) {
  PcieQueue queue(memory_.client(0));
  queue.join(1);
  memory_.ring_server(0);
  while (!queue.joined())
    std::this_thread::yield();
  engine_.reset();
  EXPECT_EQ(0u, queue.peer_conn());
}

}  // namespace qtfs
