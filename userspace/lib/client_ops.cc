// SPDX-License-Identifier: GPL-2.0-only
// The typed calls of Client, and compounds.
#include "lib/client.hh"

namespace qtfs {

template <typename T>
Result<T> Client::typed(uint16_t op, const Body& body, Bytes payload) {
  const auto answer = call(op, body.bytes(), payload);
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  if (answer->body.size() < sizeof(T))
    return Status::error(EPROTO);
  return answer->as<T>();
}

Status Client::plain(uint16_t op, const Body& body, Bytes payload) {
  const auto answer = call(op, body.bytes(), payload);
  return answer ? Status::error(answer->err()) : answer.status();
}

namespace {

uint16_t len16(std::string_view text) {
  return htole16(static_cast<uint16_t>(text.size()));
}

Body node_body(uint64_t node) {
  return Body().put(qtfs_wire_node{htole64(node)});
}

Body xattr_body(uint64_t node, std::string_view name, uint32_t size, uint16_t flags = 0) {
  return Body()
      .put(qtfs_wire_xattr{htole64(node), htole32(size), len16(name), htole16(flags)})
      .name(name);
}

}  // namespace

Status Client::add_cred(const CallerId& caller) {
  qtfs_wire_cred body{};
  body.id = htole32(caller.id);
  body.uid = htole32(caller.uid);
  body.gid = htole32(caller.gid);
  body.ngroups = htole32(static_cast<uint32_t>(caller.groups.size()));
  body.caps = htole64(caller.caps);
  return plain(QTFS_OP_CRED, Body().put(body), std::as_bytes(std::span(caller.groups)));
}

Status Client::put_cred(uint32_t id) {
  return plain(QTFS_OP_CRED_PUT, Body().put(qtfs_wire_cred_put{htole32(id), 0}));
}

Result<qtfs_wire_entry> Client::attach(std::string_view path, uint32_t flags) {
  return typed<qtfs_wire_entry>(
      QTFS_OP_ATTACH, Body().put(qtfs_wire_attach{htole32(flags), len16(path), 0}).name(path));
}

Result<qtfs_wire_entry> Client::lookup(uint64_t dir, std::string_view name) {
  return typed<qtfs_wire_entry>(
      QTFS_OP_LOOKUP, Body().put(qtfs_wire_lookup{htole64(dir), len16(name), 0, 0}).name(name));
}

Result<qtfs_wire_entry> Client::node(uint64_t node) {
  return typed<qtfs_wire_entry>(QTFS_OP_NODE, node_body(node));
}

Result<qtfs_wire_entry> Client::parent(uint64_t node) {
  return typed<qtfs_wire_entry>(QTFS_OP_PARENT, node_body(node));
}

Result<qtfs_wire_attr> Client::getattr(uint64_t node, uint64_t open) {
  return typed<qtfs_wire_attr>(QTFS_OP_GETATTR,
                               Body().put(qtfs_wire_getattr{htole64(node), htole64(open)}));
}

Result<qtfs_wire_attr> Client::setattr(const qtfs_wire_setattr& body) {
  return typed<qtfs_wire_attr>(QTFS_OP_SETATTR, Body().put(body));
}

Result<uint32_t> Client::access(uint64_t node, uint32_t mask) {
  const auto rep = typed<qtfs_wire_access_rep>(
      QTFS_OP_ACCESS, Body().put(qtfs_wire_access{htole64(node), htole32(mask), 0}));
  if (!rep)
    return rep.status();
  return le32toh(rep->allowed);
}

Result<std::string> Client::readlink(uint64_t node) {
  const auto answer = call(QTFS_OP_READLINK, node_body(node).bytes());
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  return answer->text();
}

Result<qtfs_wire_statfs> Client::statfs(uint64_t node) {
  return typed<qtfs_wire_statfs>(QTFS_OP_STATFS, node_body(node));
}

Result<qtfs_wire_entry> Client::mkdir(uint64_t dir, std::string_view name, uint32_t mode,
                                      uint32_t umask) {
  qtfs_wire_mknod body{};
  body.dir = htole64(dir);
  body.mode = htole32(mode);
  body.umask = htole32(umask);
  body.type = htole32(QTFS_TYPE_DIR);
  body.name_len = len16(name);
  return typed<qtfs_wire_entry>(QTFS_OP_MKDIR, Body().put(body).name(name));
}

Result<qtfs_wire_entry> Client::mknod(uint64_t dir, std::string_view name, uint32_t type,
                                      uint32_t mode, uint32_t major, uint32_t minor) {
  qtfs_wire_mknod body{};
  body.dir = htole64(dir);
  body.mode = htole32(mode);
  body.type = htole32(type);
  body.rdev_major = htole32(major);
  body.rdev_minor = htole32(minor);
  body.name_len = len16(name);
  return typed<qtfs_wire_entry>(QTFS_OP_MKNOD, Body().put(body).name(name));
}

Status Client::unlink(uint64_t dir, std::string_view name) {
  return plain(QTFS_OP_UNLINK,
               Body().put(qtfs_wire_unlink{htole64(dir), len16(name), {}}).name(name));
}

Status Client::rmdir(uint64_t dir, std::string_view name) {
  return plain(QTFS_OP_RMDIR,
               Body().put(qtfs_wire_unlink{htole64(dir), len16(name), {}}).name(name));
}

Status Client::rename(uint64_t old_dir, std::string_view old_name, uint64_t new_dir,
                      std::string_view new_name, uint32_t flags) {
  return plain(QTFS_OP_RENAME,
               Body()
                   .put(qtfs_wire_rename{htole64(old_dir), htole64(new_dir), len16(old_name),
                                         len16(new_name), htole32(flags)})
                   .name(old_name)
                   .name(new_name));
}

Result<qtfs_wire_entry> Client::link(uint64_t node, uint64_t dir, std::string_view name) {
  return typed<qtfs_wire_entry>(
      QTFS_OP_LINK,
      Body().put(qtfs_wire_link{htole64(node), htole64(dir), len16(name), {}}).name(name));
}

Result<qtfs_wire_entry> Client::symlink(uint64_t dir, std::string_view name,
                                        std::string_view target) {
  return typed<qtfs_wire_entry>(
      QTFS_OP_SYMLINK, Body()
                           .put(qtfs_wire_symlink{htole64(dir), len16(name), len16(target), 0})
                           .name(name)
                           .name(target));
}

Result<qtfs_wire_created> Client::create(uint64_t dir, std::string_view name, uint32_t flags,
                                         uint32_t mode, uint32_t umask) {
  const qtfs_wire_create body{htole64(dir),   htole32(mode), htole32(umask),
                              htole32(flags), len16(name),   0};
  return typed<qtfs_wire_created>(QTFS_OP_CREATE, Body().put(body).name(name));
}

Result<qtfs_wire_created> Client::tmpfile(uint64_t dir, uint32_t flags, uint32_t mode) {
  const qtfs_wire_create body{htole64(dir), htole32(mode), 0, htole32(flags), 0, 0};
  return typed<qtfs_wire_created>(QTFS_OP_TMPFILE, Body().put(body));
}

Result<qtfs_wire_opened> Client::open(uint64_t node, uint32_t flags) {
  return typed<qtfs_wire_opened>(
      QTFS_OP_OPEN, Body().put(qtfs_wire_open{htole64(node), 0, htole32(flags), 0, 0}));
}

Result<qtfs_wire_opened> Client::open_at(uint64_t node, uint64_t dir, std::string_view name,
                                         uint32_t flags) {
  const qtfs_wire_open body{htole64(node), htole64(dir), htole32(flags), len16(name), 0};
  return typed<qtfs_wire_opened>(QTFS_OP_OPEN, Body().put(body).name(name));
}

Status Client::release(uint64_t open) {
  return plain(QTFS_OP_RELEASE, Body().put(qtfs_wire_release{htole64(open), 0, 0, 0}));
}

Result<std::string> Client::read(uint64_t open, uint64_t offset, uint32_t count, uint32_t flags) {
  const qtfs_wire_read body{htole64(open), htole64(offset), htole32(count), htole32(flags)};
  const auto answer = call(QTFS_OP_READ, bytes_of(body));
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  if (le32toh(answer->as<qtfs_wire_read_rep>().count) != answer->payload.size())
    return Status::error(EPROTO);
  return answer->text();
}

Result<qtfs_wire_write_rep> Client::write(uint64_t open, uint64_t offset, std::string_view bytes,
                                          uint32_t flags) {
  const qtfs_wire_write body{htole64(open), htole64(offset),
                             htole32(static_cast<uint32_t>(bytes.size())), htole32(flags)};
  return typed<qtfs_wire_write_rep>(QTFS_OP_WRITE, Body().put(body), bytes_of(bytes));
}

Status Client::fsync(uint64_t open, uint32_t flags) {
  return plain(QTFS_OP_FSYNC, Body().put(qtfs_wire_fsync{htole64(open), htole32(flags), 0}));
}

Result<qtfs_wire_attr> Client::fallocate(uint64_t open, uint64_t offset, uint64_t length,
                                         uint32_t mode) {
  const qtfs_wire_fallocate body{htole64(open), htole64(offset), htole64(length), htole32(mode), 0};
  return typed<qtfs_wire_attr>(QTFS_OP_FALLOCATE, Body().put(body));
}

Result<uint64_t> Client::seek(uint64_t open, uint64_t offset, uint32_t whence) {
  const auto rep = typed<qtfs_wire_seek_rep>(
      QTFS_OP_SEEK, Body().put(qtfs_wire_seek{htole64(open), htole64(offset), htole32(whence), 0}));
  if (!rep)
    return rep.status();
  return le64toh(rep->offset);
}

Result<qtfs_wire_write_rep> Client::copy(const qtfs_wire_copy& body) {
  return typed<qtfs_wire_write_rep>(QTFS_OP_COPY, Body().put(body));
}

Result<qtfs_wire_dedupe_rep> Client::dedupe(const qtfs_wire_copy& body) {
  return typed<qtfs_wire_dedupe_rep>(QTFS_OP_DEDUPE, Body().put(body));
}

Result<std::vector<qtfs_wire_extent>> Client::fiemap(const qtfs_wire_fiemap& body) {
  const auto answer = call(QTFS_OP_FIEMAP, Body().put(body).bytes());
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  std::vector<qtfs_wire_extent> extents(le32toh(answer->as<qtfs_wire_extents>().nr));
  if (answer->payload.size() != extents.size() * sizeof(qtfs_wire_extent))
    return Status::error(EPROTO);
  if (!extents.empty())
    std::memcpy(extents.data(), answer->payload.data(), answer->payload.size());
  return extents;
}

Result<qtfs_wire_flags> Client::getflags(uint64_t node, uint64_t open) {
  return typed<qtfs_wire_flags>(QTFS_OP_GETFLAGS,
                                Body().put(qtfs_wire_getattr{htole64(node), htole64(open)}));
}

Result<qtfs_wire_attr> Client::setflags(uint64_t node, const qtfs_wire_flags& set, uint64_t open) {
  return typed<qtfs_wire_attr>(QTFS_OP_SETFLAGS,
                               Body().put(qtfs_wire_setflags{htole64(node), htole64(open), set}));
}

Result<DirPage> Client::readdir(uint64_t open, uint64_t cookie, uint32_t count, uint32_t flags) {
  const qtfs_wire_readdir body{htole64(open), htole64(cookie), 0, htole32(count), htole32(flags)};
  const auto answer = call(QTFS_OP_READDIR, bytes_of(body));
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  const auto dirs = answer->as<qtfs_wire_dirs>();
  DirPage page;
  page.verifier = le64toh(dirs.verifier);
  page.eof = (le32toh(dirs.flags) & QTFS_READDIR_EOF) != 0;
  Reader reader(answer->payload);
  for (uint32_t i = 0; i < le32toh(dirs.nr); i++) {
    const auto dirent = reader.take<qtfs_wire_dirent>();
    if (!dirent)
      return Status::error(EPROTO);
    DirEntry entry;
    entry.ino = le64toh(dirent->ino);
    entry.cookie = le64toh(dirent->cookie);
    entry.type = dirent->type;
    if (dirent->flags & QTFS_DIRENT_ENTRY) {
      entry.entry = reader.take<qtfs_wire_entry>();
      if (!entry.entry)
        return Status::error(EPROTO);
    }
    const auto name = reader.take_name(le16toh(dirent->name_len));
    if (!name)
      return Status::error(EPROTO);
    entry.name = *name;
    page.entries.push_back(std::move(entry));
  }
  if (!reader.done())
    return Status::error(EPROTO);
  return page;
}

Result<qtfs_wire_attr> Client::lock(const qtfs_wire_lock& body) {
  return typed<qtfs_wire_attr>(QTFS_OP_LOCK, Body().put(body));
}

Status Client::unlock(const qtfs_wire_lock& body) {
  return plain(QTFS_OP_UNLOCK, Body().put(body));
}

Result<qtfs_wire_lock> Client::getlock(const qtfs_wire_lock& body) {
  return typed<qtfs_wire_lock>(QTFS_OP_GETLOCK, Body().put(body));
}

Result<uint32_t> Client::poll(uint64_t open, uint32_t mask) {
  const auto level = typed<qtfs_wire_poll>(
      QTFS_OP_POLL, Body().put(qtfs_wire_poll{htole64(open), 0, htole32(mask), 0}));
  if (!level)
    return level.status();
  return le32toh(level->mask);
}

Result<uint64_t> Client::readable(uint64_t open) {
  const auto reply = typed<qtfs_wire_ioctl_rep>(
      QTFS_OP_IOCTL,
      Body().put(qtfs_wire_ioctl{htole64(open), htole32(QTFS_IOCTL_READABLE), 0, 0}));
  if (!reply)
    return reply.status();
  return le64toh(reply->result);
}

Status Client::shutdown(uint64_t open, uint32_t how) {
  return plain(QTFS_OP_SHUTDOWN, Body().put(qtfs_wire_shutdown{htole64(open), htole32(how), 0}));
}

Result<qtfs_wire_created> Client::bind(uint64_t dir, std::string_view name, uint32_t kind,
                                       uint32_t mode) {
  const qtfs_wire_bind body{htole64(dir), htole32(mode), 0, htole32(kind), len16(name), 0};
  return typed<qtfs_wire_created>(QTFS_OP_BIND, Body().put(body).name(name));
}

Result<qtfs_wire_opened> Client::give(const qtfs_wire_give& body) {
  return typed<qtfs_wire_opened>(QTFS_OP_GIVE, Body().put(body));
}

Result<qtfs_wire_taken> Client::take(uint64_t open) {
  return typed<qtfs_wire_taken>(QTFS_OP_TAKE, Body().put(qtfs_wire_take{htole64(open), 0}));
}

Result<qtfs_wire_accepted> Client::accept(uint64_t open) {
  return typed<qtfs_wire_accepted>(QTFS_OP_ACCEPT, Body().put(qtfs_wire_accept{htole64(open), 0}));
}

Result<std::string> Client::getxattr(uint64_t node, std::string_view name, uint32_t size) {
  const auto answer = call(QTFS_OP_GETXATTR, xattr_body(node, name, size).bytes());
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  return answer->text();
}

Result<uint32_t> Client::xattr_size(uint64_t node, std::string_view name) {
  const auto rep = typed<qtfs_wire_xattr_rep>(QTFS_OP_GETXATTR, xattr_body(node, name, 0));
  if (!rep)
    return rep.status();
  return le32toh(rep->size);
}

Result<std::string> Client::listxattr(uint64_t node, uint32_t size) {
  const auto answer = call(QTFS_OP_LISTXATTR, xattr_body(node, "", size).bytes());
  if (!answer)
    return answer.status();
  if (answer->err())
    return Status::error(answer->err());
  return answer->text();
}

Status Client::setxattr(uint64_t node, std::string_view name, std::string_view value,
                        uint16_t flags) {
  return plain(QTFS_OP_SETXATTR, xattr_body(node, name, 0, flags), bytes_of(value));
}

Status Client::removexattr(uint64_t node, std::string_view name) {
  return plain(QTFS_OP_REMOVEXATTR, xattr_body(node, name, 0));
}

Status Client::forget(uint64_t node, uint64_t stamp) {
  return plain(QTFS_OP_FORGET, Body()
                                   .put(qtfs_wire_forget{htole32(1), 0})
                                   .put(qtfs_wire_forget_item{htole64(node), htole64(stamp)}));
}

Status Client::abandon(uint32_t action, uint64_t id, uint64_t arg) {
  return plain(QTFS_OP_ABANDON,
               Body().put(qtfs_wire_abandon{htole32(action), 0, htole64(id), htole64(arg)}));
}

Status Client::ping() {
  return plain(QTFS_OP_PING, Body());
}

Result<uint32_t> Client::cancel(uint64_t tag) {
  const auto rep =
      typed<qtfs_wire_cancel_rep>(QTFS_OP_CANCEL, Body().put(qtfs_wire_cancel{htole64(tag), 0}));
  if (!rep)
    return rep.status();
  return le32toh(rep->outcome);
}

Result<qtfs_wire_entry> Client::walk(uint64_t dir, std::string_view path) {
  Result<qtfs_wire_entry> entry = Status::error(ENOENT);
  while (!path.empty()) {
    const size_t slash = path.find('/');
    entry = lookup(dir, path.substr(0, slash));
    if (!entry)
      return entry;
    dir = le64toh(entry->node);
    path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
  }
  return entry;
}

Result<std::string> Client::read_file(uint64_t dir, std::string_view path) {
  const auto entry = walk(dir, path);
  if (!entry)
    return entry.status();
  const auto opened = open(le64toh(entry->node), QTFS_OPEN_READ);
  if (!opened)
    return opened.status();
  std::string whole;
  Status status;
  while (true) {
    const auto part = read(le64toh(opened->open), whole.size(), 65536);
    status = part.status();
    if (!part || part->empty())
      break;
    whole += *part;
  }
  const Status released = release(le64toh(opened->open));
  if (!status || !released)
    return status ? released : status;
  return whole;
}

// --- compounds

Compound& Compound::add(uint16_t op, const Body& body) {
  const qtfs_wire_sub sub{htole16(op), 0, htole32(static_cast<uint32_t>(body.bytes().size()))};
  const Bytes head = bytes_of(sub);
  subs_.insert(subs_.end(), head.begin(), head.end());
  subs_.insert(subs_.end(), body.bytes().begin(), body.bytes().end());
  nr_++;
  return *this;
}

std::vector<std::byte> Compound::body() const {
  Body body;
  body.put(qtfs_wire_compound{htole16(nr_), {}}).raw(subs_);
  return {body.bytes().begin(), body.bytes().end()};
}

Result<std::vector<CompoundResult>> Compound::run(Client& client, Answer* out) const {
  auto answer = client.call(QTFS_OP_COMPOUND, body(), bytes_of(std::string_view(payload_)));
  if (!answer)
    return answer.status();
  auto parts = results(*answer);
  if (parts && out)
    *out = std::move(*answer);
  return parts;
}

Result<std::vector<CompoundResult>> Compound::results(const Answer& answer) {
  if (answer.err())
    return Status::error(answer.err());
  Reader reader(answer.body);
  const auto head = reader.take<qtfs_wire_compound>();
  std::vector<CompoundResult> results;
  for (unsigned i = 0; head && i < le16toh(head->nr); i++) {
    const auto result = reader.take<qtfs_wire_result>();
    const auto part = result ? reader.take_bytes(le32toh(result->body)) : std::nullopt;
    if (!part)
      return Status::error(EPROTO);
    results.push_back({le16toh(result->op),
                       qtfs_errno_from_wire(le32toh(result->status)),
                       {part->begin(), part->end()}});
  }
  if (!head || !reader.done())
    return Status::error(EPROTO);
  return results;
}

}  // namespace qtfs
