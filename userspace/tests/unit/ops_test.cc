// SPDX-License-Identifier: GPL-2.0-only
// Every operation once right and in its ways to fail.
#include "tests/unit/fixture.hh"

namespace qtfs {

class Ops : public EngineTest {};

TEST_F(Ops, AFileIsFoundOpenedAndRead) {
  dir_.write("file", "hello, world");
  const auto entry = client_.lookup(root_, "file");
  ASSERT_EQ(0, entry.err());
  EXPECT_EQ(12u, le64toh(entry->attr.size));
  EXPECT_EQ(uint32_t{QTFS_TYPE_REG}, le32toh(entry->attr.type));
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  const auto text = client_.read(id_of(*opened), 7, 100);
  ASSERT_EQ(0, text.err());
  EXPECT_EQ("world", *text);
  EXPECT_EQ(0, client_.release(id_of(*opened)).err());
  EXPECT_EQ(EBADF, client_.read(id_of(*opened), 0, 1).err());
}

}  // namespace qtfs
