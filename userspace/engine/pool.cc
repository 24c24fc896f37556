// SPDX-License-Identifier: GPL-2.0-only
#include "engine/pool.hh"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "engine/dispatch.hh"
#include "lib/log.hh"

namespace qtfs {

namespace {

// Threads that what may wait for ever never gets.
constexpr unsigned reserved_max = 8;
// Threads that wait for a FIFO's peer; one session may have a quarter of them (conn.cc).
// They are not used for anything else, nor is anything else for that.
constexpr unsigned openers_max = 4096;

int interrupt_signal() {
  return SIGRTMIN + 3;
}

// Its only effect is that a blocking system call returns EINTR.
void install_handler() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(interrupt_signal(), &action, nullptr);
}

}  // namespace

Pool::Pool(unsigned threads_max, Mounts& mounts, Rules& rules, Finished finished)
    : threads_max_(threads_max), mounts_(mounts), rules_(rules), finished_(finished) {
  install_handler();
  interrupter_ = std::thread([this] { interrupt_loop(); });
}

Pool::~Pool() {
  stop();
}

void Pool::stop() {
  {
    std::lock_guard guard(mutex_);
    if (std::exchange(stopping_, true))
      return;
  }
  work_.notify_all();
  opener_work_.notify_all();
  interrupt_.notify_all();
  for (auto& thread : threads_)
    thread->thread.join();
  interrupter_.join();
}

void Pool::submit(Call& call) {
  std::lock_guard guard(mutex_);
  call.stage = Call::Stage::queued;
  call.cancelled = call.interrupted;
  queue_.push_back(&call);
  want_threads();
  (call.opener ? opener_work_ : work_).notify_one();
  if (call.lock_wait)
    interrupt_.notify_one();
}

void Pool::look_again() {
  std::lock_guard guard(mutex_);
  want_threads();
  work_.notify_all();
  interrupt_.notify_one();
}

void Pool::want_threads() {
  size_t ready = 0;
  size_t opening = 0;
  for (const Call* call : queue_) {
    ready += !call->opener && may_begin(*call);
    opening += call->opener;
  }
  for (; ready > idle_ && threads_.size() - openers_ < threads_max_; ready--)
    if (!add_thread(false))
      break;
  for (; opening > idle_openers_ && openers_ < openers_max; opening--)
    if (!add_thread(true))
      break;
}

// False where the machine lets us have no more: then those that there are have to do.
bool Pool::add_thread(bool opener) {
  auto thread = std::make_unique<Thread>();
  thread->opener = opener;
  thread->context = std::make_unique<Context>(mounts_, rules_);
  const auto index = static_cast<unsigned>(threads_.size());
  threads_.push_back(std::move(thread));
  try {
    threads_.back()->thread = std::thread([this, index] { run(index); });
  } catch (const std::system_error& error) {
    if (const auto held = thread_log_.allow())
      log::warning("no thread for what may block: {} ({} like this not logged)", error.what(),
                   *held);
    threads_.pop_back();
    return false;
  }
  openers_ += opener;
  (opener ? idle_openers_ : idle_)++;  // as soon as it runs
  return true;
}

std::deque<Call*>::iterator Pool::next(bool opener) {
  if (opener)
    return std::find_if(queue_.begin(), queue_.end(),
                        [](const Call* call) { return call->opener; });
  const unsigned reserved = std::min(reserved_max, (threads_max_ + 1) / 2);
  const bool patient_too = patient_ + reserved < threads_max_ || threads_max_ == 1;
  return std::find_if(queue_.begin(), queue_.end(), [&](const Call* call) {
    return !call->opener && (patient_too || !waits(*call)) && may_begin(*call);
  });
}

void Pool::run(unsigned index) {
  std::unique_lock lock(mutex_);
  Thread& self = *threads_[index];
  lock.unlock();
  const Status ready = self.context->creds.enter_thread();
  lock.lock();
  const bool opener = self.opener;
  std::condition_variable& work = opener ? opener_work_ : work_;
  unsigned& idle = opener ? idle_openers_ : idle_;
  while (true) {
    work.wait(lock, [&] { return stopping_ || next(opener) != queue_.end(); });
    idle--;
    const auto found = next(opener);
    if (found == queue_.end())
      return;
    Call& call = **found;
    const bool patient = !opener && waits(call);
    patient_ += patient;
    self.context->stats.opening.add(opener);
    queue_.erase(found);
    call.stage = Call::Stage::running;
    self.call = &call;
    if (call.cancelled)
      interrupt_.notify_one();
    lock.unlock();
    if (ready)
      execute(call, *self.context);
    else
      call.status = ready;
    lock.lock();
    self.call = nullptr;
    call.stage = Call::Stage::idle;
    patient_ -= patient;
    self.context->stats.opening.sub(opener);
    lock.unlock();
    finished_(call);
    lock.lock();
    idle++;
    if (patient || opener)
      work.notify_one();
  }
}

void Pool::execute(Call& call, Context& context) {
  call.context = &context;
  call.may_block = true;
  call.status = run_call(call);
  context.stats.deferred.add();
}

Pool::Cancel Pool::cancel(const Conn& conn, uint64_t tag, uint64_t cancel_tag, Call*& out) {
  std::lock_guard guard(mutex_);
  const auto queued = std::find_if(queue_.begin(), queue_.end(), [&](const Call* call) {
    return call->conn == &conn && call->tag == tag;
  });
  if (queued != queue_.end() && (*queued)->lock_wait && (*queued)->lock_wait->granted()) {
    (*queued)->cancel_tags.push_back(cancel_tag);  // too late: it is about to be answered
    return Cancel::interrupting;
  }
  // A thread has it in a moment, and most calls do not wait for anybody: their answers stand.
  if (queued != queue_.end() && !(*queued)->lock_wait && !(*queued)->opener && idle_ > 0 &&
      next(false) == queued) {
    (*queued)->cancelled = true;
    (*queued)->cancel_tags.push_back(cancel_tag);
    return Cancel::interrupting;
  }
  if (queued != queue_.end()) {
    out = *queued;
    out->stage = Call::Stage::idle;
    queue_.erase(queued);
    return Cancel::removed;
  }
  for (auto& thread : threads_) {
    Call* call = thread->call;
    if (!call || call->conn != &conn || call->tag != tag)
      continue;
    call->cancelled = true;
    call->cancel_tags.push_back(cancel_tag);
    interrupt_.notify_one();
    return Cancel::interrupting;
  }
  return Cancel::unknown;
}

void Pool::cancel_all(const Conn& conn) {
  std::vector<Call*> removed;
  {
    std::lock_guard guard(mutex_);
    for (auto& thread : threads_)
      if (thread->call && thread->call->conn == &conn)
        thread->call->cancelled = true;
    const auto keep = std::stable_partition(queue_.begin(), queue_.end(),
                                            [&](const Call* call) { return call->conn != &conn; });
    removed.assign(keep, queue_.end());
    queue_.erase(keep, queue_.end());
    interrupt_.notify_one();
  }
  for (Call* call : removed) {
    call->stage = Call::Stage::idle;
    interrupt_call(*call);
    finished_(*call);
  }
}

// A signal that comes just before the system call is lost: so again and again, until it is out.
bool Pool::interrupt_some() {
  bool any = false;
  for (auto& thread : threads_) {
    if (!thread->call || !thread->call->cancelled)
      continue;
    pthread_kill(thread->thread.native_handle(), interrupt_signal());
    any = true;
  }
  return any;
}

// Some wait for a lock, and no thread does it for them now.
bool Pool::starved() {
  return std::any_of(queue_.begin(), queue_.end(),
                     [](const Call* call) { return call->lock_wait && may_begin(*call); });
}

void Pool::interrupt_loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_ || std::any_of(threads_.begin(), threads_.end(),
                                   [](const auto& thread) { return thread->call != nullptr; })) {
    if (starved()) {
      lock.unlock();
      on_starved();
      lock.lock();
      interrupt_.wait_for(lock, std::chrono::milliseconds(interrupt_some() ? 1 : 50));
    } else if (interrupt_some())
      interrupt_.wait_for(lock, std::chrono::milliseconds(1));
    else if (stopping_)
      interrupt_.wait_for(lock, std::chrono::milliseconds(5));
    else
      interrupt_.wait(lock);
  }
}

void Pool::add_stats(Stats& sum) {
  std::lock_guard guard(mutex_);
  for (auto& thread : threads_)
    thread->context->stats.add_to(sum);
}

}  // namespace qtfs
