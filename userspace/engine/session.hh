// SPDX-License-Identifier: GPL-2.0-only
// One client: what it knows and holds, over all its connections. Ends with the last of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/locks.hh"
#include "engine/node.hh"
#include "engine/open.hh"
#include "lib/config.hh"
#include "lib/crypto.hh"

namespace qtfs {

using SessionId = std::array<std::byte, QTFS_SESSION_ID_LEN>;

// The credentials of a session, by the client's numbers.
class CredTable {
 public:
  Status put(uint32_t id, Ref<const Cred> cred);
  void remove(uint32_t id);
  // Who it is in an export with @ids, or, where that is null, in those without.
  Ref<const Cred> find(uint32_t id, const IdMap* ids);

 private:
  struct Registered {
    Ref<const Cred> cred;
    // The same caller in other exports, once he was asked for there.
    std::vector<std::pair<const IdMap*, Ref<const Cred>>> mapped;
  };
  std::mutex mutex_;  // protects creds_
  std::unordered_map<uint32_t, Registered> creds_;
};

// What a client has mounted on this machine.
struct MadeMount {
  uint64_t number = 0;  // of the machine's mount
  uint64_t dev = 0;     // numbers are used again

  bool operator<(const MadeMount& other) const {
    return std::tie(number, dev) < std::tie(other.number, other.dev);
  }
};

class RemoteMounts {
 public:
  void add(const MadeMount& mount);
  void remove(const MadeMount& mount);
  bool has(const MadeMount& mount);

 private:
  std::mutex mutex_;  // protects made_
  std::set<MadeMount> made_;
};

class Session {
 public:
  Session(uint16_t life, const Limits& limits, const Exports& exports, FdBudget& budget,
          LockTable& locks);
  ~Session();

  SessionId id{};
  Digest secret{};  // for JOIN and RESUME
  uint16_t epoch = 1;
  const Exports& exports;

  // The node table's nodes name domains; it goes first.
  Result<const Domain*> domain(const Export& exported, bool readonly);

 private:
  std::mutex mutex_;  // protects domains_
  std::deque<Domain> domains_;

 public:
  LockTable& locks;
  LockQuota lock_quota;  // what is open counts against it
  CredTable creds;
  NodeTable nodes;
  OpenTable opens;
  RemoteMounts made;
  // Descriptors that wait with connections (rights.hh), which may outlive the session.
  std::shared_ptr<std::atomic<uint32_t>> rights = std::make_shared<std::atomic<uint32_t>>(0);

  std::atomic<uint32_t> opening{0};  // requests with a thread each: Call::opener

  uint32_t connections = 0;  // protected by the lock of SessionTable
};

class SessionTable {
 public:
  SessionTable(uint16_t life, const Limits& limits, const Exports& exports);

  // A new session with one connection; ENFILE over the limit.
  Result<std::shared_ptr<Session>> create(const Digest& secret);
  std::shared_ptr<Session> find(const SessionId& id);
  // One more connection for a session that still has one.
  Status join(const std::shared_ptr<Session>& session);
  void leave(const std::shared_ptr<Session>& session);
  std::vector<std::shared_ptr<Session>> all();
  size_t size();
  uint16_t life() const { return life_; }
  FdBudget& budget() { return budget_; }
  LockTable& locks() { return locks_; }

 private:
  const uint16_t life_;
  const Limits limits_;
  const Exports& exports_;
  FdBudget budget_;
  LockTable locks_;
  std::mutex mutex_;  // protects sessions_
  std::map<SessionId, std::shared_ptr<Session>> sessions_;
};

}  // namespace qtfs
