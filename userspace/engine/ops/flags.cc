// SPDX-License-Identifier: GPL-2.0-only
// Inode flags and what else ioctl(2) tells of a file: the mirror of kmod/flags.c, and of FIEMAP in
// kmod/range.c.
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "engine/ops/ops.hh"
#include "qtfs/flags.h"

namespace qtfs {

namespace {

struct Flag {
  uint64_t wire;
  uint32_t basic;
  uint32_t extended;
};

constexpr Flag flag_table[] = {
#define X(bit, NAME, basic, extended) \
  {uint64_t{1} << (bit), static_cast<uint32_t>(basic), static_cast<uint32_t>(extended)},
    QTFS_FLAG_LIST(X)
#undef X
};

uint64_t to_wire(uint32_t native, uint32_t Flag::*which) {
  uint64_t wire = 0;
  for (const Flag& flag : flag_table)
    if (native & flag.*which)
      wire |= flag.wire;
  return wire;
}

// EOPNOTSUPP for what the set does not have.
Result<uint32_t> from_wire(uint64_t wire, uint32_t Flag::*which) {
  uint32_t native = 0;
  for (const Flag& flag : flag_table)
    if ((wire & flag.wire) && flag.*which) {
      native |= flag.*which;
      wire &= ~flag.wire;
    }
  if (wire)
    return Status::error(EOPNOTSUPP);
  return native;
}

// What an ioctl wants: a file that is really open.
struct Target {
  Ref<Open> open;
  Ref<Node> node;
  UniqueFd made;
  int fd = -1;
};

// The open, or, where the client has none, one that is made for this call: asking for flags takes
// no permission to read. From here on the thread is the caller.
Result<Target> take_target(Call& call, uint64_t wire_node, uint64_t wire_open) {
  Target target;
  if (wire_open) {
    auto open = call.open(wire_open);
    if (!open)
      return open.status();
    target.open = std::move(*open);
    target.node = target.open->node;
    target.fd = target.open->fd.get();
  } else {
    auto node = call.node(wire_node);
    if (!node)
      return node.status();
    target.node = std::move(*node);
  }
  const uint32_t type = target.node->key.type;
  // A driver may take the numbers for something else.
  if (target.node->traits.synthetic || target.node->key.shown != Shown::itself ||
      (type != QTFS_TYPE_REG && type != QTFS_TYPE_DIR))
    return Status::error(ENOTTY);
  if (!wire_open) {
    const auto fd = call.fd_of(target.node);
    if (!fd)
      return fd.status();
    if (Status status = by_rules(call, (*fd)->get(), type); !status)
      return status;
    Privileged privileged(call.context->creds);
    if (!privileged.status())
      return privileged.status();
    auto made = reopen_plain(call, (*fd)->get(), O_RDONLY);
    if (!made)
      return made.status();
    target.made = std::move(*made);
    target.fd = target.made.get();
  }
  if (Status status = call.act(*target.node); !status)
    return status;
  return target;
}

qtfs_wire_flags get_flags(int fd) {
  qtfs_wire_flags rep{};
  uint64_t flags = 0;
  uint32_t valid = 0;
  // The last two are declared with a long, but an int is what they move.
  unsigned basic = 0;
  unsigned generation = 0;
  fsxattr extended{};
  if (ioctl(fd, FS_IOC_GETFLAGS, &basic) == 0) {
    flags |= to_wire(basic, &Flag::basic);
    valid |= QTFS_FLAGS_BASIC;
  }
  if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0) {
    flags |= to_wire(extended.fsx_xflags, &Flag::extended);
    rep.projid = htole32(extended.fsx_projid);
    rep.extsize = htole32(extended.fsx_extsize);
    rep.cowextsize = htole32(extended.fsx_cowextsize);
    rep.nextents = htole32(extended.fsx_nextents);
    valid |= QTFS_FLAGS_EXTENDED;
  }
  if (ioctl(fd, FS_IOC_GETVERSION, &generation) == 0) {
    rep.generation = htole32(generation);
    valid |= QTFS_FLAGS_GENERATION;
  }
  rep.flags = htole64(flags);
  rep.valid = htole32(valid);
  return rep;
}

Status set_basic(int fd, const qtfs_wire_flags& set) {
  auto native = from_wire(le64toh(set.flags), &Flag::basic);
  if (!native)
    return native.status();
  return check(ioctl(fd, FS_IOC_SETFLAGS, &*native));
}

Status set_extended(int fd, const qtfs_wire_flags& set) {
  const auto native = from_wire(le64toh(set.flags), &Flag::extended);
  if (!native)
    return native.status();
  fsxattr extended{};
  extended.fsx_xflags = *native;
  extended.fsx_projid = le32toh(set.projid);
  extended.fsx_extsize = le32toh(set.extsize);
  extended.fsx_cowextsize = le32toh(set.cowextsize);
  return check(ioctl(fd, FS_IOC_FSSETXATTR, &extended));
}

constexpr struct {
  uint32_t native;
  uint32_t wire;
} extent_flags[] = {
    {FIEMAP_EXTENT_LAST, QTFS_EXTENT_LAST},
    {FIEMAP_EXTENT_UNKNOWN, QTFS_EXTENT_UNKNOWN},
    {FIEMAP_EXTENT_DELALLOC, QTFS_EXTENT_DELALLOC},
    {FIEMAP_EXTENT_ENCODED, QTFS_EXTENT_ENCODED},
    {FIEMAP_EXTENT_DATA_ENCRYPTED, QTFS_EXTENT_ENCRYPTED},
    {FIEMAP_EXTENT_NOT_ALIGNED, QTFS_EXTENT_NOT_ALIGNED},
    {FIEMAP_EXTENT_DATA_INLINE, QTFS_EXTENT_INLINE},
    {FIEMAP_EXTENT_DATA_TAIL, QTFS_EXTENT_TAIL},
    {FIEMAP_EXTENT_UNWRITTEN, QTFS_EXTENT_UNWRITTEN},
    {FIEMAP_EXTENT_MERGED, QTFS_EXTENT_MERGED},
    {FIEMAP_EXTENT_SHARED, QTFS_EXTENT_SHARED},
};

qtfs_wire_extent extent_to_wire(const fiemap_extent& extent) {
  qtfs_wire_extent wire{};
  wire.logical = htole64(extent.fe_logical);
  wire.physical = htole64(extent.fe_physical);
  wire.length = htole64(extent.fe_length);
  for (const auto& flag : extent_flags)
    if (extent.fe_flags & flag.native)
      wire.flags |= htole32(flag.wire);
  return wire;
}

}  // namespace

Status op_getflags(Call& call) {
  const auto body = call.take<qtfs_wire_getattr>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto target = take_target(call, body->node, body->open);
  if (!target)
    return target.status();
  const qtfs_wire_flags rep = get_flags(target->fd);
  if (!rep.valid)
    return Status::error(ENOTTY);
  call.reply.put(rep);
  return {};
}

Status op_setflags(Call& call) {
  const auto body = call.take<qtfs_wire_setflags>();
  if (!body || !call.body.done())
    return Status::malformed();
  const uint32_t valid = le32toh(body->set.valid);
  if (valid != QTFS_FLAGS_BASIC && valid != QTFS_FLAGS_EXTENDED)
    return Status::error(EINVAL);
  // Some flags make the filesystem write the file first.
  if (!call.may_block)
    return Status::defer();
  const auto target = take_target(call, body->node, body->open);
  if (!target)
    return target.status();
  if (Status status = writable(*target->node); !status)
    return status;
  const Status done = valid == QTFS_FLAGS_BASIC ? set_basic(target->fd, body->set)
                                                : set_extended(target->fd, body->set);
  if (!done)
    return done;
  const auto attr = fd_attr(target->fd, *target->node);
  if (!attr)
    return attr.status();
  call.reply.put(*attr);
  return {};
}

Status op_fiemap(Call& call) {
  const auto body = call.take<qtfs_wire_fiemap>();
  if (!body || !call.body.done() ||
      (le32toh(body->flags) & ~(QTFS_FIEMAP_XATTR | QTFS_FIEMAP_SYNC)))
    return Status::malformed();
  const uint32_t count = le32toh(body->count);
  if (!count || count > QTFS_EXTENTS_MAX || count > call.io_max / sizeof(qtfs_wire_extent))
    return Status::error(EINVAL);
  if (!call.may_block)
    return Status::defer();
  const auto target = take_target(call, body->node, body->open);
  if (!target)
    return target.status();
  std::vector<std::byte> memory(sizeof(struct fiemap) + count * sizeof(fiemap_extent));
  auto* map = reinterpret_cast<struct fiemap*>(memory.data());
  map->fm_start = le64toh(body->start);
  map->fm_length = le64toh(body->length);
  if (le32toh(body->flags) & QTFS_FIEMAP_XATTR)
    map->fm_flags |= FIEMAP_FLAG_XATTR;
  if (le32toh(body->flags) & QTFS_FIEMAP_SYNC)
    map->fm_flags |= FIEMAP_FLAG_SYNC;
  map->fm_extent_count = count;
  if (ioctl(target->fd, FS_IOC_FIEMAP, map) < 0)
    return Status::last();
  const uint32_t nr = std::min(map->fm_mapped_extents, count);
  qtfs_wire_extents rep{};
  rep.nr = htole32(nr);
  call.reply.put(rep);
  if (!nr)
    return {};
  auto payload = call.take_payload_buffer(nr * sizeof(qtfs_wire_extent));
  if (!payload)
    return payload.status();
  for (uint32_t i = 0; i < nr; i++)
    payload->append(bytes_of(extent_to_wire(map->fm_extents[i])));
  call.reply.set_payload(std::move(*payload));
  return {};
}

}  // namespace qtfs
