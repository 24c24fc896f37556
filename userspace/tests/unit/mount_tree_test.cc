// SPDX-License-Identifier: GPL-2.0-only
// The machine's mounts while an engine serves them: what is unmounted, mounted, moved.
#include <sched.h>
#include <sys/mount.h>

#include <charconv>
#include <functional>

#include "lib/mountinfo.hh"
#include "tests/unit/program.hh"

namespace qtfs {

TEST(MountInfo, IsParsed) {
  const auto mounts = parse_mountinfo(
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
      "40 22 0:51 /sub /mnt/a\\040b\\134 rw,nosuid shared:9 master:1 - tmpfs  rw,size=1k\n"
      "broken\n");
  ASSERT_EQ(2u, mounts.size());
  EXPECT_EQ(22u, mounts[0].id);
  EXPECT_EQ(1u, mounts[0].parent);
  EXPECT_EQ("/", mounts[0].point);
  EXPECT_EQ("/dev/sda1", mounts[0].source);
  EXPECT_EQ("rw,errors=remount-ro", mounts[0].options);
  EXPECT_EQ("/mnt/a b\\", mounts[1].point);
  EXPECT_EQ("/sub", mounts[1].root);
  EXPECT_EQ("rw,nosuid", mounts[1].flags);
  EXPECT_EQ(51u, mounts[1].dev_minor);
  EXPECT_EQ("tmpfs", mounts[1].type);
}

class Mounted : public Program {
 protected:
  void SetUp() override {
    Program::SetUp();
    if (IsSkipped())
      return;
    for (const char* name : {"a", "b"})
      ASSERT_EQ(0, mkdir(path(name).c_str(), 0755));
    if (!mount_on("a", "one"))
      GTEST_SKIP() << "cannot mount";
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      EXPECT_EQ(0, wait_for(pid_).status) << dir_.read("stderr");
    }
    for (const char* name : {"a", "a", "b", "b"})
      umount2(path(name).c_str(), MNT_DETACH);
  }

  std::string path(const std::string& name) const { return dir_.path(name); }
  // A filesystem with one file, which says which it is.
  bool mount_on(const std::string& name, const std::string& text) {
    if (mount("none", path(name).c_str(), "tmpfs", 0, "mode=755") < 0)
      return false;
    dir_.write(name + "/file", text);
    return true;
  }
  void serve(const std::string& directory, const std::string& options = "") {
    pid_ = spawn({"64", "2", "--listen", "127.0.0.1:0", "--export", directory + options});
    const std::string_view word = "(port ";
    std::string text;
    size_t at = text.npos;
    while (text.find("threads") == text.npos) {
      ASSERT_EQ(0, waitpid(pid_, nullptr, WNOHANG)) << text;
      usleep(5000);
      text = dir_.read("stderr");
    }
    at = text.find(word) + word.size();
    uint16_t port = 0;
    std::from_chars(&text[at], &text[text.find(')', at)], port);
    ASSERT_TRUE(client_.connect("127.0.0.1", port).ok());
    ASSERT_EQ(0, client_.start().err());
    ASSERT_EQ(0, client_.add_cred({.id = 1}).err());
    client_.cred = 1;
    attach(directory);
  }
  void attach(const std::string& directory) {
    const auto entry = client_.attach(directory);
    ASSERT_EQ(0, entry.err());
    root_ = id_of(*entry);
  }
  std::string text_of(const std::string& name) {
    const auto text = client_.read_file(root_, name);
    return text ? *text : std::strerror(text.err());
  }
  // The engine hears of a change a moment after it.
  static bool soon(const std::function<bool()>& condition) {
    bool met = condition();
    for (int i = 0; i < 2000 && !met; i++) {
      usleep(5000);
      met = condition();
    }
    return met;
  }
  // In the engine's table.
  bool is_mounted(const std::string& name) {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/mountinfo");
    const auto mounts = parse_mountinfo(std::string(std::istreambuf_iterator<char>(in), {}));
    return std::any_of(mounts.begin(), mounts.end(),
                       [&](const auto& mount) { return mount.point == path(name); });
  }
  bool has_open(const std::string& prefix) {
    std::error_code error;
    const std::filesystem::directory_iterator fds("/proc/" + std::to_string(pid_) + "/fd");
    return std::any_of(begin(fds), end(fds), [&](const auto& entry) {
      return std::filesystem::read_symlink(entry, error).string().rfind(prefix, 0) == 0;
    });
  }

  pid_t pid_ = -1;
  Client client_;
  uint64_t root_ = 0;
};

TEST_F(Mounted, WhatClientsKnowKeepsNoMountBusy) {
  for (int i = 0; i < 100; i++)
    dir_.write("a/" + std::to_string(i), "x");
  serve(dir_.path());
  uint64_t file = 0;
  for (int i = 0; i < 100; i++) {
    const auto entry = client_.walk(root_, "a/" + std::to_string(i));
    ASSERT_EQ(0, entry.err());
    file = id_of(*entry);
  }
  EXPECT_EQ(0, client_.getattr(file).err());
  EXPECT_TRUE(is_mounted("a"));
  EXPECT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return !is_mounted("a"); }));
  EXPECT_TRUE(soon([&] { return client_.getattr(file).err() == ESTALE; }));
  EXPECT_EQ(ENOENT, client_.walk(root_, "a/file").err());
  // What is open by the name of the empty directory is the directory's own.
  EXPECT_TRUE(soon([&] { return !has_open(path("a") + "/"); }));
}

TEST_F(Mounted, WhatIsMountedLaterIsServed) {
  serve(dir_.path());
  EXPECT_EQ("one", text_of("a/file"));
  EXPECT_EQ(ENOENT, client_.walk(root_, "b/file").err());
  ASSERT_TRUE(mount_on("b", "two"));
  EXPECT_TRUE(soon([&] { return text_of("b/file") == "two"; }));
  const auto entry = client_.lookup(root_, "b");
  EXPECT_TRUE(entry.ok() && (le32toh(entry->attr.flags) & QTFS_ATTR_MOUNT_ROOT));
  // Over each other, and away again.
  ASSERT_TRUE(mount_on("b", "three"));
  EXPECT_TRUE(soon([&] { return text_of("b/file") == "three"; }));
  ASSERT_EQ(0, umount2(path("b").c_str(), 0));
  EXPECT_TRUE(soon([&] { return text_of("b/file") == "two"; }));
  ASSERT_EQ(0, umount2(path("b").c_str(), 0));
  EXPECT_TRUE(soon([&] { return client_.walk(root_, "b/file").err() == ENOENT; }));
  EXPECT_EQ("one", text_of("a/file"));
}

TEST_F(Mounted, ChangesAreTold) {
  client_.features |= QTFS_FEATURE_MOUNTS;
  serve(dir_.path());
  // Others on this machine mount things, too.
  const auto told_until = [&](const std::function<bool()>& condition) {
    do {
      const auto push = client_.push();
      if (!push || le16toh(push->header.op) != QTFS_OP_PUSH_MOUNTS)
        return false;
    } while (!condition());
    return true;
  };
  for (int i = 0; i < 3; i++) {
    ASSERT_TRUE(mount_on("b", "two"));
    ASSERT_TRUE(told_until([&] { return text_of("b/file") == "two"; }));
    ASSERT_EQ(0, umount2(path("b").c_str(), 0));
    ASSERT_TRUE(told_until([&] { return client_.walk(root_, "b/file").err() == ENOENT; }));
  }
}

TEST_F(Mounted, OneInThePlaceOfAnother) {
  serve(dir_.path());
  // The second has the first one's number, as likely as not.
  for (int i = 0; i < 20; i++) {
    EXPECT_TRUE(soon([&] { return text_of("a/file") == (i ? std::to_string(i) : "one"); }));
    ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
    ASSERT_TRUE(mount_on("a", std::to_string(i + 1)));
  }
}

// What is hidden, and was so before the engine began, is not forgotten.
TEST_F(Mounted, OverEachOther) {
  ASSERT_EQ(0, mkdir(path("a/in").c_str(), 0755));
  ASSERT_TRUE(mount_on("a/in", "below"));
  ASSERT_TRUE(mount_on("a", "above"));
  serve(dir_.path());
  EXPECT_EQ("above", text_of("a/file"));
  ASSERT_TRUE(mount_on("a", "top"));
  EXPECT_TRUE(soon([&] { return text_of("a/file") == "top"; }));
  for (const char* text : {"above", "one"}) {
    ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
    EXPECT_TRUE(soon([&] { return text_of("a/file") == text; })) << text;
  }
  EXPECT_TRUE(soon([&] { return text_of("a/in/file") == "below"; }));
  ASSERT_EQ(0, umount2(path("a/in").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return client_.walk(root_, "a/in/file").err() == ENOENT; }));
  EXPECT_TRUE(soon([&] { return !is_mounted("a/in"); }));
  // Covered, uncovered, and gone at last.
  ASSERT_TRUE(mount_on("a/in", "again"));
  EXPECT_TRUE(soon([&] { return text_of("a/in/file") == "again"; }));
  ASSERT_TRUE(mount_on("a", "cover"));
  EXPECT_TRUE(soon([&] { return text_of("a/file") == "cover"; }));
  ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return text_of("a/in/file") == "again"; }));
  ASSERT_EQ(0, umount2(path("a/in").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return !is_mounted("a/in"); }));
  EXPECT_EQ("one", text_of("a/file"));
}

class TwoAtProc : public Mounted {
 protected:
  bool prepare() override {
    return unshare(CLONE_NEWNS) == 0 &&
           mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("proc", "/proc", "proc", 0, nullptr) == 0 &&
           mount("proc", "/proc", "proc", 0, nullptr) == 0;
  }
};

// None of them is kept when the engine's own table is made.
TEST_F(TwoAtProc, TheEngineStarts) {
  serve(dir_.path());
  EXPECT_EQ("one", text_of("a/file"));
  EXPECT_TRUE(is_mounted("a"));
}

// Both before anybody looks.
TEST_F(Mounted, TwoOverEachOtherGoAtOnce) {
  serve(dir_.path());
  for (int i = 0; i < 20; i++) {
    ASSERT_TRUE(mount_on("a", "top"));
    ASSERT_TRUE(soon([&] { return text_of("a/file") == "top"; }));
    for (int both = 0; both < 2; both++)
      ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
    ASSERT_TRUE(soon([&] { return !is_mounted("a"); })) << i;
    ASSERT_TRUE(mount_on("a", "one"));
    ASSERT_TRUE(soon([&] { return text_of("a/file") == "one"; }));
  }
}

TEST_F(Mounted, ADirectoryAboveIsRenamed) {
  ASSERT_EQ(0, mkdir(path("dir").c_str(), 0755));
  ASSERT_EQ(0, mkdir(path("dir/m").c_str(), 0755));
  ASSERT_TRUE(mount_on("dir/m", "inside"));
  serve(dir_.path());
  EXPECT_EQ("inside", text_of("dir/m/file"));
  ASSERT_EQ(0, rename(path("dir").c_str(), path("renamed").c_str())) << std::strerror(errno);
  EXPECT_EQ("inside", text_of("renamed/m/file"));
  ASSERT_TRUE(mount_on("b", "two"));  // nothing tells of a rename
  EXPECT_TRUE(soon([&] { return text_of("b/file") == "two"; }));
  EXPECT_TRUE(soon([&] { return text_of("renamed/m/file") == "inside"; }));
  ASSERT_EQ(0, umount2(path("renamed/m").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return !is_mounted("renamed/m"); }));
}

TEST_F(Mounted, MovesAreFollowed) {
  if (mount("none", dir_.path("b").c_str(), "tmpfs", 0, "mode=755") < 0 ||
      mount(nullptr, dir_.path("b").c_str(), nullptr, MS_PRIVATE, nullptr) < 0)
    GTEST_SKIP() << "cannot mount";
  for (const char* name : {"b/from", "b/to"})
    ASSERT_EQ(0, mkdir(path(name).c_str(), 0755));
  ASSERT_TRUE(mount_on("b/from", "moving"));
  serve(dir_.path());
  EXPECT_EQ("moving", text_of("b/from/file"));
  ASSERT_EQ(0, mount(path("b/from").c_str(), path("b/to").c_str(), nullptr, MS_MOVE, nullptr))
      << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return text_of("b/to/file") == "moving"; }));
  EXPECT_TRUE(soon([&] { return client_.walk(root_, "b/from/file").err() == ENOENT; }));
  // A tree of them goes at once.
  ASSERT_EQ(0, umount2(path("b").c_str(), MNT_DETACH));
  EXPECT_TRUE(soon([&] { return !is_mounted("b/to") && !is_mounted("b"); }));
}

TEST_F(Mounted, FlagsAreFollowed) {
  serve(dir_.path());
  const auto dir = client_.lookup(root_, "a");
  ASSERT_EQ(0, dir.err());
  EXPECT_EQ(0, client_.mkdir(id_of(*dir), "before").err());
  ASSERT_EQ(0, mount(nullptr, path("a").c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, ""));
  int number = 0;
  EXPECT_TRUE(soon(
      [&] { return client_.mkdir(id_of(*dir), "n" + std::to_string(number++)).err() == EROFS; }));
  ASSERT_EQ(0, mount(nullptr, path("a").c_str(), nullptr, MS_REMOUNT | MS_BIND, ""));
  EXPECT_TRUE(soon([&] { return client_.mkdir(id_of(*dir), "after").err() == 0; }));
}

// A mount as a client asks for it: the error, and what was said.
struct Said {
  int err = 0;
  std::string text;
};

class Remote : public Mounted {
 protected:
  Said ask(uint16_t op, uint64_t node, const std::string& payload) {
    qtfs_wire_mount body{};
    body.node = htole64(node);
    const auto answer = client_.call(op, bytes_of(body), bytes_of(std::string_view(payload)));
    if (!answer || answer->err())
      return {answer ? answer->err() : answer.err(), "status"};
    return {
        qtfs_errno_from_wire(le32toh(answer->as<qtfs_wire_mount_rep>().error)),
        std::string(reinterpret_cast<const char*>(answer->payload.data()), answer->payload.size())};
  }
  Said mount_there(const std::string& name, const std::string& type, const std::string& options) {
    const auto dir = client_.walk(root_, name);
    return dir ? ask(QTFS_OP_MOUNT, id_of(*dir), type + '\0' + "none" + '\0' + options + '\0')
               : Said{dir.err(), "walk"};
  }
  Said unmount_there(const std::string& name) {
    const auto dir = client_.walk(root_, name);
    return dir ? ask(QTFS_OP_UMOUNT, id_of(*dir), "") : Said{dir.err(), "walk"};
  }
  bool on_machine(const std::string& name) const {
    std::ifstream in("/proc/self/mountinfo");
    const auto mounts = parse_mountinfo(std::string(std::istreambuf_iterator<char>(in), {}));
    return std::any_of(mounts.begin(), mounts.end(),
                       [&](const auto& mount) { return mount.point == path(name); });
  }
};

TEST_F(Remote, MountsAreTheMachinesAndGoAgain) {
  serve(dir_.path(), ",allow-mount");
  const Said made = mount_there("b", "tmpfs", "size=64k,mode=711,nosuid");
  ASSERT_EQ(0, made.err) << made.text;
  EXPECT_TRUE(on_machine("b"));
  dir_.write("b/file", "there");
  EXPECT_EQ("there", text_of("b/file"));  // at once
  struct stat st {};
  ASSERT_EQ(0, stat(path("b").c_str(), &st));
  EXPECT_EQ(0711u, st.st_mode & 0777);
  const Said gone = unmount_there("b");
  EXPECT_EQ(0, gone.err) << gone.text;
  EXPECT_FALSE(on_machine("b"));
  EXPECT_EQ(ENOENT, client_.walk(root_, "b/file").err());
}

TEST_F(Remote, IsRefusedUnlessTheExportAndTheCallerMay) {
  serve(dir_.path());
  const Said refused = mount_there("b", "tmpfs", "");
  EXPECT_EQ(EPERM, refused.err);
  EXPECT_NE(refused.text.npos, refused.text.find("allow-mount")) << refused.text;
  EXPECT_FALSE(on_machine("b"));
}

TEST_F(Remote, TheCallerNeedsTheCapability) {
  serve(dir_.path(), ",allow-mount");
  ASSERT_EQ(0, client_.add_cred({.id = 2, .caps = ~(uint64_t{1} << QTFS_CAP_SYS_ADMIN)}).err());
  client_.cred = 2;
  EXPECT_EQ(EPERM, mount_there("b", "tmpfs", "").err);
  EXPECT_FALSE(on_machine("b"));
}

TEST_F(Remote, OnlyOnesOwnIsUnmounted) {
  serve(dir_.path(), ",allow-mount");
  EXPECT_EQ(EPERM, unmount_there("a").err);
  EXPECT_TRUE(on_machine("a"));
  ASSERT_EQ(0, mount_there("b", "tmpfs", "").err);
  ASSERT_TRUE(mount_on("b", "somebody else's"));
  EXPECT_TRUE(soon([&] { return text_of("b/file") == "somebody else's"; }));
  EXPECT_EQ(EPERM, unmount_there("b").err);
  EXPECT_EQ("somebody else's", text_of("b/file"));
  ASSERT_EQ(0, umount2(path("b").c_str(), 0));
  EXPECT_TRUE(soon([&] { return unmount_there("b").err == 0; }));
}

TEST_F(Remote, TheKernelsWordsCome) {
  serve(dir_.path(), ",allow-mount");
  const Said wrong = mount_there("b", "tmpfs", "nonsense=1");
  EXPECT_EQ(EINVAL, wrong.err);
  EXPECT_NE(wrong.text.npos, wrong.text.find("nonsense")) << wrong.text;
  EXPECT_EQ(ENODEV, mount_there("b", "nosuchfs", "").err);
  EXPECT_EQ(EINVAL, mount_there("b", "tmpfs", "a=\"b").err);
  EXPECT_FALSE(on_machine("b"));
}

TEST_F(Remote, WhatIsNoRequestEndsTheConnection) {
  serve(dir_.path(), ",allow-mount");
  const auto dir = client_.walk(root_, "b");
  ASSERT_EQ(0, dir.err());
  const Said bad = ask(QTFS_OP_MOUNT, id_of(*dir), std::string("tmpfs\0none", 10));
  EXPECT_EQ(EPROTO, bad.err) << bad.text;
  EXPECT_FALSE(on_machine("b"));
}

TEST_F(Mounted, AnExportFollowsItsPath) {
  serve(path("a"));
  EXPECT_EQ("one", text_of("file"));
  ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return client_.getattr(root_).err() == ESTALE; }));
  attach(path("a"));
  EXPECT_EQ(ENOENT, client_.walk(root_, "file").err());
  ASSERT_TRUE(mount_on("a", "another"));
  EXPECT_TRUE(soon([&] {
    attach(path("a"));
    return text_of("file") == "another";
  }));
}

TEST_F(Mounted, WhatIsOpenStaysSo) {
  serve(dir_.path());
  const auto entry = client_.walk(root_, "a/file");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  ASSERT_EQ(0, umount2(path("a").c_str(), 0)) << std::strerror(errno);
  EXPECT_TRUE(soon([&] { return !is_mounted("a"); }));
  const auto data = client_.read(id_of(*opened), 0, 100);
  ASSERT_EQ(0, data.err());
  EXPECT_EQ(3u, data->size());
  EXPECT_EQ(0, client_.release(id_of(*opened)).err());
}

}  // namespace qtfs
