// SPDX-License-Identifier: GPL-2.0-only
// Connections to the server's unix sockets.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/unit/fixture.hh"

namespace qtfs {

namespace {

constexpr uint32_t connecting = QTFS_OPEN_CONNECT | QTFS_OPEN_READ | QTFS_OPEN_WRITE;

}  // namespace

class Sockets : public EngineTest {
 protected:
  UniqueFd bound(const std::string& name, int type, int backlog = 16) {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.path() + "/" + name;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(0, bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address))) << path;
    if (backlog >= 0 && type != SOCK_DGRAM) {
      EXPECT_EQ(0, listen(fd.get(), backlog));
    }
    return fd;
  }
  Result<qtfs_wire_opened> connected(const std::string& name) {
    return client_.open(lookup(name), connecting);
  }
};

TEST_F(Sockets, AStreamGoesBothWays) {
  const UniqueFd listener = bound("s", SOCK_STREAM);
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(QTFS_SOCKET_STREAM, le32toh(opened->socket));
  EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_POLLABLE);
  EXPECT_EQ(static_cast<uint32_t>(QTFS_TYPE_SOCK), le32toh(opened->attr.type));
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  const uint64_t id = id_of(*opened);
  ASSERT_EQ(0, client_.write(id, 0, "to the server").err());
  char text[64] = {};
  EXPECT_EQ(13, read(peer.get(), text, sizeof(text)));
  EXPECT_EQ(EAGAIN, client_.read(id, 0, 100, QTFS_READ_NOWAIT).err());
  EXPECT_EQ(4, write(peer.get(), "back", 4));
  EXPECT_EQ("back", *client_.read(id, 0, 100));
  // Half of it ends.
  EXPECT_EQ(0, client_.shutdown(id, QTFS_SHUT_WRITE).err());
  EXPECT_EQ(0, read(peer.get(), text, sizeof(text)));
  EXPECT_EQ(EPIPE, client_.write(id, 0, "more").err());
  EXPECT_EQ(3, write(peer.get(), "end", 3));
  EXPECT_EQ("end", *client_.read(id, 0, 100));
  EXPECT_EQ(0, client_.release(id).err());
  EXPECT_LT(write(peer.get(), "x", 1), 0);
}

TEST_F(Sockets, MessagesStayWhole) {
  const UniqueFd listener = bound("s", SOCK_SEQPACKET);
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(QTFS_SOCKET_SEQPACKET, le32toh(opened->socket));
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  for (const char* text : {"one", "two"})
    EXPECT_EQ(3, write(peer.get(), text, 3));
  EXPECT_EQ("one", *client_.read(id_of(*opened), 0, 100));
  EXPECT_EQ(EMSGSIZE, client_.read(id_of(*opened), 0, 2).err());
}

TEST_F(Sockets, Datagrams) {
  const UniqueFd receiver = bound("s", SOCK_DGRAM);
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(QTFS_SOCKET_DGRAM, le32toh(opened->socket));
  ASSERT_EQ(0, client_.write(id_of(*opened), 0, "line").err());
  char text[64] = {};
  EXPECT_EQ(4, read(receiver.get(), text, sizeof(text)));
}

TEST_F(Sockets, ErrorsAreTheServers) {
  bound("dead", SOCK_STREAM, -1);
  EXPECT_EQ(ECONNREFUSED, connected("dead").err());
  dir_.write("file", "");
  EXPECT_EQ(ECONNREFUSED, connected("file").err());
  const UniqueFd listener = bound("s", SOCK_STREAM);
  EXPECT_EQ(ENXIO, client_.open(lookup("s"), QTFS_OPEN_READ).err());
  EXPECT_EQ(ENXIO, client_.open(lookup("s"), connecting | QTFS_OPEN_TRUNC).err());
  dir_.write("other", "");
  const uint64_t other = open("other", QTFS_OPEN_READ);
  EXPECT_EQ(ENOTSOCK, client_.shutdown(other, QTFS_SHUT_READ).err());
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(EINVAL, client_.shutdown(id_of(*opened), 4).err());
  EXPECT_EQ(EINVAL, client_.shutdown(id_of(*opened), 0).err());
}

TEST_F(Sockets, TheUserIsWhoConnects) {
  ASSERT_EQ(0,
            client_.add_cred({.id = 7, .uid = 1000, .gid = 1001, .groups = {}, .caps = 0}).err());
  const UniqueFd listener = bound("s", SOCK_STREAM);
  client_.cred = 7;
  ASSERT_EQ(0, chmod((dir_.path() + "/s").c_str(), 0600));
  EXPECT_EQ(EACCES, connected("s").err());
  ASSERT_EQ(0, chmod((dir_.path() + "/s").c_str(), 0666));
  ASSERT_EQ(0, connected("s").err());
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  ucred who{};
  socklen_t len = sizeof(who);
  ASSERT_EQ(0, getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &who, &len));
  EXPECT_EQ(1000u, who.uid);
  EXPECT_EQ(1001u, who.gid);
}

TEST_F(Sockets, MessagesTellTheirSender) {
  ASSERT_EQ(0,
            client_.add_cred({.id = 7, .uid = 1000, .gid = 1001, .groups = {}, .caps = 0}).err());
  const UniqueFd receiver = bound("s", SOCK_DGRAM);
  ASSERT_EQ(0, chmod((dir_.path() + "/s").c_str(), 0666));
  const int yes = 1;
  ASSERT_EQ(0, setsockopt(receiver.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)));
  client_.cred = 7;
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  ASSERT_EQ(0, client_.write(id_of(*opened), 0, "x").err());
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
  char byte = 0;
  iovec iov{&byte, 1};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ASSERT_EQ(1, recvmsg(receiver.get(), &message, 0));
  ucred who{};
  ASSERT_TRUE(CMSG_FIRSTHDR(&message));
  std::memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(who));
  EXPECT_EQ(1000u, who.uid);
  EXPECT_EQ(1001u, who.gid);
  ASSERT_EQ(0, client_.write(id_of(*opened), 0, "").err());
  EXPECT_EQ(0, recv(receiver.get(), &byte, 1, 0));
}

TEST_F(Sockets, DescriptorsAreRefused) {
  const UniqueFd listener = bound("s", SOCK_STREAM);
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char byte = 'x';
  iovec iov{&byte, 1};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = peer.get();
  std::memcpy(CMSG_DATA(head), &fd, sizeof(fd));
  ASSERT_EQ(1, sendmsg(peer.get(), &message, 0));
  EXPECT_EQ(EOPNOTSUPP, client_.read(id_of(*opened), 0, 100).err());
}

// Room that the client knows of must not keep it from being told of what comes.
TEST_F(Sockets, RoomDoesNotHideWhatComes) {
  const UniqueFd listener = bound("s", SOCK_SEQPACKET);
  const auto opened = connected("s");
  ASSERT_EQ(0, opened.err());
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  const uint64_t id = id_of(*opened);
  ASSERT_EQ(0, client_.poll(id, QTFS_POLL_ALL).err());
  for (int round = 0; round < 20; round++) {
    constexpr int messages = 4;
    for (int i = 0; i < messages; i++)
      ASSERT_EQ(0, client_.write(id, 0, "question").err());
    char text[64];
    for (int i = 0; i < messages; i++) {
      ASSERT_LT(0, read(peer.get(), text, sizeof(text)));  // makes room
      usleep(500);
    }
    ASSERT_EQ(6, write(peer.get(), "answer", 6));
    uint32_t told = 0;
    while (!(told & QTFS_POLL_IN)) {
      const auto push = client_.push();
      ASSERT_EQ(0, push.err());
      told = le32toh(push->as<qtfs_wire_push_poll>().mask);
    }
    EXPECT_EQ("answer", *client_.read(id, 0, 100));
  }
}

// Who waits for room in a listener's queue holds nothing up, and can be told to stop.
TEST_F(Sockets, AFullQueueIsWaitedFor) {
  const UniqueFd listener = bound("s", SOCK_STREAM, 0);
  const uint64_t node = lookup("s");
  ASSERT_EQ(0, client_.open(node, connecting).err());
  EXPECT_EQ(EAGAIN, client_.open(node, connecting | QTFS_OPEN_NONBLOCK).err());
  const qtfs_wire_open body{htole64(node), 0, htole32(connecting), 0, 0};
  const auto waiting = client_.send(QTFS_OP_OPEN, bytes_of(body));
  const auto stopped = client_.send(QTFS_OP_OPEN, bytes_of(body));
  ASSERT_TRUE(waiting.ok() && stopped.ok());
  EXPECT_EQ(0, client_.ping().err());
  ASSERT_EQ(0, client_.cancel(*stopped).err());
  EXPECT_EQ(EINTR, client_.wait(*stopped)->err());
  const UniqueFd first(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(0, client_.wait(*waiting)->err());
  EXPECT_LT(0u, client_.parked());
}

class BoundSockets : public Sockets {
 protected:
  UniqueFd connects(const std::string& name, int type) {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.path() + "/" + name;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0)
      fd.reset();
    return fd;
  }
};

TEST_F(BoundSockets, ProgramsOfTheServerConnect) {
  const auto bound = client_.bind(root_, "s", QTFS_SOCKET_STREAM, 0600);
  ASSERT_EQ(0, bound.err());
  EXPECT_EQ(QTFS_SOCKET_STREAM, le32toh(bound->opened.socket));
  EXPECT_EQ(static_cast<uint32_t>(QTFS_TYPE_SOCK), le32toh(bound->entry.attr.type));
  struct stat st {};
  ASSERT_EQ(0, stat(dir_.path("s").c_str(), &st));
  EXPECT_EQ(static_cast<mode_t>(S_IFSOCK | 0600), st.st_mode);
  const uint64_t id = id_of(bound->opened);
  EXPECT_EQ(EAGAIN, client_.accept(id).err());
  ASSERT_EQ(0u, *client_.poll(id) & QTFS_POLL_IN);

  const UniqueFd peer = connects("s", SOCK_STREAM);
  ASSERT_TRUE(peer);
  EXPECT_TRUE(le32toh(client_.push()->as<qtfs_wire_push_poll>().mask) & QTFS_POLL_IN);
  const auto accepted = client_.accept(id);
  ASSERT_EQ(0, accepted.err());
  EXPECT_EQ(geteuid(), le32toh(accepted->uid));
  EXPECT_EQ(getegid(), le32toh(accepted->gid));
  ASSERT_EQ(0, client_.write(id_of(accepted->opened), 0, "welcome").err());
  char text[64] = {};
  EXPECT_EQ(7, read(peer.get(), text, sizeof(text)));
  EXPECT_EQ(5, write(peer.get(), "hello", 5));
  EXPECT_EQ("hello", *client_.read(id_of(accepted->opened), 0, 100));

  // It ends for who is connected only with his connection.
  EXPECT_EQ(0, client_.release(id).err());
  EXPECT_FALSE(connects("s", SOCK_STREAM));
  EXPECT_EQ(2, write(peer.get(), "on", 2));
  EXPECT_EQ("on", *client_.read(id_of(accepted->opened), 0, 100));
}

// Between bind(2) and listen(2) a program may take permissions away: nobody is there before.
TEST_F(BoundSockets, PermissionsAreThoseOfTheAccept) {
  const auto bound = client_.bind(root_, "s", QTFS_SOCKET_STREAM, 0777);
  ASSERT_EQ(0, bound.err());
  ASSERT_EQ(0, chmod(dir_.path().c_str(), 0755));
  const uint64_t id = id_of(bound->opened);
  ASSERT_EQ(0, syscall(SYS_setresuid, -1, 1000, -1));
  const UniqueFd first = connects("s", SOCK_STREAM);
  const UniqueFd second = connects("s", SOCK_STREAM);
  ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, -1));
  ASSERT_TRUE(first && second);
  const auto accepted = client_.accept(id);
  ASSERT_EQ(0, accepted.err());
  EXPECT_EQ(1000u, le32toh(accepted->uid));
  ASSERT_EQ(0, chmod(dir_.path("s").c_str(), 0700));
  EXPECT_EQ(ECONNABORTED, client_.accept(id).err());
  char byte;
  EXPECT_EQ(0, read(second.get(), &byte, 1));
  const UniqueFd third = connects("s", SOCK_STREAM);
  EXPECT_EQ(0, client_.accept(id).err());
}

TEST_F(BoundSockets, OfEachKind) {
  const auto packets = client_.bind(root_, "p", QTFS_SOCKET_SEQPACKET);
  ASSERT_EQ(0, packets.err());
  EXPECT_FALSE(connects("p", SOCK_STREAM));
  EXPECT_TRUE(connects("p", SOCK_SEQPACKET));
  EXPECT_EQ(0, client_.accept(id_of(packets->opened)).err());
  const auto datagrams = client_.bind(root_, "d", QTFS_SOCKET_DGRAM);
  ASSERT_EQ(0, datagrams.err());
  const uint64_t id = id_of(datagrams->opened);
  EXPECT_EQ(EOPNOTSUPP, client_.accept(id).err());
  EXPECT_EQ(EAGAIN, client_.read(id, 0, 100, QTFS_READ_NOWAIT).err());
  const UniqueFd sender = connects("d", SOCK_DGRAM);
  EXPECT_EQ(4, write(sender.get(), "line", 4));
  EXPECT_EQ("line", *client_.read(id, 0, 100));
}

TEST_F(BoundSockets, NamesAreAsEverywhere) {
  dir_.write("taken", "");
  EXPECT_EQ(EEXIST, client_.bind(root_, "taken", QTFS_SOCKET_STREAM).err());
  EXPECT_EQ(EINVAL, client_.bind(root_, "s", 0).err());
  EXPECT_EQ(EINVAL, client_.bind(root_, "s", 4).err());
  EXPECT_EQ(EOPNOTSUPP, client_.bind(root_, std::string(200, 'n'), QTFS_SOCKET_STREAM).err());
  ASSERT_EQ(0,
            client_.add_cred({.id = 7, .uid = 1000, .gid = 1001, .groups = {}, .caps = 0}).err());
  client_.cred = 7;
  ASSERT_EQ(0, chmod(dir_.path().c_str(), 0755));
  EXPECT_EQ(EACCES, client_.bind(root_, "s", QTFS_SOCKET_STREAM).err());
  ASSERT_EQ(0, chmod(dir_.path().c_str(), 0777));
  const auto bound = client_.bind(root_, "s", QTFS_SOCKET_STREAM, 0777);
  ASSERT_EQ(0, bound.err());
  EXPECT_EQ(1000u, le32toh(bound->entry.attr.uid));
  EXPECT_EQ(ENOTSOCK, client_.accept(open("taken", QTFS_OPEN_READ)).err());
  // Nobody listens at the end of a connection.
  const auto connection = connected("s");
  ASSERT_EQ(0, connection.err());
  EXPECT_EQ(EINVAL, client_.accept(id_of(*connection)).err());
}

class ReadOnlySockets : public Sockets {
  void configure(Config& config) override {
    config.exports = {{.path = dir_.path(), .name = "x", .readonly = true}};
  }
};

TEST_F(ReadOnlySockets, StillConnect) {
  const UniqueFd listener = bound("s", SOCK_STREAM);
  const auto entry = client_.lookup(root_, "s");
  ASSERT_EQ(0, entry.err());
  EXPECT_TRUE(le32toh(entry->access) & QTFS_MAY_WRITE);
  EXPECT_EQ(0, connected("s").err());
}

class NoSockets : public Sockets {
  void configure(Config& config) override {
    config.exports = {{.path = dir_.path(), .name = "x", .sockets = false}};
  }
};

TEST_F(NoSockets, AreNotBound) {
  EXPECT_EQ(EOPNOTSUPP, client_.bind(root_, "s", QTFS_SOCKET_STREAM).err());
}

TEST_F(NoSockets, AreNotConnectedTo) {
  const UniqueFd listener = bound("s", SOCK_STREAM);
  EXPECT_EQ(EACCES, connected("s").err());
}

}  // namespace qtfs
