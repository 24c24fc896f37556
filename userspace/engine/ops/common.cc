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

namespace {

// @hidden: what trying to use something hidden gives.
Status status_of(RuleAction action, int hidden) {
  switch (action) {
    case RuleAction::deny:
      return Status::error(EACCES);
    case RuleAction::hide:
      return Status::error(hidden);
    default:
      return {};
  }
}

}  // namespace

Status by_rules(Call& call, int fd, uint32_t type) {
  return status_of(call.context->rules.of(fd, type), ENOENT);
}

Status by_rules(Call& call, int dir, const std::string& name, uint32_t type) {
  Rules& rules = call.context->rules;
  if (!rules.any())
    return {};
  if (type)
    return status_of(rules.of(dir, name, type), EACCES);
  if (call.context->mounts.is_qtfs(dir, name))
    return Status::error(EBUSY);
  const auto stx = stat_name(dir, name.c_str());
  if (!stx)
    return {};  // there is nothing to take away
  return status_of(rules.of(dir, name, type_to_wire(stx->stx_mode)), ENOENT);
}

qtfs_wire_attr node_attr(const struct statx& stx, uint32_t flags, const IdMap* ids) {
  qtfs_wire_attr attr = attr_to_wire(stx);
  attr.flags |= htole32(flags);
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
  return node_attr(*stx, node.flags(), node.domain.ids());
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

}  // namespace

Result<Child> grant_entry(Call& call, const Domain& domain, UniqueFd fd,
                          const NodeTable::Origin& origin, int dir) {
  const auto stx = stat_fd(fd.get());
  if (!stx)
    return stx.status();
  const NodeKey key = NodeKey::of(*stx, domain);
  const RuleAction rule = call.context->rules.of(fd.get(), key.type);
  if (rule == RuleAction::hide)
    return Status::error(ENOENT);
  Traits traits = traits_of(call.context->kinds.get(fd.get(), key.dev), key, origin, dir);
  traits.uncached = rule == RuleAction::uncached;
  Child child;
  if (rule == RuleAction::deny)
    child.entry.access = htole32(QTFS_MAY_KNOWN);
  else if (key.type != QTFS_TYPE_LNK)
    child.entry.access =
        htole32(allowed(fd.get(), "", conceivable(*stx), write_protected(domain, key.type)));
  auto granted =
      call.session->nodes.grant(key, domain, traits, std::move(fd), origin, *call.context);
  if (!granted)
    return granted.status();
  child.entry.node = htole64(granted->node->id);
  child.entry.stamp = htole64(granted->stamp);
  child.entry.attr = node_attr(*stx, traits.flags(), domain.ids());
  child.node = std::move(granted->node);
  child.fd = std::move(granted->fd);
  return child;
}

Result<Child> renew_entry(Call& call, const Ref<Node>& node) {
  const auto fd = call.fd_of(node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(*node); !status)
    return status;
  const auto stx = stat_fd((*fd)->get());
  if (!stx)
    return stx.status();
  if (stx->stx_nlink == 0)
    return Status::error(ESTALE);
  Child child;
  if (node->key.type != QTFS_TYPE_LNK)
    child.entry.access = htole32(allowed((*fd)->get(), "", conceivable(*stx),
                                         write_protected(node->domain, node->key.type)));
  auto granted = call.session->nodes.renew(node->id);
  if (!granted)
    return granted.status();
  child.entry.node = htole64(granted->node->id);
  child.entry.stamp = htole64(granted->stamp);
  child.entry.attr = node_attr(*stx, node->flags(), node->domain.ids());
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
