// SPDX-License-Identifier: GPL-2.0-only
// Descriptors in what connections to unix sockets carry: the mirror of kmod/rights.c.
//
// Programs of the server get what the client's passed: files of the tree are what the engine has
// open for the client; for pipes and sockets of the client it makes a pair, whose other end the
// client's agent fills and empties. What programs of the server pass becomes an open: of the tree's
// file, or of the pipe or socket itself, which the agent reads and writes.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "engine/ops/socket.hh"
#include "lib/message.hh"

namespace qtfs {

namespace {

constexpr uint32_t both_ways = QTFS_OPEN_READ | QTFS_OPEN_WRITE;

// Of what the connection was made to: what belongs to it has no name of its own.
Result<qtfs_wire_attr> attr_of(Call& call, const Ref<Node>& node) {
  const auto fd = call.fd_of(node);
  if (!fd)
    return fd.status();
  return fd_attr((*fd)->get(), *node);
}

// What a descriptor is open for, as open(2) takes it.
int lasting_flags(int fd) {
  return fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME);
}

// Who has it shares nothing with whoever else has the descriptor.
Result<UniqueFd> opened_anew(Call& call, int fd, int flags) {
  const Privileged privileged(call.context->creds);
  if (!privileged.status())
    return privileged.status();
  UniqueFd opened(open(FdPath(fd).c_str(), flags | O_CLOEXEC | O_NOCTTY));
  if (!opened)
    return Status::last();
  return opened;
}

// --- from the client to programs of the server

// For opening it anew.
int lasting_flags(const Open& right) {
  const uint32_t once = QTFS_OPEN_TRUNC | QTFS_OPEN_NONBLOCK;
  return native_open_flags(right.flags & ~once) | (right.kernel_append ? O_APPEND : 0);
}

// A program that changes how it waits must not change how the engine does.
Result<UniqueFd> fifo_to_give(Call& call, const Open& right) {
  const int flags = lasting_flags(right);
  // Else there might be nobody at the other end for the moment of opening.
  const auto other = opened_anew(call, right.fd.get(), O_RDWR | O_NONBLOCK);
  if (!other)
    return other.status();
  auto fd = opened_anew(call, right.fd.get(), flags | O_NONBLOCK);
  if (fd && !(right.flags & QTFS_OPEN_NONBLOCK) && fcntl(fd->get(), F_SETFL, flags) < 0)
    return Status::last();
  return fd;
}

// The descriptor by which the client has its locks. Programs may move its position and set how it
// is read and written: the client's data goes by another one from then on.
Result<UniqueFd> share(Call& call, Open& right, uint64_t offset) {
  UniqueFd fd(fcntl(right.fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd)
    return Status::last();
  if (right.has_io())
    return fd;
  auto own = opened_anew(call, right.fd.get(), lasting_flags(right));
  if (!own)
    return own;
  if (right.set_io(std::move(*own)) && offset <= INT64_MAX)
    lseek(fd.get(), static_cast<off_t>(offset), SEEK_SET);
  return fd;
}

struct ToGive {
  UniqueFd fd;
  bool shared = false;
};

Result<ToGive> file_to_give(Call& call, Open& right, uint64_t offset) {
  // The client may not even read it; or it is no file of the tree.
  if ((right.flags & QTFS_OPEN_EXEC) || right.content)
    return Status::error(EACCES);
  const bool appends = (right.flags & QTFS_OPEN_APPEND) && !right.kernel_append;
  Result<UniqueFd> fd = Status::error(EOPNOTSUPP);
  bool shared = false;
  if (right.type == QTFS_TYPE_FIFO && right.node->key.type == QTFS_TYPE_FIFO) {
    fd = fifo_to_give(call, right);
  } else if (right.type == QTFS_TYPE_DIR) {
    // The engine reads it where it stands.
    fd = opened_anew(call, right.fd.get(), O_RDONLY | O_DIRECTORY);
  } else if (right.type == QTFS_TYPE_REG && appends) {
    fd = opened_anew(call, right.fd.get(), lasting_flags(right) | O_APPEND);
  } else if (right.type == QTFS_TYPE_REG) {
    fd = share(call, right, offset);
    shared = true;
  }
  if (!fd)
    return fd.status();
  return ToGive{std::move(*fd), shared};
}

// The two ends of something: the engine's and the program's.
struct Pair {
  Opened ours;
  uint32_t flags = both_ways;  // QTFS_OPEN_*, of ours
  UniqueFd theirs;
};

Result<Pair> make_pipe(bool they_read) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) < 0)
    return Status::last();
  UniqueFd reads(ends[0]);
  UniqueFd writes(ends[1]);
  Pair pair;
  pair.flags = they_read ? QTFS_OPEN_WRITE : QTFS_OPEN_READ;
  pair.ours.pipe = true;
  pair.ours.passed = true;
  pair.ours.fd = std::move(they_read ? writes : reads);
  pair.theirs = std::move(they_read ? reads : writes);
  if (fcntl(pair.ours.fd.get(), F_SETFL, O_NONBLOCK) < 0)
    return Status::last();
  return pair;
}

Result<Pair> make_sockets(uint32_t kind) {
  const auto type = socket_type(kind);
  std::array<int, 2> ends{};
  // Nobody would learn that a datagram socket's other end is closed.
  if (!type || *type == SOCK_DGRAM)
    return Status::error(EINVAL);
  if (socketpair(AF_UNIX, *type | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return Status::last();
  Pair pair;
  pair.ours.fd.reset(ends[0]);
  pair.ours.socket = kind;
  pair.ours.passed = true;
  pair.theirs.reset(ends[1]);
  return pair;
}

Result<Pair> make_pair(const qtfs_wire_give& body) {
  switch (le32toh(body.kind)) {
    case QTFS_RIGHT_PIPE_READ:
      return make_pipe(true);
    case QTFS_RIGHT_PIPE_WRITE:
      return make_pipe(false);
    case QTFS_RIGHT_SOCKET:
      return make_sockets(le32toh(body.socket));
    default:
      return Status::error(EINVAL);
  }
}

// --- from programs of the server to the client

struct Taken {
  Ref<Node> node;
  bool shared = false;
  Opened opened;
  qtfs_wire_taken reply{};
};

// QTFS_OPEN_* of what is open already.
Result<uint32_t> wire_flags_of(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0)
    return Status::last();
  if (flags & O_PATH)
    return Status::error(EOPNOTSUPP);
  uint32_t wire = 0;
  if ((flags & O_ACCMODE) != O_WRONLY)
    wire |= QTFS_OPEN_READ;
  if ((flags & O_ACCMODE) != O_RDONLY)
    wire |= QTFS_OPEN_WRITE;
  if (flags & O_APPEND)
    wire |= QTFS_OPEN_APPEND;
  if (flags & O_DIRECT)
    wire |= QTFS_OPEN_DIRECT;
  if ((flags & O_SYNC) == O_SYNC)
    wire |= QTFS_OPEN_SYNC;
  else if (flags & O_DSYNC)
    wire |= QTFS_OPEN_DSYNC;
  return wire;
}

// Where a file is that somebody else has open.
struct Place {
  UniqueFd dir;
  UniqueFd file;  // O_PATH
  std::string name;
};

// In the engine's own mounts, below the export that the connection was made in; EXDEV where that
// does not lead to the very object. What has no name any more is believed to have been where its
// name was, if that is on the same filesystem.
Result<Place> place_of(Call& call, const Domain& domain, int fd, const struct statx& stx) {
  const Privileged privileged(call.context->creds);
  if (!privileged.status())
    return privileged.status();
  auto path = path_of(fd);
  const bool gone = stx.stx_nlink == 0;
  const std::string_view suffix = " (deleted)";
  if (path && gone && path->ends_with(suffix))
    path->resize(path->size() - suffix.size());
  const size_t slash = path ? path->rfind('/') : std::string::npos;
  if (slash == std::string::npos || slash + 1 == path->size())
    return Status::error(EXDEV);
  auto above =
      call.session->exports.resolve(slash ? path->substr(0, slash) : "/", call.context->mounts);
  if (!above || above->exported != domain.exported)
    return Status::error(EXDEV);
  Place place{std::move(above->dir), {}, path->substr(slash + 1)};
  if (gone) {
    const auto dir = stat_fd(place.dir.get());
    if (!dir || dir->stx_dev_major != stx.stx_dev_major || dir->stx_dev_minor != stx.stx_dev_minor)
      return Status::error(EXDEV);
    place.file = path_descriptor(fd);
    if (!place.file)
      return Status::last();
    return place;
  }
  auto found = open_component(place.dir.get(), place.name, call.context->mounts);
  const auto own = found ? stat_fd(found->get()) : Result<struct statx>(found.status());
  if (!own)
    return Status::error(EXDEV);
  // But for the mount: that is the machine's, or some container's.
  NodeKey key = NodeKey::of(stx, domain);
  key.mount = own->stx_mnt_id;
  if (NodeKey::of(*own, domain) != key)
    return Status::error(EXDEV);
  place.file = std::move(*found);
  return place;
}

Result<Taken> take_file(Call& call, const Domain& domain, int fd, uint32_t flags) {
  const auto stx = stat_fd(fd);
  if (!stx)
    return stx.status();
  const NodeKey key = NodeKey::of(*stx, domain);
  if (call.context->kinds.get(fd, key.dev).synthetic)
    return Status::error(EOPNOTSUPP);
  if ((flags & QTFS_OPEN_WRITE) && domain.readonly)
    return Status::error(EROFS);
  auto place = place_of(call, domain, fd, *stx);
  if (!place)
    return place.status();
  if (Status status = by_rules(call, place->file.get(), key.type); !status)
    return status;
  const bool directory = key.type == QTFS_TYPE_DIR;
  auto own = opened_anew(call, fd, directory ? O_RDONLY | O_DIRECTORY : lasting_flags(fd));
  if (!own)
    return own.status();
  auto child =
      grant_entry(call, domain, std::move(place->file), {{}, place->name, true}, place->dir.get());
  if (!child)
    return child.status();
  Taken taken;
  taken.node = child->node;
  taken.reply.kind = htole32(QTFS_RIGHT_FILE);
  taken.reply.entry = child->entry;
  const off_t at = lseek(fd, 0, SEEK_CUR);
  taken.reply.offset = htole64(key.type == QTFS_TYPE_REG && at > 0 ? static_cast<uint64_t>(at) : 0);
  taken.opened.attr = child->entry.attr;
  taken.opened.kernel_append = (flags & QTFS_OPEN_APPEND) != 0;
  taken.shared = !directory;
  if (directory)
    taken.opened.fd = std::move(*own);
  else
    taken.opened.io = std::move(*own);
  return taken;
}

// Whoever else has the pipe waits as he did before.
Result<Taken> take_pipe(Call& call, int fd, uint32_t flags) {
  if ((flags & both_ways) == both_ways)
    return Status::error(EOPNOTSUPP);
  const bool reads = (flags & QTFS_OPEN_READ) != 0;
  // Else there might be nobody at the other end for the moment of opening.
  const auto other = opened_anew(call, fd, O_RDWR | O_NONBLOCK);
  if (!other)
    return other.status();
  auto opened = opened_anew(call, fd, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
  if (!opened)
    return opened.status();
  Taken taken;
  taken.opened.fd = std::move(*opened);
  taken.opened.pipe = true;
  taken.reply.kind = htole32(reads ? QTFS_RIGHT_PIPE_READ : QTFS_RIGHT_PIPE_WRITE);
  return taken;
}

Result<Taken> take_socket(int fd) {
  const auto type = connection_type(fd);
  const auto kind = type ? socket_kind(*type) : std::nullopt;
  if (!kind)
    return Status::error(EOPNOTSUPP);
  Taken taken;
  taken.opened.socket = *kind;
  taken.reply.kind = htole32(QTFS_RIGHT_SOCKET);
  return taken;
}

Result<Taken> take_any(Call& call, const Domain& domain, int fd, uint32_t flags) {
  struct stat st {};
  if (fstat(fd, &st) < 0)
    return Status::last();
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
    return take_file(call, domain, fd, flags);
  if (S_ISFIFO(st.st_mode))
    return take_pipe(call, fd, flags);
  if (S_ISSOCK(st.st_mode))
    return take_socket(fd);
  return Status::error(EOPNOTSUPP);
}

// What becomes of @fd, which is the open's unless it has another.
Status reply_taken(Call& call, const Ref<Node>& connection, UniqueFd& fd, size_t at) {
  const auto flags = wire_flags_of(fd.get());
  if (!flags)
    return flags.status();
  auto taken = take_any(call, connection->domain, fd.get(), *flags);
  if (!taken)
    return taken.status();
  if (!taken->node)
    taken->node = connection;
  if (!taken->opened.attr) {
    const auto attr = attr_of(call, connection);
    if (!attr)
      return attr.status();
    taken->opened.attr = *attr;
  }
  if (!taken->opened.fd)
    taken->opened.fd = std::move(fd);
  taken->opened.passed = true;
  auto opened = grant_open(call, taken->node, std::move(taken->opened), *flags);
  if (!opened)
    return opened.status();
  if (taken->shared)
    opened->flags |= htole32(QTFS_OPENED_SHARED);
  taken->reply.opened = *opened;
  taken->reply.at = htole32(static_cast<uint32_t>(at));
  taken->reply.flags = htole32(*flags);
  call.reply.put(taken->reply);
  return {};
}

}  // namespace

Status op_give(Call& call) {
  const auto body = call.take<qtfs_wire_give>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto connection = open_socket(call, body->open);
  if (!connection)
    return connection.status();
  if (Status status = call.act(*(*connection)->node); !status)
    return status;
  qtfs_wire_opened reply{};
  if (le32toh(body->kind) == QTFS_RIGHT_NONE) {
    (*connection)->rights->drop_given();
    call.reply.put(reply);
    return {};
  }
  if (!is_unix((*connection)->fd.get()))
    return Status::error(EOPNOTSUPP);
  if (le32toh(body->kind) == QTFS_RIGHT_FILE) {
    const auto right = call.open(body->right);
    if (!right)
      return right.status();
    auto made = file_to_give(call, **right, le64toh(body->offset));
    if (!made)
      return made.status();
    if (made->shared)
      reply.flags = htole32(QTFS_OPENED_SHARED);
    if (Status status = (*connection)->rights->give(std::move(made->fd)); !status)
      return status;
    call.reply.put(reply);
    return {};
  }
  auto pair = make_pair(*body);
  if (!pair)
    return pair.status();
  const auto attr = attr_of(call, (*connection)->node);
  if (!attr)
    return attr.status();
  pair->ours.attr = *attr;
  const auto opened = grant_open(call, (*connection)->node, std::move(pair->ours), pair->flags);
  if (!opened)
    return opened.status();
  if (Status status = (*connection)->rights->give(std::move(pair->theirs)); !status) {
    call.session->opens.remove(le64toh(opened->open));
    return status;
  }
  call.reply.put(*opened);
  return {};
}

Status op_take(Call& call) {
  const auto body = call.take<qtfs_wire_take>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  // Of what filesystem it is nobody knows before.
  if (!call.may_block) {
    call.patient = true;
    return Status::defer();
  }
  const auto connection = open_socket(call, body->open);
  if (!connection)
    return connection.status();
  if (Status status = call.act(*(*connection)->node); !status)
    return status;
  size_t at = 0;
  UniqueFd fd = (*connection)->rights->take(at);
  if (!fd)
    return Status::error(EAGAIN);
  const Status status = reply_taken(call, (*connection)->node, fd, at);
  std::vector<UniqueFd> rest;
  if (fd)
    rest.push_back(std::move(fd));
  close_elsewhere(std::move(rest));
  return status;
}

}  // namespace qtfs
