// SPDX-License-Identifier: GPL-2.0-only
// mount.qtfs: the forms of a source, addresses, and the key's file.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "lib/mount_failure.hh"
#include "mount/key.hh"
#include "mount/resolve.hh"
#include "mount/source.hh"

namespace qtfs::mount {
namespace {

std::string shown(std::string_view text) {
  const Source source = parse_source(text);
  return source.channel + "|" + source.host + "|" + source.path;
}

TEST(ParseSource, Forms) {
  EXPECT_EQ(shown("/"), "||/");
  EXPECT_EQ(shown("/a:/b"), "||/a:/b");
  EXPECT_EQ(shown("10.0.0.1:/srv"), "|10.0.0.1|/srv");
  EXPECT_EQ(shown("filer.example:/"), "|filer.example|/");
  EXPECT_EQ(shown("[2001:db8::1]:/srv"), "|2001:db8::1|/srv");
  EXPECT_EQ(shown("[fe80::1%eth0]:/srv"), "|fe80::1%eth0|/srv");
  EXPECT_EQ(shown("tcp:filer:/srv"), "tcp|filer|/srv");
  EXPECT_EQ(shown("tcp:[::1]:/srv"), "tcp|::1|/srv");
  EXPECT_EQ(shown("tcp:/srv"), "|tcp|/srv");
  EXPECT_EQ(shown("vsock:2:/srv"), "vsock|2|/srv");
  EXPECT_EQ(shown("vsock:host:/"), "vsock|host|/");
  EXPECT_EQ(shown("vsock:/srv"), "|vsock|/srv");
  EXPECT_EQ(shown("vsockets:/srv"), "|vsockets|/srv");
  EXPECT_EQ(shown("host:/with:/colon"), "|host|/with:/colon");
}

TEST(ParseSource, WhatIsWrongIsSaid) {
  for (const char* text :
       {"", "srv", "host", "host:", "host:srv", ":/srv", "[::1]/srv", "[]:/srv", "[::1]:srv",
        "2001:db8::1:/srv", "[::1:/srv", "vsock:", "vsock:2", "vsock:2:srv", "vsock:2:12345:/srv"})
    EXPECT_THROW(parse_source(text), Failure) << text;
  try {
    parse_source("::1:/srv");
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_NE(std::string(failure.what()).find("[::1]:/srv"), std::string::npos);
    EXPECT_EQ(failure.status(), exit_usage);
  }
  try {
    parse_source("vsock:2:12345:/srv");
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_NE(std::string(failure.what()).find("port="), std::string::npos);
  }
}

TEST(Resolve, NumericAddressesStayThemselves) {
  EXPECT_EQ(resolve("10.1.2.3"), std::vector<std::string>{"10.1.2.3"});
  EXPECT_EQ(resolve("2001:db8::1"), std::vector<std::string>{"2001:db8::1"});
}

class ReadKey : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "keyXXXXXX";
    const int fd = mkstemp(name.data());
    ASSERT_GE(fd, 0);
    close(fd);
    path_ = name;
  }
  void TearDown() override { std::remove(path_.c_str()); }
  void write(std::string_view text, mode_t mode) {
    std::ofstream(path_, std::ios::binary) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }

  std::string path_;
};

TEST_F(ReadKey, ContentWithoutTheNewline) {
  write(std::string_view("s e\0cret\r\n", 10), 0600);
  EXPECT_EQ(read_key(path_), std::string("s e\0cret", 8));
  write("00ff", 0400);
  EXPECT_EQ(read_key(path_), "00ff");
}

TEST_F(ReadKey, RefusesWhatOthersCanUse) {
  for (const mode_t mode : {0604, 0640, 0620}) {
    write("secret\n", mode);
    EXPECT_THROW(read_key(path_), Failure) << mode;
  }
}

TEST_F(ReadKey, RefusesWhatIsNoKey) {
  write("\n", 0600);
  EXPECT_THROW(read_key(path_), Failure);
  write(std::string(5000, 'x'), 0600);
  EXPECT_THROW(read_key(path_), Failure);
  EXPECT_THROW(read_key(testing::TempDir()), Failure);
  EXPECT_THROW(read_key(path_ + ".absent"), Failure);
}

}  // namespace
}  // namespace qtfs::mount
