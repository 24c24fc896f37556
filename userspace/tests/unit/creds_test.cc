// SPDX-License-Identifier: GPL-2.0-only
// Acting as the caller: what fails locally fails through the engine, with the same error.
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

constexpr uint32_t user = 2;       // uid 1000, no capabilities
constexpr uint32_t tame_root = 3;  // uid 0, no capabilities
constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;

}  // namespace

class Callers : public EngineTest {
 protected:
  void configure(Config& config) override {
    config.exports = {{.path = "/", .name = "root"}};
    chmod(dir_.path().c_str(), 0777);
  }
  void SetUp() override {
    EngineTest::SetUp();
    if (!engine_)
      return;
    ASSERT_EQ(
        0,
        client_.add_cred({.id = user, .uid = 1000, .gid = 1000, .groups = {1000, 2000}, .caps = 0})
            .err());
    ASSERT_EQ(0, client_.add_cred({.id = tame_root, .caps = 0}).err());
    const auto slash = client_.attach("/");
    ASSERT_EQ(0, slash.err());
    slash_ = id_of(*slash);
  }
  int open_err(std::string_view path, uint32_t flags) {
    const auto entry = client_.walk(slash_, path);
    if (!entry)
      return entry.err();
    return client_.open(id_of(*entry), flags).err();
  }
  uint64_t slash_ = 0;
};

TEST_F(Callers, AUserCannotWriteSysctls) {
  client_.cred = user;
  EXPECT_EQ(EACCES, open_err("proc/sys/vm/swappiness", QTFS_OPEN_WRITE));
  EXPECT_EQ(0, open_err("proc/sys/vm/swappiness", QTFS_OPEN_READ));
  client_.cred = 1;
  EXPECT_EQ(0, open_err("proc/sys/vm/swappiness", QTFS_OPEN_WRITE));
}

// Opened by root, written by another: /proc/sys asks the writer... and the engine acts as him.
TEST_F(Callers, TheWriterCountsNotTheOpener) {
  const auto entry = client_.walk(slash_, "proc/sys/kernel/hostname");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), rw);
  ASSERT_EQ(0, opened.err());
  const auto name = client_.read(id_of(*opened), 0, 100);
  ASSERT_EQ(0, name.err());
  client_.cred = user;
  const int err = client_.write(id_of(*opened), 0, *name).err();
  EXPECT_TRUE(err == EPERM || err == EACCES) << err;
  client_.cred = 1;
  EXPECT_EQ(0, client_.write(id_of(*opened), 0, *name).err());
}

TEST_F(Callers, AUserCannotSetTrustedAttributes) {
  dir_.write("file", "");
  ASSERT_EQ(0, chown(dir_.path("file").c_str(), 1000, 1000));
  ASSERT_EQ(0, setxattr(dir_.path("file").c_str(), "trusted.x", "y", 1, 0));
  const uint64_t node = lookup("file");
  client_.cred = user;
  EXPECT_EQ(EPERM, client_.setxattr(node, "trusted.y", "z").err());
  EXPECT_EQ(ENODATA, client_.getxattr(node, "trusted.x").err());
  EXPECT_EQ(std::string::npos, client_.listxattr(node)->find("trusted."));
  EXPECT_EQ(0, client_.setxattr(node, "user.mine", "z").err());
}

TEST_F(Callers, AUserCannotLookIntoAnothersProcess) {
  client_.cred = user;
  const auto maps = client_.walk(slash_, "proc/1/maps");
  ASSERT_EQ(0, maps.err());
  EXPECT_EQ(EACCES, client_.open(id_of(*maps), QTFS_OPEN_READ).err());
  const auto exe = client_.walk(slash_, "proc/1/exe");
  ASSERT_EQ(0, exe.err());
  const int err = client_.readlink(id_of(*exe)).err();
  EXPECT_TRUE(err == EACCES || err == EPERM) << err;
  EXPECT_EQ(EACCES, client_.walk(slash_, "proc/1/fd/0").err());
}

// The kernel would let the engine's thread look at its own process, whoever it acts as.
TEST_F(Callers, AUserCannotLookIntoTheEngine) {
  const std::string own = "proc/" + std::to_string(getpid());
  // As root first: that root knows the nodes must not help the user.
  const auto maps = client_.walk(slash_, own + "/maps");
  const auto fds = client_.walk(slash_, own + "/fd");
  const auto exe = client_.walk(slash_, own + "/exe");
  ASSERT_EQ(0, maps.err());
  ASSERT_EQ(0, fds.err());
  ASSERT_EQ(0, exe.err());
  EXPECT_EQ(0, client_.readlink(id_of(*exe)).err());
  client_.cred = user;
  EXPECT_EQ(EACCES, client_.open(id_of(*maps), QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(id_of(*fds), QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY).err());
  EXPECT_EQ(EACCES, client_.readlink(id_of(*exe)).err());
  EXPECT_EQ(EACCES, client_.walk(slash_, own + "/fd/0").err());
  EXPECT_EQ(EACCES, client_.walk(slash_, own + "/task/" + std::to_string(getpid())).err());
  EXPECT_EQ(0, client_.read_file(slash_, own + "/status").err());
  for (const char* spelling : {"/", "//", "/./"})
    EXPECT_EQ(EACCES, client_.attach(spelling + own).err()) << spelling;
}

// An engine in a container, with a procfs that shows it under another number.
class Contained : public Callers {
 public:
  int run() {
    Callers::SetUp();
    char own[32] = {};
    if (HasFatalFailure() || readlink("/proc/self", own, sizeof(own) - 1) <= 0)
      return 1;
    client_.cred = user;
    const std::string there = std::string("proc/") + own;
    EXPECT_NE(std::to_string(getpid()), own);
    EXPECT_EQ(EACCES, open_err(there + "/maps", QTFS_OPEN_READ));
    EXPECT_EQ(EACCES, client_.attach("/" + there).err());
    return HasFailure() ? 1 : 0;
  }

 protected:
  void SetUp() override {}
  void TestBody() override {}
};

TEST(Namespaces, AUserCannotLookIntoAContainedEngine) {
  if (geteuid() != 0)
    GTEST_SKIP() << "needs root";
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWPID) < 0)
      _exit(77);
    // Only children are in the new namespace.
    const pid_t first = fork();
    if (first == 0)
      _exit(Contained().run());
    int status = 0;
    waitpid(first, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "no PID namespaces here";
  EXPECT_EQ(0, status);
}

// procfs hides processes by whom it is asked.
TEST_F(Callers, AttributesAreTheCallersToSee) {
  mkdir(dir_.path("proc").c_str(), 0755);
  if (mount("proc", dir_.path("proc").c_str(), "proc", 0, "hidepid=2") < 0)
    GTEST_SKIP() << "cannot mount procfs";
  const auto init = client_.walk(slash_, dir_.path("proc").substr(1) + "/1");
  EXPECT_EQ(0, init.err());
  if (init.ok()) {
    EXPECT_EQ(0, client_.getattr(id_of(*init)).err());
    client_.cred = user;
    EXPECT_EQ(ENOENT, client_.getattr(id_of(*init)).err());
  }
  umount2(dir_.path("proc").c_str(), MNT_DETACH);
}

TEST_F(Callers, UnknownCredentialsAreRefused) {
  client_.cred = 99;
  EXPECT_EQ(ENOKEY, client_.getattr(slash_).err());
  EXPECT_EQ(ENOKEY, client_.statfs(slash_).err());
}

TEST_F(Callers, FilesOfOthersStayClosed) {
  dir_.write("private", "root's");
  ASSERT_EQ(0, chmod(dir_.path("private").c_str(), 0600));
  mkdir(dir_.path("closed").c_str(), 0700);
  dir_.write("closed/file", "x");
  const uint64_t node = lookup("private");
  const uint64_t closed = lookup("closed");
  client_.cred = user;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_WRITE).err());
  EXPECT_EQ(EACCES, client_.open_at(node, root_, "private", QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.create(root_, "private", QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.lookup(closed, "file").err());
  EXPECT_EQ(EACCES, client_.mkdir(closed, "dir").err());
  EXPECT_EQ(EACCES, client_.unlink(closed, "file").err());
  EXPECT_EQ(EACCES, client_.open(closed, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY).err());
  qtfs_wire_setattr set{};
  set.node = htole64(node);
  set.valid = htole32(QTFS_SET_MODE);
  set.mode = htole32(0777);
  EXPECT_EQ(EPERM, client_.setattr(set).err());
  set.valid = htole32(QTFS_SET_SIZE);
  EXPECT_EQ(EACCES, client_.setattr(set).err());
  set.valid = htole32(QTFS_SET_MTIME_NOW | QTFS_SET_ATIME_NOW);
  EXPECT_EQ(EACCES, client_.setattr(set).err());
  set.valid = htole32(QTFS_SET_MTIME);
  EXPECT_EQ(EPERM, client_.setattr(set).err());
  EXPECT_EQ(uint32_t{QTFS_MAY_KNOWN}, *client_.access(node, QTFS_MAY_READ | QTFS_MAY_WRITE));
  EXPECT_EQ("root's", dir_.read("private"));
}

TEST_F(Callers, AUserCannotGiveFilesAway) {
  client_.cred = user;
  const auto made = client_.create(root_, "mine", rw);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(1000u, le32toh(made->entry.attr.uid));
  EXPECT_EQ(1000u, le32toh(made->entry.attr.gid));
  qtfs_wire_setattr set{};
  set.node = made->entry.node;
  set.valid = htole32(QTFS_SET_UID);
  set.uid = htole32(1001);
  EXPECT_EQ(EPERM, client_.setattr(set).err());
  set.valid = htole32(QTFS_SET_GID);
  set.gid = htole32(2000);
  EXPECT_EQ(0, client_.setattr(set).err());
  set.gid = htole32(3000);
  EXPECT_EQ(EPERM, client_.setattr(set).err());
}

TEST_F(Callers, AUserCannotMakeDevices) {
  client_.cred = user;
  EXPECT_EQ(EPERM, client_.mknod(root_, "null", QTFS_TYPE_CHR, 0666, 1, 3).err());
  EXPECT_EQ(0, client_.mknod(root_, "fifo", QTFS_TYPE_FIFO, 0666).err());
}

TEST_F(Callers, SupplementaryGroupsCount) {
  dir_.write("shared", "group 2000");
  ASSERT_EQ(0, chown(dir_.path("shared").c_str(), 0, 2000));
  ASSERT_EQ(0, chmod(dir_.path("shared").c_str(), 0640));
  const uint64_t node = lookup("shared");
  client_.cred = user;
  EXPECT_EQ(0, client_.open(node, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_WRITE).err());
  ASSERT_EQ(0, client_.add_cred({.id = 9, .uid = 1000, .gid = 1000, .caps = 0}).err());
  client_.cred = 9;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
}

TEST_F(Callers, RootWithoutCapabilitiesIsNotAlmighty) {
  dir_.write("shut", "x");
  ASSERT_EQ(0, chown(dir_.path("shut").c_str(), 1000, 1000));
  ASSERT_EQ(0, chmod(dir_.path("shut").c_str(), 0000));
  const uint64_t node = lookup("shut");
  client_.cred = tame_root;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  EXPECT_EQ(EPERM, client_.mknod(root_, "null", QTFS_TYPE_CHR, 0666, 1, 3).err());
  EXPECT_EQ(EPERM, client_.setxattr(node, "trusted.x", "y").err());
  ASSERT_EQ(0, client_.add_cred({.id = 9, .caps = 1ull << QTFS_CAP_DAC_OVERRIDE}).err());
  client_.cred = 9;
  EXPECT_EQ(0, client_.open(node, QTFS_OPEN_READ).err());
}

TEST_F(Callers, ExecutionNeedsNoReadPermission) {
  dir_.write("program", "#!/bin/true");
  ASSERT_EQ(0, chmod(dir_.path("program").c_str(), 0711));
  const uint64_t node = lookup("program");
  client_.cred = user;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  const auto opened = client_.open(node, QTFS_OPEN_EXEC);
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ("#!/bin/true", *client_.read(id_of(*opened), 0, 100));
  ASSERT_EQ(0, chmod(dir_.path("program").c_str(), 0744));
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_EXEC).err());
  // And afterwards the thread is the user again.
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_WRITE).err());
}

TEST_F(Callers, WritingClearsSetIdBits) {
  dir_.write("suid", "x");
  ASSERT_EQ(0, chown(dir_.path("suid").c_str(), 1000, 1000));
  ASSERT_EQ(0, chmod(dir_.path("suid").c_str(), 04777));
  const uint64_t node = lookup("suid");
  client_.cred = user;
  const auto opened = client_.open(node, rw);
  ASSERT_EQ(0, opened.err());
  ASSERT_EQ(0, client_.write(id_of(*opened), 0, "y").err());
  EXPECT_EQ(0777u, le32toh(client_.getattr(node)->mode));
}

TEST_F(Callers, ADefaultAclOverridesTheUmask) {
  mkdir(dir_.path("acl").c_str(), 0777);
  chmod(dir_.path("acl").c_str(), 0777);
  // user::rwx group::rwx other::r-x, as a default; the layout of POSIX ACL attributes.
  const unsigned char acl[] = {2,    0,    0, 0, 1,    0,    7,    0,    0xff, 0xff,
                               0xff, 0xff, 4, 0, 7,    0,    0xff, 0xff, 0xff, 0xff,
                               0x20, 0,    5, 0, 0xff, 0xff, 0xff, 0xff};
  if (setxattr(dir_.path("acl").c_str(), "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
    GTEST_SKIP() << "filesystem without ACLs";
  const uint64_t with = lookup("acl");
  client_.cred = user;
  EXPECT_EQ(0775u, le32toh(client_.mkdir(with, "dir", 0777, 077)->attr.mode));
  EXPECT_EQ(0664u, le32toh(client_.create(with, "file", rw, 0666, 077)->entry.attr.mode));
  EXPECT_EQ(0700u, le32toh(client_.mkdir(root_, "dir", 0777, 077)->attr.mode));
  EXPECT_EQ(0600u, le32toh(client_.create(root_, "file", rw, 0666, 077)->entry.attr.mode));
}

TEST_F(Callers, StickyDirectoriesProtect) {
  mkdir(dir_.path("tmp").c_str(), 0755);
  chmod(dir_.path("tmp").c_str(), 01777);
  dir_.write("tmp/theirs", "x");
  const uint64_t tmp = lookup("tmp");
  client_.cred = user;
  EXPECT_EQ(EPERM, client_.unlink(tmp, "theirs").err());
  EXPECT_EQ(EPERM, client_.rename(tmp, "theirs", root_, "x").err());
}

TEST_F(Callers, EachRequestOfAPipelineHasItsOwn) {
  dir_.write("private", "root's");
  ASSERT_EQ(0, chmod(dir_.path("private").c_str(), 0600));
  const qtfs_wire_open body{htole64(lookup("private")), 0, htole32(QTFS_OPEN_READ), 0, 0};
  std::vector<std::pair<uint64_t, int>> sent;
  std::vector<std::byte> frames;
  for (uint64_t i = 0; i < 200; i++) {
    client_.cred = i % 3 == 0 ? 1 : (i % 3 == 1 ? user : tame_root);
    const auto frame = client_.frame(QTFS_OP_OPEN, 1000000 + i, bytes_of(body));
    frames.insert(frames.end(), frame.begin(), frame.end());
    sent.emplace_back(1000000 + i, i % 3 == 1 ? EACCES : 0);
  }
  ASSERT_TRUE(client_.send_raw(frames).ok());
  for (const auto& [tag, err] : sent)
    EXPECT_EQ(err, client_.wait(tag)->err()) << tag;
}

TEST_F(Callers, EvictedNodesComeBackForTheirCallersOnly) {
  mkdir(dir_.path("closed").c_str(), 0700);
  dir_.write("closed/file", "x");
  const uint64_t node = lookup("closed/file");
  // Known to the session, but the caller may not open it.
  ASSERT_EQ(0, chmod(dir_.path("closed/file").c_str(), 0600));
  client_.cred = user;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
}

}  // namespace qtfs
