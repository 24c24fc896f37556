// SPDX-License-Identifier: GPL-2.0-only
// A bounded number of threads for requests that may block: synthetic files, FIFOs, fsync, cold
// reads. A request that is cancelled is interrupted by a signal until it is out.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/call.hh"
#include "lib/log.hh"

namespace qtfs {

class Pool {
 public:
  // Gets a call back, on a thread of the pool, when it has its status.
  using Finished = void (*)(Call& call);
  // Told, without a lock and now and then, while calls that wait for a lock have no thread.
  std::function<void()> on_starved = [] {};

  Pool(unsigned threads_max, Mounts& mounts, Rules& rules, Finished finished);
  ~Pool();
  // Ends its threads, when what was submitted is done.
  void stop();

  void submit(Call& call);

  enum class Cancel { unknown, removed, interrupting };
  // @removed: it had not started; the caller of this function has it back, in @out. @interrupting:
  // it will finish soon; @cancel_tag is then among its cancel_tags.
  Cancel cancel(const Conn& conn, uint64_t tag, uint64_t cancel_tag, Call*& out);
  // Interrupts everything of a connection; each call still finishes.
  void cancel_all(const Conn& conn);
  // Looks again at what was not to be begun yet.
  void look_again();
  void add_stats(Stats& sum);

 private:
  struct Thread {
    bool opener = false;  // for those only that wait for a FIFO's peer
    std::unique_ptr<Context> context;
    std::thread thread;
    Call* call = nullptr;  // that runs
  };

  static bool waits(const Call& call) {
    return call.patient && !(call.lock_wait && call.lock_wait->granted());
  }
  static bool may_begin(const Call& call) { return !call.lock_wait || !call.lock_wait->behind(); }
  // A thread for each that may be begun, as far as there may be more.
  void want_threads();
  bool add_thread(bool opener);
  // Work that may be begun now: that others wait for ever must not stop the rest.
  std::deque<Call*>::iterator next(bool opener);
  void run(unsigned index);
  void execute(Call& call, Context& context);
  void interrupt_loop();
  bool interrupt_some();
  bool starved();

  const unsigned threads_max_;
  Mounts& mounts_;
  Rules& rules_;
  const Finished finished_;

  std::mutex mutex_;  // protects everything below
  std::condition_variable work_;
  std::condition_variable opener_work_;
  std::condition_variable interrupt_;
  std::deque<Call*> queue_;
  std::vector<std::unique_ptr<Thread>> threads_;
  unsigned idle_ = 0;
  unsigned idle_openers_ = 0;
  unsigned openers_ = 0;  // of the threads
  unsigned patient_ = 0;  // of what runs
  bool stopping_ = false;
  log::RateLimit thread_log_;
  std::thread interrupter_;
};

}  // namespace qtfs
