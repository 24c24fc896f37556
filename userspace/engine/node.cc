// SPDX-License-Identifier: GPL-2.0-only
#include "engine/node.hh"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "lib/codec.hh"

namespace qtfs {

namespace {

constexpr unsigned stat_mask = STATX_BASIC_STATS | STATX_BTIME | node_mount_mask | STATX_DIOALIGN;

// Requests that were on their way when a mount went are done long before as many more have gone.
constexpr size_t unmounted_max = 4096;

// Directories that lost their descriptors one above the other.
constexpr unsigned reopen_depth = 256;

// From here on numbers of mounts are never used again: MNT_UNIQUE_ID_OFFSET of the kernel.
constexpr uint64_t unique_mounts = uint64_t{1} << 31;

bool contains(const std::vector<uint64_t>& mounts, uint64_t mount) {
  return std::find(mounts.begin(), mounts.end(), mount) != mounts.end();
}

uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  return x;
}

}  // namespace

size_t NodeKey::hash() const {
  const uint64_t kind = type + (uint64_t{static_cast<uint8_t>(shown)} << 16);
  return mix(ino + mix(dev + mix(mount + (uint64_t{domain} << 32)) + birth) + kind);
}

void Node::set_name(std::string_view name) {
  if (name_ && name == name_.get())
    return;
  name_ = std::make_unique<char[]>(name.size() + 1);
  std::copy(name.begin(), name.end(), name_.get());
}

std::vector<std::byte> Node::handle() const {
  if (!handle_)
    return {};
  const auto* raw = reinterpret_cast<const file_handle*>(handle_.get());
  return {handle_.get(), handle_.get() + sizeof(file_handle) + raw->handle_bytes};
}

void Node::make_handle() {
  alignas(file_handle) std::array<std::byte, sizeof(file_handle) + MAX_HANDLE_SZ> room{};
  auto* raw = reinterpret_cast<file_handle*>(room.data());
  raw->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  if (name_to_handle_at(fd_->get(), "", raw, &mount, AT_EMPTY_PATH) < 0)
    return;
  const size_t size = sizeof(file_handle) + raw->handle_bytes;
  handle_ = std::make_unique<std::byte[]>(size);
  std::copy_n(room.begin(), size, handle_.get());
}

NodeKey NodeKey::of(const struct statx& stx, const Domain& domain, Shown shown) {
  NodeKey key;
  key.dev = uint64_t{stx.stx_dev_major} << 32 | stx.stx_dev_minor;
  key.ino = stx.stx_ino;
  key.mount = stx.stx_mnt_id;
  if (stx.stx_mask & STATX_BTIME)
    key.birth = static_cast<uint64_t>(stx.stx_btime.tv_sec) * 1'000'000'000 + stx.stx_btime.tv_nsec;
  key.type = static_cast<uint16_t>(shown == Shown::link ? uint32_t{QTFS_TYPE_LNK}
                                                        : type_to_wire(stx.stx_mode));
  key.shown = shown;
  key.domain = domain.index;
  return key;
}

uint64_t mount_number(int fd) {
  struct statx stx {};
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, node_mount_mask, &stx) < 0)
    return 0;
  return stx.stx_mnt_id;
}

Result<struct statx> stat_fd(int fd) {
  struct statx stx {};
  if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, stat_mask, &stx) < 0)
    return Status::last();
  return stx;
}

Result<struct statx> stat_name(int dir, const char* name) {
  struct statx stx {};
  if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, stat_mask, &stx) < 0)
    return Status::last();
  return stx;
}

NodeTable::NodeTable(uint16_t life, uint64_t nodes_max, FdBudget& budget)
    : life_(life), nodes_max_(nodes_max), budget_(budget) {}

Result<Granted> NodeTable::grant(const NodeKey& key, const Domain& domain, const Traits& traits,
                                 UniqueFd fd, const Origin& origin, Context& context) {
  Ref<NodeFd> holder;
  if (fd) {
    // While there is a descriptor to make it from.
    if (key.type == QTFS_TYPE_DIR && !traits.synthetic && !anchor(key.mount))
      add_anchor(key, fd.get(), context);
    holder = make_ref<NodeFd>(std::move(fd), budget_);
  }
  const unsigned index = shard_index(key);
  auto granted = grant_locked(index, key, domain, traits, holder, origin);
  if (budget_.used.load(std::memory_order_relaxed) > budget_.max)
    trim(index);
  return granted;
}

Result<Granted> NodeTable::grant_locked(unsigned index, const NodeKey& key, const Domain& domain,
                                        const Traits& traits, const Ref<NodeFd>& fd,
                                        const Origin& origin) {
  Ref<Node> old_parent;  // these are let go of outside the lock
  Ref<NodeFd> old_fd;
  Shard& shard = shards_[index];
  std::lock_guard guard(shard.mutex);
  Ref<Node> node;
  if (const auto found = shard.by_key.find(key); found != shard.by_key.end()) {
    node = Ref<Node>(*found);
  } else {
    if (count_.fetch_add(1, std::memory_order_relaxed) >= nodes_max_) {
      count_.fetch_sub(1, std::memory_order_relaxed);
      return Status::error(ENFILE);
    }
    const uint64_t id = life_ << 48 | shard.next++ << shard_bits | index;
    node = make_ref<Node>(id, key, domain, traits);
    shard.by_id.insert(node);
    shard.by_key.insert(node.get());
  }
  node->uncached_.store(traits.uncached, std::memory_order_relaxed);
  if (origin.parent) {
    old_parent = node->parent_;
    node->parent_ = origin.parent;
    node->set_name(origin.name);
  } else if (!origin.unnamed) {
    node->pinned_ = true;
  }
  // Without a birth time it may be another with the same number: what was found now counts.
  if (fd && (!node->fd_ || key.birth == 0)) {
    old_fd = node->fd_;
    install(shard, *node, fd);
  }
  node->stamp_ = stamp_.fetch_add(1, std::memory_order_relaxed) + 1;
  return Granted{node, node->stamp_, node->fd_ ? node->fd_ : fd};
}

NodeTable::~NodeTable() {
  // Directories that were moved into each other may name each other as parents.
  for (Shard& shard : shards_)
    for (const Ref<Node>& node : shard.by_id) {
      Ref<Node> parent = std::exchange(node->parent_, Ref<Node>());
      while (parent && parent->sole())
        parent = std::exchange(parent->parent_, Ref<Node>());
    }
}

Ref<Node> NodeTable::find(uint64_t id) {
  Shard& shard = shard_of(id);
  std::lock_guard guard(shard.mutex);
  const auto found = shard.by_id.find(id);
  return found == shard.by_id.end() ? Ref<Node>() : *found;
}

void NodeTable::found(Node& node, UniqueFd fd) {
  if (node.key.birth != 0)
    return;
  auto holder = make_ref<NodeFd>(std::move(fd), budget_);
  Ref<NodeFd> old_fd;  // let go of outside the lock
  Shard& shard = shard_of(node.id);
  std::lock_guard guard(shard.mutex);
  old_fd = node.fd_;
  if (shard.by_id.contains(node.id))
    install(shard, node, holder);
}

Result<Granted> NodeTable::renew(uint64_t id) {
  Shard& shard = shard_of(id);
  std::lock_guard guard(shard.mutex);
  const auto found = shard.by_id.find(id);
  if (found == shard.by_id.end())
    return Status::error(ESTALE);
  Node& node = **found;
  node.stamp_ = stamp_.fetch_add(1, std::memory_order_relaxed) + 1;
  return Granted{*found, node.stamp_, node.fd_};
}

void NodeTable::install(Shard& shard, Node& node, Ref<NodeFd> fd) {
  if (is_unmounted(node.key.mount))
    return;
  node.fd_ = std::move(fd);
  node.used_ = true;
  if (!node.in_lru_) {
    node.lru_ = shard.lru.insert(shard.lru.end(), &node);
    node.in_lru_ = true;
  }
}

void NodeTable::drop_fd(Shard& shard, Node& node) {
  node.fd_ = {};
  if (node.in_lru_)
    shard.lru.erase(node.lru_);
  node.in_lru_ = false;
}

Result<Ref<NodeFd>> NodeTable::fd(Node& node, Context& context, unsigned depth) {
  if (depth > reopen_depth)
    return Status::error(ESTALE);
  const unsigned index = shard_index(node.id);
  Shard& shard = shards_[index];
  std::vector<std::byte> handle;
  Ref<Node> parent;
  std::string name;
  {
    std::lock_guard guard(shard.mutex);
    if (node.fd_) {
      node.used_ = true;
      return node.fd_;
    }
    handle = node.handle();
    parent = node.parent_;
    if (parent)
      name = node.name_.get();
  }
  auto opened = reopen(node.key, handle, {parent, name}, context, depth);
  if (!opened)
    return opened.status();
  auto holder = make_ref<NodeFd>(std::move(*opened), budget_);
  {
    std::lock_guard guard(shard.mutex);
    // A node that was forgotten meanwhile keeps nothing.
    const bool known = shard.by_id.contains(node.id);
    if (known && !node.fd_)
      install(shard, node, holder);
  }
  trim(index);
  return holder;
}

Result<UniqueFd> NodeTable::reopen_by_name(const Origin& origin, Context& context, unsigned depth) {
  auto dir = this->fd(*origin.parent, context, depth + 1);
  if (!dir)
    return dir.status();
  auto opened = open_component((*dir)->get(), std::string(origin.name), context.mounts);
  if (!opened && opened.err() != EMFILE && opened.err() != ENFILE)
    return Status::error(ESTALE);
  return opened;
}

Result<UniqueFd> NodeTable::reopen(const NodeKey& key, const std::vector<std::byte>& handle,
                                   const Origin& origin, Context& context, unsigned depth) {
  Privileged privileged(context.creds);
  if (!privileged.status())
    return privileged.status();
  UniqueFd fd;
  UniqueFd nameless;
  if (const Anchor mount = handle.empty() ? nullptr : anchor(key.mount)) {
    // Both calls want it writable; neither writes.
    std::vector<std::byte> copy = handle;
    fd.reset(open_by_handle_at(mount->get(), reinterpret_cast<file_handle*>(copy.data()),
                               O_PATH | O_NOFOLLOW | O_CLOEXEC));
    // The kernel may not know its name; rules go by that.
    if (fd && key.type != QTFS_TYPE_DIR && path_of(fd.get()) == "/")
      std::swap(nameless, fd);
  }
  if (!fd && origin.parent) {
    auto opened = reopen_by_name(origin, context, depth);
    if (opened)
      fd = std::move(*opened);
    else if (!nameless)
      return opened.status();
  }
  if (!fd)
    fd = std::move(nameless);
  if (!fd)
    return Status::error(ESTALE);
  const auto stx = stat_fd(fd.get());
  if (!stx)
    return Status::error(ESTALE);
  Domain domain;
  domain.index = key.domain;
  if (NodeKey::of(*stx, domain, key.shown) != key)
    return Status::error(ESTALE);
  return fd;
}

void NodeTable::forget(uint64_t id, uint64_t stamp) {
  Ref<Node> gone;  // let go of outside the lock
  Ref<Node> parent;
  Ref<NodeFd> fd;
  Shard& shard = shard_of(id);
  std::lock_guard guard(shard.mutex);
  const auto found = shard.by_id.find(id);
  if (found == shard.by_id.end() || (*found)->stamp_ > stamp)
    return;
  gone = *found;
  shard.by_id.erase(found);
  // Another may have its key by now.
  if (const auto same = shard.by_key.find(gone->key);
      same != shard.by_key.end() && *same == gone.get())
    shard.by_key.erase(same);
  fd = gone->fd_;
  parent = std::move(gone->parent_);
  gone->parent_ = {};
  drop_fd(shard, *gone);
  count_.fetch_sub(1, std::memory_order_relaxed);
}

// Before Linux 6.8 the next mount may have the number of the last, and with a filesystem without
// birth times its root may have the same key, too: it must not be the node that clients know.
void NodeTable::forget_keys(const std::vector<uint64_t>& mounts) {
  if (std::all_of(mounts.begin(), mounts.end(), [](uint64_t m) { return m >= unique_mounts; }))
    return;
  for (Shard& shard : shards_) {
    std::lock_guard guard(shard.mutex);
    std::erase_if(shard.by_key,
                  [&](const Node* node) { return contains(mounts, node->key.mount); });
  }
}

void NodeTable::unmounted(const std::vector<uint64_t>& mounts) {
  std::vector<Ref<NodeFd>> fds;  // let go of outside the locks
  std::vector<Anchor> anchors;
  {
    std::lock_guard guard(anchors_mutex_);
    for (const uint64_t mount : mounts) {
      unmounted_.push_back(mount);
      if (const auto found = anchors_.find(mount); found != anchors_.end()) {
        anchors.push_back(std::move(found->second));
        anchors_.erase(found);
      }
    }
    while (unmounted_.size() > unmounted_max)
      unmounted_.pop_front();
    any_unmounted_.store(true, std::memory_order_release);
  }
  forget_keys(mounts);
  for (Shard& shard : shards_) {
    std::lock_guard guard(shard.mutex);
    for (auto next = shard.lru.begin(); next != shard.lru.end();) {
      Node& node = **next++;
      if (!contains(mounts, node.key.mount))
        continue;
      fds.push_back(node.fd_);
      drop_fd(shard, node);
    }
  }
}

void NodeTable::mounted(const std::vector<uint64_t>& mounts) {
  forget_keys(mounts);  // of requests that were under way
  std::lock_guard guard(anchors_mutex_);
  for (const uint64_t mount : mounts)
    std::erase(unmounted_, mount);
}

bool NodeTable::is_unmounted(uint64_t mount) {
  if (!any_unmounted_.load(std::memory_order_acquire))
    return false;
  std::lock_guard guard(anchors_mutex_);
  return std::find(unmounted_.begin(), unmounted_.end(), mount) != unmounted_.end();
}

void NodeTable::trim(unsigned first) {
  for (unsigned i = 0; i < shard_count; i++) {
    Shard& shard = shards_[(first + i) & (shard_count - 1)];
    std::unique_lock lock(shard.mutex, std::try_to_lock);
    if (!lock)
      continue;
    while (budget_.used.load(std::memory_order_relaxed) > budget_.max)
      if (!evict_one(shard))
        break;
    if (budget_.used.load(std::memory_order_relaxed) <= budget_.max)
      return;
  }
}

bool NodeTable::evict_one(Shard& shard) {
  // Twice round at most: the first time may only clear marks.
  for (size_t left = 2 * shard.lru.size(); left > 0; left--) {
    Node& node = *shard.lru.front();
    shard.lru.splice(shard.lru.end(), shard.lru, shard.lru.begin());
    if (std::exchange(node.used_, false) || node.pinned_ || !make_reopenable(node))
      continue;
    drop_fd(shard, node);
    return true;
  }
  return false;
}

bool NodeTable::make_reopenable(Node& node) {
  // A rule is about names: what it shows is found again by its own, and by no other of the object.
  const bool by_handle = node.key.shown == Shown::itself;
  if (by_handle && !node.handle_ && anchor(node.key.mount))
    node.make_handle();
  return node.handle_ || node.parent_;
}

Status NodeTable::sync() {
  std::vector<Anchor> anchors;
  {
    std::lock_guard guard(anchors_mutex_);
    for (const auto& [mount, anchor] : anchors_)
      anchors.push_back(anchor);
  }
  Status worst;
  for (const Anchor& anchor : anchors)
    if (Status status = check(syncfs(anchor->get())); !status)
      worst = status;
  return worst;
}

NodeTable::Anchor NodeTable::anchor(uint64_t mount) {
  std::lock_guard guard(anchors_mutex_);
  const auto found = anchors_.find(mount);
  return found == anchors_.end() ? nullptr : found->second;
}

void NodeTable::add_anchor(const NodeKey& key, int fd, Context& context) {
  Privileged privileged(context.creds);
  if (!privileged.status())
    return;
  // The working directory is /proc/self/fd.
  UniqueFd real(openat(AT_FDCWD, std::to_string(fd).c_str(),
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!real)
    return;
  auto made = std::make_shared<const UniqueFd>(std::move(real));
  std::lock_guard guard(anchors_mutex_);
  if (std::find(unmounted_.begin(), unmounted_.end(), key.mount) == unmounted_.end())
    anchors_.emplace(key.mount, std::move(made));
}

}  // namespace qtfs
