// SPDX-License-Identifier: GPL-2.0-only
// The engine over vsock, on machines that have its loopback.
#include <sys/socket.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include "engine/listener.hh"
#include "tests/unit/fixture.hh"

namespace qtfs {

class Vsock : public EngineTest {
 protected:
  void SetUp() override {
    std::string error;
    auto listening = open_listener("vsock:local:0", error);
    if (!listening || !Client().connect_vsock(VMADDR_CID_LOCAL, listening->port))
      GTEST_SKIP() << "no vsock loopback";
    EngineTest::SetUp();
  }
  void configure(Config& config) override { config.listen.emplace_back("vsock:any:0"); }
  void start(Client& client) {
    ASSERT_TRUE(client.connect_vsock(VMADDR_CID_LOCAL, engine_->ports().at(1)).ok());
    ASSERT_EQ(0, client.start().err());
    ASSERT_EQ(0, client.add_cred({.id = 1}).err());
    client.cred = 1;
  }
};

TEST_F(Vsock, NeedsNoKeyAndServes) {
  Client client;
  start(client);
  dir_.write("file", "text");
  const auto root = client.attach(dir_.path());
  ASSERT_EQ(0, root.err());
  const auto entry = client.walk(id_of(*root), "file");
  ASSERT_EQ(0, entry.err());
  EXPECT_EQ(4u, le64toh(entry->attr.size));
}

// More than the receive buffer of a vsock holds by default.
TEST_F(Vsock, LargeFramesBothWays) {
  Client client;
  start(client);
  dir_.write("file", "");
  const auto root = client.attach(dir_.path());
  ASSERT_EQ(0, root.err());
  const auto entry = client.walk(id_of(*root), "file");
  ASSERT_EQ(0, entry.err());
  const auto opened = client.open(id_of(*entry), QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  ASSERT_EQ(0, opened.err());
  std::string data(1 << 20, '\0');
  for (size_t i = 0; i < data.size(); i++)
    data[i] = static_cast<char>(i * 7 + i / 4096);
  for (unsigned i = 0; i < 8; i++)
    ASSERT_EQ(0, client.write(id_of(*opened), i * data.size(), data).err());
  for (unsigned i = 0; i < 8; i++) {
    const auto answer = client.read(id_of(*opened), i * data.size(), 1 << 20);
    ASSERT_EQ(0, answer.err());
    EXPECT_TRUE(*answer == data) << i;
  }
}

TEST_F(Vsock, PeersAreNamed) {
  std::string error;
  auto listening = open_listener("vsock:any:0", error);
  ASSERT_TRUE(listening.ok()) << error;
  EXPECT_TRUE(listening->guarded);
  const UniqueFd fd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_vm to{};
  to.svm_family = AF_VSOCK;
  to.svm_cid = VMADDR_CID_LOCAL;
  to.svm_port = listening->port;
  ASSERT_EQ(0, ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)));
  EXPECT_EQ("vsock:1:" + std::to_string(listening->port), peer_name(fd.get()));
  EXPECT_FALSE(takes_waitall(fd.get()));
}

}  // namespace qtfs
