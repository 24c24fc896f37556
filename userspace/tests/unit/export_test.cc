// SPDX-License-Identifier: GPL-2.0-only
// What is not exported cannot be reached.
#include <sys/mount.h>

#include <atomic>
#include <thread>

#include "tests/unit/fixture.hh"

namespace qtfs {

class Exporting : public EngineTest {
 protected:
  void configure(Config& config) override {
    mkdir(dir_.path("in").c_str(), 0755);
    mkdir(dir_.path("in/sub").c_str(), 0755);
    mkdir(dir_.path("inside-not").c_str(), 0755);
    mkdir(dir_.path("out").c_str(), 0755);
    dir_.write("out/secret", "secret");
    dir_.write("in/file", "public");
    config.exports = {{.path = dir_.path("in"), .name = "in"}};
    attach_path_ = dir_.path("in");
  }
  uint64_t attach_in() {
    const auto entry = client_.attach(dir_.path("in"));
    EXPECT_EQ(0, entry.err());
    return entry ? id_of(*entry) : 0;
  }
};

TEST_F(Exporting, OnlyWhatIsExportedCanBeAttached) {
  EXPECT_EQ(0, client_.attach(dir_.path("in")).err());
  EXPECT_EQ(0, client_.attach(dir_.path("in/sub")).err());
  EXPECT_EQ(0, client_.attach(dir_.path("in/./sub//")).err());
  EXPECT_EQ(EACCES, client_.attach(dir_.path("out")).err());
  EXPECT_EQ(EACCES, client_.attach(dir_.path("inside-not")).err());
  EXPECT_EQ(EACCES, client_.attach(dir_.path("in/../out")).err());
  EXPECT_EQ(EACCES, client_.attach("/").err());
  EXPECT_EQ(EACCES, client_.attach("in").err());
  EXPECT_EQ(EACCES, client_.attach("").err());
  EXPECT_EQ(ENOENT, client_.attach(dir_.path("in/absent")).err());
  EXPECT_EQ(ENOTDIR, client_.attach(dir_.path("in/file")).err());
  EXPECT_EQ(ENOTDIR, client_.attach(dir_.path("in/file/below")).err());
}

TEST_F(Exporting, SymlinksLeadNowhere) {
  ASSERT_EQ(0, symlink("../out", dir_.path("in/relative").c_str()));
  ASSERT_EQ(0, symlink(dir_.path("out").c_str(), dir_.path("in/absolute").c_str()));
  const uint64_t in = attach_in();
  for (const char* name : {"relative", "absolute"}) {
    const auto entry = client_.lookup(in, name);
    ASSERT_EQ(0, entry.err());
    EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(entry->attr.type));
    EXPECT_EQ(ENOTDIR, client_.lookup(id_of(*entry), "secret").err());
    EXPECT_EQ(ELOOP, client_.open(id_of(*entry), QTFS_OPEN_READ).err());
    EXPECT_EQ(ENOTDIR, client_.attach(dir_.path("in/") + name).err());
    EXPECT_EQ(ENOTDIR, client_.attach(dir_.path("in/") + name + "/secret").err());
  }
}

class Names : public EngineTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(Names, AreSingleComponents) {
  const auto answer = client_.lookup(root_, GetParam());
  EXPECT_FALSE(answer.ok());
  EXPECT_EQ(EPROTO, answer.err());
  EXPECT_TRUE(client_.closed_by_peer());
}

INSTANTIATE_TEST_SUITE_P(Bad, Names,
                         ::testing::Values("..", ".", "", "a/b", "/", "/etc", "../x", "a/",
                                           std::string("a\0b", 3)));

TEST_F(Exporting, ADirectoryThatMovesOutTakesOnlyItselfAlong) {
  const uint64_t in = attach_in();
  const auto sub = client_.lookup(in, "sub");
  ASSERT_EQ(0, sub.err());
  std::atomic<bool> stop{false};
  std::thread mover([&] {
    while (!stop) {
      rename(dir_.path("in/sub").c_str(), dir_.path("out/sub").c_str());
      rename(dir_.path("out/sub").c_str(), dir_.path("in/sub").c_str());
    }
  });
  for (int i = 0; i < 2000; i++) {
    EXPECT_EQ(ENOENT, client_.lookup(id_of(*sub), "secret").err());
    const int err = client_.lookup(in, "sub").err();
    EXPECT_TRUE(err == 0 || err == ENOENT) << err;
  }
  stop = true;
  mover.join();
}

class TwoExports : public EngineTest {
 protected:
  void configure(Config& config) override {
    mkdir(dir_.path("rw").c_str(), 0755);
    mkdir(dir_.path("other").c_str(), 0755);
    config.exports = {{.path = dir_.path(), .name = "all", .readonly = true},
                      {.path = dir_.path("rw"), .name = "rw"}};
  }
};

TEST_F(TwoExports, TheDeepestCounts) {
  const auto rw = client_.attach(dir_.path("rw"));
  ASSERT_EQ(0, rw.err());
  EXPECT_EQ(0, client_.mkdir(id_of(*rw), "x").err());
  EXPECT_EQ(EROFS, client_.mkdir(root_, "x").err());
  // What came by the read-only export stays read-only.
  const auto walked = client_.lookup(root_, "rw");
  ASSERT_EQ(0, walked.err());
  EXPECT_EQ(EROFS, client_.rmdir(id_of(*walked), "x").err());
  dir_.write("file", "");
  const auto file = client_.lookup(root_, "file");
  ASSERT_EQ(0, file.err());
  EXPECT_EQ(EXDEV, client_.link(id_of(*file), id_of(*rw), "link").err());
  EXPECT_EQ(EROFS, client_.rename(root_, "file", id_of(*rw), "moved").err());
}

TEST_F(TwoExports, MountsAreCrossedAndTold) {
  if (mount("none", dir_.path("other").c_str(), "tmpfs", 0, "mode=755") < 0)
    GTEST_SKIP() << "cannot mount";
  dir_.write("other/inside", "tmpfs");
  const auto entry = client_.lookup(root_, "other");
  EXPECT_EQ(0, entry.err());
  EXPECT_TRUE(entry.ok() && (le32toh(entry->attr.flags) & QTFS_ATTR_MOUNT_ROOT));
  EXPECT_EQ("tmpfs", *client_.read_file(root_, "other/inside"));
  const auto parent = client_.getattr(root_);
  EXPECT_NE(parent->mnt_id, entry->attr.mnt_id);
  umount2(dir_.path("other").c_str(), MNT_DETACH);
}

}  // namespace qtfs
