// SPDX-License-Identifier: GPL-2.0-only
// Nodes without names, as file handles have them: the mirror of kmod/export.c.
#include <fcntl.h>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

constexpr unsigned depth_max = 4096;  // directories one above the other

Result<UniqueFd> above(int dir) {
  UniqueFd fd(openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return Status::last();
  return fd;
}

// Whether a directory is the export's root, or below it. Somebody may move it meanwhile: then it
// was there a moment ago.
Result<bool> exported(const Domain& domain, UniqueFd dir) {
  const auto root_fd = domain.exported->root->get();
  if (!root_fd)
    return root_fd.status();
  const auto root = stat_fd(root_fd->get());
  if (!root)
    return root.status();
  const NodeKey end = NodeKey::of(*root, domain);
  NodeKey last;
  for (unsigned depth = 0; depth < depth_max; depth++) {
    const auto stx = stat_fd(dir.get());
    if (!stx)
      return stx.status();
    const NodeKey key = NodeKey::of(*stx, domain);
    if (key == end)
      return true;
    if (key == last)  // the root of all
      return false;
    last = key;
    auto next = above(dir.get());
    if (!next)
      return next.status();
    dir = std::move(*next);
  }
  return false;
}

UniqueFd again(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace

Status op_node(Call& call) {
  const auto body = call.take<qtfs_wire_node>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  const auto child = renew_entry(call, *node);
  if (!child)
    return child.status();
  call.reply.put(child->entry);
  return {};
}

Status op_parent(Call& call) {
  const auto body = call.take<qtfs_wire_node>();
  if (!body || !call.body.done())
    return Status::malformed();
  const auto node = call.node(body->node);
  if (!node)
    return node.status();
  if ((*node)->key.type != QTFS_TYPE_DIR)
    return Status::error(ENOTDIR);
  // What may be seen there depends on the way that led to it.
  if ((*node)->traits.synthetic)
    return Status::error(ESTALE);
  const auto fd = call.fd_of(*node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**node); !status)
    return status;
  auto parent = above((*fd)->get());
  if (!parent)
    return parent.status();
  const auto inside = exported((*node)->domain, again(parent->get()));
  if (!inside)
    return inside.status();
  if (!*inside)
    return Status::error(ESTALE);
  const auto child = grant_entry(call, (*node)->domain, std::move(*parent), {{}, {}, true}, -1);
  if (!child)
    return child.status();
  call.reply.put(child->entry);
  return {};
}

}  // namespace qtfs
