// SPDX-License-Identifier: GPL-2.0-only
// Tells a client when something it has open becomes ready (POLL, PUSH_POLL).
//
// The ring tells of each time that the descriptor is woken. What the client was told already, and
// has not looked at since by asking, reading or writing, is not told again; nor listened for.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "engine/open.hh"
#include "engine/ring.hh"

namespace qtfs {

class Watch;

// A connection, as far as watches need it; on its thread.
class WatchHost {
 public:
  virtual Ring& watch_ring() = 0;
  virtual void push_ready(uint64_t open, const qtfs_wire_level& level) = 0;
  virtual void watches_gone() = 0;
  // From any thread, and when the connection is gone: has Watch::attend() called on its thread.
  using Post = void (*)(void* worker, std::shared_ptr<Watch> watch);

 protected:
  ~WatchHost() = default;
};

// The watches of one connection, on its thread.
class WatchTable {
 public:
  WatchTable(WatchHost& host, WatchHost::Post post, void* worker)
      : host_(host), post_(post), worker_(worker) {}
  // Answers POLL: what comes up of @mask is told from then on; with 0 nothing is any more.
  Result<qtfs_wire_level> request(const Ref<Open>& open, uint32_t mask);
  // Ends them all.
  void close();
  // Nothing is under way any more.
  bool idle() const { return watches_.empty(); }

 private:
  friend class Watch;
  void gone(uint64_t id);

  WatchHost& host_;
  const WatchHost::Post post_;
  void* const worker_;
  std::unordered_map<uint64_t, std::shared_ptr<Watch>> watches_;  // by numbers of their own
  uint64_t next_ = 0;
};

class Watch final : public Watcher, public std::enable_shared_from_this<Watch> {
 public:
  Watch(WatchTable& table, uint64_t id, Ref<Open> open);

  // For any thread:
  void want(uint32_t mask) override;
  uint32_t looking() override;
  void looked(uint32_t level) override;
  void released() override;

  // On the connection's thread: does what other threads have asked for.
  void attend();

 private:
  friend class WatchTable;
  void listen(uint32_t level);
  void listen_rest(uint32_t told);
  void on_event(const Completion& completion);
  uint32_t news(uint32_t mask, bool more);

  WatchTable& table_;  // of its thread, and until it is gone
  const WatchHost::Post post_;
  void* const worker_;
  const uint64_t id_;  // in the table
  RingOp op_;

  std::mutex mutex_;  // protects the rest; what the ring is asked is asked on its thread
  Ref<Open> open_;
  uint32_t wanted_ = 0;
  uint32_t told_ = 0;   // since the client last looked
  uint32_t held_ = 0;   // of what is told once only, and the client was not told yet
  uint32_t known_ = 0;  // to the client, of what the ring tells first
  uint32_t level_ = 0;  // the latest that the client was told
  bool first_ = false;
  bool listening_ = false;
  bool deaf_ = true;    // nobody listens until the client looks
  bool again_ = false;  // it has
  bool rest_ = false;   // what it was not told is to be listened for
  bool over_ = false;   // the open goes
  bool ending_ = false;
};

// What the open is ready for, if somebody watches it.
std::optional<qtfs_wire_level> look(Open& open);

}  // namespace qtfs
