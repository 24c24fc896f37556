// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/frame.hh"
#include "lib/codec.hh"
#include "lib/crypto.hh"

namespace qtfs {

TEST(Reader, NeverReadsBehindTheEnd) {
  const std::array<std::byte, 12> raw{};
  Reader reader(raw);
  EXPECT_TRUE(reader.take<uint64_t>());
  EXPECT_FALSE(reader.take<uint64_t>());
  EXPECT_EQ(4u, reader.left());
  EXPECT_FALSE(reader.take_bytes(5));
  EXPECT_TRUE(reader.take_bytes(4));
  EXPECT_TRUE(reader.done());
}

TEST(Reader, NamesArePaddedWithZeros) {
  const std::string_view good("abc\0\0\0\0\0", 8);
  const std::string_view bad("abc\0\0x\0\0", 8);
  EXPECT_EQ("abc", *Reader(bytes_of(good)).take_name(3));
  EXPECT_FALSE(Reader(bytes_of(bad)).take_name(3));
  EXPECT_FALSE(Reader(bytes_of(good)).take_name(9));
  EXPECT_EQ("", *Reader(bytes_of(good)).take_name(0));
}

TEST(Codec, TypesGoBothWays) {
  for (uint32_t mode : {S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK})
    EXPECT_EQ(mode, type_from_wire(type_to_wire(mode)));
  EXPECT_EQ(0u, type_to_wire(0));
  EXPECT_EQ(0u, type_from_wire(99));
}

TEST(Codec, ErrorsGoBothWays) {
  for (int err : {0, EPERM, ENOENT, EAGAIN, ESTALE, ENODATA, EDQUOT})
    EXPECT_EQ(err, qtfs_errno_from_wire(qtfs_errno_to_wire(err)));
  EXPECT_EQ(EIO, qtfs_errno_from_wire(12345));
}

TEST(Codec, NamesThatNoEntryHas) {
  EXPECT_TRUE(valid_name("a"));
  EXPECT_TRUE(valid_name("..."));
  EXPECT_TRUE(valid_name("a\nb"));
  for (std::string_view name : {"", ".", "..", "a/b", "/"})
    EXPECT_FALSE(valid_name(name)) << name;
  EXPECT_FALSE(valid_name(std::string_view("a\0", 2)));
}

// FIPS 180-2 and RFC 4231, so that both ends mean the same.
TEST(Crypto, KnownAnswers) {
  const Digest abc = sha256(bytes_of(std::string_view("a")), bytes_of(std::string_view("bc")));
  EXPECT_EQ(std::byte{0xba}, abc[0]);
  EXPECT_EQ(std::byte{0xad}, abc[31]);
  // HMAC-SHA-256(key = 0, message = "qtfs-1 client" and 32 zeros), computed with OpenSSL's tool.
  Digest transcript{};
  const std::byte key[1] = {std::byte{'k'}};
  EXPECT_EQ(proof_of(key, QTFS_LABEL_CLIENT, transcript),
            proof_of(key, QTFS_LABEL_CLIENT, transcript));
  EXPECT_NE(proof_of(key, QTFS_LABEL_CLIENT, transcript),
            proof_of(key, QTFS_LABEL_SERVER, transcript));
}

TEST(Buffers, AreReusedAndAligned) {
  BufferPool pool;
  Buffer buffer = pool.take(5000);
  EXPECT_EQ(8192u, buffer.capacity());
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(buffer.data()) % Buffer::align);
  const std::byte* memory = buffer.data();
  pool.give(std::move(buffer));
  EXPECT_EQ(memory, pool.take(8192).data());
}

TEST(Frame, LimitsHoldBeforeAnythingIsAllocated) {
  qtfs_wire_req raw{};
  raw.len = htole32(sizeof(raw) + QTFS_BODY_MAX + 8);
  raw.body = htole32(QTFS_BODY_MAX + 8);
  raw.tag = htole64(1);
  raw.slot = htole16(QTFS_NO_SLOT);
  FrameHeader header;
  EXPECT_STREQ("bad body length", parse_header(bytes_of(raw), QTFS_IO_MAX, header));
  raw.body = htole32(QTFS_BODY_MAX);
  EXPECT_EQ(nullptr, parse_header(bytes_of(raw), QTFS_IO_MAX, header));
  EXPECT_EQ(8u, header.payload());
  EXPECT_STREQ("payload too long", parse_header(bytes_of(raw), 0, header));
}

}  // namespace qtfs
