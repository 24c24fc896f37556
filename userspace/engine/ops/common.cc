// SPDX-License-Identifier: GPL-2.0-only
// What several handlers need: entries, attributes, permissions.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "engine/ops/ops.hh"
#include "engine/procfs.hh"

namespace qtfs {

namespace {

bool may(int fd, const char* name, int mode) {
  const int flags = AT_EACCESS | AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
  return syscall(SYS_faccessat2, fd, name, mode, flags) == 0;
}

// Shown of every process to everybody.
constexpr std::string_view public_names[] = {"stat",   "statm",     "status",  "cmdline",
                                             "comm",   "cgroup",    "sched",   "oom_score",
                                             "cpuset", "sessionid", "loginuid"};

}  // namespace

Traits traits_of(const FsKind& kind, const NodeKey& key, const NodeTable::Origin& origin, int dir) {
  Traits traits;
  traits.synthetic = kind.synthetic;
  if (!kind.proc || !origin.parent)
    return traits;
  const Guard above = origin.parent->traits.guard;
  if (above == Guard::guarded) {
    traits.guard = Guard::guarded;
  } else if (above == Guard::own_process) {
    const bool shown = std::find(std::begin(public_names), std::end(public_names), origin.name) !=
                       std::end(public_names);
    traits.guard = shown ? Guard::none : Guard::guarded;
  } else if (key.type == QTFS_TYPE_DIR && names_own_thread(dir, origin.name)) {
    traits.guard = Guard::own_process;
  } else if (key.type == QTFS_TYPE_LNK) {
    if (key.shown == Shown::itself)
      traits.asker = asker_link(dir, origin.name);
  } else if (key.type == QTFS_TYPE_REG && is_memory(key.ino)) {
    traits.guard = Guard::denied;
  }
  return traits;
}

FdPath::FdPath(int fd) {
  *std::to_chars(text_, text_ + sizeof(text_) - 1, fd).ptr = '\0';
}

Status writable(const Node& node) {
  return node.domain.readonly ? Status::error(EROFS) : Status();
}

Status status_of(RuleAction action, int hidden) {
  switch (action) {
    case RuleAction::serve:
    case RuleAction::uncached:
      return {};
    case RuleAction::hide:
      return Status::error(hidden);
    default:
      return Status::error(EACCES);
  }
}

Status by_rules(Call& call, int fd, uint32_t type) {
  return status_of(call.context->rules.of(fd, type).action, ENOENT);
}

Status by_rules(Call& call, int dir, const std::string& name, uint32_t type) {
  Rules& rules = call.context->rules;
  if (!rules.any())
    return {};
  if (type)
    return status_of(rules.of(dir, name, type).action, EACCES);
  if (call.context->mounts.is_qtfs(dir, name))
    return Status::error(EBUSY);
  const auto stx = stat_name(dir, name.c_str());
  if (!stx)
    return {};  // there is nothing to take away
  return status_of(rules.of(dir, name, type_to_wire(stx->stx_mode)).action, ENOENT);
}

namespace {

// A length and what is made of one are not the object's own, as in procfs.
void show_as(Shown shown, qtfs_wire_attr& attr) {
  if (shown == Shown::itself)
    return;
  attr.size = 0;
  attr.blocks = 0;
  attr.dio_mem_align = 0;
  attr.dio_offset_align = 0;
  attr.flags &= ~htole32(QTFS_ATTR_DIOALIGN);
  if (shown == Shown::content) {
    attr.flags |= htole32(QTFS_ATTR_UNCACHED);
    return;
  }
  attr.type = htole32(QTFS_TYPE_LNK);
  attr.mode = htole32(0777);
  attr.nlink = htole32(1);
  attr.rdev_major = 0;
  attr.rdev_minor = 0;
  attr.flags &= htole32(QTFS_ATTR_RACY | QTFS_ATTR_BTIME | QTFS_ATTR_MOUNT_ROOT);
  attr.flags |= htole32(QTFS_ATTR_LOCAL);
}

}  // namespace

qtfs_wire_attr node_attr(const struct statx& stx, Shown shown, uint32_t flags, const IdMap* ids) {
  qtfs_wire_attr attr = attr_to_wire(stx);
  attr.flags |= htole32(flags);
  show_as(shown, attr);
  if (ids) {
    attr.uid = htole32(ids->uids().to_client(stx.stx_uid));
    attr.gid = htole32(ids->gids().to_client(stx.stx_gid));
  }
  return attr;
}

Result<qtfs_wire_attr> fd_attr(int fd, const Node& node) {
  const auto stx = stat_fd(fd);
  if (!stx)
    return stx.status();
  return node_attr(*stx, node.key.shown, node.flags(), node.domain.ids());
}

Result<qtfs_wire_attr> open_attr(Call& call, const Open& open) {
  if (!open.content)
    return fd_attr(open.fd.get(), *open.node);
  const auto fd = call.fd_behind(open.node);
  if (!fd)
    return fd.status();
  return fd_attr((*fd)->get(), *open.node);
}

uint32_t allowed(int fd, const char* name, uint32_t mask, bool readonly) {
  static constexpr struct {
    uint32_t wire;
    int native;
  } modes[] = {{QTFS_MAY_EXEC, X_OK}, {QTFS_MAY_WRITE, W_OK}, {QTFS_MAY_READ, R_OK}};
  uint32_t result = QTFS_MAY_KNOWN;
  if (readonly && (mask & QTFS_MAY_WRITE)) {
    result |= QTFS_MAY_READONLY;
    mask &= ~QTFS_MAY_WRITE;
  }
  int native = F_OK;
  for (const auto& mode : modes)
    if (mask & mode.wire)
      native |= mode.native;
  if (may(fd, name, native))
    return result | mask;
  for (const auto& mode : modes) {
    if (!(mask & mode.wire))
      continue;
    if (may(fd, name, mode.native))
      result |= mode.wire;
    else if (errno == EROFS)
      result |= QTFS_MAY_READONLY;
  }
  return result;
}

namespace {

// What somebody may be allowed. A regular file without any x bit is executed by nobody, root
// included; an ACL that lets somebody shows as the group's bits.
uint32_t conceivable(const struct statx& stx) {
  constexpr uint32_t exec_bits = S_IXUSR | S_IXGRP | S_IXOTH;
  const uint32_t rest = QTFS_MAY_WRITE | QTFS_MAY_READ;
  return S_ISREG(stx.stx_mode) && !(stx.stx_mode & exec_bits) ? rest : rest | QTFS_MAY_EXEC;
}

// What an entry says of it: of links nothing.
uint32_t entry_access(int fd, const struct statx& stx, const NodeKey& key, const Domain& domain) {
  if (key.type == QTFS_TYPE_LNK)
    return 0;
  const uint32_t never = key.shown == Shown::content ? QTFS_MAY_WRITE : 0;
  return allowed(fd, "", conceivable(stx) & ~never, write_protected(domain, key.type));
}

}  // namespace

Result<Child> grant_entry(Call& call, const Domain& domain, UniqueFd fd,
                          const NodeTable::Origin& origin, int dir) {
  const auto stx = stat_fd(fd.get());
  if (!stx)
    return stx.status();
  const RuleAction rule = call.context->rules.of(fd.get(), type_to_wire(stx->stx_mode)).action;
  if (rule == RuleAction::hide)
    return Status::error(ENOENT);
  const NodeKey key = NodeKey::of(*stx, domain, shown_by(rule));
  // Who did not come by its name wants the object itself.
  if (key.shown != Shown::itself && (origin.unnamed || dir < 0))
    return Status::error(EACCES);
  Traits traits = traits_of(call.context->kinds.get(fd.get(), key.dev), key, origin, dir);
  traits.uncached = rule == RuleAction::uncached;
  Child child;
  const bool denied = rule == RuleAction::deny;
  child.entry.access = htole32(denied ? QTFS_MAY_KNOWN : entry_access(fd.get(), *stx, key, domain));
  auto granted =
      call.session->nodes.grant(key, domain, traits, std::move(fd), origin, *call.context);
  if (!granted)
    return granted.status();
  child.entry.node = htole64(granted->node->id);
  child.entry.stamp = htole64(granted->stamp);
  child.entry.attr = node_attr(*stx, key.shown, traits.flags(), domain.ids());
  child.node = std::move(granted->node);
  child.fd = std::move(granted->fd);
  return child;
}

Result<struct statx> stat_behind(Call& call, const Ref<Node>& node, Ref<NodeFd>& fd) {
  auto behind = call.fd_behind(node);
  if (!behind)
    return behind.status();
  fd = std::move(*behind);
  if (Status status = call.act(*node); !status)
    return status;
  return stat_fd(fd->get());
}

Result<Child> renew_entry(Call& call, const Ref<Node>& node) {
  Ref<NodeFd> fd;
  const auto stx = stat_behind(call, node, fd);
  if (!stx)
    return stx.status();
  if (stx->stx_nlink == 0)
    return Status::error(ESTALE);
  Child child;
  child.entry.access = htole32(entry_access(fd->get(), *stx, node->key, node->domain));
  auto granted = call.session->nodes.renew(node->id);
  if (!granted)
    return granted.status();
  child.entry.node = htole64(granted->node->id);
  child.entry.stamp = htole64(granted->stamp);
  child.entry.attr = node_attr(*stx, node->key.shown, node->flags(), node->domain.ids());
  child.node = std::move(granted->node);
  return child;
}

Result<Child> lookup_entry(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name) {
  auto fd = open_component(dir_fd, name, call.context->mounts);
  if (!fd)
    return fd.status();
  return grant_entry(call, dir->domain, std::move(*fd), {dir, name}, dir_fd);
}

Status reply_entry(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name) {
  auto child = lookup_entry(call, dir, dir_fd, name);
  if (!child)
    return child.status();
  call.reply.put(child->entry);
  return {};
}

}  // namespace qtfs
