// SPDX-License-Identifier: GPL-2.0-only
// The handlers, one per operation of qtfs/ops.h that is served, and what they share.
#pragma once

#include <optional>

#include "engine/call.hh"

namespace qtfs {

// names
Status op_lookup(Call& call);
Status op_mkdir(Call& call);
Status op_rmdir(Call& call);
Status op_unlink(Call& call);
Status op_rename(Call& call);
Status op_link(Call& call);
Status op_symlink(Call& call);
Status op_mknod(Call& call);
Status op_bind(Call& call);
Status op_node(Call& call);
Status op_parent(Call& call);
// attributes
Status op_getattr(Call& call);
Status op_setattr(Call& call);
Status op_access(Call& call);
Status op_readlink(Call& call);
Status op_statfs(Call& call);
Status op_getflags(Call& call);
Status op_setflags(Call& call);
// opens
Status op_open(Call& call);
Status op_create(Call& call);
Status op_tmpfile(Call& call);
Status op_release(Call& call);
Status op_read(Call& call);
Status op_write(Call& call);
Status op_fsync(Call& call);
Status op_fallocate(Call& call);
Status op_seek(Call& call);
Status op_copy(Call& call);
Status op_dedupe(Call& call);
Status op_fiemap(Call& call);
Status op_ioctl(Call& call);
Status op_shutdown(Call& call);
Status op_accept(Call& call);
Status op_give(Call& call);
Status op_take(Call& call);
Status op_readdir(Call& call);
// extended attributes
Status op_getxattr(Call& call);
Status op_setxattr(Call& call);
Status op_listxattr(Call& call);
Status op_removexattr(Call& call);
// locks
Status op_lock(Call& call);
Status op_unlock(Call& call);
Status op_getlock(Call& call);
// of the machine
Status op_mount(Call& call);
Status op_umount(Call& call);
// of the session
Status op_attach(Call& call);
Status op_cred(Call& call);
Status op_cred_put(Call& call);
Status op_forget(Call& call);
Status op_abandon(Call& call);
Status op_ping(Call& call);
Status op_push_ack(Call& call);
Status op_compound(Call& call);
// Ends a compound that was begun and is not run any further: what it was to do next has the result
// EINTR. What it already gave stays the client's, which needs the reply to give it back.
void interrupt_compound(Call& call);

// --- shared

// "12" for descriptor 12: a path below the thread's working directory, /proc/self/fd. Following it
// reaches the very object, with the caller's permissions checked against it.
class FdPath {
 public:
  explicit FdPath(int fd);
  const char* c_str() const { return text_; }

 private:
  char text_[12];
};

// EROFS where the node's export may not be changed.
Status writable(const Node& node);
// What an action says of using something. @hidden: what trying to use something hidden gives.
Status status_of(RuleAction action, int hidden);
// What the rules say of using what a descriptor is of, a QTFS_TYPE_*: EACCES, ENOENT.
Status by_rules(Call& call, int fd, uint32_t type);
// The same of giving @name in @dir to something of @type, or, with 0, of taking it away from what
// has it.
Status by_rules(Call& call, int dir, const std::string& name, uint32_t type);
// Whether the export keeps everybody from writing to what has @type; connecting to a socket changes
// nothing.
inline bool write_protected(const Domain& domain, uint32_t type) {
  return domain.readonly && type != QTFS_TYPE_SOCK;
}
// Attributes with what only the engine knows: Traits::flags(), whose they are by the export's @ids;
// and what rules make of them.
qtfs_wire_attr node_attr(const struct statx& stx, Shown shown, uint32_t flags, const IdMap* ids);
// Those of a descriptor, as those of @node.
Result<qtfs_wire_attr> fd_attr(int fd, const Node& node);
// Those of an open: of a content it is the file that has some.
Result<qtfs_wire_attr> open_attr(Call& call, const Open& open);
// What the current credential may do with @fd; QTFS_MAY_*, a subset of @mask.
uint32_t allowed(int fd, const char* name, uint32_t mask, bool readonly);

// How what was found as @origin, in the directory behind @dir, is to be treated; @kind is of the
// filesystem that it is on.
Traits traits_of(const FsKind& kind, const NodeKey& key, const NodeTable::Origin& origin, int dir);

struct Child {
  Ref<Node> node;
  Ref<NodeFd> fd;
  qtfs_wire_entry entry{};
};
// The entry for the object behind @fd, found as @origin in the directory behind @dir (-1 for an
// attachment's root); the current credential is the caller's.
Result<Child> grant_entry(Call& call, const Domain& domain, UniqueFd fd,
                          const NodeTable::Origin& origin, int dir);
// The entry for @name in @dir, which is looked up.
Result<Child> lookup_entry(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name);
// The entry for a node that the client has; ESTALE if its object has no name any more.
Result<Child> renew_entry(Call& call, const Ref<Node>& node);
// What is behind a node, asked for as the caller.
Result<struct statx> stat_behind(Call& call, const Ref<Node>& node, Ref<NodeFd>& fd);
// Looks @name up and leaves its entry in the reply.
Status reply_entry(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name);

// What an open is made of.
struct Opened {
  UniqueFd fd;
  bool kernel_append = false;          // the kernel appends whatever the offset
  uint32_t socket = 0;                 // QTFS_SOCKET_*, of a connection
  bool pipe = false;                   // of no name, with the node of a connection
  bool passed = false;                 // as Open::passed
  bool content = false;                // as Open::content; attr is set
  UniqueFd io = {};                    // as Open::io(), if it is not fd
  std::optional<qtfs_wire_attr> attr;  // if they were taken since it was opened
};
// Registers an open; the opened part of a reply.
Result<qtfs_wire_opened> grant_open(Call& call, const Ref<Node>& node, Opened made, uint32_t flags);
// Opens what @fd stands for once more, with the thread's credentials; regular files and
// directories.
Result<UniqueFd> reopen_plain(const Call& call, int fd, int flags);
// O_* for QTFS_OPEN_*, without creation; nothing for flags that do not exist.
int native_open_flags(uint32_t flags);
// An O_PATH descriptor of what @fd has open: its name may already be another's.
UniqueFd path_descriptor(int fd);

}  // namespace qtfs
