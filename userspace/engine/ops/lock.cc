// SPDX-License-Identifier: GPL-2.0-only
// Locks: the mirror of kmod/lock.c.
#include <fcntl.h>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

bool openable_again(const Open& open) {
  return open.regular() || open.type == QTFS_TYPE_DIR;
}

LockKind kind_of(uint32_t flags) {
  if (flags & QTFS_LOCK_FLOCK)
    return LockKind::flock;
  return flags & QTFS_LOCK_OFD ? LockKind::ofd : LockKind::posix;
}

// Offsets are signed for the kernel; its last one is the end of every file.
Result<LockRange> range_of(const qtfs_wire_lock& body) {
  LockRange range{le64toh(body.start), le64toh(body.end), le32toh(body.type)};
  if (range.start > INT64_MAX || range.end < range.start)
    return Status::error(EINVAL);
  if (range.end >= INT64_MAX)
    range.end = UINT64_MAX;
  return range;
}

Result<LockRequest> take_request(Call& call, uint32_t known_flags, bool* wait = nullptr) {
  const auto body = call.take<qtfs_wire_lock>();
  if (!body || body->reserved || !call.body.done() || (le32toh(body->flags) & ~known_flags))
    return Status::malformed();
  auto open = call.open(body->open);
  if (!open)
    return open.status();
  LockRequest request;
  request.kind = kind_of(le32toh(body->flags));
  // Who locks a content would exclude nobody who uses the file.
  if ((*open)->content || (request.kind == LockKind::posix && !openable_again(**open)))
    return Status::error(ENOLCK);
  auto range = range_of(*body);
  if (!range)
    return range.status();
  request.range = *range;
  if (request.kind == LockKind::flock)
    request.range = {0, UINT64_MAX, range->type};
  request.file = {(*open)->node->key.dev, (*open)->node->key.ino};
  request.owner = {call.session, le64toh(body->owner)};
  request.quota = &call.session->lock_quota;
  request.open = std::move(*open);
  if (wait)
    *wait = (le32toh(body->flags) & QTFS_LOCK_WAIT) != 0;
  return request;
}

// Reading is enough for read locks; who opened a file to write it could have it opened so again.
LockTable::Reopen reopen(Call& call, const Open& open) {
  return [&call, &open](bool write) -> Result<UniqueFd> {
    Privileged privileged(call.context->creds);
    if (!privileged.status())
      return privileged.status();
    const int flags = open.type == QTFS_TYPE_DIR ? O_RDONLY | O_DIRECTORY
                      : write                    ? O_RDWR
                                                 : O_RDONLY;
    // An append-only inode is written by nothing else.
    return reopen_plain(call, open.fd.get(), flags | (open.kernel_append ? O_APPEND : 0));
  };
}

Status may_lock(const LockRequest& request) {
  const uint32_t type = request.range.type;
  if (type != QTFS_LOCK_READ && type != QTFS_LOCK_WRITE)
    return Status::error(EINVAL);
  const uint32_t needed = type == QTFS_LOCK_READ ? QTFS_OPEN_READ : QTFS_OPEN_WRITE;
  return request.kind == LockKind::flock || (request.open->flags & needed) ? Status()
                                                                           : Status::error(EBADF);
}

Status wait_for(Call& call) {
  if (!call.may_block)
    return Status::defer();
  const Status status = call.session->locks.wait(*call.lock_wait);
  call.lock_wait.reset();
  return status;
}

}  // namespace

Status op_lock(Call& call) {
  bool wait = false;
  auto request = take_request(call, QTFS_LOCK_WAIT | QTFS_LOCK_FLOCK | QTFS_LOCK_OFD, &wait);
  if (!request)
    return request.status();
  if (Status status = may_lock(*request); !status)
    return status;
  // What comes behind would wait as well, on threads that are not for that.
  if (wait && call.compound.started)
    return Status::error(EOPNOTSUPP);
  call.patient = wait;
  call.parks = wait;
  LockTable& locks = call.session->locks;
  Status status;
  if (!call.lock_wait)  // else it has waited in the queue
    status = locks.lock(*request, reopen(call, *request->open), wait ? &call.lock_wait : nullptr);
  if (call.lock_wait)
    status = wait_for(call);
  if (!status)
    return status;
  // What the file is like now that it is locked: a client's cache may be older.
  const auto attr = fd_attr(request->open->fd.get(), *request->open->node);
  if (!attr) {
    request->range.type = QTFS_LOCK_NONE;
    static_cast<void>(locks.unlock(*request));
    return attr.status();
  }
  call.reply.put(*attr);
  return {};
}

Status op_unlock(Call& call) {
  auto request = take_request(call, QTFS_LOCK_FLOCK | QTFS_LOCK_OFD);
  if (!request)
    return request.status();
  request->range.type = QTFS_LOCK_NONE;
  return call.session->locks.unlock(*request);
}

Status op_getlock(Call& call) {
  const auto request = take_request(call, QTFS_LOCK_OFD);
  if (!request)
    return request.status();
  if (request->range.type != QTFS_LOCK_READ && request->range.type != QTFS_LOCK_WRITE)
    return Status::error(EINVAL);
  pid_t pid = 0;
  const auto found = call.session->locks.test(*request, reopen(call, *request->open), pid);
  if (!found)
    return found.status();
  qtfs_wire_lock reply{};
  reply.open = htole64(request->open->id);
  reply.owner = htole64(request->owner.id);
  reply.start = htole64(found->start);
  reply.end = htole64(found->end);
  reply.type = htole32(found->type);
  reply.pid = htole32(static_cast<uint32_t>(pid));
  call.reply.put(reply);
  return {};
}

}  // namespace qtfs
