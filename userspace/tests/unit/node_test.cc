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
