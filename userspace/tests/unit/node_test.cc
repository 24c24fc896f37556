// SPDX-License-Identifier: GPL-2.0-only
// What the engine remembers of the nodes that a client knows.
#include <malloc.h>
#include <sys/stat.h>

#include <string>

#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool counts_memory = false;  // theirs is in the way
#else
constexpr bool counts_memory = true;
#endif

size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Of a client that knows many.
class NodeMemory : public EngineTest {
 protected:
  static constexpr unsigned count = 20000;
  static constexpr uint64_t fds = 64;
  static constexpr size_t most = 300;  // bytes for each, what the allocator adds among them

  void configure(Config& config) override { config.limits.fds_max = fds; }

  static std::string name_of(unsigned i) { return "a-file-with-a-name-" + std::to_string(i); }

  void SetUp() override {
    if (!counts_memory)
      GTEST_SKIP() << "counts what a sanitizer allocates";
    EngineTest::SetUp();
    for (unsigned i = 0; i < count; i++)
      dir_.write(name_of(i), "");
  }
};

}  // namespace

// Old kernels use numbers of mounts again, and all of them those of devices.
TEST(NodeKeys, TheNextMountsRootIsNotTheLasts) {
  Mounts mounts;
  Rules rules(mounts, {});
  Context context(mounts, rules);
  FdBudget budget{.max = 10};
  NodeTable nodes(1, 100, budget);
  const Domain domain;
  const NodeKey root{.dev = 50, .ino = 1, .mount = 7, .type = QTFS_TYPE_DIR};
  const auto grant = [&] { return *nodes.grant(root, domain, {}, {}, {}, context); };

  const Granted last = grant();
  EXPECT_EQ(last.node->id, grant().node->id);
  nodes.unmounted({7});
  nodes.mounted({7});
  const Granted next = grant();
  EXPECT_NE(last.node->id, next.node->id);
  // The client has heard of it, and lets go of the last.
  EXPECT_EQ(2u, nodes.size());
  nodes.forget(last.node->id, next.stamp);
  EXPECT_EQ(1u, nodes.size());
  EXPECT_EQ(next.node->id, grant().node->id);
  nodes.forget(next.node->id, next.stamp + 1);
  EXPECT_EQ(0u, nodes.size());
}

// By name, with descriptors that others took away again.
TEST_F(NodeMemory, OneThatWasLookedUpTakesLittle) {
  const size_t before = allocated();
  for (unsigned i = 0; i < count; i++)
    ASSERT_EQ(0, client_.lookup(root_, name_of(i)).err());
  EXPECT_LE(engine_->node_fds(), fds + 1);
  EXPECT_GT(most * count, allocated() - before);
}

TEST_F(NodeMemory, OneThatWasListedTakesLittle) {
  const uint64_t open = id_of(*client_.open(root_, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY));
  const size_t before = allocated();
  unsigned listed = 0;
  for (uint64_t cookie = 0;;) {
    const auto page = client_.readdir(open, cookie, 65536, QTFS_READDIR_PLUS);
    ASSERT_EQ(0, page.err());
    listed += static_cast<unsigned>(page->entries.size());
    if (page->eof)
      break;
    ASSERT_FALSE(page->entries.empty());
    cookie = page->entries.back().cookie;
  }
  EXPECT_EQ(count, listed);
  EXPECT_GT(most * count, allocated() - before);
}

}  // namespace qtfs
