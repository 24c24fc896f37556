// SPDX-License-Identifier: GPL-2.0-only
// The netlink seam: attributes that may be anything, messages that belong together.
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <uapi/linux/qtfs.h>

#include <cstring>

#include "lib/qtfs_netlink.hh"

namespace qtfs::netlink {
namespace {

void put(Bytes& out, int type, const void* data, size_t len) {
  const nlattr head{.nla_len = static_cast<uint16_t>(NLA_HDRLEN + len),
                    .nla_type = static_cast<uint16_t>(type)};
  const size_t at = out.size();
  out.resize(at + NLA_ALIGN(head.nla_len));
  std::memcpy(out.data() + at, &head, sizeof(head));
  std::memcpy(out.data() + at + NLA_HDRLEN, data, len);
}

template <typename T>
void put(Bytes& out, int type, T value) {
  put(out, type, &value, sizeof(value));
}

TEST(Attributes, NumbersOfAnyWidthAndStrings) {
  Bytes bytes;
  put(bytes, 1, uint8_t{7});
  put(bytes, 2, uint16_t{700});
  put(bytes, 3, uint64_t{7'000'000'000});
  put(bytes, 4, "text", 5);
  put(bytes, 5, "unended", 7);
  const Attributes attributes(bytes);
  EXPECT_EQ(attributes.number(1), 7u);
  EXPECT_EQ(attributes.number(2), 700u);
  EXPECT_EQ(attributes.number(3), 7'000'000'000u);
  EXPECT_EQ(attributes.string(4), "text");
  EXPECT_EQ(attributes.string(5), "unended");
  EXPECT_FALSE(attributes.number(4));
  EXPECT_FALSE(attributes.number(9));
}

TEST(Attributes, MalformedReadsAsNothing) {
  Bytes bytes;
  put(bytes, 1, uint32_t{1});
  bytes[0] = std::byte{200};  // longer than the message
  EXPECT_FALSE(Attributes(bytes).number(1));
  bytes[0] = std::byte{2};  // shorter than its own header: would never advance
  EXPECT_FALSE(Attributes(bytes).number(1));
  EXPECT_FALSE(Attributes(std::span(bytes).first(3)).number(1));
}

TEST(Attributes, RequestReadsBack) {
  const Request request = Request().number(3, 42);
  EXPECT_EQ(Attributes(request.data()).number(3), 42u);
}

TEST(Extack, TextIsFound) {
  Bytes bytes;
  put(bytes, NLMSGERR_ATTR_OFFS, uint32_t{20});
  put(bytes, NLMSGERR_ATTR_MSG, "no such mount", 14);
  EXPECT_EQ(extack_text(bytes), "no such mount");
  EXPECT_EQ(extack_text({}), "");
}

TEST(Stats, OneMountOverSeveralMessages) {
  Bytes op;
  put(op, QTFS_A_OP_STATS_NAME, "read", 5);
  put(op, QTFS_A_OP_STATS_CALLS, uint64_t{3});
  const uint64_t latency[] = {0, 1, 2};
  put(op, QTFS_A_OP_STATS_LATENCY, latency, sizeof(latency));

  Bytes first, second;
  put(first, QTFS_A_STATS_MOUNT, uint32_t{4});
  put(first, QTFS_A_STATS_BYTES_SENT, uint64_t{100});
  put(first, QTFS_A_STATS_OP | NLA_F_NESTED, op.data(), op.size());
  put(second, QTFS_A_STATS_MOUNT, uint32_t{4});
  put(second, QTFS_A_STATS_OP | NLA_F_NESTED, op.data(), op.size());

  std::vector<MountStats> mounts;
  add_stats(mounts, Attributes(first));
  add_stats(mounts, Attributes(second));
  ASSERT_EQ(mounts.size(), 1u);
  ASSERT_EQ(mounts[0].counters.size(), 1u);
  EXPECT_EQ(mounts[0].counters[0].name, "bytes_sent");
  ASSERT_EQ(mounts[0].operations.size(), 2u);
  EXPECT_EQ(mounts[0].operations[1].name, "read");
  EXPECT_EQ(mounts[0].operations[1].latency, (std::vector<uint64_t>{0, 1, 2}));
}

TEST(LogLevel, NamesAndNumbers) {
  EXPECT_EQ(parse_log_level("none"), 0u);
  EXPECT_EQ(parse_log_level("debug"), 4u);
  EXPECT_EQ(parse_log_level("3"), 3u);
  for (const char* text : {"", "5", "-1", "+1", "1x", "Debug", " 1", "99999999999"})
    EXPECT_FALSE(parse_log_level(text)) << text;
  EXPECT_EQ(log_level_name(2), "warn");
  EXPECT_EQ(log_level_name(17), "17");
}

}  // namespace
}  // namespace qtfs::netlink
