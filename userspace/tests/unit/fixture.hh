// SPDX-License-Identifier: GPL-2.0-only
// An engine in this process, on a port of its own, that exports a temporary directory.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "engine/engine.hh"
#include "lib/client.hh"
#include "tests/temp_dir.hh"

namespace qtfs {

inline uint64_t id_of(const qtfs_wire_entry& entry) {
  return le64toh(entry.node);
}
inline uint64_t id_of(const qtfs_wire_opened& opened) {
  return le64toh(opened.open);
}

// SKIPs without root: acting as others needs it.
class EngineTest : public ::testing::Test {
 protected:
  // What a test wants different.
  virtual void configure(Config&) {}

  void SetUp() override {
    if (geteuid() != 0)
      GTEST_SKIP() << "needs root";
    config_.listen = {"127.0.0.1:0"};
    config_.threads = 2;
    config_.ring_entries = 64;
    config_.exports = {{.path = dir_.path(), .name = "test"}};
    const char* io = std::getenv("QTFS_TEST_IO");
    config_.sqpoll = io && std::string(io) == "sqpoll";
    if (io && !config_.sqpoll)
      config_.io = io;
    configure(config_);
    start_engine();
    connect(client_);
  }

  void start_engine() {
    std::string error;
    auto made = Engine::create(config_, error);
    ASSERT_TRUE(made.ok()) << error;
    engine_ = std::move(*made);
    ASSERT_TRUE(engine_->start(error).ok()) << error;
  }

  // A new session with credential 1, root, attached to the directory.
  void connect(Client& client) {
    ASSERT_TRUE(client.connect("127.0.0.1", port()).ok());
    ASSERT_EQ(0, client.start(psk_).err());
    ASSERT_EQ(0, client.add_cred({.id = 1}).err());
    client.cred = 1;
    const auto entry = client.attach(attach_path_.empty() ? dir_.path() : attach_path_);
    ASSERT_EQ(0, entry.err());
    root_ = id_of(*entry);
  }

  uint16_t port() const { return static_cast<uint16_t>(engine_->ports().at(0)); }
  uint64_t stat_of(Counter Stats::*counter) {
    Stats sum;
    engine_->add_stats(sum);
    return (sum.*counter).get();
  }

  uint64_t lookup(std::string_view path) {
    const auto entry = client_.walk(root_, path);
    EXPECT_EQ(0, entry.err()) << path;
    return entry ? id_of(*entry) : 0;
  }
  uint64_t open(std::string_view path, uint32_t flags) {
    const auto opened = client_.open(lookup(path), flags);
    EXPECT_EQ(0, opened.err()) << path;
    return opened ? id_of(*opened) : 0;
  }

  Config config_;
  std::string psk_;
  std::string attach_path_;
  TempDir dir_;
  std::unique_ptr<Engine> engine_;
  Client client_;
  uint64_t root_ = 0;
};

}  // namespace qtfs
