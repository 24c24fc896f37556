// SPDX-License-Identifier: GPL-2.0-only
// Authentication, sessions with several connections, nodes and what they stand for.
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/unit/fixture.hh"

namespace qtfs {

class Sessions : public EngineTest {};

class Auth : public EngineTest {
 protected:
  void configure(Config& config) override {
    dir_.write("psk", "correct horse battery staple\n");
    chmod(dir_.path("psk").c_str(), 0600);
    config.psk_file = dir_.path("psk");
    psk_ = "correct horse battery staple";
  }
};

TEST_F(Auth, TheRightKeyOpens) {
  EXPECT_EQ(0, client_.ping().err());
}

TEST_F(Auth, TheWrongKeyDoesNot) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  auto body = other.hello_body();
  body.auth = htole32(QTFS_AUTH_PSK);
  ASSERT_EQ(0, other.hello(body)->err());
  EXPECT_EQ(EACCES, other.auth("wrong")->err());
  EXPECT_TRUE(other.closed_by_peer());
  EXPECT_EQ(1u, stat_of(&Stats::auth_failures));
}

TEST_F(Auth, OfferingNoneIsRefusedAndToldWhatIsWanted) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  const auto answer = other.hello(other.hello_body());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(EACCES, answer->err());
  EXPECT_EQ(uint32_t{QTFS_AUTH_PSK}, le32toh(answer->as<qtfs_wire_hello_rep>().auth));
  EXPECT_TRUE(other.closed_by_peer());
}

TEST_F(Auth, SessionBeforeAuthEndsTheConnection) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  auto body = other.hello_body();
  body.auth = htole32(QTFS_AUTH_PSK);
  ASSERT_EQ(0, other.hello(body)->err());
  EXPECT_FALSE(other.session(QTFS_SESSION_NEW).ok());
}

// Somebody between the two changes the offer: the proofs no longer fit.
TEST_F(Auth, AChangedOfferIsNoticed) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  auto offered = other.hello_body();
  offered.auth = htole32(QTFS_AUTH_PSK | QTFS_AUTH_TLS);
  auto arrived = offered;
  arrived.auth = htole32(QTFS_AUTH_PSK);
  const auto answer = other.hello(arrived);
  ASSERT_EQ(0, answer->err());
  Body sent;
  offered.name_len = htole16(4);
  sent.put(offered).name("test");
  const Digest transcript = sha256(sent.bytes(), answer->body);
  const Digest proof = proof_of(bytes_of(std::string_view(psk_)), QTFS_LABEL_CLIENT, transcript);
  EXPECT_EQ(EACCES, other.call(QTFS_OP_AUTH, bytes_of(proof))->err());
}

TEST_F(Auth, JoiningNeedsKeyAndSecret) {
  Client second;
  ASSERT_TRUE(second.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(0, second.join(client_, psk_).err());
  Client third;
  ASSERT_TRUE(third.connect("127.0.0.1", port()).ok());
  auto body = third.hello_body();
  body.auth = htole32(QTFS_AUTH_PSK);
  ASSERT_EQ(0, third.hello(body)->err());
  ASSERT_EQ(0, third.auth(psk_)->err());
  Digest guess{};
  EXPECT_EQ(EACCES, third.session(QTFS_SESSION_JOIN, &client_.session_id(), &guess)->err());
}

TEST_F(Sessions, AnotherVersionIsRefusedWithOurs) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  auto body = other.hello_body();
  body.version_min = htole16(7);
  body.version_max = htole16(9);
  const auto answer = other.hello(body);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(EPROTONOSUPPORT, answer->err());
  EXPECT_EQ(QTFS_WIRE_VERSION, le16toh(answer->as<qtfs_wire_hello_rep>().version));
  EXPECT_TRUE(other.closed_by_peer());
}

TEST_F(Sessions, LimitsAreNegotiated) {
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  auto body = other.hello_body();
  body.io_max = htole32(8192);
  body.inflight = htole32(7);
  const auto rep = other.hello(body)->as<qtfs_wire_hello_rep>();
  EXPECT_EQ(8192u, le32toh(rep.io_max));
  EXPECT_EQ(7u, le32toh(rep.inflight));
  EXPECT_EQ(uint32_t{QTFS_AUTH_NONE}, le32toh(rep.auth));
  EXPECT_NE(0u, le64toh(rep.life));
  EXPECT_EQ(le64toh(rep.life), root_ >> 48);
}

TEST_F(Sessions, ConnectionsShareOne) {
  dir_.write("file", "text");
  Client second;
  ASSERT_TRUE(second.connect("127.0.0.1", port()).ok());
  ASSERT_EQ(0, second.join(client_).err());
  second.cred = 1;
  const uint64_t file = open("file", QTFS_OPEN_READ);
  EXPECT_EQ("text", *second.read(file, 0, 10));
  EXPECT_EQ(client_.lookup(root_, "file")->node, second.lookup(root_, "file")->node);
  EXPECT_EQ(1u, engine_->sessions());
  // It lives on when the first of them goes.
  client_.close();
  EXPECT_EQ("text", *second.read(file, 0, 10));
}

TEST_F(Sessions, OneEndsWithItsLastConnection) {
  dir_.write("file", "text");
  open("file", QTFS_OPEN_READ);
  const auto secret = client_.secret();
  const auto id = client_.session_id();
  ASSERT_TRUE(client_.send(QTFS_OP_BYE, {}).ok());
  EXPECT_TRUE(client_.wait(0).status().err() == ECONNRESET);
  while (engine_->sessions() != 0 || engine_->node_fds() != 0)
    usleep(1000);
  for (uint16_t action : {uint16_t{QTFS_SESSION_JOIN}, uint16_t{QTFS_SESSION_RESUME}}) {
    Client late;
    ASSERT_TRUE(late.connect("127.0.0.1", port()).ok());
    ASSERT_EQ(0, late.hello(late.hello_body())->err());
    EXPECT_EQ(ESTALE, late.session(action, &id, &secret)->err());
  }
}

TEST_F(Sessions, NodesOfOneAreNothingToAnother) {
  dir_.write("file", "text");
  const uint64_t file = open("file", QTFS_OPEN_READ);
  Client other;
  ASSERT_TRUE(other.connect("127.0.0.1", port()).ok());
  ASSERT_EQ(0, other.start().err());
  ASSERT_EQ(0, other.add_cred({.id = 1}).err());
  other.cred = 1;
  EXPECT_EQ(ESTALE, other.getattr(root_).err());
  EXPECT_EQ(EBADF, other.read(file, 0, 10).err());
}

// --- nodes

class Nodes : public EngineTest {};

TEST_F(Nodes, TwoNamesOfOneFileAreOneNode) {
  dir_.write("a", "");
  ASSERT_EQ(0, link(dir_.path("a").c_str(), dir_.path("b").c_str()));
  dir_.write("c", "");
  EXPECT_EQ(lookup("a"), lookup("b"));
  EXPECT_NE(lookup("a"), lookup("c"));
}

TEST_F(Nodes, ForgettingNeedsTheLatestStamp) {
  dir_.write("file", "");
  const auto first = client_.lookup(root_, "file");
  const auto second = client_.lookup(root_, "file");
  ASSERT_EQ(first->node, second->node);
  EXPECT_LT(le64toh(first->stamp), le64toh(second->stamp));
  ASSERT_EQ(0, client_.forget(id_of(*first), le64toh(first->stamp)).err());
  EXPECT_EQ(0, client_.getattr(id_of(*first)).err());
  ASSERT_EQ(0, client_.forget(id_of(*first), le64toh(second->stamp)).err());
  EXPECT_EQ(ESTALE, client_.getattr(id_of(*first)).err());
  ASSERT_EQ(0, client_.forget(id_of(*first), le64toh(second->stamp)).err());
}

TEST_F(Nodes, AReusedNameIsAnotherNode) {
  dir_.write("file", "");
  const uint64_t before = lookup("file");
  ASSERT_EQ(0, unlink(dir_.path("file").c_str()));
  dir_.write("file", "");
  EXPECT_NE(before, lookup("file"));
}

class FewFds : public EngineTest {
  void configure(Config& config) override { config.limits.fds_max = 4; }
};

TEST_F(FewFds, EvictedNodesComeBack) {
  std::vector<uint64_t> nodes;
  for (int i = 0; i < 200; i++) {
    dir_.write("f" + std::to_string(i), std::to_string(i));
    nodes.push_back(lookup("f" + std::to_string(i)));
  }
  EXPECT_LE(engine_->node_fds(), 8u);
  for (int i = 0; i < 200; i++) {
    const auto opened = client_.open(nodes[static_cast<size_t>(i)], QTFS_OPEN_READ);
    ASSERT_EQ(0, opened.err()) << i;
    EXPECT_EQ(std::to_string(i), *client_.read(id_of(*opened), 0, 10));
    client_.release(id_of(*opened)).ok();
  }
  EXPECT_LE(engine_->node_fds(), 8u);
}

TEST_F(FewFds, ARenameDoesNotLoseThem) {
  std::vector<uint64_t> nodes;
  for (int i = 0; i < 50; i++) {
    dir_.write("f" + std::to_string(i), std::to_string(i));
    nodes.push_back(lookup("f" + std::to_string(i)));
  }
  for (int i = 0; i < 50; i++)
    ASSERT_EQ(0, rename(dir_.path("f" + std::to_string(i)).c_str(),
                        dir_.path("g" + std::to_string(49 - i)).c_str()));
  for (int i = 0; i < 50; i++) {
    const auto opened = client_.open(nodes[static_cast<size_t>(i)], QTFS_OPEN_READ);
    ASSERT_EQ(0, opened.err()) << i;
    EXPECT_EQ(std::to_string(i), *client_.read(id_of(*opened), 0, 10)) << "another file";
  }
}

TEST_F(FewFds, WhatIsGoneIsStale) {
  std::vector<uint64_t> nodes;
  for (int i = 0; i < 50; i++) {
    dir_.write("f" + std::to_string(i), "");
    nodes.push_back(lookup("f" + std::to_string(i)));
  }
  for (int i = 0; i < 40; i++) {
    unlink(dir_.path("f" + std::to_string(i)).c_str());
    dir_.write("f" + std::to_string(i), "new");
  }
  int stale = 0;
  for (int i = 0; i < 40; i++) {
    const auto attr = client_.getattr(nodes[static_cast<size_t>(i)]);
    stale += attr.err() == ESTALE;
    if (attr) {
      EXPECT_EQ(0u, le64toh(attr->size)) << "another file";
    }
  }
  EXPECT_GT(stale, 20);
}

class FewNodes : public EngineTest {
  void configure(Config& config) override {
    config.limits.nodes_max = 4;
    config.limits.opens_max = 2;
  }
};

TEST_F(FewNodes, LimitsAreErrorsNotTheEnd) {
  std::vector<qtfs_wire_entry> known;
  for (int i = 0; i < 3; i++) {
    dir_.write("f" + std::to_string(i), "");
    known.push_back(*client_.lookup(root_, "f" + std::to_string(i)));
  }
  dir_.write("more", "");
  EXPECT_EQ(ENFILE, client_.lookup(root_, "more").err());
  ASSERT_EQ(0, client_.forget(id_of(known[0]), le64toh(known[0].stamp)).err());
  EXPECT_EQ(0, client_.lookup(root_, "more").err());

  const auto first = client_.open(id_of(known[1]), QTFS_OPEN_READ);
  ASSERT_EQ(0, first.err());
  ASSERT_EQ(0, client_.open(id_of(known[1]), QTFS_OPEN_READ).err());
  EXPECT_EQ(ENFILE, client_.open(id_of(known[1]), QTFS_OPEN_READ).err());
  ASSERT_EQ(0, client_.release(id_of(*first)).err());
  EXPECT_EQ(0, client_.open(id_of(known[1]), QTFS_OPEN_READ).err());
}

class FewSessions : public EngineTest {
  void configure(Config& config) override {
    config.limits.sessions_max = 1;
    config.limits.session_connections_max = 2;
  }
};

TEST_F(FewSessions, MoreAreRefused) {
  Client second;
  ASSERT_TRUE(second.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(ENFILE, second.start().err());
  Client joined;
  ASSERT_TRUE(joined.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(0, joined.join(client_).err());
  Client third;
  ASSERT_TRUE(third.connect("127.0.0.1", port()).ok());
  EXPECT_EQ(EMFILE, third.join(client_).err());
}

TEST_F(Sessions, CredentialsAreBounded) {
  for (uint32_t i = 1; i <= QTFS_CREDS_MAX; i++)
    ASSERT_EQ(0, client_.add_cred({.id = i}).err());
  EXPECT_EQ(ENFILE, client_.add_cred({.id = QTFS_CREDS_MAX + 1}).err());
  EXPECT_EQ(0, client_.put_cred(5).err());
  EXPECT_EQ(0, client_.add_cred({.id = QTFS_CREDS_MAX + 1}).err());
}

}  // namespace qtfs
