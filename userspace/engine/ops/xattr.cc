// SPDX-License-Identifier: GPL-2.0-only
// Extended attributes: the mirror of kmod/xattr.c.
#include <sys/xattr.h>

#include "engine/ops/ops.hh"
#include "engine/xattr_ids.hh"

namespace qtfs {

namespace {

struct Target {
  Ref<Node> node;
  Ref<NodeFd> fd;
  std::string name;
  uint32_t size = 0;
  uint32_t flags = 0;
};

Result<Target> target_of(Call& call, bool named, bool to_change) {
  const auto body = call.take<qtfs_wire_xattr>();
  if (!body)
    return Status::malformed();
  const auto name = call.body.take_name(le16toh(body->name_len));
  if (!name || !call.body.done() || name->find('\0') != name->npos || named == name->empty())
    return Status::malformed();
  if (name->size() > QTFS_NAME_MAX)
    return Status::error(ERANGE);
  Target target;
  target.name = *name;
  target.size = le32toh(body->size);
  target.flags = le16toh(body->flags);
  auto node = call.node(body->node);
  if (!node)
    return node.status();
  target.node = std::move(*node);
  if (to_change)
    if (Status status = writable(*target.node); !status)
      return status;
  // To ask for them, as of procfs: those of the object may tell what it has.
  if (!to_change && target.node->key.shown != Shown::itself)
    return Status::error(EOPNOTSUPP);
  auto fd = call.fd_of(target.node);
  if (!fd)
    return fd.status();
  target.fd = std::move(*fd);
  if (to_change)
    if (Status status = by_rules(call, target.fd->get(), target.node->key.type); !status)
      return status;
  if (Status status = call.act(*target.node); !status)
    return status;
  return target;
}

// How long the value is that a system call gave.
Result<size_t> given(ssize_t len) {
  if (len < 0)
    return Status::last();
  return static_cast<size_t>(len);
}

// GET and LIST: @read is given room, or none to ask for the size.
template <typename Read>
Status reply_value(Call& call, uint32_t size, Read read) {
  if (size > QTFS_XATTR_MAX)
    size = QTFS_XATTR_MAX;
  Buffer payload;
  if (size > 0) {
    auto buffer = call.take_payload_buffer(size);
    if (!buffer)
      return buffer.status();
    payload = std::move(*buffer);
  }
  const Result<size_t> len = read(size > 0 ? payload.data() : nullptr, size);
  if (!len)
    return len.status();
  qtfs_wire_xattr_rep rep{};
  rep.size = htole32(static_cast<uint32_t>(*len));
  call.reply.put(rep);
  if (size > 0) {
    payload.grow(*len);
    call.reply.set_payload(std::move(payload));
  }
  return {};
}

}  // namespace

// The path is the descriptor's magic link: it ends at a symlink itself, if that is the object.

Status op_getxattr(Call& call) {
  const auto target = target_of(call, true, false);
  if (!target)
    return target.status();
  const FdPath path(target->fd->get());
  return reply_value(call, target->size, [&](std::byte* to, size_t size) -> Result<size_t> {
    const auto len = given(getxattr(path.c_str(), target->name.c_str(), to, size));
    const IdMap* ids = target->node->domain.ids();
    if (!len || !to || !ids)
      return len;
    if (Status status = xattr_to_client(*ids, target->name, {to, *len}); !status)
      return status;
    return len;
  });
}

Status op_listxattr(Call& call) {
  const auto target = target_of(call, false, false);
  if (!target)
    return target.status();
  const FdPath path(target->fd->get());
  return reply_value(call, target->size, [&](std::byte* to, size_t size) {
    return given(listxattr(path.c_str(), reinterpret_cast<char*>(to), size));
  });
}

Status op_setxattr(Call& call) {
  if (call.payload.size() > QTFS_XATTR_MAX)
    return Status::error(E2BIG);
  const auto target = target_of(call, true, true);
  if (!target)
    return target.status();
  if (target->flags & ~uint32_t{QTFS_XATTR_CREATE | QTFS_XATTR_REPLACE})
    return Status::error(EINVAL);
  int flags = 0;
  if (target->flags & QTFS_XATTR_CREATE)
    flags |= XATTR_CREATE;
  if (target->flags & QTFS_XATTR_REPLACE)
    flags |= XATTR_REPLACE;
  Bytes value = call.payload;
  Buffer translated;
  if (const IdMap* ids = target->node->domain.ids(); ids && !value.empty()) {
    auto copy = call.take_payload_buffer(value.size());
    if (!copy)
      return copy.status();
    copy->append(value);
    if (Status status = xattr_to_server(*ids, target->name, {copy->data(), copy->size()}); !status)
      return status;
    translated = std::move(*copy);
    value = translated.bytes();
  }
  return check(setxattr(FdPath(target->fd->get()).c_str(), target->name.c_str(), value.data(),
                        value.size(), flags));
}

Status op_removexattr(Call& call) {
  const auto target = target_of(call, true, true);
  if (!target)
    return target.status();
  return check(removexattr(FdPath(target->fd->get()).c_str(), target->name.c_str()));
}

}  // namespace qtfs
