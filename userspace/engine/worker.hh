// SPDX-License-Identifier: GPL-2.0-only
// One thread, one ring, its connections.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/conn.hh"
#include "engine/context.hh"
#include "engine/peers.hh"
#include "engine/pool.hh"
#include "engine/ring.hh"
#include "engine/transport/pcie_wire.hh"
#include "lib/log.hh"

namespace qtfs {

// What the workers share.
struct Shared {
  const Config& config;
  const Exports& exports;
  const std::vector<std::byte>& psk;
  Mounts& mounts;
  Rules& rules;
  SessionTable& sessions;
  Pool& pool;
  log::RateLimit protocol_log;
  log::RateLimit auth_log;
  std::atomic<uint32_t> connections{0};
  Peers peers;
};

class Worker {
 public:
  explicit Worker(Shared& shared);
  ~Worker();

  // The thread has its ring when this returns.
  Status start();
  // From any thread:
  void adopt(UniqueFd fd, std::string peer);
  void finished(Call& call);
  // The machine's mounts have changed: its clients are told.
  void remounted();
  // WatchHost::Post: has the watch attend to what other threads have asked for.
  static void attend(void* worker, std::shared_ptr<Watch> watch);
  // Accepts on @fd and hands connections to @workers in turn.
  void listen(UniqueFd fd, const std::vector<std::unique_ptr<Worker>>& workers);
  // Serves a queue of shared memory.
  Status serve(std::unique_ptr<PcieLine> line);
  // No more connections and requests; the thread ends when the last connection is gone.
  void drain();
  // Ends now what is still there.
  void abort();
  bool running() const { return running_.load(std::memory_order_acquire); }
  void join();

  // For its connections, on its thread:
  Ring& ring() { return *ring_; }
  Pool& pool() { return shared_.pool; }
  Context& context() { return context_; }
  const Limits& limits() const { return shared_.config.limits; }
  const Exports& exports() const { return shared_.exports; }
  Door door() { return {shared_.sessions, shared_.config.limits, shared_.psk}; }
  log::RateLimit& protocol_log() { return shared_.protocol_log; }
  log::RateLimit& auth_log() { return shared_.auth_log; }
  Call& take_call();
  void give_call(Call& call);
  void reap(Conn& conn);
  // Calls Conn::tick() in a second, and again while one of them is timed().
  void keep_time();

  const Stats& stats() const { return context_.stats; }
  std::string describe() const { return ring_->describe(); }

 private:
  using clock = std::chrono::steady_clock;
  struct Listener;
  struct Mail {
    std::vector<std::pair<UniqueFd, std::string>> conns;
    std::vector<Call*> calls;
    std::vector<std::shared_ptr<Watch>> watches;
    std::vector<UniqueFd> listeners;
    std::vector<std::unique_ptr<PcieLine>> lines;
    bool remounted = false;
    bool drain = false;
    bool abort = false;
  };

  void run();
  void loop();
  Status await();
  bool look();
  bool lines_used() const;
  bool lines_sleep();
  void learn_wait(std::chrono::nanoseconds bound);
  void wake();
  void arm_wake();
  void on_wake();
  void on_tick();
  bool enter(const std::string& peer);
  Conn* add_conn(std::string peer);
  void add_socket(UniqueFd fd, std::string peer);
  void begin_drain();
  void bury();

  Shared& shared_;
  Context context_;
  std::unique_ptr<Ring> ring_;
  std::thread thread_;
  std::atomic<bool> running_{false};
  Status start_status_;

  UniqueFd event_;
  uint64_t event_value_ = 0;
  RingOp event_op_;
  RingOp tick_op_;
  bool tick_armed_ = false;
  bool event_armed_ = false;

  std::mutex mail_mutex_;  // protects mail_
  Mail mail_;

  std::vector<std::unique_ptr<PcieLine>> lines_;
  std::vector<std::unique_ptr<Conn>> conns_;  // some of them on lines_
  std::vector<Conn*> dead_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::optional<clock::time_point> waiting_;  // since when nothing came on lines_
  std::chrono::nanoseconds wait_{};           // how long that took lately, on average
  const std::vector<std::unique_ptr<Worker>>* workers_ = nullptr;
  size_t next_worker_ = 0;
  std::vector<std::unique_ptr<Call>> free_calls_;
  bool draining_ = false;
};

}  // namespace qtfs
