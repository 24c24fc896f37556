// SPDX-License-Identifier: GPL-2.0-only
// Exports that squash or map ids, over a connection: who callers are there, and what they see.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "tests/unit/acl_value.hh"
#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;
constexpr uint32_t connecting = QTFS_OPEN_CONNECT | rw;
constexpr uint32_t user = 2;      // uid and gid 1000, in groups 50 and 0, with all capabilities
constexpr uint32_t outsider = 3;  // uid and gid 70000
constexpr uint32_t no_id = UINT32_MAX;
constexpr const char* acl_name = "system.posix_acl_access";

using Owner = std::pair<uint32_t, uint32_t>;
constexpr Owner nobody{overflow_id, overflow_id};

Owner owner_of(const qtfs_wire_attr& attr) {
  return {le32toh(attr.uid), le32toh(attr.gid)};
}

Owner owner_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(0, lstat(path.c_str(), &st)) << path;
  return {st.st_uid, st.st_gid};
}

}  // namespace

class OtherIds : public EngineTest {
 protected:
  virtual void restrict_ids(ExportConfig& exported) = 0;
  void configure(Config& config) override {
    chmod(dir_.path().c_str(), 0777);
    ExportConfig exported{.path = dir_.path(), .name = "test"};
    restrict_ids(exported);
    config.exports = {exported};
  }
  void SetUp() override {
    EngineTest::SetUp();
    if (!engine_)
      return;
    ASSERT_EQ(0, client_.add_cred({.id = user, .uid = 1000, .gid = 1000, .groups = {50, 0}}).err());
    ASSERT_EQ(0, client_.add_cred({.id = outsider, .uid = 70000, .gid = 70000}).err());
  }
  // One that the server has.
  uint64_t file(const std::string& name, uint32_t uid, uint32_t gid, mode_t mode) {
    dir_.write(name, "text");
    EXPECT_EQ(0, chown(dir_.path(name).c_str(), uid, gid));
    EXPECT_EQ(0, chmod(dir_.path(name).c_str(), mode));
    return lookup(name);
  }
  Result<qtfs_wire_attr> give(uint64_t node, uint32_t valid, uint32_t id) {
    qtfs_wire_setattr set{};
    set.node = htole64(node);
    set.valid = htole32(valid);
    set.uid = htole32(id);
    set.gid = htole32(id);
    return client_.setattr(set);
  }
  void expect_no_power(uint64_t own) {
    EXPECT_EQ(EPERM, client_.mknod(root_, "null", QTFS_TYPE_CHR, 0666, 1, 3).err());
    EXPECT_EQ(EPERM, client_.setxattr(own, "trusted.x", "y").err());
    EXPECT_EQ(EPERM, give(own, QTFS_SET_UID, 5).err());
  }
};

class SquashedRoot : public OtherIds {
  void restrict_ids(ExportConfig& exported) override { exported.squash = Squash::root; }
};

TEST_F(SquashedRoot, IsNobody) {
  const uint64_t node = file("private", 0, 0, 0600);
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  EXPECT_EQ(uint32_t{QTFS_MAY_KNOWN}, *client_.access(node, QTFS_MAY_READ | QTFS_MAY_WRITE));
  EXPECT_EQ(Owner(0, 0), owner_of(*client_.getattr(node)));
  const auto made = client_.create(root_, "made", rw);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(nobody, owner_of(dir_.path("made")));
  EXPECT_EQ(nobody, owner_of(made->entry.attr));
  expect_no_power(id_of(made->entry));
  // As whoever opened it.
  client_.cred = 0;
  EXPECT_EQ(0, client_.write(id_of(made->opened), 0, "x").err());
}

TEST_F(SquashedRoot, OthersAreThemselvesWithoutCapabilities) {
  const uint64_t roots = file("private", 0, 0, 0600);
  const uint64_t of_group_0 = file("wheel", 0, 0, 0640);
  const uint64_t of_group_50 = file("staff", 0, 50, 0640);
  client_.cred = user;
  const auto made = client_.create(root_, "made", rw);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(Owner(1000, 1000), owner_of(dir_.path("made")));
  EXPECT_EQ(0, client_.open(of_group_50, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(of_group_0, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(roots, QTFS_OPEN_READ).err());
  expect_no_power(id_of(made->entry));
}

class SquashedAll : public OtherIds {
  void restrict_ids(ExportConfig& exported) override {
    exported.squash = Squash::all;
    exported.anon_uid = 4001;
    exported.anon_gid = 4002;
  }
};

TEST_F(SquashedAll, EverybodyIsTheSame) {
  const uint64_t of_group_50 = file("staff", 0, 50, 0640);
  const uint64_t of_all = file("public", 0, 0, 0604);
  for (const uint32_t cred : {1u, user}) {
    client_.cred = cred;
    const std::string name = "made" + std::to_string(cred);
    ASSERT_EQ(0, client_.create(root_, name, rw).err());
    EXPECT_EQ(Owner(4001, 4002), owner_of(dir_.path(name)));
    EXPECT_EQ(EACCES, client_.open(of_group_50, QTFS_OPEN_READ).err());
    EXPECT_EQ(0, client_.open(of_all, QTFS_OPEN_READ).err());
  }
  // They own each other's.
  EXPECT_EQ(0, client_.open(lookup("made1"), rw).err());
}

class MappedIds : public OtherIds {
 protected:
  void restrict_ids(ExportConfig& exported) override {
    exported.uid_map = {{0, 100000, 65536}};
    exported.gid_map = {{0, 200000, 65536}};
    exported.allow_mount = true;
  }
};

TEST_F(MappedIds, OwnersAreTheClients) {
  const uint64_t foreign = file("foreign", 0, 0, 0644);
  EXPECT_EQ(nobody, owner_of(*client_.getattr(foreign)));
  EXPECT_EQ(nobody, owner_of(*client_.getattr(root_)));
  const auto made = client_.create(root_, "made", rw);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(Owner(100000, 200000), owner_of(dir_.path("made")));
  EXPECT_EQ(Owner(0, 0), owner_of(made->entry.attr));
  EXPECT_EQ(Owner(0, 0), owner_of(made->opened.attr));
  EXPECT_EQ(Owner(0, 0), owner_of(*client_.getattr(id_of(made->entry))));
  EXPECT_EQ(Owner(0, 0), owner_of(*client_.getattr(0, id_of(made->opened))));
  client_.cred = user;
  const auto dir = client_.mkdir(root_, "dir");
  ASSERT_EQ(0, dir.err());
  EXPECT_EQ(Owner(101000, 201000), owner_of(dir_.path("dir")));
  EXPECT_EQ(Owner(1000, 1000), owner_of(dir->attr));
  client_.cred = outsider;
  const auto other = client_.create(root_, "other", rw);
  ASSERT_EQ(0, other.err());
  EXPECT_EQ(nobody, owner_of(dir_.path("other")));
  EXPECT_EQ(nobody, owner_of(other->entry.attr));
}

TEST_F(MappedIds, ListingsHaveThem) {
  file("foreign", 0, 0, 0644);
  file("mine", 101000, 200050, 0644);
  const auto dir = client_.open(root_, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
  ASSERT_EQ(0, dir.err());
  const auto page = client_.readdir(id_of(*dir), 0, 65536, QTFS_READDIR_PLUS);
  ASSERT_EQ(0, page.err());
  EXPECT_EQ(2u, page->entries.size());
  for (const DirEntry& entry : page->entries) {
    ASSERT_TRUE(entry.entry.has_value());
    EXPECT_EQ(entry.name == "mine" ? Owner(1000, 50) : nobody, owner_of(entry.entry->attr));
  }
}

TEST_F(MappedIds, OwnersAreSetByTheMap) {
  client_.cred = user;
  const auto made = client_.create(root_, "made", rw);
  ASSERT_EQ(0, made.err());
  const uint64_t node = id_of(made->entry);
  const auto given = give(node, QTFS_SET_GID, 50);
  ASSERT_EQ(0, given.err());
  EXPECT_EQ(Owner(1000, 50), owner_of(*given));
  EXPECT_EQ(Owner(101000, 200050), owner_of(dir_.path("made")));
  for (const uint32_t id : {65536u, 101000u}) {
    EXPECT_EQ(EINVAL, give(node, QTFS_SET_UID, id).err()) << id;
    EXPECT_EQ(EINVAL, give(node, QTFS_SET_GID, id).err()) << id;
  }
  // As chown(2) has it: nobody in particular.
  EXPECT_EQ(0, give(node, QTFS_SET_UID, no_id).err());
  EXPECT_EQ(0, give(node, QTFS_SET_GID, no_id).err());
  EXPECT_EQ(Owner(101000, 200050), owner_of(dir_.path("made")));
}

TEST_F(MappedIds, RootHasNoCapabilities) {
  const uint64_t foreign = file("private", 0, 0, 0600);
  const uint64_t users = file("user's", 101000, 201000, 0600);
  const auto made = client_.create(root_, "made", rw);
  ASSERT_EQ(0, made.err());
  expect_no_power(id_of(made->entry));
  EXPECT_EQ(EACCES, client_.open(foreign, QTFS_OPEN_READ).err());
  EXPECT_EQ(EACCES, client_.open(users, QTFS_OPEN_READ).err());
  client_.cred = user;
  EXPECT_EQ(0, client_.open(users, QTFS_OPEN_READ).err());
}

TEST_F(MappedIds, AclsAreTheClients) {
  const auto made = client_.create(root_, "made", rw, 0600);
  ASSERT_EQ(0, made.err());
  const uint64_t node = id_of(made->entry);
  const std::string acl = acl_for(1000, 60);
  const int err = client_.setxattr(node, acl_name, acl).err();
  if (err == EOPNOTSUPP)
    GTEST_SKIP() << "filesystem without ACLs";
  ASSERT_EQ(0, err);
  std::string raw(acl.size() + 1, '\0');
  const ssize_t len = getxattr(dir_.path("made").c_str(), acl_name, raw.data(), raw.size());
  ASSERT_EQ(static_cast<ssize_t>(acl.size()), len);
  raw.resize(acl.size());
  EXPECT_EQ(acl_for(101000, 200060), raw);
  EXPECT_EQ(acl, *client_.getxattr(node, acl_name));
  EXPECT_EQ(acl.size(), *client_.xattr_size(node, acl_name));
  client_.cred = user;
  EXPECT_EQ(0, client_.open(node, QTFS_OPEN_READ).err());
  client_.cred = outsider;
  EXPECT_EQ(EACCES, client_.open(node, QTFS_OPEN_READ).err());
  client_.cred = 1;
  EXPECT_EQ(EINVAL, client_.setxattr(node, acl_name, acl_for(70000, 60)).err());
  EXPECT_EQ(EINVAL, client_.setxattr(node, acl_name, acl_for(1000, 70000)).err());
  EXPECT_EQ(EINVAL, client_.setxattr(node, acl_name, "x").err());
  EXPECT_EQ(acl, *client_.getxattr(node, acl_name));
  const std::string foreign = acl_for(7, 200060);
  ASSERT_EQ(0, setxattr(dir_.path("made").c_str(), acl_name, foreign.data(), foreign.size(), 0));
  EXPECT_EQ(acl_for(overflow_id, 60), *client_.getxattr(node, acl_name));
}

TEST_F(MappedIds, NobodyMounts) {
  qtfs_wire_mount body{};
  body.node = client_.mkdir(root_, "dir")->node;
  const std::string request("tmpfs\0none\0\0", 12);
  const auto answer =
      client_.call(QTFS_OP_MOUNT, bytes_of(body), bytes_of(std::string_view(request)));
  ASSERT_EQ(0, answer->err());
  EXPECT_EQ(EPERM, qtfs_errno_from_wire(le32toh(answer->as<qtfs_wire_mount_rep>().error)));
  EXPECT_NE(std::string::npos, answer->text().find("nobody is root"));
}

class MappedSockets : public MappedIds {
 protected:
  sockaddr_un address_of(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, dir_.path(name).c_str(), sizeof(address.sun_path) - 1);
    return address;
  }
  // Of a program of the server.
  UniqueFd bound(const std::string& name, int type) {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(name);
    EXPECT_EQ(0, bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
    EXPECT_EQ(0, chmod(dir_.path(name).c_str(), 0777));
    return fd;
  }
  UniqueFd connects(const std::string& name) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(name);
    EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
    return fd;
  }
  Owner sender_of_next(int fd) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
    char byte = 0;
    iovec iov{&byte, 1};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    EXPECT_EQ(1, recvmsg(fd, &message, 0));
    ucred who{};
    if (const cmsghdr* head = CMSG_FIRSTHDR(&message))
      std::memcpy(&who, CMSG_DATA(head), sizeof(who));
    return {who.uid, who.gid};
  }
};

TEST_F(MappedSockets, TheServerSeesItsOwnIds) {
  const UniqueFd listener = bound("stream", SOCK_STREAM);
  ASSERT_EQ(0, listen(listener.get(), 5));
  const UniqueFd receiver = bound("letters", SOCK_DGRAM);
  const int yes = 1;
  ASSERT_EQ(0, setsockopt(receiver.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)));
  const uint64_t stream = lookup("stream");
  const uint64_t letters = lookup("letters");
  const struct {
    uint32_t cred;
    Owner who;
  } callers[] = {{1, {100000, 200000}}, {user, {101000, 201000}}, {outsider, nobody}};
  for (const auto& caller : callers) {
    client_.cred = caller.cred;
    ASSERT_EQ(0, client_.open(stream, connecting).err());
    const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
    ucred who{};
    socklen_t len = sizeof(who);
    ASSERT_EQ(0, getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &who, &len));
    EXPECT_EQ(caller.who, Owner(who.uid, who.gid));
    const auto opened = client_.open(letters, connecting);
    ASSERT_EQ(0, opened.err());
    ASSERT_EQ(0, client_.write(id_of(*opened), 0, "x").err());
    EXPECT_EQ(caller.who, sender_of_next(receiver.get()));
  }
}

TEST_F(MappedSockets, TheClientSeesItsOwnIds) {
  const auto made = client_.bind(root_, "s", QTFS_SOCKET_STREAM, 0777);
  ASSERT_EQ(0, made.err());
  EXPECT_EQ(Owner(0, 0), owner_of(made->entry.attr));
  EXPECT_EQ(Owner(100000, 200000), owner_of(dir_.path("s")));
  const UniqueFd roots = connects("s");
  auto accepted = client_.accept(id_of(made->opened));
  ASSERT_EQ(0, accepted.err());
  EXPECT_EQ(nobody, Owner(le32toh(accepted->uid), le32toh(accepted->gid)));
  ASSERT_EQ(0, syscall(SYS_setresgid, -1, 200006, -1));
  ASSERT_EQ(0, syscall(SYS_setresuid, -1, 100005, -1));
  const UniqueFd others = connects("s");
  ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, -1));
  ASSERT_EQ(0, syscall(SYS_setresgid, -1, 0, -1));
  accepted = client_.accept(id_of(made->opened));
  ASSERT_EQ(0, accepted.err());
  EXPECT_EQ(Owner(5, 6), Owner(le32toh(accepted->uid), le32toh(accepted->gid)));
}

// Each export has callers for somebody else.
class ManyIds : public EngineTest {
 protected:
  void configure(Config& config) override {
    for (const char* name : {"low", "high", "squashed", "plain"}) {
      mkdir(dir_.path(name).c_str(), 0777);
      chmod(dir_.path(name).c_str(), 0777);
    }
    config.exports = {
        {.path = dir_.path("low"), .name = "low", .uid_map = {{0, 100000, 1000}}},
        {.path = dir_.path("high"), .name = "high", .uid_map = {{0, 300000, 1000}}},
        {.path = dir_.path("squashed"), .name = "squashed", .squash = Squash::root},
        {.path = dir_.path("plain"), .name = "plain"},
    };
    attach_path_ = dir_.path("low");
  }
  uint64_t attached(const std::string& name) {
    const auto entry = client_.attach(dir_.path(name));
    EXPECT_EQ(0, entry.err()) << name;
    return entry ? id_of(*entry) : 0;
  }
  uint32_t user_of(const std::string& path) { return owner_of(dir_.path(path)).first; }
};

TEST_F(ManyIds, AreNotMixed) {
  const struct {
    std::string name;
    uint32_t there;
    uint32_t shown;
  } exports[] = {
      {"low", 100000, 0}, {"high", 300000, 0}, {"squashed", 65534, 65534}, {"plain", 0, 0}};
  for (int round = 0; round < 3; round++)
    for (const auto& one : exports) {
      const std::string file = "file" + std::to_string(round);
      const auto made = client_.create(attached(one.name), file, rw);
      ASSERT_EQ(0, made.err());
      EXPECT_EQ(one.there, user_of(one.name + "/" + file));
      EXPECT_EQ(one.shown, le32toh(made->entry.attr.uid)) << one.name;
    }
}

TEST_F(ManyIds, NorInOneCompound) {
  Compound compound;
  for (const char* name : {"low", "high", "plain", "squashed", "low"}) {
    const std::string file = "of " + std::string(name);
    const qtfs_wire_create body{htole64(attached(name)),
                                htole32(0644),
                                htole32(022),
                                htole32(QTFS_OPEN_WRITE),
                                htole16(static_cast<uint16_t>(file.size())),
                                0};
    compound.add(QTFS_OP_CREATE, Body().put(body).name(file));
  }
  const auto results = compound.run(client_);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(5u, results->size());
  for (const CompoundResult& result : *results)
    EXPECT_EQ(0, result.err);
  EXPECT_EQ(100000u, user_of("low/of low"));
  EXPECT_EQ(300000u, user_of("high/of high"));
  EXPECT_EQ(0u, user_of("plain/of plain"));
  EXPECT_EQ(overflow_id, user_of("squashed/of squashed"));
}

TEST_F(ManyIds, ACredentialThatIsRegisteredAgainCounts) {
  const uint64_t low = attached("low");
  ASSERT_EQ(0, client_.create(low, "roots", rw).err());
  ASSERT_EQ(0, client_.add_cred({.id = 1, .uid = 7, .gid = 7}).err());
  ASSERT_EQ(0, client_.create(low, "sevens", rw).err());
  EXPECT_EQ(100000u, user_of("low/roots"));
  EXPECT_EQ(100007u, user_of("low/sevens"));
  ASSERT_EQ(0, client_.put_cred(1).err());
  EXPECT_EQ(ENOKEY, client_.create(low, "nobodys", rw).err());
}

class SquashedSlash : public EngineTest {
  void configure(Config& config) override {
    config.exports = {{.path = "/", .name = "root", .squash = Squash::root}};
  }
};

// What procfs shows of the engine is for who has CAP_SYS_PTRACE.
TEST_F(SquashedSlash, RootCannotLookIntoTheEngine) {
  const auto slash = client_.attach("/");
  ASSERT_EQ(0, slash.err());
  const auto maps = client_.walk(id_of(*slash), "proc/" + std::to_string(getpid()) + "/maps");
  ASSERT_EQ(0, maps.err());
  EXPECT_EQ(EACCES, client_.open(id_of(*maps), QTFS_OPEN_READ).err());
}

}  // namespace qtfs
