// SPDX-License-Identifier: GPL-2.0-only
// qtinfo: one tree, two views; and what mountinfo says.
#include <gtest/gtest.h>

#include <sstream>

#include "qtinfo/mountinfo.hh"
#include "qtinfo/render.hh"

namespace qtfs::qtinfo {
namespace {

TEST(Render, Units) {
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(20ull << 30), "20 GiB");
  EXPECT_EQ(human_ns(999), "999 ns");
  EXPECT_EQ(human_ns(2500), "2.5 us");
  EXPECT_EQ(human_ns(90'000'000'000), "90 s");
}

TEST(Render, ObjectIsAligned) {
  const Tree tree = {{"version", "1"}, {"server_ip", nullptr}, {"bytes_sent", 2048u}};
  EXPECT_EQ(render_text(tree, 80),
            "version:    1\n"
            "server ip:  -\n"
            "bytes sent: 2.0 KiB\n");
}

TEST(Render, TableWhereItFitsElseBlocks) {
  const Tree tree = {{{"id", 1u}, {"source", "/"}}, {{"id", 20u}, {"source", "host:/srv"}}};
  EXPECT_EQ(render_text(tree, 80),
            "ID  SOURCE\n"
            " 1  /\n"
            "20  host:/srv\n");
  EXPECT_EQ(render_text(tree, 8),
            "id:     1\n"
            "source: /\n"
            "\n"
            "id:     20\n"
            "source: host:/srv\n");
}

TEST(Render, NestedTableFollowsItsObject) {
  const Tree tree = {
      {"mount", 1u},
      {"operations", {{{"operation", "read"}, {"mean_ns", 1500u}, {"latency_log2_us", {0u, 3u}}}}}};
  EXPECT_EQ(render_text(tree, 80),
            "mount: 1\n"
            "\n"
            "OPERATION    MEAN\n"
            "read       1.5 us\n");
}

TEST(Render, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(render_text({{"path", "/a\x1b[31mb\n"}}, 80), "path: /a?[31mb?\n");
}

TEST(Render, JsonTakesAnyBytes) {
  EXPECT_EQ(render_text(Tree::array(), 80), "");
  EXPECT_EQ(render_json(Tree::array()), "[]\n");
  EXPECT_NE(render_json({{"path", "/\xff"}}).find("path"), std::string::npos);
}

TEST(MountInfo, QtfsLinesOnly) {
  const auto points = mount_points(
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "40 22 0:51 / /mnt/a\\040b rw,nosuid shared:9 master:1 - qtfs host:/ rw,port=1\n"
      "broken\n"
      "41 22 0:52 / /mnt/c rw - qtfs / rw\n");
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].where, "/mnt/a b");
  EXPECT_EQ(points[0].dev_minor, 51u);
  EXPECT_EQ(points[0].options, "rw,port=1");
  EXPECT_EQ(points[1].where, "/mnt/c");
}

}  // namespace
}  // namespace qtfs::qtinfo
