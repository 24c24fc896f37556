// SPDX-License-Identifier: GPL-2.0-only
// Every operation once right and in its ways to fail.
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <atomic>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/unit/fixture.hh"

namespace qtfs {

class Ops : public EngineTest {
 protected:
  uint64_t lookup_by(Client& client, std::string_view name) {
    return id_of(*client.lookup(root_, name));
  }
};
class ReadOnly : public EngineTest {
  void configure(Config& config) override { config.exports[0].readonly = true; }
};

constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;

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
  EXPECT_EQ(EBADF, client_.write(id_of(*opened), 0, "x").err());
  EXPECT_EQ(0, client_.release(id_of(*opened)).err());
  EXPECT_EQ(EBADF, client_.read(id_of(*opened), 0, 1).err());
}

TEST_F(Ops, LookupFails) {
  dir_.write("file", "");
  EXPECT_EQ(ENOENT, client_.lookup(root_, "absent").err());
  EXPECT_EQ(ENOTDIR, client_.lookup(lookup("file"), "below").err());
  EXPECT_EQ(ESTALE, client_.lookup(0x123456789, "file").err());
  EXPECT_EQ(ENAMETOOLONG, client_.lookup(root_, std::string(256, 'n')).err());
  client_.cred = 77;
  EXPECT_EQ(ENOKEY, client_.lookup(root_, "file").err());
}

TEST_F(Ops, AttributesAreTheServersOwn) {
  dir_.write("file", "12345");
  struct stat st {};
  ASSERT_EQ(0, stat(dir_.path("file").c_str(), &st));
  const auto attr = client_.getattr(lookup("file"));
  ASSERT_EQ(0, attr.err());
  EXPECT_EQ(st.st_ino, le64toh(attr->ino));
  EXPECT_EQ(5u, le64toh(attr->size));
  EXPECT_EQ(static_cast<uint64_t>(st.st_mtim.tv_sec), le64toh(attr->mtime));
  EXPECT_EQ(static_cast<uint32_t>(st.st_mtim.tv_nsec), le32toh(attr->mtime_ns));
  EXPECT_EQ(major(st.st_dev), le32toh(attr->dev_major));
  EXPECT_EQ(minor(st.st_dev), le32toh(attr->dev_minor));
  EXPECT_EQ(st.st_nlink, le32toh(attr->nlink));
  EXPECT_EQ(st.st_mode & 07777u, le32toh(attr->mode));
  EXPECT_EQ(static_cast<uint64_t>(st.st_blocks), le64toh(attr->blocks));
}

TEST_F(Ops, ChangeDiffersAfterAWrite) {
  dir_.write("file", "old");
  const uint64_t node = lookup("file");
  const auto before = client_.getattr(node);
  const uint64_t file = open("file", rw);
  // Until the clock that stamps files has moved on, RACY says so instead.
  for (int i = 0; i < 1000; i++) {
    const auto written = client_.write(file, 0, "new");
    ASSERT_EQ(0, written.err());
    if (written->change != before->change)
      return;
    EXPECT_TRUE(le32toh(before->flags) & QTFS_ATTR_RACY);
    usleep(1000);
  }
  FAIL() << "change never differed";
}

TEST_F(Ops, SetattrSetsWhatIsAsked) {
  dir_.write("file", "12345");
  qtfs_wire_setattr set{};
  set.node = htole64(lookup("file"));
  set.valid = htole32(QTFS_SET_MODE | QTFS_SET_UID | QTFS_SET_GID | QTFS_SET_SIZE | QTFS_SET_ATIME |
                      QTFS_SET_MTIME);
  set.mode = htole32(04751);
  set.uid = htole32(1000);
  set.gid = htole32(1001);
  set.size = htole64(3);
  set.atime = htole64(1111);
  set.atime_ns = htole32(22);
  set.mtime = htole64(static_cast<uint64_t>(-5));
  const auto attr = client_.setattr(set);
  ASSERT_EQ(0, attr.err());
  EXPECT_EQ(04751u, le32toh(attr->mode));
  EXPECT_EQ(1000u, le32toh(attr->uid));
  EXPECT_EQ(1001u, le32toh(attr->gid));
  EXPECT_EQ(3u, le64toh(attr->size));
  EXPECT_EQ(1111u, le64toh(attr->atime));
  EXPECT_EQ(22u, le32toh(attr->atime_ns));
  EXPECT_EQ(static_cast<uint64_t>(-5), le64toh(attr->mtime));
  EXPECT_EQ("123", dir_.read("file"));

  set.valid = htole32(QTFS_SET_ATIME);
  set.atime_ns = htole32(1'000'000'000);
  EXPECT_EQ(EINVAL, client_.setattr(set).err());
  set.valid = htole32(0x100);
  EXPECT_EQ(EINVAL, client_.setattr(set).err());
}

TEST_F(Ops, SetattrThroughAnOpenTruncatesWhatIsUnlinked) {
  dir_.write("file", "12345");
  const uint64_t node = lookup("file");
  const uint64_t file = open("file", rw);
  ASSERT_EQ(0, client_.unlink(root_, "file").err());
  qtfs_wire_setattr set{};
  set.node = htole64(node);
  set.open = htole64(file);
  set.valid = htole32(QTFS_SET_SIZE);
  set.size = htole64(2);
  EXPECT_EQ(0, client_.setattr(set).err());
  EXPECT_EQ("12", *client_.read(file, 0, 10));
  const auto attr = client_.getattr(node, file);
  ASSERT_EQ(0, attr.err());
  EXPECT_EQ(0u, le32toh(attr->nlink));
}

TEST_F(Ops, DirectoriesComeAndGo) {
  const auto made = client_.mkdir(root_, "dir", 0777, 027);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(0750u, le32toh(made->attr.mode));
  EXPECT_EQ(uint32_t{QTFS_TYPE_DIR}, le32toh(made->attr.type));
  EXPECT_EQ(EEXIST, client_.mkdir(root_, "dir").err());
  ASSERT_EQ(0, client_.mkdir(id_of(*made), "sub").err());
  EXPECT_EQ(ENOTEMPTY, client_.rmdir(root_, "dir").err());
  EXPECT_EQ(EISDIR, client_.unlink(root_, "dir").err());
  EXPECT_EQ(0, client_.rmdir(id_of(*made), "sub").err());
  EXPECT_EQ(0, client_.rmdir(root_, "dir").err());
  EXPECT_EQ(ENOENT, client_.rmdir(root_, "dir").err());
}

// Its filesystem may know no other position any more than the first; but it is gone.
TEST_F(Ops, ARemovedDirectoryIsNoBadPosition) {
  std::filesystem::create_directory(dir_.path("gone"));
  const uint64_t id = open("gone", QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
  std::filesystem::remove(dir_.path("gone"));
  EXPECT_EQ(ENOENT, client_.readdir(id, uint64_t{7} << 60).err());
}

TEST_F(Ops, RenameWithItsFlags) {
  dir_.write("a", "a");
  dir_.write("b", "b");
  EXPECT_EQ(EEXIST, client_.rename(root_, "a", root_, "b", QTFS_RENAME_NOREPLACE).err());
  EXPECT_EQ(0, client_.rename(root_, "a", root_, "b", QTFS_RENAME_EXCHANGE).err());
  EXPECT_EQ("b", dir_.read("a"));
  EXPECT_EQ(0, client_.rename(root_, "a", root_, "b").err());
  EXPECT_EQ("b", dir_.read("b"));
  EXPECT_EQ(ENOENT, client_.rename(root_, "a", root_, "c").err());
  EXPECT_EQ(EINVAL, client_.rename(root_, "b", root_, "c", 0x80).err());
}

TEST_F(Ops, LinksOfBothKinds) {
  dir_.write("file", "text");
  const auto entry = client_.link(lookup("file"), root_, "hard");
  ASSERT_EQ(0, entry.err());
  EXPECT_EQ(2u, le32toh(entry->attr.nlink));
  EXPECT_EQ(EEXIST, client_.link(lookup("file"), root_, "hard").err());

  const auto soft = client_.symlink(root_, "soft", "/some/where else");
  ASSERT_EQ(0, soft.err());
  EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(soft->attr.type));
  EXPECT_EQ("/some/where else", *client_.readlink(id_of(*soft)));
  EXPECT_EQ(EINVAL, client_.readlink(lookup("file")).err());
  EXPECT_EQ(ELOOP, client_.open(id_of(*soft), QTFS_OPEN_READ).err());
  // A hard link to the symlink itself.
  const auto both = client_.link(id_of(*soft), root_, "soft2");
  ASSERT_EQ(0, both.err());
  EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(both->attr.type));
}

TEST_F(Ops, SpecialNodesAreMade) {
  const auto fifo = client_.mknod(root_, "fifo", QTFS_TYPE_FIFO, 0600);
  ASSERT_EQ(0, fifo.err());
  EXPECT_EQ(uint32_t{QTFS_TYPE_FIFO}, le32toh(fifo->attr.type));
  const auto dev = client_.mknod(root_, "null", QTFS_TYPE_CHR, 0600, 1, 3);
  ASSERT_EQ(0, dev.err());
  EXPECT_EQ(1u, le32toh(dev->attr.rdev_major));
  EXPECT_EQ(3u, le32toh(dev->attr.rdev_minor));
  // As on a filesystem mounted nodev.
  EXPECT_EQ(EACCES, client_.open(id_of(*dev), QTFS_OPEN_READ).err());
  EXPECT_EQ(EOPNOTSUPP, client_.open(id_of(*fifo), QTFS_OPEN_READ | QTFS_OPEN_PLAIN).err());
  EXPECT_EQ(EOPNOTSUPP, client_.open(id_of(*dev), QTFS_OPEN_READ | QTFS_OPEN_PLAIN).err());
  const auto sock = client_.mknod(root_, "sock", QTFS_TYPE_SOCK, 0600);
  ASSERT_EQ(0, sock.err());
  EXPECT_EQ(ENXIO, client_.open(id_of(*sock), QTFS_OPEN_READ).err());
  EXPECT_EQ(EINVAL, client_.mknod(root_, "dir", QTFS_TYPE_DIR, 0700).err());
}

TEST_F(Ops, CreateSaysWhetherItDid) {
  const auto made = client_.create(root_, "new", rw | QTFS_OPEN_EXCL, 0666, 022);
  ASSERT_EQ(0, made.err());
  EXPECT_TRUE(le32toh(made->opened.flags) & QTFS_OPENED_CREATED);
  EXPECT_EQ(0644u, le32toh(made->entry.attr.mode));
  EXPECT_EQ(0, client_.write(le64toh(made->opened.open), 0, "text").err());
  EXPECT_EQ(EEXIST, client_.create(root_, "new", rw | QTFS_OPEN_EXCL).err());

  const auto again = client_.create(root_, "new", rw);
  ASSERT_EQ(0, again.err());
  EXPECT_FALSE(le32toh(again->opened.flags) & QTFS_OPENED_CREATED);
  EXPECT_EQ(made->entry.node, again->entry.node);
  EXPECT_EQ("text", dir_.read("new"));
  const auto cut = client_.create(root_, "new", rw | QTFS_OPEN_TRUNC);
  ASSERT_EQ(0, cut.err());
  EXPECT_EQ(0u, le64toh(cut->entry.attr.size));
}

TEST_F(Ops, CreateNeverFollowsASymlink) {
  dir_.write("target", "kept");
  ASSERT_EQ(0, symlink("target", dir_.path("link").c_str()));
  ASSERT_EQ(0, symlink("absent", dir_.path("dangling").c_str()));
  EXPECT_EQ(ELOOP, client_.create(root_, "link", rw | QTFS_OPEN_TRUNC).err());
  EXPECT_EQ(ELOOP, client_.create(root_, "dangling", rw).err());
  EXPECT_EQ("kept", dir_.read("target"));
  EXPECT_NE(0, access(dir_.path("absent").c_str(), F_OK));
  ASSERT_EQ(0, client_.mkdir(root_, "dir").err());
  EXPECT_EQ(EISDIR, client_.create(root_, "dir", rw).err());
}

TEST_F(Ops, AFileMayBeCreatedForWritingWithAModeThatForbidsIt) {
  const auto made = client_.create(root_, "new", rw, 0000, 0);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(0, client_.write(le64toh(made->opened.open), 0, "x").err());
}

TEST_F(Ops, TmpfileHasNoNameUntilItIsLinked) {
  const auto made = client_.tmpfile(root_, rw);
  if (made.err() == EOPNOTSUPP)
    GTEST_SKIP() << "filesystem without O_TMPFILE";
  ASSERT_EQ(0, made.err());
  ASSERT_EQ(0, client_.write(le64toh(made->opened.open), 0, "later").err());
  ASSERT_EQ(0, client_.link(id_of(made->entry), root_, "named").err());
  EXPECT_EQ("later", dir_.read("named"));
}

TEST_F(Ops, OpenByNameInsistsOnTheSameFile) {
  dir_.write("file", "one");
  const uint64_t node = lookup("file");
  EXPECT_EQ(0, client_.open_at(node, root_, "file", QTFS_OPEN_READ).err());
  dir_.write("other", "two");
  ASSERT_EQ(0, rename(dir_.path("other").c_str(), dir_.path("file").c_str()));
  EXPECT_EQ(ESTALE, client_.open_at(node, root_, "file", QTFS_OPEN_READ).err());
  ASSERT_EQ(0, unlink(dir_.path("file").c_str()));
  EXPECT_EQ(ESTALE, client_.open_at(node, root_, "file", QTFS_OPEN_READ).err());
}

TEST_F(Ops, OpenByNameNeitherFollowsNorWaitsForWhatCameInstead) {
  dir_.write("file", "one");
  const uint64_t node = lookup("file");
  ASSERT_EQ(0, rename(dir_.path("file").c_str(), dir_.path("moved").c_str()));
  ASSERT_EQ(0, mkfifo(dir_.path("file").c_str(), 0600));
  EXPECT_EQ(ESTALE, client_.open_at(node, root_, "file", QTFS_OPEN_READ).err());
  ASSERT_EQ(0, unlink(dir_.path("file").c_str()));
  ASSERT_EQ(0, symlink("moved", dir_.path("file").c_str()));
  EXPECT_EQ(ESTALE, client_.open_at(node, root_, "file", QTFS_OPEN_READ).err());
  EXPECT_EQ(0, client_.open_at(node, root_, "moved", QTFS_OPEN_READ).err());
}

TEST_F(Ops, OpenFlagsAreChecked) {
  dir_.write("file", "text");
  const uint64_t node = lookup("file");
  EXPECT_EQ(ENOTDIR, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY).err());
  EXPECT_EQ(EISDIR, client_.open(root_, rw).err());
  EXPECT_EQ(EINVAL, client_.open(node, QTFS_OPEN_READ | 0x8000).err());
  EXPECT_EQ(EINVAL, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_CREATE).err());
  EXPECT_EQ(0, client_.open(node, rw | QTFS_OPEN_TRUNC).err());
  EXPECT_EQ("", dir_.read("file"));
  const auto dir = client_.open(root_, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
  ASSERT_EQ(0, dir.err());
  EXPECT_EQ(EISDIR, client_.read(id_of(*dir), 0, 1).err());
}

TEST_F(Ops, AppendsGoToTheEndAndCachedWritesToTheirOffset) {
  dir_.write("file", "0123");
  const uint64_t file = open("file", rw | QTFS_OPEN_APPEND);
  const auto appended = client_.write(file, 0, "45");
  ASSERT_EQ(0, appended.err());
  EXPECT_EQ(6u, le64toh(appended->offset));
  EXPECT_EQ(6u, le64toh(appended->size));
  ASSERT_EQ(0, client_.write(file, 1, "X", QTFS_WRITE_CACHED).err());
  EXPECT_EQ("0X2345", dir_.read("file"));

  const uint64_t plain = open("file", rw);
  const auto again = client_.write(plain, 0, "67", QTFS_WRITE_APPEND);
  ASSERT_EQ(0, again.err());
  EXPECT_EQ(8u, le64toh(again->offset));
  EXPECT_EQ(0, client_.write(plain, 0, "A").err());
  EXPECT_EQ("AX234567", dir_.read("file"));
}

TEST_F(Ops, LargeReadsAndWritesArriveWhole) {
  std::string big(client_.io_max(), '\0');
  for (size_t i = 0; i < big.size(); i++)
    big[i] = static_cast<char>(i * 7 + i / 4096);
  const auto made = client_.create(root_, "big", rw);
  ASSERT_EQ(0, made.err());
  const uint64_t file = le64toh(made->opened.open);
  for (uint64_t i = 0; i < 3; i++) {
    const auto written = client_.write(file, i * big.size(), big);
    ASSERT_EQ(0, written.err());
    ASSERT_EQ(big.size(), le32toh(written->count));
  }
  EXPECT_EQ(big + big + big, dir_.read("big"));
  const auto read = client_.read(file, big.size(), client_.io_max());
  ASSERT_EQ(0, read.err());
  EXPECT_EQ(big, *read);
  const auto tail = client_.read(file, 3 * big.size() - 5, 100);
  EXPECT_EQ(big.substr(big.size() - 5), *tail);
}

// Whole pages in bulk leave by a pipe, the rest is copied: the bytes are the same.
TEST_F(Ops, BulkReadsAreExactWhereverTheyBegin) {
  std::mt19937 random(7);
  std::string text((3 << 20) + 12345, '\0');
  for (char& c : text)
    c = static_cast<char>(random());
  dir_.write("file", text);
  const uint64_t file = open("file", QTFS_OPEN_READ);
  for (int i = 0; i < 100; i++) {
    uint64_t offset = random() % text.size();
    if (i % 4)
      offset &= ~uint64_t{4095};
    const auto count = static_cast<uint32_t>(65536 + random() % (1 << 20));
    const auto got = client_.read(file, offset, count);
    ASSERT_EQ(0, got.err());
    ASSERT_TRUE(*got == text.substr(offset, std::min(count, client_.io_max()))) << offset;
  }
  EXPECT_LT(0u, stat_of(&Stats::spliced));
  EXPECT_EQ("", *client_.read(file, 4 << 20, 65536));
}

TEST_F(Ops, SyncIsOfEverything) {
  dir_.write("file", "old");
  const uint64_t file = open("file", rw);
  ASSERT_EQ(0, client_.write(file, 0, "new").err());
  EXPECT_EQ(0, client_.fsync(0, QTFS_FSYNC_ALL).err());
  EXPECT_EQ(EBADF, client_.fsync(0).err());
}

// A reader that takes its time, and one that goes in the middle of it.
TEST_F(Ops, BulkReadsInFlightHoldNobodyUp) {
  const std::string text(1 << 20, 'b');
  dir_.write("file", text);
  Client slow;
  connect(slow);
  const auto opened = slow.open(lookup_by(slow, "file"), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  const qtfs_wire_read body{opened->open, 0, htole32(1 << 20), 0};
  std::vector<uint64_t> tags;
  for (int i = 0; i < 40; i++)
    tags.push_back(*slow.send(QTFS_OP_READ, bytes_of(body)));
  for (int i = 0; i < 20; i++)
    EXPECT_EQ(text, *client_.read(open("file", QTFS_OPEN_READ), 0, 1 << 20));
  for (size_t i = 0; i < tags.size() / 2; i++) {
    const auto answer = slow.wait(tags[i]);
    ASSERT_EQ(0, answer.err());
    EXPECT_EQ(text, answer->text());
  }
  slow.close();
  while (engine_->sessions() != 1)
    usleep(1000);
  EXPECT_EQ(0, client_.ping().err());
}

// What shrinks while it is read: fewer bytes, never others, and the frames stay whole.
TEST_F(Ops, BulkReadsOfAFileThatShrinks) {
  const std::string text(1 << 20, 's');
  dir_.write("file", text);
  const uint64_t file = open("file", QTFS_OPEN_READ);
  std::atomic<bool> stop = false;
  std::thread other([&] {
    while (!stop) {
      EXPECT_EQ(0, truncate(dir_.path("file").c_str(), 70000));
      EXPECT_EQ(0, truncate(dir_.path("file").c_str(), 1 << 20));
    }
  });
  for (int i = 0; i < 200; i++) {
    const auto got = client_.read(file, 0, 1 << 20);
    EXPECT_EQ(0, got.err());
    EXPECT_LE(70000u, got->size());
    EXPECT_EQ(std::string::npos, got->find_first_not_of(std::string_view("s\0", 2)));
  }
  stop = true;
  other.join();
}

TEST_F(Ops, WritesThatDoNotFitSayWhy) {
  const auto made = client_.create(root_, "file", rw);
  ASSERT_EQ(0, made.err());
  const uint64_t file = le64toh(made->opened.open);
  EXPECT_EQ(EFBIG, client_.write(file, INT64_MAX - 2, "abc").err());
  EXPECT_EQ(EFBIG, client_.write(file, INT64_MAX - 10, "abc").err());
  EXPECT_EQ(0, client_.ping().err());
}

TEST_F(Ops, DirectAndSynchronousWrites) {
  const auto made = client_.create(root_, "file", rw | QTFS_OPEN_DIRECT);
  if (made.err() == EINVAL)
    GTEST_SKIP() << "filesystem without direct I/O";
  ASSERT_EQ(0, made.err());
  const uint64_t file = le64toh(made->opened.open);
  const std::string block(8192, 'd');
  EXPECT_EQ(0, client_.write(file, 0, block).err());
  EXPECT_EQ(block, *client_.read(file, 0, 8192));
  const std::string big(262144, 'e');
  EXPECT_EQ(0, client_.write(file, 8192, big).err());
  EXPECT_EQ(block + big, dir_.read("file"));
  const uint64_t other = open("file", rw);
  EXPECT_EQ(0, client_.write(other, 0, "sync", QTFS_WRITE_SYNC).err());
  EXPECT_EQ(0, client_.fsync(other).err());
  EXPECT_EQ(0, client_.fsync(other, QTFS_FSYNC_DATA).err());
}

TEST_F(Ops, HolesAreFound) {
  const auto made = client_.create(root_, "file", rw);
  ASSERT_EQ(0, made.err());
  const uint64_t file = le64toh(made->opened.open);
  const auto grown = client_.fallocate(file, 0, 1 << 20, 0);
  if (grown.err() == EOPNOTSUPP)
    GTEST_SKIP() << "filesystem without fallocate";
  ASSERT_EQ(0, grown.err());
  EXPECT_EQ(1u << 20, le64toh(grown->size));
  ASSERT_EQ(0, client_.write(file, 0, std::string(1 << 20, 'x')).err());
  ASSERT_EQ(
      0,
      client_.fallocate(file, 65536, 65536, QTFS_FALLOC_PUNCH_HOLE | QTFS_FALLOC_KEEP_SIZE).err());
  EXPECT_EQ(65536u, *client_.seek(file, 0, QTFS_SEEK_HOLE));
  EXPECT_EQ(131072u, *client_.seek(file, 65536, QTFS_SEEK_DATA));
  EXPECT_EQ(ENXIO, client_.seek(file, 1 << 21, QTFS_SEEK_DATA).err());
  EXPECT_EQ(EINVAL, client_.seek(file, 0, 9).err());
  EXPECT_EQ(EOPNOTSUPP, client_.fallocate(file, 0, 1, 0x1000).err());
}

TEST_F(Ops, CopiesAreMadeOnTheServer) {
  const std::string text(100000, 'c');
  dir_.write("from", text);
  const auto made = client_.create(root_, "to", rw);
  ASSERT_EQ(0, made.err());
  qtfs_wire_copy body{};
  body.from_open = htole64(open("from", QTFS_OPEN_READ));
  body.to_open = made->opened.open;
  body.length = htole64(200000);
  const auto copied = client_.copy(body);
  ASSERT_EQ(0, copied.err());
  EXPECT_EQ(100000u, le32toh(copied->count));
  EXPECT_EQ(text, dir_.read("to"));
  body.to_open = body.from_open;
  EXPECT_EQ(EBADF, client_.copy(body).err());
}

TEST_F(Ops, ExtendedAttributes) {
  dir_.write("file", "");
  const uint64_t node = lookup("file");
  if (client_.setxattr(node, "user.color", "blue").err() == EOPNOTSUPP)
    GTEST_SKIP() << "filesystem without user attributes";
  EXPECT_EQ("blue", *client_.getxattr(node, "user.color"));
  EXPECT_EQ(4u, *client_.xattr_size(node, "user.color"));
  EXPECT_EQ(ERANGE, client_.getxattr(node, "user.color", 2).err());
  EXPECT_EQ(EEXIST, client_.setxattr(node, "user.color", "red", QTFS_XATTR_CREATE).err());
  EXPECT_EQ(ENODATA, client_.setxattr(node, "user.none", "red", QTFS_XATTR_REPLACE).err());
  EXPECT_NE(std::string::npos, client_.listxattr(node)->find("user.color"));
  EXPECT_EQ(0, client_.removexattr(node, "user.color").err());
  EXPECT_EQ(ENODATA, client_.getxattr(node, "user.color").err());
  EXPECT_EQ(0, client_.setxattr(node, "trusted.mine", "root may").err());
}

TEST_F(Ops, ASymlinksAttributesAreItsOwn) {
  dir_.write("file", "");
  ASSERT_EQ(0, setxattr(dir_.path("file").c_str(), "trusted.of", "file", 4, 0));
  ASSERT_EQ(0, symlink("file", dir_.path("link").c_str()));
  ASSERT_EQ(0, lsetxattr(dir_.path("link").c_str(), "trusted.of", "link", 4, 0));
  EXPECT_EQ("link", *client_.getxattr(lookup("link"), "trusted.of"));
}

TEST_F(Ops, StatfsIsTheFilesystems) {
  const auto fs = client_.statfs(root_);
  ASSERT_EQ(0, fs.err());
  EXPECT_GT(le64toh(fs->blocks), 0u);
  EXPECT_EQ(255u, le32toh(fs->namelen));
  EXPECT_NE(0u, le64toh(fs->type));
}

TEST_F(Ops, WhatIsNotServedSaysSo) {
  EXPECT_EQ(EOPNOTSUPP, client_.call(QTFS_OP_WATCH, bytes_of(qtfs_wire_watch{}))->err());
  EXPECT_EQ(EOPNOTSUPP, client_.call(QTFS_OP_LEASE, bytes_of(qtfs_wire_lease{}))->err());
  EXPECT_EQ(EOPNOTSUPP, client_.call(999, {})->err());
  EXPECT_EQ(0, client_.ping().err());
}

TEST_F(Ops, AbandonUndoes) {
  dir_.write("file", "");
  const uint64_t file = open("file", QTFS_OPEN_READ);
  EXPECT_EQ(0, client_.abandon(QTFS_ABANDON_OPEN, file).err());
  EXPECT_EQ(0, client_.abandon(QTFS_ABANDON_OPEN, file).err());
  EXPECT_EQ(EBADF, client_.read(file, 0, 1).err());
  const auto entry = client_.lookup(root_, "file");
  EXPECT_EQ(0, client_.abandon(QTFS_ABANDON_NODE, id_of(*entry), le64toh(entry->stamp)).err());
  EXPECT_EQ(ESTALE, client_.getattr(id_of(*entry)).err());
}

TEST_F(Ops, ReleaseTellsAttributesAfterwards) {
  dir_.write("file", "");
  const uint64_t file = open("file", rw);
  ASSERT_EQ(0, client_.write(file, 0, "grown").err());
  const auto answer =
      client_.call(QTFS_OP_RELEASE,
                   bytes_of(qtfs_wire_release{htole64(file), 0, htole32(QTFS_RELEASE_ATTR), 0}));
  ASSERT_EQ(0, answer->err());
  EXPECT_EQ(5u, le64toh(answer->as<qtfs_wire_attr>().size));
}

TEST_F(Ops, AnUnlinkedFileLivesWhileItIsOpen) {
  dir_.write("file", "still here");
  const uint64_t file = open("file", QTFS_OPEN_READ);
  ASSERT_EQ(0, client_.unlink(root_, "file").err());
  EXPECT_EQ("still here", *client_.read(file, 0, 100));
}

TEST_F(Ops, RequestsWithoutReplyAreNotAnswered) {
  dir_.write("file", "");
  const uint64_t file = open("file", QTFS_OPEN_READ);
  const qtfs_wire_release body{htole64(file), 0, 0, 0};
  ASSERT_TRUE(client_.send(QTFS_OP_RELEASE, bytes_of(body), {}, QTFS_FRAME_NOREPLY).ok());
  EXPECT_EQ(EBADF, client_.read(file, 0, 1).err());
}

TEST_F(ReadOnly, NothingChanges) {
  dir_.write("file", "text");
  const uint64_t node = lookup("file");
  EXPECT_EQ("text", *client_.read_file(root_, "file"));
  EXPECT_EQ(EROFS, client_.open(node, rw).err());
  EXPECT_EQ(EROFS, client_.open(node, QTFS_OPEN_READ | QTFS_OPEN_TRUNC).err());
  EXPECT_EQ(EROFS, client_.create(root_, "new", rw).err());
  EXPECT_EQ(EEXIST, client_.create(root_, "file", rw | QTFS_OPEN_EXCL).err());
  EXPECT_EQ(0, client_.create(root_, "file", QTFS_OPEN_READ).err());
  EXPECT_EQ(EROFS, client_.tmpfile(root_, rw).err());
  EXPECT_EQ(EROFS, client_.mkdir(root_, "dir").err());
  EXPECT_EQ(EROFS, client_.mknod(root_, "fifo", QTFS_TYPE_FIFO, 0600).err());
  EXPECT_EQ(EROFS, client_.symlink(root_, "link", "file").err());
  EXPECT_EQ(EROFS, client_.link(node, root_, "hard").err());
  EXPECT_EQ(EROFS, client_.unlink(root_, "file").err());
  EXPECT_EQ(EROFS, client_.rmdir(root_, "file").err());
  EXPECT_EQ(EROFS, client_.rename(root_, "file", root_, "other").err());
  EXPECT_EQ(EROFS, client_.setxattr(node, "user.x", "y").err());
  EXPECT_EQ(EROFS, client_.removexattr(node, "user.x").err());
  qtfs_wire_setattr set{};
  set.node = htole64(node);
  set.valid = htole32(QTFS_SET_MODE);
  EXPECT_EQ(EROFS, client_.setattr(set).err());
  EXPECT_EQ(uint32_t{QTFS_MAY_READ | QTFS_MAY_KNOWN | QTFS_MAY_READONLY},
            *client_.access(node, QTFS_MAY_READ | QTFS_MAY_WRITE));
  EXPECT_TRUE(le32toh(client_.statfs(root_)->flags) & QTFS_STATFS_RDONLY);
}

TEST_F(Ops, AnAttachmentMayBeReadOnlyByItself) {
  dir_.write("file", "text");
  const auto entry = client_.attach(dir_.path(), QTFS_ATTACH_RDONLY);
  ASSERT_EQ(0, entry.err());
  EXPECT_EQ(EROFS, client_.mkdir(id_of(*entry), "dir").err());
  EXPECT_EQ(0, client_.mkdir(root_, "dir").err());
}

}  // namespace qtfs
