// SPDX-License-Identifier: GPL-2.0-only
#include "engine/conn.hh"

#include <algorithm>
#include <ctime>

#include "engine/dispatch.hh"
#include "engine/worker.hh"
#include "lib/log.hh"

namespace qtfs {

namespace {

constexpr unsigned handshake_seconds = 10;
constexpr unsigned drain_seconds = 10;   // for a peer that takes no answers
constexpr unsigned parked_max = 1024;    // requests of a connection
constexpr unsigned opening_max = 1024;   // of a session, of the threads that the pool has for them
constexpr size_t coalesce_size = 16384;  // small answers share buffers of this size
constexpr size_t inline_payload = 2048;  // shorter payloads are copied behind their header

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

Conn::Conn(Worker& worker, std::string peer)
    : worker_(worker),
      peer_(std::move(peer)),
      handshake_(worker.door()),
      watches_(*this, Worker::attend, &worker) {}

Conn::~Conn() = default;

void Conn::start(std::unique_ptr<Wire> wire) {
  wire_ = std::move(wire);
  worker_.keep_time();
  wire_->receive();
}

void Conn::tick() {
  if (closing_)
    return;
  if (!handshake_.ready() && ++age_ > handshake_seconds) {
    log::info("{}: no session after {} s, closed", peer_, handshake_seconds);
    close();
  }
  // What still runs is bounded by whoever wants the end.
  if (draining_ && jobs_ == 0 && ++drain_age_ > drain_seconds)
    close();
}

// It may still want its answers, but waits for nothing that may never come.
void Conn::peer_ended() {
  draining_ = true;
  worker_.keep_time();
  interrupt_waits();
  if (jobs_ > 0)
    worker_.pool().cancel_all(*this);
}

void Conn::drain() {
  draining_ = true;
  worker_.keep_time();
  wire_->stop_receiving();
  flush();
  settle();
}

void Conn::close() {
  if (closing_)
    return;
  closing_ = true;
  wire_->close();
  watches_.close();
  interrupt_waits();
  if (jobs_ > 0)
    worker_.pool().cancel_all(*this);
}

// --- receiving

std::span<std::byte> Conn::bulk_room() {
  if (!bulk_)
    return {};
  return {bulk_.tail(), expected_ - bulk_.size()};
}

void Conn::bulk_received(size_t len) {
  bulk_.grow(len);
  received({});
}

void Conn::received(Bytes bytes) {
  received_at_ = now_ns();
  if (paused_ && !closing_)
    held_.insert(held_.end(), bytes.begin(), bytes.end());
  else if (!closing_ && !close_when_sent_)
    feed(bytes);
}

void Conn::receive_done() {
  flush();
  receive();
  settle();
}

void Conn::receive() {
  if (wants())
    wire_->receive();
  else if (paused_)
    wire_->stop_receiving();
}

void Conn::feed(Bytes bytes) {
  do {
    size_t used = 0;
    if (bulk_)
      used = feed_bulk(bytes);
    else if (partial_)
      used = feed_partial(bytes);
    else
      used = feed_fresh(bytes);
    bytes = bytes.subspan(used);
    if (congested() && !paused_) {
      paused_ = true;
      worker_.context().stats.paused.add();
    }
    if (paused_ && !closing_ && !bytes.empty()) {
      held_.assign(bytes.begin(), bytes.end());
      return;
    }
  } while (!bytes.empty() && !closing_ && !close_when_sent_);
}

size_t Conn::feed_bulk(Bytes bytes) {
  const size_t used = std::min(bytes.size(), expected_ - bulk_.size());
  bulk_.append(bytes.first(used));
  if (bulk_.size() == expected_) {
    Buffer whole = std::exchange(bulk_, Buffer());
    frame(header_, whole.bytes(), &whole);
    if (whole)
      worker_.context().buffers.give(std::move(whole));
  }
  return used;
}

size_t Conn::feed_partial(Bytes bytes) {
  size_t used = 0;
  if (expected_ == 0) {
    used = std::min(bytes.size(), sizeof(qtfs_wire_req) - partial_.size());
    partial_.append(bytes.first(used));
    if (partial_.size() < sizeof(qtfs_wire_req))
      return used;
    Buffer start = std::exchange(partial_, Buffer());
    FrameHeader header;
    if (const char* wrong = parse_header(start.bytes(), handshake_.io_max(), header))
      violated(wrong);
    else if (header.len == start.size())
      frame(header, start.bytes(), nullptr);
    else
      begin_frame(header, start.bytes());
    worker_.context().buffers.give(std::move(start));
    return used;
  }
  used = std::min(bytes.size(), expected_ - partial_.size());
  partial_.append(bytes.first(used));
  if (partial_.size() == expected_) {
    Buffer whole = std::exchange(partial_, Buffer());
    frame(header_, whole.bytes(), nullptr);
    worker_.context().buffers.give(std::move(whole));
  }
  return used;
}

// At a frame's start: what is complete is run where it lies.
size_t Conn::feed_fresh(Bytes bytes) {
  if (bytes.empty())
    return 0;
  if (bytes.size() < sizeof(qtfs_wire_req)) {
    partial_ = worker_.context().buffers.take(sizeof(qtfs_wire_req));
    expected_ = 0;
    if (!partial_)
      close();
    else
      partial_.append(bytes);
    return bytes.size();
  }
  FrameHeader header;
  if (const char* wrong = parse_header(bytes, handshake_.io_max(), header)) {
    violated(wrong);
    return bytes.size();
  }
  if (bytes.size() >= header.len) {
    frame(header, bytes.first(header.len), nullptr);
    return header.len;
  }
  begin_frame(header, bytes);
  return bytes.size();
}

// The beginning of a frame whose rest is still to come; its lengths were checked.
bool Conn::begin_frame(const FrameHeader& header, Bytes start) {
  expected_ = header.len;
  header_ = header;
  const bool big = header.payload() >= bulk_min;
  // The payload of a big frame is page aligned.
  const size_t before = header.len - header.payload();
  const size_t skip = big ? QTFS_PAD(before) % Buffer::align : 0;
  const size_t begin = big ? (Buffer::align - skip) % Buffer::align : 0;
  Buffer& target = big ? bulk_ : partial_;
  target = worker_.context().buffers.take(begin + header.len);
  if (!target) {
    log::warning("{}: no memory for a frame of {} bytes, closed", peer_, header.len);
    close();
    return false;
  }
  target.reset(begin);
  target.append(start);
  return true;
}

// --- requests

void Conn::violated(const char* what) {
  worker_.context().stats.protocol_errors.add();
  if (const auto held = worker_.protocol_log().allow())
    log::warning("{}: protocol error: {}; connection closed ({} like this not logged)", peer_, what,
                 *held);
  close();
}

// Whether the request may come now at all.
bool Conn::admit(const FrameHeader& header, const OpInfo& info) {
  const char* wrong = nullptr;
  if (!handshake_.ready()) {
    if (!handshake_.expects(header.op))
      wrong = "operation before there is a session";
    else if (header.payload() > 0 || header.epoch != 0 || header.tag == 0)
      wrong = "malformed handshake";
  } else if (header.op == QTFS_OP_HELLO || header.op == QTFS_OP_AUTH ||
             header.op == QTFS_OP_SESSION) {
    wrong = "handshake within a session";
  } else if (header.epoch != handshake_.session()->epoch) {
    wrong = "wrong epoch";
  } else if (info.name && header.payload() > 0 && !info.takes_payload) {
    wrong = "payload where none belongs";
  }
  if (wrong)
    violated(wrong);
  return !wrong;
}

void Conn::frame(const FrameHeader& header, Bytes bytes, Buffer* owned) {
  const OpInfo& info = op_info(header.op);
  if (!admit(header, info))
    return;
  Stats& stats = worker_.context().stats;
  if (info.name)
    stats.ops[header.op].add();
  else
    stats.unknown_ops.add();

  Call& call = worker_.take_call();
  call.conn = this;
  call.session = handshake_.session().get();
  call.io_max = handshake_.io_max();
  call.op = header.op;
  call.frame_flags = header.flags;
  call.tag = header.tag;
  call.cred_id = header.cred;
  call.received = received_at_;
  call.body = Reader(bytes.subspan(sizeof(qtfs_wire_req), header.body));
  call.payload = bytes.subspan(sizeof(qtfs_wire_req) + header.body);
  if (!info.name)
    call.status = Status::error(EOPNOTSUPP);
  else if (header.body < info.body_min)
    call.status = Status::malformed();
  else
    return execute(call, bytes, owned);
  finish(call);
}

void Conn::execute(Call& call, Bytes bytes, Buffer* owned) {
  call.context = &worker_.context();
  if (!handshake_.ready()) {
    bool log_failure = false;
    call.status = handshake_.run(call, log_failure);
    if (log_failure) {
      worker_.context().stats.auth_failures.add();
      if (const auto held = worker_.auth_log().allow())
        log::warning("{}: authentication failed ({} like this not logged)", peer_, *held);
    }
    answer(call);
    close_when_sent_ = !call.status.ok();
    worker_.give_call(call);
    return;
  }
  if (call.op == QTFS_OP_CANCEL)
    return cancel(call);
  if (call.op == QTFS_OP_POLL)
    return poll(call);
  if (call.op == QTFS_OP_BYE) {
    answer(call);
    close_when_sent_ = true;
    worker_.give_call(call);
    return;
  }
  call.status = run_call(call);
  if (call.status.is_deferred())
    return defer(call, bytes, owned);
  finish(call);
}

// The request's bytes move out of the receive buffers, and the call to a thread that may block.
void Conn::defer(Call& call, Bytes bytes, Buffer* owned) {
  const std::byte* before = bytes.data();
  if (owned && *owned) {
    call.frame = std::exchange(*owned, Buffer());
  } else {
    call.frame = worker_.context().buffers.take(bytes.size());
    if (!call.frame) {
      call.status = Status::error(ENOMEM);
      return finish(call);
    }
    call.frame.append(bytes);
  }
  const std::byte* after = call.frame.data();
  call.body.rebase(before, after);
  call.compound.rest.rebase(before, after);
  if (!call.payload.empty())
    call.payload = {after + (call.payload.data() - before), call.payload.size()};
  jobs_++;
  job_bytes_ += call.frame.capacity();
  suspend(call);
}

// The call waits, for something to be ready or for a thread.
void Conn::suspend(Call& call) {
  if (!may_open(call) || (call.parks && !call.parked && !call.compound.started && !park(call))) {
    call.status = Status::error(call.lock_wait ? ENOLCK : ENFILE);
    call.lock_wait.reset();
    return over(call);
  }
  if (!call.wait_open)
    return worker_.pool().submit(call);
  Wait& wait = waits_.emplace_back(Wait{*this, call, {}, {}});
  wait.self = std::prev(waits_.end());
  wait.op = {[](void* self, const Completion&) {
               auto& woken = *static_cast<Wait*>(self);
               woken.conn.resume(woken);
             },
             &wait};
  worker_.ring().poll_fd(call.wait_open->fd.get(), call.wait_events, true, wait.op);
}

void Conn::resume(Wait& wait) {
  Call& call = wait.call;
  waits_.erase(wait.self);
  call.interrupted |= closing_ || draining_;
  call.wait_open = {};
  call.context = &worker_.context();
  call.may_block = false;
  call.status = run_call(call);
  if (call.status.is_deferred())
    suspend(call);
  else
    over(call);
}

void Conn::interrupt_waits() {
  for (Wait& wait : waits_) {
    wait.call.interrupted = true;
    worker_.ring().cancel(wait.op);
  }
}

void Conn::finished(Call& call) {
  if (!call.status.is_deferred())
    return over(call);
  // It waits for something else now.
  if (closing_ || draining_) {
    call.wait_open = {};
    interrupt_call(call);
    return over(call);
  }
  suspend(call);
}

void Conn::over(Call& call) {
  jobs_--;
  parked_ -= call.parked;
  if (call.counted)
    call.session->opening--;
  job_bytes_ -= call.frame.capacity();
  const bool interrupted = call.status.err() == EINTR;
  const auto cancel_tags = std::move(call.cancel_tags);
  call.cancel_tags.clear();
  if (interrupted)
    worker_.context().stats.cancelled.add();
  finish(call);
  for (uint64_t tag : cancel_tags)
    answer_cancel(tag, interrupted ? QTFS_CANCEL_CANCELLED : QTFS_CANCEL_COMPLETED);
  resume_if_possible();
  flush();
  settle();
}

void Conn::cancel(Call& call) {
  const auto body = call.take<qtfs_wire_cancel>();
  if (!body || !call.body.done()) {
    call.status = Status::malformed();
    return finish(call);
  }
  Call* removed = nullptr;
  const uint64_t own_tag = call.tag;
  worker_.give_call(call);
  for (Wait& wait : waits_) {
    if (wait.call.tag != le64toh(body->tag))
      continue;
    wait.call.interrupted = true;
    wait.call.cancel_tags.push_back(own_tag);
    return worker_.ring().cancel(wait.op);  // answered when it is out
  }
  switch (worker_.pool().cancel(*this, le64toh(body->tag), own_tag, removed)) {
    case Pool::Cancel::interrupting:
      return;  // answered when it is out
    case Pool::Cancel::removed:
      removed->cancel_tags.push_back(own_tag);
      interrupt_call(*removed);
      return over(*removed);
    case Pool::Cancel::unknown:
      return answer_cancel(own_tag, QTFS_CANCEL_COMPLETED);
  }
}

// --- answers

void Conn::finish(Call& call) {
  if (call.status.is_malformed()) {
    call.reply.reset();
    answer(call);
    close_when_sent_ = true;
    worker_.context().stats.protocol_errors.add();
    if (const auto held = worker_.protocol_log().allow())
      log::warning("{}: malformed {}; connection closed ({} like this not logged)", peer_,
                   op_name(call.op), *held);
  } else {
    answer(call);
  }
  worker_.give_call(call);
}

void Conn::answer(Call& call) {
  if (!call.status) {
    worker_.context().stats.errors.add();
    // HELLO says what would do, a compound how far it came.
    if (call.op != QTFS_OP_HELLO && call.op != QTFS_OP_COMPOUND)
      call.reply.reset();
  }
  if ((call.frame_flags & QTFS_FRAME_NOREPLY) || closing_)
    return;
  if (call.parked)
    return unpark(call);
  Payload payload = call.reply.take_payload();
  const Bytes body = call.reply.body();
  qtfs_wire_rep header{};
  header.len = htole32(static_cast<uint32_t>(sizeof(header) + body.size() + payload.size()));
  header.op = htole16(call.op);
  header.flags = htole16(QTFS_FRAME_REPLY);
  header.tag = htole64(call.tag);
  header.status = htole32(qtfs_errno_to_wire(call.status.err()));
  header.body = htole32(static_cast<uint32_t>(body.size()));
  header.received = htole64(call.received);
  header.answered = htole64(now_ns());
  enqueue(bytes_of(header), body, std::move(payload));
}

// Not more of a session than others have threads left for, over however many connections.
bool Conn::may_open(Call& call) {
  if (!call.opener || call.counted)
    return true;
  if (call.session->opening++ >= opening_max) {
    call.session->opening--;
    return false;
  }
  call.counted = true;
  return true;
}

// It may wait for ever: its tag is the client's again, and it waits by this number. False if too
// many do.
bool Conn::park(Call& call) {
  if (!(handshake_.features() & QTFS_FEATURE_PARK) || (call.frame_flags & QTFS_FRAME_NOREPLY))
    return true;
  // With its tag it would be in the way of who is to unlock.
  if (parked_ >= parked_max)
    return false;
  call.parked = true;
  parked_++;
  worker_.context().stats.parked.add();
  qtfs_wire_parked body{};
  body.park = htole64(call.tag);
  qtfs_wire_rep header{};
  header.len = htole32(sizeof(header) + sizeof(body));
  header.op = htole16(call.op);
  header.flags = htole16(QTFS_FRAME_REPLY | QTFS_FRAME_PARKED);
  header.tag = htole64(call.tag);
  header.body = htole32(sizeof(body));
  header.received = htole64(call.received);
  header.answered = htole64(now_ns());
  enqueue(bytes_of(header), bytes_of(body), Payload());
  return true;
}

// What a client has open, and whether it is ready.
void Conn::poll(Call& call) {
  call.status = [&]() -> Status {
    const auto body = call.take<qtfs_wire_poll>();
    if (!body || body->reserved || body->generation || !call.body.done())
      return Status::malformed();
    if (!(handshake_.features() & QTFS_FEATURE_POLL))
      return Status::error(EOPNOTSUPP);
    if (le32toh(body->mask) & ~QTFS_POLL_ALL)
      return Status::error(EINVAL);
    const auto open = call.open(body->open);
    if (!open)
      return open.status();
    if (!(*open)->pollable)
      return Status::error(EPERM);
    const auto level = watches_.request(*open, le32toh(body->mask));
    if (!level)
      return level.status();
    call.reply.put(qtfs_wire_poll{body->open, level->generation, level->mask, 0});
    return {};
  }();
  finish(call);
}

Ring& Conn::watch_ring() {
  return worker_.ring();
}

void Conn::push_ready(uint64_t open, const qtfs_wire_level& level) {
  if (closing_)
    return;
  const qtfs_wire_push_poll body{htole64(open), level.generation, level.mask, 0};
  push(QTFS_OP_PUSH_POLL, bytes_of(body));
}

// A peer that does not read is told once.
void Conn::remounted() {
  if (closing_ || !handshake_.ready() || !(handshake_.features() & QTFS_FEATURE_MOUNTS))
    return;
  mounts_owed_ = !queue_.empty();
  if (!mounts_owed_)
    push(QTFS_OP_PUSH_MOUNTS, bytes_of(qtfs_wire_push_mounts{}));
}

void Conn::push(uint16_t op, Bytes body) {
  qtfs_wire_rep header{};
  header.len = htole32(static_cast<uint32_t>(sizeof(header) + body.size()));
  header.op = htole16(op);
  header.flags = htole16(QTFS_FRAME_PUSH);
  header.body = htole32(static_cast<uint32_t>(body.size()));
  header.answered = htole64(now_ns());
  enqueue(bytes_of(header), body, Payload());
  flush();
}

void Conn::unpark(Call& call) {
  qtfs_wire_push_unpark head{};
  head.park = htole64(call.tag);
  head.status = htole32(qtfs_errno_to_wire(call.status.err()));
  head.op = htole16(call.op);
  std::vector<std::byte> body(sizeof(head) + call.reply.body().size());
  std::memcpy(body.data(), &head, sizeof(head));
  std::ranges::copy(call.reply.body(), body.begin() + sizeof(head));
  Payload payload = call.reply.take_payload();
  qtfs_wire_rep header{};
  header.len = htole32(static_cast<uint32_t>(sizeof(header) + body.size() + payload.size()));
  header.op = htole16(QTFS_OP_PUSH_UNPARK);
  header.flags = htole16(QTFS_FRAME_PUSH);
  header.body = htole32(static_cast<uint32_t>(body.size()));
  header.received = htole64(call.received);
  header.answered = htole64(now_ns());
  enqueue(bytes_of(header), body, std::move(payload));
}

void Conn::answer_cancel(uint64_t tag, uint32_t outcome) {
  if (tag == 0 || closing_)
    return;
  qtfs_wire_cancel_rep body{};
  body.outcome = htole32(outcome);
  qtfs_wire_rep header{};
  header.len = htole32(sizeof(header) + sizeof(body));
  header.op = htole16(QTFS_OP_CANCEL);
  header.flags = htole16(QTFS_FRAME_REPLY);
  header.tag = htole64(tag);
  header.body = htole32(sizeof(body));
  header.received = htole64(received_at_);
  header.answered = htole64(now_ns());
  enqueue(bytes_of(header), bytes_of(body), Payload());
}

void Conn::enqueue(Bytes header, Bytes body, Payload payload) {
  BufferPool& buffers = worker_.context().buffers;
  const bool copy = !payload.pipe && payload.size() <= inline_payload;
  const size_t need = header.size() + body.size() + (copy ? payload.size() : 0);
  if (queue_.empty() || queue_.back().buffer.room() < need ||
      queue_.back().buffer.capacity() != coalesce_size) {
    Buffer buffer = buffers.take(std::max(need, coalesce_size));
    if (!buffer) {
      log::warning("{}: no memory for an answer, closed", peer_);
      return close();
    }
    queue_.emplace_back(std::move(buffer));
  }
  Buffer& last = queue_.back().buffer;
  last.append(header);
  last.append(body);
  queued_bytes_ += header.size() + body.size() + payload.size();
  if (copy) {
    last.append(payload.buffer.bytes());
    if (payload)
      buffers.give(std::move(payload.buffer));
  } else {
    queue_.push_back(std::move(payload));
  }
}

void Conn::flush() {
  if (closing_)
    return;
  if (!queue_.empty() && !wire_->sending())
    wire_->send(queue_);
  if (wire_->sending() && (!queue_.empty() || paused_ || draining_ || close_when_sent_))
    wire_->hurry();
}

void Conn::send_done() {
  flush();
  if (mounts_owed_)
    remounted();
  resume_if_possible();
  settle();
}

// --- limits

bool Conn::congested() const {
  const Limits& limits = worker_.limits();
  return queued_bytes_ + job_bytes_ > limits.memory_max ||
         jobs_ - parked_ >= 2 * handshake_.inflight();
}

void Conn::resume_if_possible() {
  if (!paused_ || closing_ || congested())
    return;
  paused_ = false;
  const std::vector<std::byte> held = std::exchange(held_, {});
  if (!draining_)
    feed(held);  // even nothing: a big frame may have become complete
  flush();
  receive();
}

// Closes what has nothing left to do.
void Conn::settle() {
  const bool idle = !wire_->sending() && queue_.empty();
  if (idle && (close_when_sent_ || (draining_ && jobs_ == 0)))
    close();
  if (gone())
    worker_.reap(*this);
}

}  // namespace qtfs
