// SPDX-License-Identifier: GPL-2.0-only
// Names: the mirror of kmod/dir.c.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/ops/socket.hh"

namespace qtfs {

namespace {

// A directory that the caller acts in: its node, its descriptor; the thread is the caller.
struct Place {
  Ref<Node> dir;
  Ref<NodeFd> fd;
  int get() const { return fd->get(); }
};

Result<Place> enter(Call& call, uint64_t wire_dir, bool to_change) {
  auto dir = call.node(wire_dir);
  if (!dir)
    return dir.status();
  if ((*dir)->key.type != QTFS_TYPE_DIR)
    return Status::error(ENOTDIR);
  if (to_change)
    if (Status status = writable(**dir); !status)
      return status;
  auto fd = call.fd_of(*dir);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**dir); !status)
    return status;
  return Place{std::move(*dir), std::move(*fd)};
}

// To give @name to something of @type, or, with 0, to take it away from what has it.
Result<Place> enter_to_change(Call& call, uint64_t wire_dir, const std::string& name,
                              uint32_t type) {
  auto place = enter(call, wire_dir, true);
  if (place)
    if (Status status = by_rules(call, place->get(), name, type); !status)
      return status;
  return place;
}

// What moves must not take a name that the rules keep from its like, nor take a directory's name
// away from what they keep below it.
Status rename_by_rules(Call& call, const Place& from, const std::string& old_name, const Place& to,
                       const std::string& new_name, unsigned flags) {
  Rules& rules = call.context->rules;
  if (!rules.any())
    return {};
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  Mounts& mounts = call.context->mounts;
  if (mounts.is_qtfs(from.get(), old_name) || mounts.is_qtfs(to.get(), new_name))
    return Status::error(EBUSY);
  const auto moved = stat_name(from.get(), old_name.c_str());
  if (!moved)
    return moved.status();
  if (Status status = by_rules(call, to.get(), new_name, type_to_wire(moved->stx_mode)); !status)
    return status;
  const auto other = stat_name(to.get(), new_name.c_str());
  if (exchange && other)
    if (Status status = by_rules(call, from.get(), old_name, type_to_wire(other->stx_mode));
        !status)
      return status;
  const bool kept =
      S_ISDIR(moved->stx_mode) && !rules.may_move(from.get(), old_name, to.get(), new_name);
  const bool other_kept = exchange && other && S_ISDIR(other->stx_mode) &&
                          !rules.may_move(to.get(), new_name, from.get(), old_name);
  return kept || other_kept ? Status::error(EBUSY) : Status();
}

Status reply_bound(Call& call, const Place& place, const std::string& name, uint32_t kind,
                   UniqueFd bound) {
  const auto child = lookup_entry(call, place.dir, place.get(), name);
  if (!child)
    return child.status();
  // Somebody has put something else there.
  if (child->node->key.type != QTFS_TYPE_SOCK)
    return Status::error(ESTALE);
  Opened made{.fd = std::move(bound), .socket = kind, .attr = child->entry.attr};
  const auto opened = grant_open(call, child->node, std::move(made), QTFS_OPEN_READ);
  if (!opened)
    return opened.status();
  call.reply.put(qtfs_wire_created{child->entry, *opened});
  return {};
}

Status remove(Call& call, int flags) {
  const auto body = call.take<qtfs_wire_unlink>();
  if (!body || body->reserved[0] || body->reserved[1] || body->reserved[2])
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const auto place = enter_to_change(call, body->dir, *name, 0);
  if (!place)
    return place.status();
  return check(unlinkat(place->get(), name->c_str(), flags));
}

}  // namespace

Status op_lookup(Call& call) {
  const auto body = call.take<qtfs_wire_lookup>();
  if (!body || body->reserved || (le16toh(body->flags) & ~QTFS_LOOKUP_KEY))
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const auto place = enter(call, body->dir, false);
  if (!place)
    return place.status();
  if (call.compound.started) {
    call.compound.prev_dir = place->fd;
    call.compound.prev_name = *name;
  }
  return reply_entry(call, place->dir, place->get(), *name);
}

Status op_mkdir(Call& call) {
  const auto body = call.take<qtfs_wire_mknod>();
  if (!body || body->reserved)
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const auto place = enter_to_change(call, body->dir, *name, QTFS_TYPE_DIR);
  if (!place)
    return place.status();
  call.context->creds.umask(le32toh(body->umask));
  if (mkdirat(place->get(), name->c_str(), le32toh(body->mode) & 07777) < 0)
    return Status::last();
  return reply_entry(call, place->dir, place->get(), *name);
}

Status op_rmdir(Call& call) {
  return remove(call, AT_REMOVEDIR);
}

Status op_unlink(Call& call) {
  return remove(call, 0);
}

Status op_rename(Call& call) {
  const auto body = call.take<qtfs_wire_rename>();
  if (!body)
    return Status::malformed();
  const auto old_name = call.take_name(le16toh(body->old_len), false);
  if (!old_name)
    return old_name.status();
  const auto new_name = call.take_name(le16toh(body->new_len));
  if (!new_name)
    return new_name.status();
  const uint32_t wire = le32toh(body->flags);
  if (wire & ~(QTFS_RENAME_NOREPLACE | QTFS_RENAME_EXCHANGE | QTFS_RENAME_WHITEOUT))
    return Status::error(EINVAL);
  unsigned flags = 0;
  if (wire & QTFS_RENAME_NOREPLACE)
    flags |= RENAME_NOREPLACE;
  if (wire & QTFS_RENAME_EXCHANGE)
    flags |= RENAME_EXCHANGE;
  if (wire & QTFS_RENAME_WHITEOUT)
    flags |= RENAME_WHITEOUT;
  const auto from = enter_to_change(call, body->old_dir, *old_name, 0);
  if (!from)
    return from.status();
  const auto to = enter_to_change(call, body->new_dir, *new_name, 0);
  if (!to)
    return to.status();
  if (&from->dir->domain != &to->dir->domain)
    return Status::error(EXDEV);
  if (Status status = rename_by_rules(call, *from, *old_name, *to, *new_name, flags); !status)
    return status;
  return check(renameat2(from->get(), old_name->c_str(), to->get(), new_name->c_str(), flags));
}

Status op_link(Call& call) {
  const auto body = call.take<qtfs_wire_link>();
  if (!body || body->reserved[0] || body->reserved[1] || body->reserved[2])
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  const auto fd = call.fd_of(*node);
  if (!fd)
    return fd.status();
  if (Status status = by_rules(call, (*fd)->get(), (*node)->key.type); !status)
    return status;
  const auto place = enter_to_change(call, body->dir, *name, (*node)->key.type);
  if (!place)
    return place.status();
  if (&(*node)->domain != &place->dir->domain)
    return Status::error(EXDEV);
  const FdPath path((*fd)->get());
  if (linkat(AT_FDCWD, path.c_str(), place->get(), name->c_str(), AT_SYMLINK_FOLLOW) < 0)
    return Status::last();
  return reply_entry(call, place->dir, place->get(), *name);
}

Status op_symlink(Call& call) {
  const auto body = call.take<qtfs_wire_symlink>();
  if (!body || body->reserved)
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len), false);
  if (!name)
    return name.status();
  const auto target = call.body.take_name(le16toh(body->target_len));
  if (!target || !call.body.done())
    return Status::malformed();
  if (target->size() > QTFS_PATH_MAX)
    return Status::error(ENAMETOOLONG);
  if (target->find('\0') != target->npos)
    return Status::malformed();
  const auto place = enter_to_change(call, body->dir, *name, QTFS_TYPE_LNK);
  if (!place)
    return place.status();
  if (symlinkat(std::string(*target).c_str(), place->get(), name->c_str()) < 0)
    return Status::last();
  return reply_entry(call, place->dir, place->get(), *name);
}

Status op_mknod(Call& call) {
  const auto body = call.take<qtfs_wire_mknod>();
  if (!body || body->reserved)
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const uint32_t type = type_from_wire(le32toh(body->type));
  if (type == 0 || type == S_IFDIR || type == S_IFLNK)
    return Status::error(EINVAL);
  const auto place = enter_to_change(call, body->dir, *name, le32toh(body->type));
  if (!place)
    return place.status();
  call.context->creds.umask(le32toh(body->umask));
  const dev_t dev = makedev(le32toh(body->rdev_major), le32toh(body->rdev_minor));
  if (mknodat(place->get(), name->c_str(), type | (le32toh(body->mode) & 07777), dev) < 0)
    return Status::last();
  return reply_entry(call, place->dir, place->get(), *name);
}

Status op_bind(Call& call) {
  const auto body = call.take<qtfs_wire_bind>();
  if (!body || body->reserved)
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const auto place = enter_to_change(call, body->dir, *name, QTFS_TYPE_SOCK);
  if (!place)
    return place.status();
  if (!place->dir->domain.exported->sockets || call.session->opens.full())
    return Status::error(EOPNOTSUPP);
  call.context->creds.umask(le32toh(body->umask));
  const uint32_t kind = le32toh(body->socket);
  auto bound = bind_socket(place->get(), *name, kind, le32toh(body->mode) & 07777);
  if (!bound)
    return bound.status();
  Status status = reply_bound(call, *place, *name, kind, std::move(*bound));
  // The program's bind(2) fails: its next attempt should not.
  if (!status)
    unlinkat(place->get(), name->c_str(), 0);
  return status;
}

}  // namespace qtfs
