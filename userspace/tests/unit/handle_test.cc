// SPDX-License-Identifier: GPL-2.0-only
// Nodes that are asked for by their number, and the directory above one.
#include <sys/stat.h>

#include "tests/unit/fixture.hh"

namespace qtfs {

class Handles : public EngineTest {};

TEST_F(Handles, ANodeIsGivenAgain) {
  dir_.write("file", "contents");
  const auto first = client_.lookup(root_, "file");
  ASSERT_EQ(0, first.err());
  const auto again = client_.node(id_of(*first));
  ASSERT_EQ(0, again.err());
  EXPECT_EQ(first->node, again->node);
  EXPECT_GT(le64toh(again->stamp), le64toh(first->stamp));
  EXPECT_EQ(first->attr.ino, again->attr.ino);
  EXPECT_EQ(first->access, again->access);
  // It counts: what was said to be forgotten before stays.
  ASSERT_EQ(0, client_.forget(id_of(*first), le64toh(first->stamp)).err());
  EXPECT_EQ(0, client_.getattr(id_of(*first)).err());
  // By any name.
  ASSERT_EQ(0, rename(dir_.path("file").c_str(), dir_.path("other").c_str()));
  const auto renamed = client_.node(id_of(*first));
  EXPECT_EQ(0, renamed.err());
  ASSERT_EQ(0, client_.forget(id_of(*first), le64toh(renamed->stamp)).err());
  EXPECT_EQ(ESTALE, client_.node(id_of(*first)).err());
  EXPECT_EQ(ESTALE, client_.node(0x123456789).err());
}

TEST_F(Handles, WithoutANameItIsGone) {
  dir_.write("file", "contents");
  const uint64_t node = lookup("file");
  const uint64_t opened = open("file", QTFS_OPEN_READ);
  ASSERT_EQ(0, client_.unlink(root_, "file").err());
  EXPECT_EQ(ESTALE, client_.node(node).err());
  EXPECT_EQ("contents", *client_.read(opened, 0, 100));
}

TEST_F(Handles, TheDirectoryAbove) {
  ASSERT_EQ(0, client_.mkdir(root_, "a").err());
  ASSERT_EQ(0, client_.mkdir(lookup("a"), "b").err());
  const uint64_t a = lookup("a");
  const uint64_t b = lookup("a/b");
  const auto above = client_.parent(b);
  ASSERT_EQ(0, above.err());
  EXPECT_EQ(a, id_of(*above));
  EXPECT_EQ(root_, id_of(*client_.parent(a)));
  // Even if the client knows nothing of it any more.
  const auto known = client_.parent(b);
  ASSERT_EQ(0, client_.forget(a, le64toh(known->stamp)).err());
  const auto found = client_.parent(b);
  ASSERT_EQ(0, found.err());
  EXPECT_EQ(0, client_.lookup(id_of(*found), "b").err());
  EXPECT_EQ(b, id_of(*client_.lookup(id_of(*found), "b")));
  dir_.write("file", "");
  EXPECT_EQ(ENOTDIR, client_.parent(lookup("file")).err());
}

TEST_F(Handles, NoWayOutOfTheExport) {
  EXPECT_EQ(ESTALE, client_.parent(root_).err());
  // Moved out by somebody on the server.
  ASSERT_EQ(0, client_.mkdir(root_, "moved").err());
  const uint64_t node = lookup("moved");
  TempDir elsewhere;
  ASSERT_EQ(0, rename(dir_.path("moved").c_str(), elsewhere.path("moved").c_str()));
  EXPECT_EQ(ESTALE, client_.parent(node).err());
  // As who may not look there.
  ASSERT_EQ(0, client_.mkdir(root_, "closed", 0700).err());
  ASSERT_EQ(0, client_.mkdir(lookup("closed"), "in").err());
  const uint64_t in = lookup("closed/in");
  ASSERT_EQ(0, chmod(dir_.path("closed/in").c_str(), 0700));
  ASSERT_EQ(0, client_.add_cred({.id = 2, .uid = 1000, .gid = 1000, .caps = 0}).err());
  client_.cred = 2;
  EXPECT_EQ(EACCES, client_.parent(in).err());
}

}  // namespace qtfs
