// SPDX-License-Identifier: GPL-2.0-only
// Listing directories: the mirror of kmod/readdir.c.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

constexpr size_t names_size = 32768;  // of one getdents64

struct Record {  // struct linux_dirent64
  uint64_t ino;
  uint64_t cookie;
  uint16_t len;
  unsigned char type;
  std::string_view name;
};

Record record_at(const std::vector<std::byte>& names, size_t at) {
  Record record;
  const std::byte* raw = names.data() + at;
  std::memcpy(&record.ino, raw, 8);
  std::memcpy(&record.cookie, raw + 8, 8);
  std::memcpy(&record.len, raw + 16, 2);
  record.type = static_cast<unsigned char>(raw[18]);
  record.name = reinterpret_cast<const char*>(raw + 19);
  return record;
}

// As getdents64(2) says of it; in what ext4 has removed no position is valid but the first.
bool is_removed(int dir) {
  struct stat st {};
  return fstat(dir, &st) == 0 && st.st_nlink == 0;
}

// Makes names follow that come after @cookie.
Status position(Open& open, uint64_t cookie) {
  DirState& dir = open.dir;
  if (cookie != dir.cookie || cookie == 0) {
    dir.names.clear();
    dir.next = 0;
    dir.eof = false;
    if (lseek(open.fd.get(), static_cast<off_t>(cookie), SEEK_SET) < 0)
      return is_removed(open.fd.get()) ? Status::error(ENOENT) : Status::last();
    dir.cookie = cookie;
  }
  return {};
}

Status refill(Open& open) {
  DirState& dir = open.dir;
  dir.names.resize(names_size);
  dir.next = 0;
  const long got = syscall(SYS_getdents64, open.fd.get(), dir.names.data(), dir.names.size());
  dir.names.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (got < 0)
    return Status::last();
  dir.eof = got == 0;
  return {};
}

class Lister {
 public:
  Lister(Call& call, Open& open, const qtfs_wire_readdir& body, Buffer& out)
      : call_(call),
        open_(open),
        plus_((le32toh(body.flags) & QTFS_READDIR_PLUS) != 0),
        count_(std::min(le32toh(body.count), call.io_max)),
        out_(out) {
    if (plus_)
      skipped_ = call.context->mounts.qtfs_names(open.fd.get());
  }

  Status run() {
    DirState& dir = open_.dir;
    while (true) {
      while (dir.next < dir.names.size()) {
        const Record record = record_at(dir.names, dir.next);
        if (record.name != "." && record.name != ".." && !emit(record))
          return nr_ > 0 ? Status() : Status::error(EINVAL);
        dir.next += record.len;
        dir.cookie = record.cookie;
      }
      if (dir.eof)
        return {};
      if (Status status = refill(open_); !status)
        return nr_ > 0 ? Status() : status;
    }
  }

  uint32_t nr() const { return nr_; }

 private:
  // Not every filesystem's directories tell it.
  uint32_t type_of(const Record& record) const {
    if (record.type != DT_UNKNOWN)
      return type_from_dirent(record.type);
    const std::string name(record.name);
    if (call_.context->mounts.is_qtfs(open_.fd.get(), name))
      return QTFS_TYPE_DIR;
    const auto stx = stat_name(open_.fd.get(), name.c_str());
    return stx ? type_to_wire(stx->stx_mode) : 0;
  }

  // False when there is no room for it.
  bool emit(const Record& record) {
    const int dir = open_.fd.get();
    Rules& rules = call_.context->rules;
    rule_ = rules.any() ? rules.of(dir, std::string(record.name), type_of(record)).action
                        : RuleAction::serve;
    if (rule_ == RuleAction::hide)
      return true;
    const size_t name_len = record.name.size();
    size_t need = sizeof(qtfs_wire_dirent) + QTFS_PAD(name_len);
    if (out_.size() + need > count_ || name_len > QTFS_NAME_MAX)
      return name_len > QTFS_NAME_MAX;
    qtfs_wire_dirent dirent{};
    dirent.ino = htole64(record.ino);
    dirent.cookie = htole64(record.cookie);
    dirent.name_len = htole16(static_cast<uint16_t>(name_len));
    dirent.type = static_cast<uint8_t>(
        rule_ == RuleAction::redirect ? uint32_t{QTFS_TYPE_LNK} : type_from_dirent(record.type));
    std::optional<qtfs_wire_entry> entry;
    if (plus_) {
      if (out_.size() + need + sizeof(qtfs_wire_entry) > count_)
        return false;
      entry = entry_of(std::string(record.name));
    }
    if (entry) {
      dirent.flags = QTFS_DIRENT_ENTRY;
      dirent.type = static_cast<uint8_t>(le32toh(entry->attr.type));
    }
    out_.append(bytes_of(dirent));
    if (entry)
      out_.append(bytes_of(*entry));
    out_.append(bytes_of(record.name));
    static constexpr std::byte zeros[QTFS_ALIGN] = {};
    out_.append({zeros, QTFS_PAD(name_len) - name_len});
    nr_++;
    return true;
  }

  // Without opening it: it may be one of very many.
  std::optional<qtfs_wire_entry> entry_of(const std::string& name) {
    if (std::find(skipped_.begin(), skipped_.end(), name) != skipped_.end())
      return std::nullopt;
    const int dir = open_.fd.get();
    const auto stx = stat_name(dir, name.c_str());
    if (!stx)
      return std::nullopt;
    const Domain& domain = open_.node->domain;
    const NodeKey key = NodeKey::of(*stx, domain, shown_by(rule_));
    FsKind kind = call_.context->kinds.get(dir, open_.node->key.dev);
    if (key.dev != open_.node->key.dev) {
      // Something else is mounted there: only a descriptor on it tells what.
      const auto fd = open_component(dir, name, call_.context->mounts);
      if (!fd)
        return std::nullopt;
      kind = call_.context->kinds.get(fd->get(), key.dev);
    }
    qtfs_wire_entry entry{};
    constexpr uint32_t all = QTFS_MAY_EXEC | QTFS_MAY_WRITE | QTFS_MAY_READ;
    if (rule_ == RuleAction::deny)
      entry.access = htole32(QTFS_MAY_KNOWN);
    else if (key.type == QTFS_TYPE_DIR)
      entry.access = htole32(allowed(dir, name.c_str(), all, domain.readonly));
    const NodeTable::Origin origin{open_.node, name};
    Traits traits = traits_of(kind, key, origin, dir);
    traits.uncached = rule_ == RuleAction::uncached;
    const auto granted =
        call_.session->nodes.grant(key, domain, traits, UniqueFd(), origin, *call_.context);
    if (!granted)
      return std::nullopt;
    entry.node = htole64(granted->node->id);
    entry.stamp = htole64(granted->stamp);
    entry.attr = node_attr(*stx, key.shown, traits.flags(), domain.ids());
    return entry;
  }

  Call& call_;
  Open& open_;
  const bool plus_;
  const size_t count_;
  Buffer& out_;
  std::vector<std::string> skipped_;
  RuleAction rule_ = RuleAction::serve;  // of the name that is looked at
  uint32_t nr_ = 0;
};

}  // namespace

Status op_readdir(Call& call) {
  const auto body = call.take<qtfs_wire_readdir>();
  if (!body || !call.body.done() || (le32toh(body->flags) & ~QTFS_READDIR_PLUS))
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if ((*open)->type != QTFS_TYPE_DIR)
    return Status::error(ENOTDIR);
  if (Status status = call.act(**open); !status)
    return status;
  auto payload = call.take_payload_buffer(std::min(le32toh(body->count), call.io_max));
  if (!payload)
    return payload.status();
  std::lock_guard guard((*open)->mutex);
  if (Status status = position(**open, le64toh(body->cookie)); !status)
    return status;
  Lister lister(call, **open, *body, *payload);
  if (Status status = lister.run(); !status)
    return status;
  qtfs_wire_dirs rep{};
  rep.verifier = htole64((*open)->id);
  rep.nr = htole32(lister.nr());
  if ((*open)->dir.eof && (*open)->dir.next >= (*open)->dir.names.size())
    rep.flags = htole32(QTFS_READDIR_EOF);
  call.reply.put(rep);
  call.reply.set_payload(std::move(*payload));
  return {};
}

}  // namespace qtfs
