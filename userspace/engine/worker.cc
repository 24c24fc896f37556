// SPDX-License-Identifier: GPL-2.0-only
#include "engine/worker.hh"

#include <sys/eventfd.h>

#include <algorithm>
#include <future>
#include <iterator>

#include "engine/listener.hh"
#include "engine/transport/socket_wire.hh"

namespace qtfs {

namespace {
constexpr size_t free_calls_max = 64;
}  // namespace

struct Worker::Listener {
  UniqueFd fd;
  RingOp op;
  Worker* worker = nullptr;
  bool armed = false;

  void arm() {
    armed = true;
    worker->ring().accept(fd.get(), op);
  }
  void on_accept(const Completion& completion) {
    if (!completion.more)
      armed = false;
    if (completion.result >= 0) {
      UniqueFd conn(completion.result);
      auto& workers = *worker->workers_;
      Worker& target = *workers[worker->next_worker_++ % workers.size()];
      std::string peer = peer_name(conn.get());
      if (&target == worker)
        target.add_socket(std::move(conn), std::move(peer));
      else
        target.adopt(std::move(conn), std::move(peer));
    } else if (completion.result == -EMFILE || completion.result == -ENFILE) {
      log::warning("no descriptor for a connection");
      worker->keep_time();
      if (!armed)
        return;  // again at the next tick
    }
    if (!armed && !worker->draining_)
      arm();
  }
};

Worker::Worker(Shared& shared) : shared_(shared), context_(shared.mounts, shared.rules) {
  event_op_ = {[](void* self, const Completion&) { static_cast<Worker*>(self)->on_wake(); }, this};
  tick_op_ = {[](void* self, const Completion&) { static_cast<Worker*>(self)->on_tick(); }, this};
}

Worker::~Worker() {
  if (thread_.joinable())
    thread_.join();
}

Status Worker::start() {
  event_.reset(eventfd(0, EFD_CLOEXEC));
  if (!event_)
    return Status::last();
  std::promise<void> ready;
  running_ = true;
  thread_ = std::thread([this, &ready] {
    // The ring belongs to the thread that made it.
    start_status_ = context_.creds.enter_thread();
    if (start_status_) {
      const Config& config = shared_.config;
      auto ring = Ring::open({.io = config.io == "uring"   ? Io::uring
                                    : config.io == "epoll" ? Io::epoll
                                                           : Io::automatic,
                              .entries = config.ring_entries,
                              .multishot = config.multishot,
                              .sqpoll = config.sqpoll});
      if (ring)
        ring_ = std::move(*ring);
      else
        start_status_ = ring.status();
    }
    const bool up = start_status_.ok();
    ready.set_value();
    if (up)
      run();
    running_.store(false, std::memory_order_release);
  });
  ready.get_future().wait();
  return start_status_;
}

void Worker::join() {
  if (thread_.joinable())
    thread_.join();
}

void Worker::run() {
  arm_wake();
  loop();
  // The ring goes away on its own thread, with nothing under way.
  conns_.clear();
  ring_.reset();
}

void Worker::loop() {
  while (!draining_ || !conns_.empty() || event_armed_ || tick_armed_ ||
         std::any_of(listeners_.begin(), listeners_.end(), [](auto& l) { return l->armed; })) {
    if (Status status = await(); !status) {
      log::error("io_uring: {}", std::strerror(status.err()));
      return;
    }
    bury();
    if (draining_ && conns_.empty()) {
      if (event_armed_)
        ring_->cancel(event_op_);
      if (tick_armed_)
        ring_->cancel(tick_op_);
    }
  }
}

// Looks at shared memory; returns whether something was there.
bool Worker::look() {
  bool moved = false;
  for (auto& line : lines_) {
    if (line->wire()) {
      moved |= line->wire()->poll();
    } else if (const uint32_t number = line->knocks()) {
      Conn* conn = add_conn(line->peer());
      if (conn)
        conn->start(std::make_unique<PcieWire>(*conn, *line, number));
      moved |= conn != nullptr;
    }
  }
  return moved;
}

// Asks to be rung. Returns whether there is something already.
bool Worker::lines_sleep() {
  bool news = false;
  for (auto& line : lines_)
    if (line->wire())
      news |= line->wire()->sleep();
  return news;
}

bool Worker::lines_used() const {
  return std::any_of(lines_.begin(), lines_.end(), [](auto& line) { return line->wire(); });
}

// Looking is worth it while what one waits for mostly comes within the bound. One long wait says
// little: the client may just have had nothing to do.
void Worker::learn_wait(std::chrono::nanoseconds bound) {
  const std::chrono::nanoseconds waited = clock::now() - *std::exchange(waiting_, std::nullopt);
  wait_ = (wait_ * 7 + std::min(waited, 2 * bound)) / 8;
}

// Serves what there is, and waits for more: in shared memory by looking for a short time, then by
// the doorbell, which the ring waits for like for everything else.
Status Worker::await() {
  if (lines_.empty())
    return ring_->run();
  const std::chrono::nanoseconds bound = std::chrono::microseconds(shared_.config.spin_us);
  bool moved = false;
  bool stirred = false;
  do {
    // In this order: a doorbell that the ring has swallowed is looked after.
    const auto completed = ring_->poll();
    if (!completed)
      return completed.status();
    stirred |= *completed;
    moved = look();
    if (!dead_.empty())
      return {};
    if (moved && waiting_)
      learn_wait(bound);
    context_.stats.looks.add();
    if (!moved && !waiting_)
      waiting_ = clock::now();
    // Since something came there: what comes elsewhere is no reason to look for longer.
  } while (moved || (lines_used() && wait_ <= bound && clock::now() - *waiting_ < bound));
  // What completed may be the end that the caller waits for.
  return stirred || lines_sleep() ? Status() : ring_->run();
}

void Worker::wake() {
  const uint64_t one = 1;
  if (::write(event_.get(), &one, sizeof(one)) < 0)
    log::error("eventfd: {}", std::strerror(errno));
}

void Worker::arm_wake() {
  event_armed_ = true;
  ring_->read(event_.get(), std::as_writable_bytes(std::span(&event_value_, 1)), event_op_);
}

void Worker::keep_time() {
  if (tick_armed_)
    return;
  tick_armed_ = true;
  ring_->timeout(1, tick_op_);
}

void Worker::on_wake() {
  event_armed_ = false;
  Mail mail;
  {
    std::lock_guard guard(mail_mutex_);
    std::swap(mail, mail_);
  }
  for (auto& [fd, peer] : mail.conns)
    add_socket(std::move(fd), std::move(peer));
  std::move(mail.lines.begin(), mail.lines.end(), std::back_inserter(lines_));
  for (UniqueFd& fd : mail.listeners) {
    auto made = std::make_unique<Listener>();
    made->fd = std::move(fd);
    made->worker = this;
    made->op = {[](void* self, const Completion& c) { static_cast<Listener*>(self)->on_accept(c); },
                made.get()};
    made->arm();
    listeners_.push_back(std::move(made));
  }
  for (Call* call : mail.calls)
    call->conn->finished(*call);
  for (const auto& watch : mail.watches)
    watch->attend();
  if (mail.remounted)
    for (auto& conn : conns_)
      conn->remounted();
  if (mail.drain)
    begin_drain();
  if (mail.abort)
    for (auto& conn : conns_)
      conn->close();
  if (mail.abort)
    for (auto& conn : conns_)
      if (conn->gone())
        reap(*conn);
  if (!draining_ || !conns_.empty())
    arm_wake();
}

void Worker::on_tick() {
  tick_armed_ = false;
  for (auto& conn : conns_) {
    conn->tick();
    if (conn->gone())
      reap(*conn);
  }
  for (auto& listener : listeners_)
    if (!listener->armed && !draining_)
      listener->arm();
  if (std::any_of(conns_.begin(), conns_.end(), [](auto& conn) { return conn->timed(); }))
    keep_time();
}

// Counts it, unless there are too many already.
bool Worker::enter(const std::string& peer) {
  const Limits& limits = shared_.config.limits;
  if (!shared_.peers.enter(peer, limits.peer_connections_max))
    return false;
  if (shared_.connections.fetch_add(1) < limits.connections_max)
    return true;
  shared_.connections.fetch_sub(1);
  shared_.peers.leave(peer);
  return false;
}

Conn* Worker::add_conn(std::string peer) {
  if (draining_)
    return nullptr;
  if (!enter(peer)) {
    context_.stats.refused.add();
    return nullptr;
  }
  context_.stats.accepted.add();
  log::debug("{}: connected", peer);
  return conns_.emplace_back(std::make_unique<Conn>(*this, std::move(peer))).get();
}

void Worker::add_socket(UniqueFd fd, std::string peer) {
  if (Conn* conn = add_conn(std::move(peer)))
    conn->start(std::make_unique<SocketWire>(*conn, std::move(fd)));
}

void Worker::begin_drain() {
  draining_ = true;
  for (auto& listener : listeners_)
    if (listener->armed)
      ring_->cancel(listener->op);
  for (auto& conn : conns_)
    conn->drain();
}

void Worker::reap(Conn& conn) {
  if (std::find(dead_.begin(), dead_.end(), &conn) == dead_.end())
    dead_.push_back(&conn);
}

void Worker::bury() {
  for (Conn* conn : dead_) {
    log::debug("{}: closed", conn->peer());
    context_.stats.closed.add();
    shared_.connections.fetch_sub(1);
    shared_.peers.leave(conn->peer());
    std::erase_if(conns_, [conn](const auto& owned) { return owned.get() == conn; });
  }
  dead_.clear();
}

Call& Worker::take_call() {
  if (free_calls_.empty())
    return *new Call;
  Call* call = free_calls_.back().release();
  free_calls_.pop_back();
  return *call;
}

void Worker::give_call(Call& call) {
  std::unique_ptr<Call> owned(&call);
  if (call.frame)
    context_.buffers.give(std::move(call.frame));
  if (free_calls_.size() >= free_calls_max)
    return;
  call.reset();
  free_calls_.push_back(std::move(owned));
}

void Worker::adopt(UniqueFd fd, std::string peer) {
  {
    std::lock_guard guard(mail_mutex_);
    mail_.conns.emplace_back(std::move(fd), std::move(peer));
  }
  wake();
}

void Worker::finished(Call& call) {
  {
    std::lock_guard guard(mail_mutex_);
    mail_.calls.push_back(&call);
  }
  wake();
}

void Worker::attend(void* worker, std::shared_ptr<Watch> watch) {
  auto& self = *static_cast<Worker*>(worker);
  if (std::this_thread::get_id() == self.thread_.get_id())
    return watch->attend();
  {
    std::lock_guard guard(self.mail_mutex_);
    self.mail_.watches.push_back(std::move(watch));
  }
  self.wake();
}

Status Worker::serve(std::unique_ptr<PcieLine> line) {
  if (Status status = line->bind(event_.get()); !status)
    return status;
  {
    std::lock_guard guard(mail_mutex_);
    mail_.lines.push_back(std::move(line));
  }
  wake();
  return {};
}

void Worker::listen(UniqueFd fd, const std::vector<std::unique_ptr<Worker>>& workers) {
  workers_ = &workers;
  {
    std::lock_guard guard(mail_mutex_);
    mail_.listeners.push_back(std::move(fd));
  }
  wake();
}

void Worker::remounted() {
  {
    std::lock_guard guard(mail_mutex_);
    mail_.remounted = true;
  }
  wake();
}

void Worker::drain() {
  {
    std::lock_guard guard(mail_mutex_);
    mail_.drain = true;
  }
  wake();
}

void Worker::abort() {
  {
    std::lock_guard guard(mail_mutex_);
    mail_.abort = true;
  }
  wake();
}

}  // namespace qtfs
