// SPDX-License-Identifier: GPL-2.0-only
// mount.qtfs: which option is whose.
#include <gtest/gtest.h>
#include <linux/mount.h>

#include "lib/mount_failure.hh"
#include "lib/mount_options.hh"
#include "mount/remote.hh"

namespace qtfs::mount {
namespace {

std::string shown(const std::vector<Option>& options) {
  std::string out;
  for (const auto& option : options)
    out += "[" + option.key + (option.value ? "=" + *option.value : "") + "]";
  return out;
}

TEST(SplitOptions, CommasQuotesAndEmptyParts) {
  EXPECT_EQ(shown(split_options("ro,port=12345,,a=b=c,")), "[ro][port=12345][a=b=c]");
  EXPECT_EQ(shown(split_options("context=\"u:r:t:s0:c1,c2\",ro")), "[context=u:r:t:s0:c1,c2][ro]");
  EXPECT_EQ(shown(split_options("empty=")), "[empty=]");
  EXPECT_EQ(shown(split_options("")), "");
  EXPECT_THROW(split_options("a=\"b"), Failure);
}

TEST(ParseOptions, FilesystemOptionsPassInOrder) {
  const auto options = parse_options("rw,port=1,soft,timeo=5,unknown=x");
  EXPECT_EQ(shown(options.filesystem), "[rw][port=1][soft][timeo=5][unknown=x]");
}

TEST(ParseOptions, OwnOptionsDoNotReachTheFilesystem) {
  const auto options = parse_options("server=filer,trans=tcp,psk=/k,ro");
  EXPECT_EQ(options.server, "filer");
  EXPECT_EQ(options.channel, "tcp");
  EXPECT_EQ(options.key_file, "/k");
  EXPECT_EQ(shown(options.filesystem), "[ro]");
  EXPECT_EQ(parse_options("trans=vsock,port=4294967294").channel, "vsock");
  EXPECT_EQ(parse_options("psk-file=/k").key_file, "/k");
  EXPECT_THROW(parse_options("psk"), Failure);
  EXPECT_THROW(parse_options("server="), Failure);
}

TEST(ParseOptions, WhatIsForMountAndSystemdIsIgnored) {
  const auto options = parse_options(
      "addr=10.0.0.1:1,defaults,_netdev,nofail,noauto,x-systemd.automount,X-mount.mkdir,comment=a,"
      "user=joe");
  EXPECT_EQ(shown(options.filesystem), "");
}

TEST(ParseOptions, RemoteDevicesAreTheFilesystems) {
  const auto options = parse_options("nodev,dev=remote");
  EXPECT_EQ(shown(options.filesystem), "[dev=remote]");
  EXPECT_EQ(options.attributes, uint64_t{MOUNT_ATTR_NODEV});
  EXPECT_EQ(parse_options("nodev,dev").attributes, 0u);
}

TEST(ParseOptions, UserImpliesRestrictionsUntilLifted) {
  EXPECT_EQ(parse_options("user").attributes,
            uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC});
  EXPECT_EQ(parse_options("user,exec").attributes, uint64_t{MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV});
}

TEST(ParseOptions, LaterAttributesOverrideEarlierOnes) {
  EXPECT_EQ(parse_options("nosuid,suid").attributes, 0u);
  EXPECT_EQ(parse_options("noatime,strictatime").attributes, uint64_t{MOUNT_ATTR_STRICTATIME});
  EXPECT_EQ(parse_options("noatime,relatime").attributes, 0u);
  const auto ro = parse_options("ro");
  EXPECT_EQ(ro.attributes, uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(shown(ro.filesystem), "[ro]");
}

TEST(ParseOptions, RemountTakesBackWhatIsNotNamed) {
  const auto options = parse_options("remount,rw,nodev,noatime");
  EXPECT_TRUE(options.remount);
  EXPECT_EQ(options.attributes, uint64_t{MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME});
  EXPECT_EQ(options.attributes_clear,
            uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC |
                     MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR__ATIME});
  EXPECT_EQ(parse_options("remount,ro").attributes_clear & MOUNT_ATTR__ATIME, 0u);
}

TEST(ParseOptions, OfAnotherFilesystemMayHaveTheHelpersNames) {
  const auto options = parse_options(
      "ro,server=a,trans=rdma,remount,addr=10.0.0.1,user=bob,nofail,x-systemd.y=z", For::any);
  EXPECT_EQ(shown(options.filesystem),
            "[ro][server=a][trans=rdma][remount][addr=10.0.0.1][user=bob]");
  EXPECT_EQ(options.attributes, uint64_t{MOUNT_ATTR_RDONLY});
}

TEST(ParseRemote, WhatIsForTheServerStaysAsItWasWritten) {
  const auto remote = parse_remote("rw,remote,fstype=tmpfs,size=1g,context=\"a,b\",nosuid");
  ASSERT_TRUE(remote.has_value());
  EXPECT_EQ(remote->type, "tmpfs");
  EXPECT_EQ(remote->options, "rw,size=1g,context=\"a,b\",nosuid");
  EXPECT_FALSE(parse_remote("rw,fstype=tmpfs").has_value());
  EXPECT_THROW(parse_remote("remote"), Failure);
  EXPECT_THROW(parse_remote("remote,fstype="), Failure);
  EXPECT_THROW(parse_remote("remount,remote,fstype=tmpfs"), Failure);
}

}  // namespace
}  // namespace qtfs::mount
