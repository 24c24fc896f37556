// SPDX-License-Identifier: GPL-2.0-only
// The ring on io_uring, and the only file that knows liburing: what the running kernel lacks is
// found out when the ring is opened.
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

#include <array>
#include <utility>
#include <vector>

#include "engine/edge_polls.hh"
#include "engine/ring.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

namespace {
constexpr uint16_t buffer_group = 0;

size_t ring_bytes(unsigned buffers) {
  return buffers * sizeof(io_uring_buf);
}

RingOp* op_of(uint64_t data) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): as it was given to the kernel
  return reinterpret_cast<RingOp*>(static_cast<uintptr_t>(data));
}

class Uring final : public Ring {
 public:
  ~Uring() override;
  Status setup(const RingConfig& config);

  void accept(int fd, RingOp& op) override;
  void recv_multishot(int fd, RingOp& op) override;
  void recv_select(int fd, RingOp& op) override;
  void recv_into(int fd, std::span<std::byte> to, bool all, RingOp& op) override;
  void sendmsg(int fd, const msghdr& message, bool more, RingOp& op) override;
  void send_now(int fd, const msghdr& message, RingOp& op) override;
  void hurry() override { hurry_ |= !quiet_.empty(); }
  void splice(int pipe, int fd, size_t len, RingOp& op) override;
  void read(int fd, std::span<std::byte> to, RingOp& op) override;
  void poll_fd(int fd, short events, bool once, RingOp& op) override;
  void timeout(unsigned seconds, RingOp& op) override;
  void cancel(RingOp& op) override;
  bool provided_buffers() const override { return buf_ring_ != nullptr; }
  std::span<std::byte> buffer(int id) override;
  void recycle(int id) override;
  Status run() override;
  Result<bool> poll() override;
  std::string describe() const override;

 private:
  Status setup_ring(const RingConfig& config);
  Status try_setup(const RingConfig& config, std::span<const unsigned> attempts);
  Status setup_buffers(const RingConfig& config);
  bool probe_multishot();
  io_uring_sqe* sqe(RingOp* op);
  Status submitted(int ret);
  void wait_for_edges();
  void complete_quiet();
  bool complete_all();
  void complete(uint64_t data, int result, unsigned flags);

  std::unique_ptr<io_uring> ring_;
  struct BufRing;
  std::unique_ptr<BufRing> buf_ring_;
  bool multishot_ = false;
  unsigned flags_ = 0;
  struct Quiet {
    RingOp* op;
    int len;
  };
  std::vector<Quiet> quiet_;  // they complete when they are submitted
  bool hurry_ = false;
  EdgePolls edges_;  // unless multishot_
  RingOp edges_op_;
};

// Buffers that the kernel picks from when bytes arrive.
struct Uring::BufRing {
  io_uring_buf_ring* ring = nullptr;
  std::byte* memory = nullptr;
  unsigned count = 0;
  unsigned size = 0;

  ~BufRing() {
    if (ring)
      munmap(ring, ring_bytes(count));
    if (memory)
      munmap(memory, size_t{count} * size);
  }
  void add(unsigned id, int offset) {
    io_uring_buf_ring_add(ring, memory + size_t{id} * size, size, static_cast<uint16_t>(id),
                          io_uring_buf_ring_mask(count), offset);
  }
};

Status Uring::setup(const RingConfig& config) {
  if (Status status = setup_ring(config); !status)
    return status;
  if (config.multishot && setup_buffers(config).ok())
    multishot_ = probe_multishot();
  if (!multishot_)
    buf_ring_.reset();
  return {};
}

Uring::~Uring() {
  if (!ring_)
    return;
  io_uring_queue_exit(ring_.get());
}

Status Uring::setup_ring(const RingConfig& config) {
  // The best first; each is a proper subset of what newer kernels know. Who polls needs no tasks to
  // be run for it.
  static constexpr std::array<unsigned, 2> polling = {
      IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL,  // 6.0
      IORING_SETUP_SQPOLL,
  };
  static constexpr std::array<unsigned, 4> attempts = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
          IORING_SETUP_SUBMIT_ALL,                                                      // 6.1
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,  // 5.19
      IORING_SETUP_SUBMIT_ALL,                                                          // 5.18
      0,
  };
  return config.sqpoll ? try_setup(config, polling) : try_setup(config, attempts);
}

Status Uring::try_setup(const RingConfig& config, std::span<const unsigned> attempts) {
  int ret = 0;
  for (unsigned flags : attempts) {
    ring_ = std::make_unique<io_uring>();
    flags_ = flags;
    ret = io_uring_queue_init(config.entries, ring_.get(), flags);
    if (ret == 0)
      return {};
    if (ret != -EINVAL)
      break;
  }
  ring_.reset();
  return Status::error(-ret);
}

Status Uring::setup_buffers(const RingConfig& config) {
  auto bufs = std::make_unique<BufRing>();
  bufs->count = config.buffers;
  bufs->size = config.buffer_size;
  auto map = [](size_t len) {
    return mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  };
  void* ring = map(ring_bytes(bufs->count));
  if (ring == MAP_FAILED)
    return Status::last();
  bufs->ring = static_cast<io_uring_buf_ring*>(ring);
  void* memory = map(size_t{bufs->count} * bufs->size);
  if (memory == MAP_FAILED)
    return Status::last();
  bufs->memory = static_cast<std::byte*>(memory);

  io_uring_buf_reg reg{};
  reg.ring_addr = reinterpret_cast<uintptr_t>(bufs->ring);
  reg.ring_entries = bufs->count;
  reg.bgid = buffer_group;
  const int ret = io_uring_register_buf_ring(ring_.get(), &reg, 0);
  if (ret < 0)
    return Status::error(-ret);
  io_uring_buf_ring_init(bufs->ring);
  for (unsigned i = 0; i < bufs->count; i++)
    bufs->add(i, static_cast<int>(i));
  io_uring_buf_ring_advance(bufs->ring, static_cast<int>(bufs->count));
  buf_ring_ = std::move(bufs);
  return {};
}

// No opcode tells about multishot receive: one byte over a socket pair does.
bool Uring::probe_multishot() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
    return false;
  UniqueFd here(fds[0]);
  UniqueFd there(fds[1]);
  struct Seen {
    int completions = 0;
    bool more = false;
    Uring* ring = nullptr;
  } seen;
  seen.ring = this;
  RingOp op{[](void* self, const Completion& completion) {
              auto* out = static_cast<Seen*>(self);
              out->completions++;
              out->more |= completion.more;
              if (completion.buffer >= 0)
                out->ring->recycle(completion.buffer);
            },
            &seen};
  if (::send(there.get(), "x", 1, MSG_NOSIGNAL) != 1)
    return false;
  recv_multishot(here.get(), op);
  while (seen.completions == 0)
    if (!run())
      return false;
  const bool works = seen.more;
  if (works) {
    shutdown(there.get(), SHUT_RDWR);  // ends the operation before @op goes away
    const int before = seen.completions;
    while (seen.completions == before)
      if (!run())
        return false;
  }
  return works;
}

io_uring_sqe* Uring::sqe(RingOp* op) {
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  while (!entry) {
    io_uring_submit(ring_.get());
    if (flags_ & IORING_SETUP_SQPOLL)
      io_uring_sqring_wait(ring_.get());
    entry = io_uring_get_sqe(ring_.get());
  }
  io_uring_prep_nop(entry);
  io_uring_sqe_set_data(entry, op);
  return entry;
}

void Uring::accept(int fd, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  if (multishot_)
    io_uring_prep_multishot_accept(entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  else
    io_uring_prep_accept(entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::recv_multishot(int fd, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_recv_multishot(entry, fd, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = buffer_group;
  io_uring_sqe_set_data(entry, &op);
}

void Uring::recv_select(int fd, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_recv(entry, fd, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = buffer_group;
  io_uring_sqe_set_data(entry, &op);
}

void Uring::recv_into(int fd, std::span<std::byte> to, bool all, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_recv(entry, fd, to.data(), to.size(), all ? MSG_WAITALL : 0);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::sendmsg(int fd, const msghdr& message, bool more, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  const unsigned flags = MSG_NOSIGNAL | MSG_WAITALL | (more ? MSG_MORE : 0);
  io_uring_prep_sendmsg(entry, fd, &message, flags);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::send_now(int fd, const msghdr& message, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  // With MSG_WAITALL less than all is a failure, which is told: with the count of what went from
  // 6.1 on, where this flag of the ring appeared.
  const bool quiet = (flags_ & IORING_SETUP_DEFER_TASKRUN) != 0;
  const unsigned flags = MSG_NOSIGNAL | MSG_DONTWAIT | (quiet ? MSG_WAITALL : 0);
  io_uring_prep_sendmsg(entry, fd, &message, flags);
  io_uring_sqe_set_data(entry, &op);
  if (!quiet)
    return;
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  op.quiet = true;
  size_t len = 0;
  for (size_t i = 0; i < message.msg_iovlen; i++)
    len += message.msg_iov[i].iov_len;
  quiet_.push_back({&op, static_cast<int>(len)});
}

void Uring::splice(int pipe, int fd, size_t len, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_splice(entry, pipe, -1, fd, -1, static_cast<unsigned>(len), 0);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::read(int fd, std::span<std::byte> to, RingOp& op) {
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_read(entry, fd, to.data(), static_cast<unsigned>(to.size()), 0);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::wait_for_edges() {
  poll_fd(edges_.fd(), POLLIN, true, edges_op_);
}

void Uring::poll_fd(int fd, short events, bool once, RingOp& op) {
  if (!multishot_ && !once && edges_.add(fd, events, op)) {
    if (edges_op_.done)
      return;
    edges_op_ = {[](void* self, const Completion&) {
                   auto& ring = *static_cast<Uring*>(self);
                   ring.edges_.tell();
                   ring.wait_for_edges();
                 },
                 this};
    return wait_for_edges();
  }
  io_uring_sqe* entry = sqe(&op);
  const auto mask = static_cast<unsigned>(static_cast<unsigned short>(events));
  if (multishot_ && !once)
    io_uring_prep_poll_multishot(entry, fd, mask);
  else
    io_uring_prep_poll_add(entry, fd, mask);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::timeout(unsigned seconds, RingOp& op) {
  // Read by the kernel when it is submitted, which may be after this returns.
  static thread_local __kernel_timespec interval{};
  interval.tv_sec = seconds;
  io_uring_sqe* entry = sqe(&op);
  io_uring_prep_timeout(entry, &interval, 0, 0);
  io_uring_sqe_set_data(entry, &op);
}

void Uring::cancel(RingOp& op) {
  if (edges_.remove(op)) {
    sqe(&op);  // does nothing, and completes
    return;
  }
  io_uring_sqe* entry = sqe(nullptr);
  io_uring_prep_cancel(entry, &op, 0);
  io_uring_sqe_set_data(entry, nullptr);
}

std::span<std::byte> Uring::buffer(int id) {
  return {buf_ring_->memory + static_cast<size_t>(id) * buf_ring_->size, buf_ring_->size};
}

void Uring::recycle(int id) {
  buf_ring_->add(static_cast<unsigned>(id), 0);
  io_uring_buf_ring_advance(buf_ring_->ring, 1);
}

void Uring::complete(uint64_t data, int result, unsigned flags) {
  RingOp* op = op_of(data);
  if (!op)
    return;  // of a cancellation: the cancelled operation completes itself
  if (std::exchange(op->quiet, false))  // it failed before anybody looked
    std::erase_if(quiet_, [op](const Quiet& sent) { return sent.op == op; });
  Completion completion;
  completion.result = result;
  completion.more = (flags & IORING_CQE_F_MORE) != 0;
  if (flags & IORING_CQE_F_BUFFER)
    completion.buffer = static_cast<int>(flags >> IORING_CQE_BUFFER_SHIFT);
  op->done(op->self, completion);
}

bool Uring::complete_all() {
  bool any = false;
  std::array<io_uring_cqe*, 64> batch;
  unsigned count = 0;
  do {
    count = io_uring_peek_batch_cqe(ring_.get(), batch.data(), static_cast<unsigned>(batch.size()));
    for (unsigned i = 0; i < count; i++)
      complete(batch[i]->user_data, batch[i]->res, batch[i]->flags);
    io_uring_cq_advance(ring_.get(), count);
    any |= count > 0;
  } while (count == batch.size());
  return any;
}

// Those that were submitted and of which no failure is told went well.
void Uring::complete_quiet() {
  if (io_uring_sq_ready(ring_.get()) > 0 || io_uring_cq_has_overflow(ring_.get()))
    return;
  hurry_ = false;
  if (quiet_.empty())
    return;
  unsigned head = 0;
  io_uring_cqe* told = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, told) {
    if (told->user_data)
      op_of(told->user_data)->quiet = false;
  }
  for (const Quiet& sent : std::exchange(quiet_, {}))
    if (std::exchange(sent.op->quiet, false))
      sent.op->done(sent.op->self, {.result = sent.len});
}

// Gets what came and tells whether the ring still works.
Status Uring::submitted(int ret) {
  if (ret < 0 && ret != -EINTR && ret != -EBUSY && ret != -EAGAIN)
    return Status::error(-ret);
  complete_quiet();
  complete_all();
  return {};
}

Status Uring::run() {
  if (hurry_)
    return submitted(io_uring_submit(ring_.get()));
  return submitted(io_uring_submit_and_wait(ring_.get(), 1));
}

// No system call when there is nothing: the kernel sets a flag when it has something to say.
Result<bool> Uring::poll() {
  if (io_uring_sq_ready(ring_.get()) > 0) {
    if (Status status = submitted(io_uring_submit(ring_.get())); !status)
      return status;
    return true;
  }
  return complete_all();
}

std::string Uring::describe() const {
  std::string text = "io_uring";
  if (flags_ & IORING_SETUP_SQPOLL)
    text += " sqpoll";
  else if (flags_ & IORING_SETUP_DEFER_TASKRUN)
    text += " defer_taskrun single_issuer";
  else if (flags_ & IORING_SETUP_COOP_TASKRUN)
    text += " coop_taskrun";
  text += multishot_ ? " multishot accept+recv, provided buffers" : " single-shot accept+recv";
  return text;
}

}  // namespace

Result<std::unique_ptr<Ring>> open_uring(const RingConfig& config) {
  auto ring = std::make_unique<Uring>();
  if (Status status = ring->setup(config); !status)
    return status;
  return std::unique_ptr<Ring>(std::move(ring));
}

}  // namespace qtfs
