// SPDX-License-Identifier: GPL-2.0-only
// Opening and closing: the mirror of kmod/open.c.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/ops/socket.hh"

namespace qtfs {

namespace {

bool pollable(Context& context, int fd) {
  if (!context.epoll)
    context.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  if (epoll_ctl(context.epoll.get(), EPOLL_CTL_ADD, fd, &event) < 0)
    return false;
  epoll_ctl(context.epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
  return true;
}

constexpr uint32_t connecting = QTFS_OPEN_CONNECT | QTFS_OPEN_READ | QTFS_OPEN_WRITE;

// What must not be opened, whoever asks.
Status may_open(const Node& node, uint32_t flags) {
  // Nor does a filesystem that is mounted read-only keep anybody from connecting.
  if ((flags & (QTFS_OPEN_WRITE | QTFS_OPEN_TRUNC)) && !(flags & QTFS_OPEN_CONNECT))
    if (Status status = writable(node); !status)
      return status;
  if (node.traits.guard == Guard::denied)
    return Status::error(EACCES);
  if (node.key.shown == Shown::content && (flags & (QTFS_OPEN_WRITE | QTFS_OPEN_TRUNC)))
    return Status::error(EACCES);
  const bool plain = node.key.type == QTFS_TYPE_REG || node.key.type == QTFS_TYPE_DIR;
  if ((flags & QTFS_OPEN_PLAIN) && !plain)
    return Status::error(EOPNOTSUPP);
  if ((flags & QTFS_OPEN_CONNECT) && node.key.type != QTFS_TYPE_SOCK)
    return Status::error(ECONNREFUSED);
  switch (node.key.type) {
    case QTFS_TYPE_LNK:
      return Status::error(ELOOP);
    case QTFS_TYPE_SOCK:
      if (flags != connecting && flags != (connecting | QTFS_OPEN_NONBLOCK))
        return Status::error(ENXIO);
      return node.domain.exported->sockets ? Status() : Status::error(EACCES);
    case QTFS_TYPE_BLK:
      return Status::error(ENXIO);
    case QTFS_TYPE_CHR:
      // As on a filesystem that is mounted nodev.
      return node.domain.exported->devices ? Status() : Status::error(EACCES);
    case QTFS_TYPE_DIR:
      return {};
    default:
      return flags & QTFS_OPEN_DIRECTORY ? Status::error(ENOTDIR) : Status();
  }
}

bool opens_at_once(uint32_t type) {
  // Not even O_NONBLOCK keeps a driver from loading, or a terminal from sending what it has left.
  return type != QTFS_TYPE_CHR;
}

// What was opened with O_NONBLOCK so that its opening would not wait is as if opened with @flags.
Status leave_nonblocking(int fd, int flags) {
  if (flags & O_NONBLOCK)
    return {};
  return check(fcntl(fd, F_SETFL, flags & (O_DIRECT | O_NOATIME)));
}

// Follows the descriptor's magic link: the very object, with the caller's permissions.
int reopen(int fd, int flags) {
  return openat(AT_FDCWD, FdPath(fd).c_str(), flags | O_CLOEXEC | O_NOCTTY);
}

// For execution: the caller needs no permission to read it, the engine reads for it.
Result<UniqueFd> open_exec(Call& call, const Node& node, int fd) {
  if (node.key.type != QTFS_TYPE_REG)
    return Status::error(EACCES);
  if (!(allowed(fd, "", QTFS_MAY_EXEC, true) & QTFS_MAY_EXEC))
    return Status::error(EACCES);
  Privileged privileged(call.context->creds);
  if (!privileged.status())
    return privileged.status();
  UniqueFd opened(reopen(fd, O_RDONLY));
  if (!opened)
    return Status::last();
  return opened;
}

// One end of a FIFO waits for the other, on a thread of its own: nothing else tells when that
// comes. What the engine has of it never blocks: who reads and writes waits in the loop.
Result<UniqueFd> open_fifo(Call& call, int fd, uint32_t flags) {
  const int native = native_open_flags(flags) & ~O_NONBLOCK;
  const bool waits = !(flags & QTFS_OPEN_NONBLOCK) && (native & O_ACCMODE) != O_RDWR;
  const bool on_thread = call.opener && call.may_block;
  UniqueFd opened;
  if (!waits || (!on_thread && (native & O_ACCMODE) == O_WRONLY))
    opened.reset(reopen(fd, native | O_NONBLOCK));
  else if (on_thread)
    opened.reset(reopen(fd, native));
  else
    errno = ENXIO;
  if (opened && fcntl(opened.get(), F_SETFL, native | O_NONBLOCK) == 0)
    return opened;
  if (errno != ENXIO || !waits || on_thread)
    return Status::last();
  call.opener = true;
  call.parks = true;
  return Status::defer();
}

// What opens as whatever terminal the engine has.
bool is_own_terminal(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 0);
}

Result<UniqueFd> open_object(Call& call, const Node& node, int fd, uint32_t flags) {
  const int native = native_open_flags(flags);
  if (node.key.type == QTFS_TYPE_FIFO)
    return open_fifo(call, fd, flags);
  if (node.key.type == QTFS_TYPE_REG)
    return reopen_plain(call, fd, native);
  if (!call.may_block && !opens_at_once(node.key.type)) {
    call.patient = true;
    call.parks = true;
    return Status::defer();
  }
  if (is_own_terminal(fd))
    return Status::error(ENXIO);
  UniqueFd opened(reopen(fd, native));
  if (!opened)
    return Status::last();
  return opened;
}

// Append-only inodes take no other descriptor than one that appends itself.
Result<Opened> open_as_asked(Call& call, const Node& node, int fd, uint32_t flags) {
  Opened made;
  auto opened =
      flags & QTFS_OPEN_EXEC ? open_exec(call, node, fd) : open_object(call, node, fd, flags);
  if (opened.ok()) {
    made.fd = std::move(*opened);
    return made;
  }
  if (opened.err() != EPERM || !(flags & QTFS_OPEN_APPEND) || (flags & QTFS_OPEN_EXEC))
    return opened.status();
  made.fd.reset(reopen(fd, native_open_flags(flags) | O_APPEND));
  if (!made.fd)
    return Status::last();
  made.kernel_append = true;
  return made;
}

Result<Opened> open_node(Call& call, const Ref<Node>& node, uint32_t flags) {
  const auto fd = call.fd_of(node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(*node); !status)
    return status;
  if (!(flags & QTFS_OPEN_CONNECT))
    return open_as_asked(call, *node, (*fd)->get(), flags);
  auto connected = connect_socket(call, (*fd)->get(), flags);
  if (!connected)
    return connected;
  // Of what has the name; the connection has attributes of its own.
  const auto attr = fd_attr((*fd)->get(), *node);
  if (!attr)
    return attr.status();
  connected->attr = *attr;
  return connected;
}

uint32_t opened_flags(Call& call, Open& open) {
  uint32_t flags = 0;
  if (open.synthetic)
    flags |= QTFS_OPENED_DIRECT;
  if (open.kernel_append)
    flags |= QTFS_OPENED_APPEND;
  if (open.regular() || open.type == QTFS_TYPE_DIR)
    return flags;
  if (open.piped() || (lseek(open.fd.get(), 0, SEEK_CUR) < 0 && errno == ESPIPE)) {
    open.seekable = false;
    flags |= QTFS_OPENED_STREAM | QTFS_OPENED_NOSEEK;
  }
  open.pollable = open.piped() || pollable(*call.context, open.fd.get());
  // Who has to wait for it does so in the loop. What poll(2) says of a synthetic file need not be
  // what reading waits for.
  if ((open.device() || open.synthetic) && open.pollable)
    fcntl(open.fd.get(), F_SETFL, fcntl(open.fd.get(), F_GETFL) | O_NONBLOCK);
  if (open.pollable)
    flags |= QTFS_OPENED_POLLABLE;
  return flags;
}

}  // namespace

// A lease on a regular file makes its opening wait: not here, if this is the loop.
Result<UniqueFd> reopen_plain(const Call& call, int fd, int flags) {
  if (call.may_block || (flags & O_NONBLOCK)) {
    UniqueFd opened(reopen(fd, flags));
    if (!opened)
      return Status::last();
    return opened;
  }
  UniqueFd opened(reopen(fd, flags | O_NONBLOCK));
  if (!opened)
    return errno == EAGAIN ? Status::defer() : Status::last();
  if (Status status = leave_nonblocking(opened.get(), flags); !status)
    return status;
  return opened;
}

int native_open_flags(uint32_t flags) {
  int native = O_RDONLY;
  if ((flags & QTFS_OPEN_READ) && (flags & QTFS_OPEN_WRITE))
    native = O_RDWR;
  else if (flags & QTFS_OPEN_WRITE)
    native = O_WRONLY;
  static constexpr struct {
    uint32_t wire;
    int native;
  } map[] = {
      {QTFS_OPEN_TRUNC, O_TRUNC},       {QTFS_OPEN_DIRECT, O_DIRECT},
      {QTFS_OPEN_SYNC, O_SYNC},         {QTFS_OPEN_DSYNC, O_DSYNC},
      {QTFS_OPEN_NONBLOCK, O_NONBLOCK}, {QTFS_OPEN_DIRECTORY, O_DIRECTORY},
      {QTFS_OPEN_NOATIME, O_NOATIME},
  };
  for (const auto& entry : map)
    if (flags & entry.wire)
      native |= entry.native;
  return native;
}

Result<qtfs_wire_opened> grant_open(Call& call, const Ref<Node>& node, Opened made,
                                    uint32_t flags) {
  auto open = make_ref<Open>();
  open->fd = std::move(made.fd);
  open->node = node;
  open->opener = call.cred;
  open->flags = flags;
  open->type = made.pipe ? uint32_t{QTFS_TYPE_FIFO} : node->key.type;
  open->synthetic = node->traits.synthetic;
  open->content = made.content;
  if (made.content)
    open->memory = true;
  else if (!made.socket && !made.pipe)  // else it says nothing of the node's filesystem
    open->memory = call.context->kinds.get(open->fd.get(), node->key.dev).memory;
  open->kernel_append = made.kernel_append;
  open->socket = made.socket;
  open->passed = made.passed;
  if (made.io)
    open->set_io(std::move(made.io));
  if (open->socket)
    open->rights = std::make_unique<Rights>(call.session->rights);
  qtfs_wire_opened opened{};
  opened.flags = htole32(opened_flags(call, *open));
  opened.socket = htole32(open->socket);
  const auto attr = made.attr ? Result<qtfs_wire_attr>(*made.attr) : fd_attr(open->fd.get(), *node);
  if (!attr)
    return attr.status();
  opened.attr = *attr;
  if (Status status = call.session->opens.add(open); !status)
    return status;
  opened.open = htole64(open->id);
  return opened;
}

namespace {

// Whether opening what has the name, whatever that may be by now, does no harm.
bool opens_by_name(const Node& node, uint32_t flags) {
  constexpr uint32_t harmful = QTFS_OPEN_TRUNC | QTFS_OPEN_EXEC | QTFS_OPEN_DIRECTORY;
  return node.key.type == QTFS_TYPE_REG && node.key.shown == Shown::itself && !(flags & harmful) &&
         may_open(node, flags).ok();
}

// Opens @name in @dir, if that still is @node: one walk instead of one to look and one, through
// procfs, to open what was found. Without a descriptor if it is not to be had this way; then the
// long way tells why.
Result<Opened> open_by_name(int dir, const std::string& name, const Node& node, uint32_t flags) {
  Opened opened;
  open_how how{};
  // What was put in its place must neither hang nor become a terminal.
  how.flags = static_cast<uint64_t>(native_open_flags(flags)) | O_NONBLOCK | O_NOFOLLOW |
              O_CLOEXEC | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, dir, name.c_str(), &how, sizeof(how))));
  if (!fd)
    return opened;
  const auto stx = stat_fd(fd.get());
  if (!stx)
    return stx.status();
  if (NodeKey::of(*stx, node.domain) != node.key)
    return Status::error(ESTALE);
  if (Status status = leave_nonblocking(fd.get(), native_open_flags(flags)); !status)
    return status;
  opened.fd = std::move(fd);
  opened.attr = node_attr(*stx, node.key.shown, node.flags(), node.domain.ids());
  return opened;
}

// ESTALE where @name in @dir is not @node.
Status check_name(Call& call, int dir, const std::string& name, Node& node) {
  auto fd = open_component(dir, name, call.context->mounts);
  if (!fd)
    return Status::error(fd.err() == ENOENT ? ESTALE : fd.err());
  const auto stx = stat_fd(fd->get());
  if (!stx)
    return Status::error(ESTALE);
  const RuleAction rule = call.context->rules.of(fd->get(), type_to_wire(stx->stx_mode)).action;
  if (NodeKey::of(*stx, node.domain, shown_by(rule)) != node.key)
    return Status::error(ESTALE);
  call.session->nodes.found(node, std::move(*fd));
  return {};
}

// Instead of the file behind @fd, for who may read that; or to execute it, for who may do so.
Result<Opened> open_content(Call& call, const Node& node, int fd, const SealedText& text,
                            uint32_t flags) {
  if (Status status = call.act(node); !status)
    return status;
  const uint32_t wanted = flags & QTFS_OPEN_EXEC ? QTFS_MAY_EXEC : QTFS_MAY_READ;
  if (!(allowed(fd, "", wanted, true) & wanted))
    return Status::error(EACCES);
  const auto attr = fd_attr(fd, node);
  if (!attr)
    return attr.status();
  if (!text)
    return Status::error(ENOMEM);
  Opened opened;
  opened.fd.reset(reopen(text->get(), O_RDONLY));
  if (!opened.fd)
    return Status::last();
  opened.content = true;
  opened.attr = *attr;
  return opened;
}

// ESTALE where the rules show something else than the node by now: the client looks the name up
// again. @fd: of the node's object, if there is one, else -1. @opened: what the rules have in its
// place, if anything.
Status open_by_rules(Call& call, const Ref<Node>& node, int fd, uint32_t flags, Opened& opened) {
  if (!call.context->rules.any())
    return node->key.shown == Shown::itself ? Status() : Status::error(ESTALE);
  Ref<NodeFd> behind;
  if (fd < 0) {
    auto found = call.fd_behind(node);
    if (!found)
      return found.status();
    behind = std::move(*found);
    fd = behind->get();
  }
  const Verdict verdict = call.context->rules.of(fd, node->key.type);
  if (shown_by(verdict.action) != node->key.shown)
    return Status::error(ESTALE);
  if (verdict.action != RuleAction::content)
    return status_of(verdict.action, ENOENT);
  auto content = open_content(call, *node, fd, verdict.content, flags);
  if (!content)
    return content.status();
  opened = std::move(*content);
  return {};
}

// What the LOOKUP before has just found under its name; not that if it has another by now.
Result<Opened> open_found(Call& call, const Node& node, uint32_t flags) {
  const CompoundState& found = call.compound;
  if (!found.prev_dir || !opens_by_name(node, flags))
    return Opened();
  if (Status status = call.act(node); !status)
    return status;
  auto opened = open_by_name(found.prev_dir->get(), found.prev_name, node, flags);
  return opened ? std::move(opened) : Opened();
}

}  // namespace

Status op_open(Call& call) {
  const auto body = call.take<qtfs_wire_open>();
  if (!body || body->reserved || (!body->dir && body->name_len))
    return Status::malformed();
  const auto node = call.node(body->node);
  const uint32_t flags = le32toh(body->flags);
  Result<Opened> opened = Opened();
  if (body->dir) {
    const auto name = call.take_name(le16toh(body->name_len));
    if (!name)
      return name.status();
    if (!node)
      return node.status();
    const auto dir = call.fd_of(body->dir);
    if (!dir)
      return dir.status();
    if (Status status = call.act(**node); !status)
      return status;
    if (opens_by_name(**node, flags))
      opened = open_by_name((*dir)->get(), *name, **node, flags);
    if (!opened)
      return opened.status();
    if (!opened->fd)
      if (Status status = check_name(call, (*dir)->get(), *name, **node); !status)
        return status;
  } else if (node && le64toh(body->node) == QTFS_PREV) {
    opened = open_found(call, **node, flags);
  }
  if (!call.body.done())
    return Status::malformed();
  if (!node)
    return node.status();
  if (flags & (~QTFS_OPEN_ALL | QTFS_OPEN_CREATE | QTFS_OPEN_EXCL))
    return Status::error(EINVAL);
  if (Status status = may_open(**node, flags); !status)
    return status;
  if (Status status = open_by_rules(call, *node, opened->fd.get(), flags, *opened); !status)
    return status;
  if (!opened->fd)
    opened = open_node(call, *node, flags);
  if (!opened)
    return opened.status();
  const auto granted = grant_open(call, *node, std::move(*opened), flags);
  if (!granted)
    return granted.status();
  call.reply.put(*granted);
  return {};
}

namespace {

// CREATE's two outcomes.
struct Created {
  UniqueFd fd;      // open; or nothing, then
  UniqueFd exists;  // O_PATH on what is there already
};

// Makes the file, or finds what has its name. Never both at once: O_CREAT without O_EXCL would not
// tell which it was.
Result<Created> create_or_find(Call& call, int dir, const std::string& name,
                               const qtfs_wire_create& body) {
  const uint32_t flags = le32toh(body.flags);
  constexpr int attempts = 16;
  for (int i = 0; i < attempts; i++) {
    open_how how{};
    how.flags = static_cast<uint64_t>(native_open_flags(flags & ~QTFS_OPEN_TRUNC)) | O_CREAT |
                O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
    how.mode = le32toh(body.mode) & 07777;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    Created created;
    created.fd.reset(static_cast<int>(syscall(SYS_openat2, dir, name.c_str(), &how, sizeof(how))));
    if (created.fd)
      return created;
    if (errno == EAGAIN)
      continue;
    if (errno != EEXIST && errno != EXDEV)
      return Status::last();
    if (flags & QTFS_OPEN_EXCL)
      return Status::error(EEXIST);
    auto found = open_component(dir, name, call.context->mounts);
    if (found) {
      created.exists = std::move(*found);
      return created;
    }
    if (found.err() != ENOENT)
      return found.status();
  }
  return Status::error(EAGAIN);
}

// Opening with O_CREAT what exists: sticky directories protect others' files and FIFOs from it.
Status may_create_over(int dir, const std::string& name, const struct statx& stx, int native) {
  if (!S_ISREG(stx.stx_mode) && !S_ISFIFO(stx.stx_mode))
    return {};
  struct stat parent {};
  if (fstat(dir, &parent) < 0 || !(parent.st_mode & S_ISVTX))
    return {};
  const int access = native & O_ACCMODE;
  UniqueFd probe(openat(dir, name.c_str(),
                        access | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0));
  if (!probe && errno != ENXIO)
    return Status::last();
  return {};
}

Status open_existing(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name,
                     UniqueFd exists, uint32_t flags) {
  const auto stx = stat_fd(exists.get());
  if (!stx)
    return stx.status();
  const uint32_t type = type_to_wire(stx->stx_mode);
  const RuleAction rule = call.context->rules.of(exists.get(), type).action;
  if (S_ISLNK(stx->stx_mode) || rule == RuleAction::redirect)
    return Status::error(ELOOP);
  if (S_ISDIR(stx->stx_mode))
    return Status::error(EISDIR);
  if (Status status = may_create_over(dir_fd, name, *stx, native_open_flags(flags)); !status)
    return status;
  auto child = grant_entry(call, dir->domain, std::move(exists), {dir, name}, dir_fd);
  if (!child)
    return child.status();
  if (Status status = may_open(*child->node, flags); !status)
    return status;
  const int fd = child->fd->get();
  Result<Opened> opened = Opened();
  if (Status status = open_by_rules(call, child->node, fd, flags, *opened); !status)
    return status;
  if (!opened->fd)
    opened = open_as_asked(call, *child->node, fd, flags);
  if (!opened)
    return opened.status();
  const auto granted = grant_open(call, child->node, std::move(*opened), flags);
  if (!granted)
    return granted.status();
  child->entry.attr = granted->attr;  // truncated perhaps
  call.reply.put(qtfs_wire_created{child->entry, *granted});
  return {};
}

// CREATE where nothing may be made: @refused, unless the name is there.
Status open_unmade(Call& call, const Ref<Node>& dir, int dir_fd, const std::string& name,
                   uint32_t flags, int refused) {
  auto exists = open_component(dir_fd, name, call.context->mounts);
  if (!exists)
    return Status::error(exists.err() == ENOENT ? refused : exists.err());
  if (flags & QTFS_OPEN_EXCL)
    return Status::error(EEXIST);
  return open_existing(call, dir, dir_fd, name, std::move(*exists), flags & ~QTFS_OPEN_CREATE);
}

}  // namespace

// open_tree(2) without OPEN_TREE_CLONE is the short way; sandboxes may forbid it together with
// mounting.
UniqueFd path_descriptor(int fd) {
  UniqueFd path(static_cast<int>(syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | O_CLOEXEC)));
  if (!path && (errno == ENOSYS || errno == EPERM))
    path.reset(openat(AT_FDCWD, FdPath(fd).c_str(), O_PATH | O_CLOEXEC));
  return path;
}

namespace {

Status reply_created(Call& call, const Ref<Node>& dir, const std::string& name, UniqueFd fd,
                     uint32_t flags) {
  UniqueFd path = path_descriptor(fd.get());
  if (!path)
    return Status::last();
  auto child = grant_entry(call, dir->domain, std::move(path), {dir, name}, -1);
  if (!child)
    return child.status();
  auto granted =
      grant_open(call, child->node,
                 {.fd = std::move(fd), .kernel_append = false, .attr = child->entry.attr}, flags);
  if (!granted)
    return granted.status();
  granted->flags |= htole32(QTFS_OPENED_CREATED);
  call.reply.put(qtfs_wire_created{child->entry, *granted});
  return {};
}

constexpr uint32_t create_flags =
    QTFS_OPEN_ALL & ~(QTFS_OPEN_DIRECTORY | QTFS_OPEN_EXEC | QTFS_OPEN_CONNECT);

}  // namespace

Status op_create(Call& call) {
  const auto body = call.take<qtfs_wire_create>();
  if (!body || body->reserved)
    return Status::malformed();
  const auto name = call.take_name(le16toh(body->name_len));
  if (!name)
    return name.status();
  const uint32_t flags = le32toh(body->flags);
  if (flags & ~create_flags)
    return Status::error(EINVAL);
  const auto dir = call.node(body->dir);
  if (!dir)
    return dir.status();
  if ((*dir)->key.type != QTFS_TYPE_DIR)
    return Status::error(ENOTDIR);
  const auto fd = call.fd_of(*dir);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**dir); !status)
    return status;

  if ((*dir)->domain.readonly)
    return open_unmade(call, *dir, (*fd)->get(), *name, flags, EROFS);
  const RuleAction rule = call.context->rules.of((*fd)->get(), *name, QTFS_TYPE_REG).action;
  if (shown_by(rule) != Shown::itself)
    return open_unmade(call, *dir, (*fd)->get(), *name, flags, EACCES);
  if (Status status = status_of(rule, EACCES); !status)
    return status;
  const uint32_t open_flags = flags & ~(QTFS_OPEN_CREATE | QTFS_OPEN_EXCL);
  call.context->creds.umask(le32toh(body->umask));
  auto created = create_or_find(call, (*fd)->get(), *name, *body);
  if (!created)
    return created.status();
  if (created->fd)
    return reply_created(call, *dir, *name, std::move(created->fd), open_flags);
  return open_existing(call, *dir, (*fd)->get(), *name, std::move(created->exists), open_flags);
}

Status op_tmpfile(Call& call) {
  const auto body = call.take<qtfs_wire_create>();
  if (!body || body->reserved || body->name_len || !call.body.done())
    return Status::malformed();
  const uint32_t flags = le32toh(body->flags);
  if (flags & ~create_flags)
    return Status::error(EINVAL);
  const auto dir = call.node(body->dir);
  if (!dir)
    return dir.status();
  if (Status status = writable(**dir); !status)
    return status;
  const auto fd = call.fd_of(*dir);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**dir); !status)
    return status;
  if (Status status = by_rules(call, (*fd)->get(), QTFS_TYPE_DIR); !status)
    return status;
  call.context->creds.umask(le32toh(body->umask));
  const uint32_t open_flags = flags & ~(QTFS_OPEN_CREATE | QTFS_OPEN_EXCL | QTFS_OPEN_TRUNC);
  const int excl = flags & QTFS_OPEN_EXCL ? O_EXCL : 0;
  UniqueFd opened(openat(AT_FDCWD, FdPath((*fd)->get()).c_str(),
                         native_open_flags(open_flags) | O_TMPFILE | excl | O_CLOEXEC,
                         le32toh(body->mode) & 07777));
  if (!opened)
    return Status::last();
  return reply_created(call, *dir, "", std::move(opened), open_flags);
}

Status op_release(Call& call) {
  const auto body = call.take<qtfs_wire_release>();
  if (!body || body->reserved || !call.body.done() || (le32toh(body->flags) & ~QTFS_RELEASE_ATTR))
    return Status::malformed();
  uint64_t id = le64toh(body->open);
  if (id == QTFS_PREV)
    id = call.compound.prev_open;
  // A terminal sends first what was written to it.
  if (const auto found = call.session->opens.find(id);
      found && found->device() && !call.may_block) {
    call.patient = true;
    return Status::defer();
  }
  Ref<Open> open = call.session->opens.remove(id);
  if (!open)
    return Status::error(EBADF);
  const Ref<Node> node = open->node;
  const bool locked = call.session->locks.has_locks(*open);
  if (open->device() && open->sole())
    open->fd.reset();  // who waits for the answer waits for that
  open = {};           // closed, unless another request still uses it
  if (locked)
    call.session->locks.closed({node->key.dev, node->key.ino});
  if (!(le32toh(body->flags) & QTFS_RELEASE_ATTR))
    return {};
  const auto fd = call.fd_behind(node);
  if (!fd)
    return fd.status();
  const auto attr = fd_attr((*fd)->get(), *node);
  if (!attr)
    return attr.status();
  call.reply.put(*attr);
  return {};
}

}  // namespace qtfs
