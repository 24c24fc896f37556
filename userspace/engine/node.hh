// SPDX-License-Identifier: GPL-2.0-only
// Node ids and what they stand for: objects of the server's filesystems that a client knows.
//
// A node has an O_PATH descriptor, or, when descriptors are short, what it takes to get one again:
// a file handle, or its directory and name together with its identity.
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/context.hh"
#include "engine/export.hh"
#include "lib/ref.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// An export as a session attached it. Lives as long as the session.
struct Domain {
  const Export* exported = nullptr;
  bool readonly = false;
  uint32_t index = 0;

  // Null: they are the client's own.
  const IdMap* ids() const { return exported->ids.get(); }
};

// How many descriptors nodes hold, of all sessions.
struct FdBudget {
  std::atomic<uint64_t> used{0};
  uint64_t max = 0;
};

class NodeFd : public RefCounted {
 public:
  NodeFd(UniqueFd fd, FdBudget& budget) : fd_(std::move(fd)), budget_(budget) {
    budget_.used.fetch_add(1, std::memory_order_relaxed);
  }
  ~NodeFd() { budget_.used.fetch_sub(1, std::memory_order_relaxed); }
  int get() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  FdBudget& budget_;
};

// What a rule has clients see of an object. Each is a node of its own: one that is known never
// becomes another, and nothing that is done with one that shows something else reaches the object.
enum class Shown : uint8_t {
  itself,
  content,  // a regular file with the rule's text
  link,     // a symbolic link to where the rule says
};

inline Shown shown_by(RuleAction action) {
  switch (action) {
    case RuleAction::content:
      return Shown::content;
    case RuleAction::redirect:
      return Shown::link;
    default:
      return Shown::itself;
  }
}

// Which object it is. The birth time tells an inode number that is used again from the first.
struct NodeKey {
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint64_t mount = 0;
  uint64_t birth = 0;
  uint32_t domain = 0;
  uint16_t type = 0;  // QTFS_TYPE_*, as it is shown
  Shown shown = Shown::itself;

  bool operator==(const NodeKey&) const = default;
  size_t hash() const;
  static NodeKey of(const struct statx& stx, const Domain& domain, Shown shown = Shown::itself);
};

// The kernel lets every thread look into its own process, whoever it acts as: what procfs shows of
// the engine itself has to be guarded by the engine.
enum class Guard : uint8_t {
  none,
  own_process,  // the directory of one of the engine's threads
  guarded,      // something in it that only callers with CAP_SYS_PTRACE may use
  denied,       // nobody opens it
};

// Links of procfs lead to who asks, which would be the engine.
enum class AskerLink : uint8_t {
  none,
  process,  // self, thread-self: the client's own are meant
  machine,  // net, mounts, by way of self: init's are the machine's
};

struct Traits {
  bool synthetic = false;
  bool uncached = false;  // by a rule, when it was found last
  AskerLink asker = AskerLink::none;
  Guard guard = Guard::none;

  // QTFS_ATTR_* that say so.
  uint32_t flags() const {
    return (synthetic ? QTFS_ATTR_SYNTHETIC : 0) | (uncached ? QTFS_ATTR_UNCACHED : 0) |
           (asker == AskerLink::process ? QTFS_ATTR_LOCAL : 0);
  }
};

// What to ask statx for to get a mount's number as NodeKey has it.
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U  // Linux 6.8
#endif
inline constexpr unsigned node_mount_mask = STATX_MNT_ID | STATX_MNT_ID_UNIQUE;

// The number, as NodeKey has it, of the mount that a descriptor is on; no server is asked. 0 when
// it is not to be had.
uint64_t mount_number(int fd);

// statx of a descriptor, or of @name below it, with all that NodeKey and the protocol want.
Result<struct statx> stat_fd(int fd);
Result<struct statx> stat_name(int dir, const char* name);

// A client may know millions: the order leaves no holes, and what few have is behind a pointer.
class Node : public RefCounted {
 public:
  Node(uint64_t id_, const NodeKey& key_, const Domain& domain_, const Traits& traits_)
      : traits(traits_), id(id_), key(key_), domain(domain_) {}

  const Traits traits;
  const uint64_t id;
  const NodeKey key;
  const Domain& domain;
  // QTFS_ATTR_* that say what it is like; rules come and go.
  uint32_t flags() const {
    Traits now = traits;
    now.uncached = uncached_.load(std::memory_order_relaxed);
    return now.flags();
  }

 private:
  friend class NodeTable;
  void set_name(std::string_view name);
  // Nothing if there is none.
  std::vector<std::byte> handle() const;
  // From fd_; filesystems need not have any.
  void make_handle();

  // Protected by the lock of its shard.
  uint64_t stamp_ = 0;
  Ref<NodeFd> fd_;
  Ref<Node> parent_;
  std::unique_ptr<char[]> name_;         // below it; null for an attachment's root
  std::unique_ptr<std::byte[]> handle_;  // a struct file_handle, or null
  std::list<Node*>::iterator lru_;
  std::atomic<bool> uncached_{false};
  bool in_lru_ = false;
  bool used_ = false;
  bool pinned_ = false;  // root of an attachment: there is no other way to it
};

struct Granted {
  Ref<Node> node;
  uint64_t stamp = 0;
  Ref<NodeFd> fd;  // good even if another connection has the node forgotten meanwhile
};

class NodeTable {
 public:
  NodeTable(uint16_t life, uint64_t nodes_max, FdBudget& budget);
  ~NodeTable();

  struct Origin {
    Ref<Node> parent;  // empty for an attachment's root
    std::string_view name;
    bool unnamed = false;  // not looked up by name: what is known of that stays
  };
  // The node of an object, made if the client does not know it yet; @fd may be empty.
  Result<Granted> grant(const NodeKey& key, const Domain& domain, const Traits& traits, UniqueFd fd,
                        const Origin& origin, Context& context);
  Ref<Node> find(uint64_t id);
  // @fd was found under its name just now. It counts from here on where numbers are used again, and
  // no birth time tells.
  void found(Node& node, UniqueFd fd);
  // Grants a node that the client knows once more; ESTALE if it has forgotten it.
  Result<Granted> renew(uint64_t id);
  // A descriptor for it; ESTALE when the object cannot be reached any more.
  Result<Ref<NodeFd>> fd(Node& node, Context& context, unsigned depth = 0);
  // The client says that it knows nothing newer of it than @stamp.
  void forget(uint64_t id, uint64_t stamp);
  // The mounts are no more: nothing of them is held any longer, and their nodes are stale. What
  // clients have open there stays.
  void unmounted(const std::vector<uint64_t>& mounts);
  // New ones, which may have old ones' numbers.
  void mounted(const std::vector<uint64_t>& mounts);
  // Makes durable what is written to any filesystem that has a directory among the nodes. Blocks.
  Status sync();
  uint64_t size() const { return count_.load(std::memory_order_relaxed); }

 private:
  Result<Granted> grant_locked(unsigned index, const NodeKey& key, const Domain& domain,
                               const Traits& traits, const Ref<NodeFd>& fd, const Origin& origin);
  static constexpr unsigned shard_bits = 4;
  static constexpr unsigned shard_count = 1u << shard_bits;

  // Sets of nodes, whose ids and keys are in the nodes alone.
  struct ById {
    using is_transparent = void;
    static uint64_t id_of(uint64_t id) { return id; }
    static uint64_t id_of(const Ref<Node>& node) { return node->id; }
    size_t operator()(const auto& one) const { return id_of(one) >> shard_bits; }
    bool operator()(const auto& a, const auto& b) const { return id_of(a) == id_of(b); }
  };
  struct ByKey {
    using is_transparent = void;
    static const NodeKey& key_of(const NodeKey& key) { return key; }
    static const NodeKey& key_of(const Node* node) { return node->key; }
    size_t operator()(const auto& one) const { return key_of(one).hash(); }
    bool operator()(const auto& a, const auto& b) const { return key_of(a) == key_of(b); }
  };
  struct Shard {
    std::mutex mutex;  // protects the rest, and the nodes' private parts
    std::unordered_set<Ref<Node>, ById, ById> by_id;
    std::unordered_set<Node*, ByKey, ByKey> by_key;
    std::list<Node*> lru;  // nodes with a descriptor, oldest first
    uint64_t next = 1;
  };

  // An id's lowest bits are those of its key's hash.
  static unsigned shard_index(uint64_t id) { return id & (shard_count - 1); }
  Shard& shard_of(uint64_t id) { return shards_[shard_index(id)]; }
  static unsigned shard_index(const NodeKey& key) { return key.hash() & (shard_count - 1); }
  void install(Shard& shard, Node& node, Ref<NodeFd> fd);
  void drop_fd(Shard& shard, Node& node);
  void trim(unsigned first);
  bool evict_one(Shard& shard);
  bool make_reopenable(Node& node);
  Result<UniqueFd> reopen_by_name(const Origin& origin, Context& context, unsigned depth);
  Result<UniqueFd> reopen(const NodeKey& key, const std::vector<std::byte>& handle,
                          const Origin& origin, Context& context, unsigned depth);
  bool is_unmounted(uint64_t mount);
  void forget_keys(const std::vector<uint64_t>& mounts);
  // A real descriptor on a mount, as open_by_handle_at() wants one; empty if there is none yet.
  using Anchor = std::shared_ptr<const UniqueFd>;
  Anchor anchor(uint64_t mount);
  void add_anchor(const NodeKey& key, int fd, Context& context);

  const uint64_t life_;
  const uint64_t nodes_max_;
  FdBudget& budget_;
  std::atomic<uint64_t> stamp_{0};
  std::atomic<uint64_t> count_{0};
  std::array<Shard, shard_count> shards_;

  std::mutex anchors_mutex_;  // protects what follows; taken under a shard's
  std::unordered_map<uint64_t, Anchor> anchors_;
  std::deque<uint64_t> unmounted_;  // the latest
  std::atomic<bool> any_unmounted_{false};
};

}  // namespace qtfs
