// SPDX-License-Identifier: GPL-2.0-only
// Inode flags, extents, deduplication: what ioctl(2) asks of a file.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "qtfs/flags.h"
#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

enum : uint64_t {
#define X(bit, NAME, basic, extended) FLAG_##NAME = uint64_t{1} << (bit),
  QTFS_FLAG_LIST(X)
#undef X
};

qtfs_wire_flags basic(uint64_t flags) {
  qtfs_wire_flags set{};
  set.flags = htole64(flags);
  set.valid = htole32(QTFS_FLAGS_BASIC);
  return set;
}

unsigned native_flags(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  unsigned flags = 0;
  EXPECT_EQ(0, ioctl(fd.get(), FS_IOC_GETFLAGS, &flags));
  return flags;
}

}  // namespace

class Flags : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    if (IsSkipped())
      return;
    dir_.write("file", "contents");
    UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
    unsigned flags = 0;
    if (ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) < 0)
      GTEST_SKIP() << "the filesystem of /var/tmp has no flags";
  }
  // Flags that a failed test left would keep the directory from being removed.
  void TearDown() override {
    UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
    unsigned none = 0;
    if (fd)
      ioctl(fd.get(), FS_IOC_SETFLAGS, &none);
  }
  uint64_t flags_of(std::string_view name) {
    const auto rep = client_.getflags(lookup(name));
    EXPECT_EQ(0, rep.err());
    return rep ? le64toh(rep->flags) : 0;
  }
};

TEST_F(Flags, AreTheServersOwn) {
  const uint64_t node = lookup("file");
  const auto before = client_.getflags(node);
  ASSERT_EQ(0, before.err());
  EXPECT_EQ(uint32_t{QTFS_FLAGS_BASIC}, le32toh(before->valid) & QTFS_FLAGS_BASIC);
  const uint64_t kept = le64toh(before->flags);
  const auto attr = client_.setflags(node, basic(kept | FLAG_NODUMP | FLAG_NOATIME));
  ASSERT_EQ(0, attr.err());
  EXPECT_TRUE(le32toh(attr->flags) & QTFS_ATTR_NODUMP);
  EXPECT_TRUE(le32toh(attr->flags) & QTFS_ATTR_HAS(QTFS_ATTR_IMMUTABLE));
  EXPECT_EQ(unsigned{FS_NODUMP_FL | FS_NOATIME_FL},
            native_flags(dir_.path("file")) & (FS_NODUMP_FL | FS_NOATIME_FL));
  EXPECT_EQ(kept | FLAG_NODUMP | FLAG_NOATIME, flags_of("file"));
  // Through an open too, and off again.
  const uint64_t opened = open("file", QTFS_OPEN_READ);
  ASSERT_EQ(0, client_.setflags(node, basic(kept), opened).err());
  EXPECT_EQ(0u, native_flags(dir_.path("file")) & FS_NODUMP_FL);
  // Of a directory as well.
  ASSERT_EQ(0, client_.mkdir(root_, "sub").err());
  EXPECT_EQ(0, client_.getflags(lookup("sub")).err());
}

TEST_F(Flags, AnImmutableFileStaysAsItIs) {
  const uint64_t node = lookup("file");
  const uint64_t opened = open("file", QTFS_OPEN_READ | QTFS_OPEN_WRITE);
  const uint64_t kept = flags_of("file");
  ASSERT_EQ(0, client_.setflags(node, basic(kept | FLAG_IMMUTABLE)).err());
  EXPECT_TRUE(le32toh(client_.getattr(node)->flags) & QTFS_ATTR_IMMUTABLE);
  EXPECT_EQ(EPERM, client_.write(opened, 0, "x").err());
  EXPECT_EQ(EPERM, client_.unlink(root_, "file").err());
  // Whoever asks must be allowed to.
  ASSERT_EQ(0, client_.add_cred({.id = 2, .caps = 0}).err());
  client_.cred = 2;
  EXPECT_EQ(EPERM, client_.setflags(node, basic(kept)).err());
  client_.cred = 1;
  ASSERT_EQ(0, client_.setflags(node, basic(kept | FLAG_APPEND)).err());
  EXPECT_EQ(EPERM, client_.open(node, QTFS_OPEN_WRITE).err());
  ASSERT_EQ(0, client_.setflags(node, basic(kept)).err());
  EXPECT_EQ(0, client_.write(opened, 0, "x").err());
}

TEST_F(Flags, OnlyTheOwnerSetsThem) {
  ASSERT_EQ(0, client_.add_cred({.id = 2, .uid = 1000, .gid = 1000, .caps = 0}).err());
  const uint64_t node = lookup("file");
  const uint64_t kept = flags_of("file");
  client_.cred = 2;
  EXPECT_EQ(0, client_.getflags(node).err());
  const int err = client_.setflags(node, basic(kept | FLAG_NODUMP)).err();
  EXPECT_TRUE(err == EPERM || err == EACCES) << err;
  ASSERT_EQ(0, chmod(dir_.path("file").c_str(), 0));  // asking takes no permission to read
  EXPECT_EQ(0, client_.getflags(node).err());
}

TEST_F(Flags, TheExtendedOnesTravelToo) {
  const uint64_t node = lookup("file");
  auto rep = client_.getflags(node);
  ASSERT_EQ(0, rep.err());
  if (!(le32toh(rep->valid) & QTFS_FLAGS_EXTENDED))
    GTEST_SKIP() << "no FS_IOC_FSGETXATTR";
  qtfs_wire_flags set{};
  set.valid = htole32(QTFS_FLAGS_EXTENDED);
  set.flags = htole64(FLAG_NODUMP);
  ASSERT_EQ(0, client_.setflags(node, set).err());
  EXPECT_TRUE(native_flags(dir_.path("file")) & FS_NODUMP_FL);
  // A project: where the filesystem has such, it is had; else its own error.
  UniqueFd fd(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  fsxattr own{};
  ASSERT_EQ(0, ioctl(fd.get(), FS_IOC_FSGETXATTR, &own));
  own.fsx_projid = 77;
  const int native = ioctl(fd.get(), FS_IOC_FSSETXATTR, &own) < 0 ? errno : 0;
  set.projid = htole32(78);
  EXPECT_EQ(native, client_.setflags(node, set).err());
  if (native == 0) {
    EXPECT_EQ(78u, le32toh(client_.getflags(node)->projid));
  }
}

TEST_F(Flags, WhatMakesNoSense) {
  const uint64_t node = lookup("file");
  EXPECT_EQ(EINVAL, client_.setflags(node, qtfs_wire_flags{}).err());
  EXPECT_EQ(EOPNOTSUPP, client_.setflags(node, basic(uint64_t{1} << 63)).err());
  // Of the other set.
  EXPECT_EQ(EOPNOTSUPP, client_.setflags(node, basic(FLAG_EXTSIZE)).err());
  EXPECT_EQ(ESTALE, client_.getflags(0x123456789).err());
  EXPECT_EQ(EBADF, client_.getflags(node, 0x123456789).err());
  ASSERT_EQ(0, client_.symlink(root_, "link", "file").err());
  EXPECT_EQ(ENOTTY, client_.getflags(lookup("link")).err());
}

class ReadOnlyFlags : public Flags {
  void configure(Config& config) override { config.exports[0].readonly = true; }
};

TEST_F(ReadOnlyFlags, AreNotSet) {
  const uint64_t node = lookup("file");
  EXPECT_EQ(0, client_.getflags(node).err());
  EXPECT_EQ(EROFS, client_.setflags(node, basic(FLAG_NODUMP)).err());
}

TEST_F(Flags, ExtentsInParts) {
  // Every second block: as many extents as blocks.
  constexpr int extents = 20;
  UniqueFd fd(::open(dir_.path("holes").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  const std::string block(4096, 'x');
  for (int i = 0; i < extents; i++)
    ASSERT_EQ(4096, pwrite(fd.get(), block.data(), 4096, i * 8192));
  ASSERT_EQ(0, ::fsync(fd.get()));
  qtfs_wire_fiemap body{};
  body.node = htole64(lookup("holes"));
  body.length = htole64(UINT64_MAX);
  body.count = htole32(8);
  const auto probe = client_.fiemap(body);
  if (probe.err() == EOPNOTSUPP)
    GTEST_SKIP() << "the filesystem of /var/tmp tells no extents";
  int found = 0;
  for (uint64_t at = 0;;) {
    body.start = htole64(at);
    const auto part = client_.fiemap(body);
    ASSERT_EQ(0, part.err());
    ASSERT_LE(part->size(), 8u);
    for (const auto& extent : *part) {
      EXPECT_EQ(static_cast<uint64_t>(found) * 8192, le64toh(extent.logical));
      EXPECT_EQ(4096u, le64toh(extent.length));
      EXPECT_NE(0u, extent.physical);
      found++;
      at = le64toh(extent.logical) + le64toh(extent.length);
      EXPECT_EQ(found == extents, (le32toh(extent.flags) & QTFS_EXTENT_LAST) != 0);
    }
    if (part->empty() || (le32toh(part->back().flags) & QTFS_EXTENT_LAST))
      break;
  }
  EXPECT_EQ(extents, found);
  body.start = htole64(uint64_t{1} << 40);
  EXPECT_TRUE(client_.fiemap(body)->empty());
  for (const uint32_t count : {0u, QTFS_EXTENTS_MAX + 1}) {
    body.count = htole32(count);
    EXPECT_EQ(EINVAL, client_.fiemap(body).err());
  }
}

TEST_F(Flags, DeduplicationSaysWhatTheFilesystemSays) {
  dir_.write("same", "contents");
  qtfs_wire_copy body{};
  body.from_open = htole64(open("file", QTFS_OPEN_READ));
  body.to_open = htole64(open("same", QTFS_OPEN_READ | QTFS_OPEN_WRITE));
  body.length = htole64(8);
  UniqueFd from(::open(dir_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  UniqueFd to(::open(dir_.path("same").c_str(), O_RDWR | O_CLOEXEC));
  alignas(file_dedupe_range)
      std::array<std::byte, sizeof(file_dedupe_range) + sizeof(file_dedupe_range_info)>
          job{};
  auto* range = reinterpret_cast<file_dedupe_range*>(job.data());
  range->src_length = 8;
  range->dest_count = 1;
  range->info[0].dest_fd = to.get();
  const int ret = ioctl(from.get(), FIDEDUPERANGE, range);
  const int32_t said = range->info[0].status;
  const int want = ret < 0 ? errno : said < 0 ? -said : 0;
  const auto rep = client_.dedupe(body);
  EXPECT_EQ(want, rep.err());
  if (rep) {
    EXPECT_EQ(range->info[0].bytes_deduped, le64toh(rep->length));
    dir_.write("same", "contentz");
    EXPECT_EQ(1u, le32toh(client_.dedupe(body)->differs));
  }
  body.from_open = htole64(open("file", QTFS_OPEN_WRITE));
  EXPECT_EQ(EBADF, client_.dedupe(body).err());
}

}  // namespace qtfs
