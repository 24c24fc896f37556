// SPDX-License-Identifier: GPL-2.0-only
// Attributes: the mirror of kmod/inode.c.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

timespec to_timespec(uint64_t seconds, uint32_t ns) {
  return {static_cast<time_t>(le64toh(seconds)), static_cast<long>(le32toh(ns))};
}

Status set_times(int fd, uint32_t valid, const qtfs_wire_setattr& body) {
  timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
  if (valid & QTFS_SET_ATIME)
    times[0] = to_timespec(body.atime, body.atime_ns);
  if (valid & QTFS_SET_MTIME)
    times[1] = to_timespec(body.mtime, body.mtime_ns);
  for (const timespec& time : times)
    if (time.tv_nsec != UTIME_OMIT && time.tv_nsec >= 1'000'000'000)
      return Status::error(EINVAL);
  if (valid & QTFS_SET_ATIME_NOW)
    times[0].tv_nsec = UTIME_NOW;
  if (valid & QTFS_SET_MTIME_NOW)
    times[1].tv_nsec = UTIME_NOW;
  return check(utimensat(fd, "", times, AT_EMPTY_PATH));
}

Status set_size(Call& call, const qtfs_wire_setattr& body, const Node& node, int fd) {
  const auto size = static_cast<off_t>(le64toh(body.size));
  if (size < 0)
    return Status::error(EINVAL);
  if (body.open) {
    const auto open = call.open(body.open);
    if (!open)
      return open.status();
    if (!(*open)->writable())
      return Status::error(EINVAL);
    return check(ftruncate((*open)->fd.get(), size));
  }
  if (node.key.type == QTFS_TYPE_DIR)
    return Status::error(EISDIR);
  if (node.key.type != QTFS_TYPE_REG)
    return Status::error(EINVAL);
  return check(truncate(FdPath(fd).c_str(), size));
}

// EINVAL for an id that the export's map does not have, as for those that a user namespace has not.
Status set_owner(const qtfs_wire_setattr& body, const Node& node, int fd) {
  const IdMap* ids = node.domain.ids();
  const uint32_t valid = le32toh(body.valid);
  std::optional<uint32_t> uid = ~0u;  // stays what it is
  std::optional<uint32_t> gid = ~0u;
  if ((valid & QTFS_SET_UID) && le32toh(body.uid) != ~0u)
    uid = ids ? ids->uids().to_server(le32toh(body.uid)) : le32toh(body.uid);
  if ((valid & QTFS_SET_GID) && le32toh(body.gid) != ~0u)
    gid = ids ? ids->gids().to_server(le32toh(body.gid)) : le32toh(body.gid);
  if (!uid || !gid)
    return Status::error(EINVAL);
  return check(fchownat(fd, "", *uid, *gid, AT_EMPTY_PATH));
}

Status apply(Call& call, const qtfs_wire_setattr& body, const Node& node, int fd) {
  const uint32_t valid = le32toh(body.valid);
  if (valid & QTFS_SET_SIZE)
    if (Status status = set_size(call, body, node, fd); !status)
      return status;
  if (valid & (QTFS_SET_UID | QTFS_SET_GID))
    if (Status status = set_owner(body, node, fd); !status)
      return status;
  // After the owner: changing that clears set-id bits.
  if (valid & QTFS_SET_MODE) {
    if (node.key.type == QTFS_TYPE_LNK)
      return Status::error(EOPNOTSUPP);
    if (fchmodat(AT_FDCWD, FdPath(fd).c_str(), le32toh(body.mode) & 07777, 0) < 0)
      return Status::last();
  }
  constexpr uint32_t times =
      QTFS_SET_ATIME | QTFS_SET_MTIME | QTFS_SET_ATIME_NOW | QTFS_SET_MTIME_NOW;
  if (valid & times)
    return set_times(fd, valid, body);
  return {};
}

}  // namespace

Status op_getattr(Call& call) {
  const auto body = call.take<qtfs_wire_getattr>();
  if (!body || !call.body.done())
    return Status::malformed();
  Result<qtfs_wire_attr> attr = Status();
  if (body->open) {
    const auto open = call.open(body->open);
    if (!open)
      return open.status();
    if (Status status = call.act(**open); !status)
      return status;
    attr = open_attr(call, **open);
  } else {
    const auto node = call.node(body->node);
    if (!node)
      return node.status();
    const auto fd = call.fd_behind(*node);
    if (!fd)
      return fd.status();
    // procfs may hide a process from some.
    if (Status status = call.act(**node); !status)
      return status;
    attr = fd_attr((*fd)->get(), **node);
  }
  if (!attr)
    return attr.status();
  call.reply.put(*attr);
  return {};
}

Status op_setattr(Call& call) {
  const auto body = call.take<qtfs_wire_setattr>();
  if (!body || !call.body.done())
    return Status::malformed();
  if (le32toh(body->valid) & ~QTFS_SET_ALL)
    return Status::error(EINVAL);
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  if (Status status = writable(**node); !status)
    return status;
  const auto fd = call.fd_of(*node);
  if (!fd)
    return fd.status();
  if (Status status = by_rules(call, (*fd)->get(), (*node)->key.type); !status)
    return status;
  if (Status status = call.act(**node); !status)
    return status;
  if (Status status = apply(call, *body, **node, (*fd)->get()); !status)
    return status;
  const auto attr = fd_attr((*fd)->get(), **node);
  if (!attr)
    return attr.status();
  call.reply.put(*attr);
  return {};
}

namespace {

// QTFS_MAY_* of @mask that the rules leave, now, of what a node shows.
uint32_t left_by_rules(Call& call, const Node& node, int fd, uint32_t mask) {
  if (node.key.shown == Shown::itself)
    return by_rules(call, fd, node.key.type).ok() ? mask : 0;
  if (node.key.shown == Shown::link)
    return 0;
  const RuleAction rule = call.context->rules.of(fd, node.key.type).action;
  return rule == RuleAction::content ? mask & ~QTFS_MAY_WRITE : 0;
}

}  // namespace

Status op_access(Call& call) {
  const auto body = call.take<qtfs_wire_access>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  const auto fd = call.fd_behind(*node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**node); !status)
    return status;
  const auto attr = fd_attr((*fd)->get(), **node);
  if (!attr)
    return attr.status();
  qtfs_wire_access_rep rep{};
  constexpr uint32_t all = QTFS_MAY_EXEC | QTFS_MAY_WRITE | QTFS_MAY_READ;
  const uint32_t mask = left_by_rules(call, **node, (*fd)->get(), all) & le32toh(body->mask);
  rep.allowed = htole32(
      mask ? allowed((*fd)->get(), "", mask, write_protected((*node)->domain, (*node)->key.type))
           : uint32_t{QTFS_MAY_KNOWN});
  rep.attr = *attr;
  call.reply.put(rep);
  return {};
}

namespace {

// Where a link of procfs to who asks leads for a client. To the engine it is PID, PID/task/TID, or
// self/NAME.
std::string asker_target(AskerLink link, const std::string& own) {
  const size_t slash = own.find('/');
  if (link == AskerLink::machine)
    return slash == own.npos ? own : "1" + own.substr(slash);
  return slash == own.npos ? "/proc/self" : "/proc/thread-self";
}

// Where a rule leads; ESTALE where it does not lead there any more.
Status reply_target(Call& call, const Ref<Node>& node) {
  Ref<NodeFd> fd;
  const auto stx = stat_behind(call, node, fd);
  if (!stx)
    return stx.status();
  const Verdict verdict = call.context->rules.of(fd->get(), type_to_wire(stx->stx_mode));
  if (verdict.action != RuleAction::redirect)
    return Status::error(ESTALE);
  auto payload = call.take_payload_buffer(verdict.target.size());
  if (!payload)
    return payload.status();
  payload->append(bytes_of(std::string_view(verdict.target)));
  call.reply.set_payload(std::move(*payload));
  return {};
}

}  // namespace

Status op_readlink(Call& call) {
  const auto body = call.take<qtfs_wire_node>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  if ((*node)->key.shown == Shown::link)
    return reply_target(call, *node);
  const auto fd = call.fd_of(*node);
  if (!fd)
    return fd.status();
  // Magic links ask who wants to know.
  if (Status status = call.act(**node); !status)
    return status;
  auto payload = call.take_payload_buffer(QTFS_PATH_MAX + 1);
  if (!payload)
    return payload.status();
  char* const to = reinterpret_cast<char*>(payload->data());
  ssize_t len = readlinkat((*fd)->get(), "", to, QTFS_PATH_MAX + 1);
  if (len < 0)
    return Status::error(errno == ENOENT ? EINVAL : errno);
  if (len > static_cast<ssize_t>(QTFS_PATH_MAX))
    return Status::error(ENAMETOOLONG);
  if (const AskerLink link = (*node)->traits.asker; link != AskerLink::none)
    len = static_cast<ssize_t>(
        asker_target(link, std::string(to, static_cast<size_t>(len))).copy(to, QTFS_PATH_MAX));
  payload->grow(static_cast<size_t>(len));
  call.reply.set_payload(std::move(*payload));
  return {};
}

Status op_statfs(Call& call) {
  const auto body = call.take<qtfs_wire_node>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  const auto fd = call.fd_behind(*node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**node); !status)
    return status;
  struct statfs fs {};
  if (fstatfs((*fd)->get(), &fs) < 0)
    return Status::last();
  static_assert(sizeof(fs.f_fsid) == sizeof(uint64_t));
  uint64_t fsid = 0;
  std::memcpy(&fsid, &fs.f_fsid, sizeof(fsid));
  qtfs_wire_statfs rep{};
  rep.type = htole64(static_cast<uint64_t>(fs.f_type) & 0xffffffffu);
  rep.blocks = htole64(fs.f_blocks);
  rep.bfree = htole64(fs.f_bfree);
  rep.bavail = htole64(fs.f_bavail);
  rep.files = htole64(fs.f_files);
  rep.ffree = htole64(fs.f_ffree);
  rep.fsid = htole64(fsid);
  rep.bsize = htole32(static_cast<uint32_t>(fs.f_bsize));
  rep.frsize = htole32(static_cast<uint32_t>(fs.f_frsize ? fs.f_frsize : fs.f_bsize));
  rep.namelen = htole32(static_cast<uint32_t>(std::min<long>(fs.f_namelen, QTFS_NAME_MAX)));
  static constexpr struct {
    long native;
    uint32_t wire;
  } flags[] = {{0x1, QTFS_STATFS_RDONLY},
               {0x2, QTFS_STATFS_NOSUID},
               {0x4, QTFS_STATFS_NODEV},
               {0x8, QTFS_STATFS_NOEXEC}};
  uint32_t wire = (*node)->domain.readonly ? QTFS_STATFS_RDONLY : 0;
  for (const auto& flag : flags)
    if (fs.f_flags & flag.native)
      wire |= flag.wire;
  rep.flags = htole32(wire);
  call.reply.put(rep);
  return {};
}

}  // namespace qtfs
