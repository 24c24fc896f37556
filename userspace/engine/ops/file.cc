// SPDX-License-Identifier: GPL-2.0-only
// Bytes: the mirror of kmod/file.c, direct.c and pagecache.c.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/ops/socket.hh"
#include "engine/watch.hh"
#include "lib/message.hh"

namespace qtfs {

namespace {

constexpr uint64_t copy_max = 256u << 20;  // bytes of one COPY
constexpr size_t direct_align = 4096;
constexpr size_t dedupe_size = sizeof(file_dedupe_range) + sizeof(file_dedupe_range_info);
constexpr size_t splice_min = 65536;  // shorter reads are copied

bool at_end(int fd, uint64_t offset) {
  struct stat st {};
  return fstat(fd, &st) == 0 && offset >= static_cast<uint64_t>(st.st_size);
}

// Whether reading the range would not wait for a device. A sample: readahead fills without gaps.
bool in_memory(const Open& open, size_t len, uint64_t offset) {
  constexpr size_t samples = 4;
  std::byte byte{};
  const iovec iov{&byte, 1};
  for (size_t i = 0; i <= samples; i++) {
    const uint64_t at = offset + (len - 1) * i / samples;
    if (preadv2(open.io(), &iov, 1, static_cast<off_t>(at), RWF_NOWAIT) < 0)
      return false;
  }
  return true;
}

// Bulk reads of the page cache leave without a copy: a pipe takes references to its pages. Not a
// pipe where that cannot be, or not here.
Pipe read_by_reference(Call& call, Open& open, size_t len, uint64_t offset) {
  const bool whole_pages = offset % Buffer::align == 0 && len <= Pipe::capacity;
  if (len < splice_min || !whole_pages || open.no_splice || (open.flags & QTFS_OPEN_DIRECT))
    return {};
  if (!call.may_block && !open.memory && !in_memory(open, len, offset))
    return {};
  Pipe pipe = call.context->pipes.take();
  if (!pipe)
    return {};
  const auto got = pipe.fill(open.io(), offset, len);
  if (got && *got > 0) {
    call.context->stats.spliced.add();
    return pipe;
  }
  call.context->pipes.give(std::move(pipe));
  open.no_splice = got.err() == EINVAL;
  return {};
}

// Short at the end of the file, or where an error comes after some bytes.
Result<size_t> read_into(Open& open, std::byte* to, size_t len, uint64_t offset, int flags) {
  const int fd = open.io();
  size_t done = 0;
  while (done < len) {
    const iovec iov{to + done, len - done};
    const ssize_t got = preadv2(fd, &iov, 1, static_cast<off_t>(offset + done), flags);
    if (got < 0 && errno == EOPNOTSUPP && flags) {
      open.no_nowait = true;
      return Status::defer();
    }
    if (got < 0 && errno == EAGAIN && flags)
      return Status::defer();
    if (got < 0 && done == 0)
      return Status::last();
    if (got <= 0)
      break;
    done += static_cast<size_t>(got);
    if (at_end(fd, offset + done))
      break;
  }
  return done;
}

// In the loop only what is in memory.
Result<Payload> read_regular(Call& call, Open& open, size_t len, uint64_t offset) {
  if (!call.may_block && ((open.flags & QTFS_OPEN_DIRECT) || open.no_nowait))
    return Status::defer();
  if (Pipe pipe = read_by_reference(call, open, len, offset); pipe)
    return Payload(std::move(pipe));
  auto buffer = call.take_payload_buffer(len);
  if (!buffer)
    return buffer.status();
  const int flags = call.may_block || open.memory ? 0 : RWF_NOWAIT;
  const auto got = read_into(open, buffer->data(), len, offset, flags);
  if (!got) {
    call.context->buffers.give(std::move(*buffer));
    return got.status();
  }
  buffer->grow(*got);
  return Payload(std::move(*buffer));
}

bool ready(const Open& open, short events) {
  pollfd wanted{open.io(), events, 0};
  return poll(&wanted, 1, 0) > 0;
}

// What is made while it is read comes a page at a time, in whole records: a long file would be a
// round trip for each.
bool more_follows(const Open& open, size_t last, size_t room) {
  constexpr size_t page = 4096;
  return open.synthetic && open.seekable && last >= page / 2 && room >= std::max(page, last);
}

// Boundaries are the file's own: a read ends where one of its own reads would.
Result<size_t> read_once(Open& open, std::byte* to, size_t len, uint64_t offset, uint32_t flags) {
  const bool nowait = (flags & QTFS_READ_NOWAIT) != 0;
  const int fd = open.io();
  ssize_t got = 0;
  if (open.socket)
    return receive_at(open, {to, len}, (flags & QTFS_READ_RIGHTS) != 0);
  if (nowait && !open.piped()) {
    const iovec iov{to, len};
    got = preadv2(fd, &iov, 1, open.seekable ? static_cast<off_t>(offset) : -1, RWF_NOWAIT);
    if (got >= 0)
      return static_cast<size_t>(got);
    if (errno != EOPNOTSUPP && errno != EINVAL)
      return Status::last();
  }
  got = open.seekable ? pread(fd, to, len, static_cast<off_t>(offset)) : read(fd, to, len);
  if (got < 0)
    return Status::last();
  auto done = static_cast<size_t>(got);
  while (more_follows(open, static_cast<size_t>(got), len - done)) {
    got = pread(fd, to + done, len - done, static_cast<off_t>(offset + done));
    if (got <= 0)
      break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// How long a read of a terminal waits, in milliseconds, if that is set there (VTIME without VMIN).
std::optional<int> read_timeout(const Open& open) {
  termios settings{};
  if (!open.device() || tcgetattr(open.io(), &settings) < 0 || (settings.c_lflag & ICANON) ||
      settings.c_cc[VMIN] || !settings.c_cc[VTIME])
    return std::nullopt;
  return settings.c_cc[VTIME] * 100;
}

// Where reading has to wait for somebody, it does so in the loop, and without a thread; a FIFO is
// read there, too.
Status read_where(Call& call, const Ref<Open>& open, bool nowait) {
  if (call.may_block)
    return {};
  if (open->device() && !nowait && read_timeout(*open))
    return call.interrupted ? Status::error(EINTR) : Status::defer();
  if (open->piped() && !open->passed)
    return {};
  if (open->piped() && !ready(*open, POLLIN))
    return nowait ? Status::error(EAGAIN) : call.wait_for(open, POLLIN);
  if (call.interrupted)
    return Status::error(EINTR);
  return Status::defer();
}

Result<Payload> read_special(Call& call, const Ref<Open>& holder, size_t len, uint64_t offset,
                             uint32_t flags) {
  Open& open = *holder;
  const bool nowait = (flags & QTFS_READ_NOWAIT) != 0;
  const auto timeout = nowait ? std::nullopt : read_timeout(open);
  if (pollfd wanted{open.io(), POLLIN, 0}; timeout && call.may_block)
    poll(&wanted, 1, *timeout);
  auto buffer = call.take_payload_buffer(len);
  if (!buffer)
    return buffer.status();
  const auto got = read_once(open, buffer->data(), len, offset, flags);
  if (!got) {
    if (got.err() == EAGAIN && timeout)
      return Payload(std::move(*buffer));  // of no bytes
    call.context->buffers.give(std::move(*buffer));
    if (got.err() == EAGAIN && open.pollable && !nowait)
      return call.wait_for(holder, POLLIN);
    return got.status();
  }
  buffer->grow(*got);
  return Payload(std::move(*buffer));
}

struct WriteJob {
  Open& open;
  Bytes bytes;
  uint64_t offset = 0;
  int rwf = 0;
  bool append = false;
  bool whole = false;  // a client's cached pages: not all of it is an error
};

// Everything, or as much as fits; the count is what was really written.
Result<size_t> write_regular(WriteJob& job) {
  const int fd = job.open.io();
  // The position tells where appended bytes went: nobody else may move it meanwhile.
  std::unique_lock lock(job.open.mutex, std::defer_lock);
  if (job.append)
    lock.lock();
  size_t done = 0;
  while (done < job.bytes.size()) {
    const iovec iov{const_cast<std::byte*>(job.bytes.data()) + done, job.bytes.size() - done};
    const off_t at = job.append ? -1 : static_cast<off_t>(job.offset + done);
    const int rwf = job.rwf | (job.append && !job.open.kernel_append ? RWF_APPEND : 0);
    const ssize_t put = pwritev2(fd, &iov, 1, at, rwf);
    if (put < 0) {
      if (done == 0 || job.whole)
        return Status::last();
      break;
    }
    if (put == 0)
      break;
    done += static_cast<size_t>(put);
  }
  if (job.append) {
    const off_t end = lseek(fd, 0, SEEK_CUR);
    job.offset = end < 0 ? 0 : static_cast<uint64_t>(end) - done;
  }
  return done;
}

// Files made of seq_file take write(), not pwrite(): their position has to be moved to @job.offset.
ssize_t write_at_position(const WriteJob& job) {
  Open& open = job.open;
  const int fd = open.io();
  std::lock_guard guard(open.mutex);
  if (open.stream_offset != job.offset && lseek(fd, static_cast<off_t>(job.offset), SEEK_SET) < 0)
    return -1;
  const ssize_t put = write(fd, job.bytes.data(), job.bytes.size());
  if (put > 0)
    open.stream_offset = job.offset + static_cast<uint64_t>(put);
  return put;
}

Result<size_t> write_special(Call& call, const Ref<Open>& open, const WriteJob& job, bool nowait) {
  const int fd = job.open.io();
  ssize_t put = 0;
  if (job.open.seekable && !job.append) {
    put = pwrite(fd, job.bytes.data(), job.bytes.size(), static_cast<off_t>(job.offset));
    if (put < 0 && errno == ESPIPE)
      put = write_at_position(job);
  } else {
    put = write(fd, job.bytes.data(), job.bytes.size());
  }
  if (put < 0 && errno == EAGAIN && open->synthetic && open->pollable && !nowait)
    return call.wait_for(open, POLLOUT);
  if (put < 0)
    return Status::last();
  return static_cast<size_t>(put);
}

// All of it, waiting in the loop for room; what is not more than PIPE_BUF in one piece. Who waits
// no longer, or does not want to, is told how much went.
Result<size_t> write_piped(Call& call, const Ref<Open>& open, bool nowait) {
  const Bytes bytes = call.payload;
  bool empty = bytes.empty();  // a message, perhaps
  while (call.written < bytes.size() || std::exchange(empty, false)) {
    const Bytes rest = bytes.subspan(call.written);
    const ssize_t put = open->socket ? send_as(call.context->creds, *open, rest)
                                     : write(open->io(), rest.data(), rest.size());
    if (put >= 0) {
      call.written += static_cast<size_t>(put);
      continue;
    }
    Status status = Status::last();
    if (status.err() == EAGAIN && !nowait)
      status = call.wait_for(open, POLLOUT);
    if (status.is_deferred() || call.written == 0)
      return status;
    break;
  }
  return call.written;
}

int write_rwf(uint32_t flags) {
  int rwf = 0;
  if (flags & QTFS_WRITE_SYNC)
    rwf |= RWF_SYNC;
  if (flags & QTFS_WRITE_DSYNC)
    rwf |= RWF_DSYNC;
  return rwf;
}

// What a file that was written to is like now.
void put_state(qtfs_wire_write_rep& rep, int fd) {
  const auto stx = stat_fd(fd);
  if (!stx)
    return;
  const qtfs_wire_attr attr = attr_to_wire(*stx);
  rep.change = attr.change;
  rep.size = attr.size;
}

// Direct I/O wants aligned memory.
Result<Buffer> aligned_copy(Call& call, Bytes bytes) {
  auto buffer = call.take_payload_buffer(std::max(bytes.size(), direct_align));
  if (buffer)
    buffer->append(bytes);
  return buffer;
}

}  // namespace

Status op_read(Call& call) {
  const auto body = call.take<qtfs_wire_read>();
  if (!body || !call.body.done() ||
      (le32toh(body->flags) & ~(QTFS_READ_NOWAIT | QTFS_READ_CACHED | QTFS_READ_RIGHTS)))
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if (!((*open)->flags & (QTFS_OPEN_READ | QTFS_OPEN_EXEC)))
    return Status::error(EBADF);
  if ((*open)->type == QTFS_TYPE_DIR)
    return Status::error(EISDIR);
  const uint64_t offset = le64toh(body->offset);
  const uint32_t count = std::min(le32toh(body->count), call.io_max);
  const bool regular = (*open)->regular();
  const bool nowait = (le32toh(body->flags) & QTFS_READ_NOWAIT) != 0;
  if (!regular && (le32toh(body->flags) & QTFS_READ_CACHED))
    return Status::error(EOPNOTSUPP);
  call.patient = (*open)->pollable;
  if (!regular)
    if (Status status = read_where(call, *open, nowait); !status)
      return status;
  if (offset > INT64_MAX - uint64_t{count})
    return Status::error(EINVAL);

  if (!regular)
    if (Status status = call.act(**open); !status)
      return status;
  auto payload = regular ? read_regular(call, **open, count, offset)
                         : read_special(call, *open, count, offset, le32toh(body->flags));
  if (!payload)
    return payload.status();
  const size_t got = payload->size();
  qtfs_wire_read_rep rep{};
  rep.count = htole32(static_cast<uint32_t>(got));
  // A read that an error cut short is not the end.
  if (got < count && (regular ? at_end((*open)->io(), offset + got) : got == 0))
    rep.flags = htole32(QTFS_READ_EOF);
  if ((*open)->rights && (*open)->rights->any_came())
    rep.flags |= htole32(QTFS_READ_TAKE);
  rep.offset =
      htole64((*open)->seekable ? offset + got : (*open)->stream_offset.fetch_add(got) + got);
  call.reply.put(rep);
  if (const auto level = look(**open))
    call.reply.put(*level);
  call.reply.set_payload(std::move(*payload));
  return {};
}

Status op_write(Call& call) {
  constexpr uint32_t known = QTFS_WRITE_APPEND | QTFS_WRITE_SYNC | QTFS_WRITE_DSYNC |
                             QTFS_WRITE_CACHED | QTFS_WRITE_NOWAIT;
  const auto body = call.take<qtfs_wire_write>();
  if (!body || !call.body.done() || (le32toh(body->flags) & ~known) ||
      le32toh(body->count) != call.payload.size())
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if (!(*open)->writable())
    return Status::error(EBADF);
  const uint32_t flags = le32toh(body->flags);
  // Pages would not go where they belong.
  if ((flags & QTFS_WRITE_CACHED) && (*open)->kernel_append)
    return Status::error(EPERM);
  const uint32_t durable = QTFS_OPEN_SYNC | QTFS_OPEN_DSYNC | QTFS_OPEN_DIRECT;
  const bool regular = (*open)->regular();
  const int rwf = write_rwf(flags);
  const bool piped = (*open)->piped();
  const bool nowait = (flags & QTFS_WRITE_NOWAIT) != 0;
  call.patient = (*open)->pollable;
  if (!regular && nowait && !piped && (*open)->pollable && !ready(**open, POLLOUT))
    return Status::error(EAGAIN);
  if (!call.may_block && (piped ? (*open)->passed : !regular || rwf || ((*open)->flags & durable)))
    return Status::defer();
  if (le64toh(body->offset) > INT64_MAX - call.payload.size())
    return Status::error(EFBIG);
  if (Status status = call.act(**open); !status)
    return status;

  const bool append = (flags & QTFS_WRITE_APPEND) ||
                      (((*open)->flags & QTFS_OPEN_APPEND) && !(flags & QTFS_WRITE_CACHED));
  WriteJob job{**open, call.payload, le64toh(body->offset),
               rwf,    append,       (flags & QTFS_WRITE_CACHED) != 0};
  Buffer aligned;
  const bool misplaced = reinterpret_cast<uintptr_t>(job.bytes.data()) % direct_align != 0;
  if (((*open)->flags & QTFS_OPEN_DIRECT) && misplaced) {
    auto copy = aligned_copy(call, job.bytes);
    if (!copy)
      return copy.status();
    aligned = std::move(*copy);
    job.bytes = aligned.bytes();
  }
  const auto put = regular ? write_regular(job)
                   : piped ? write_piped(call, *open, nowait)
                           : write_special(call, *open, job, nowait);
  if (!put)
    return put.status();
  qtfs_wire_write_rep rep{};
  rep.count = htole32(static_cast<uint32_t>(*put));
  rep.offset = htole64(job.offset + *put);
  put_state(rep, (*open)->io());
  call.reply.put(rep);
  if (const auto level = look(**open))
    call.reply.put(*level);
  return {};
}

Status op_fsync(Call& call) {
  const auto body = call.take<qtfs_wire_fsync>();
  if (!body || body->reserved || !call.body.done() ||
      (le32toh(body->flags) & ~(QTFS_FSYNC_DATA | QTFS_FSYNC_ALL)))
    return Status::malformed();
  if (le32toh(body->flags) & QTFS_FSYNC_ALL)
    return call.may_block ? call.session->nodes.sync() : Status::defer();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if (!call.may_block)
    return Status::defer();
  const int fd = (*open)->io();
  return check((le32toh(body->flags) & QTFS_FSYNC_DATA) ? fdatasync(fd) : fsync(fd));
}

Status op_fallocate(Call& call) {
  static constexpr struct {
    uint32_t wire;
    int native;
  } modes[] = {
      {QTFS_FALLOC_KEEP_SIZE, FALLOC_FL_KEEP_SIZE},
      {QTFS_FALLOC_PUNCH_HOLE, FALLOC_FL_PUNCH_HOLE},
      {QTFS_FALLOC_COLLAPSE, FALLOC_FL_COLLAPSE_RANGE},
      {QTFS_FALLOC_ZERO, FALLOC_FL_ZERO_RANGE},
      {QTFS_FALLOC_INSERT, FALLOC_FL_INSERT_RANGE},
      {QTFS_FALLOC_UNSHARE, FALLOC_FL_UNSHARE_RANGE},
  };
  const auto body = call.take<qtfs_wire_fallocate>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  if (!(*open)->writable())
    return Status::error(EBADF);
  uint32_t wire = le32toh(body->mode);
  int native = 0;
  for (const auto& mode : modes) {
    if (wire & mode.wire)
      native |= mode.native;
    wire &= ~mode.wire;
  }
  if (wire)
    return Status::error(EOPNOTSUPP);
  if (!call.may_block)
    return Status::defer();
  if (Status status = call.act(**open); !status)
    return status;
  const int fd = (*open)->io();
  if (fallocate(fd, native, static_cast<off_t>(le64toh(body->offset)),
                static_cast<off_t>(le64toh(body->length))) < 0)
    return Status::last();
  const auto attr = fd_attr(fd, *(*open)->node);
  if (!attr)
    return attr.status();
  call.reply.put(*attr);
  return {};
}

namespace {

// The end of a file that the client caches is the client's to know.
std::optional<int> native_whence(const Open& open, uint32_t whence) {
  if (open.type == QTFS_TYPE_DIR)
    return std::nullopt;
  switch (whence) {
    case QTFS_SEEK_DATA:
      return SEEK_DATA;
    case QTFS_SEEK_HOLE:
      return SEEK_HOLE;
    case QTFS_SEEK_END:
      return open.regular() ? std::nullopt : std::optional(SEEK_END);
    default:
      return std::nullopt;
  }
}

}  // namespace

Status op_seek(Call& call) {
  const auto body = call.take<qtfs_wire_seek>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  const auto open = call.open(body->open);
  if (!open)
    return open.status();
  const auto native = native_whence(**open, le32toh(body->whence));
  if (!native)
    return Status::error(EINVAL);
  // Who writes to a synthetic file, which may take long, has its position.
  if (!call.may_block)
    return Status::defer();
  std::lock_guard guard((*open)->mutex);
  const off_t at = lseek((*open)->io(), static_cast<off_t>(le64toh(body->offset)), *native);
  if (at < 0)
    return Status::last();
  if (*native == SEEK_END)
    (*open)->stream_offset = static_cast<uint64_t>(at);
  call.reply.put(qtfs_wire_seek_rep{htole64(static_cast<uint64_t>(at))});
  return {};
}

namespace {

Result<uint64_t> clone_range(const Open& from, const Open& to, const qtfs_wire_copy& body) {
  file_clone_range range{};
  range.src_fd = from.io();
  range.src_offset = le64toh(body.from);
  range.src_length = le64toh(body.length);
  range.dest_offset = le64toh(body.to);
  if (ioctl(to.io(), FICLONERANGE, &range) < 0)
    return Status::last();
  return range.src_length;
}

Result<uint64_t> copy_range(const Open& from, const Open& to, const qtfs_wire_copy& body) {
  auto from_at = static_cast<off_t>(le64toh(body.from));
  auto to_at = static_cast<off_t>(le64toh(body.to));
  const uint64_t want = std::min(le64toh(body.length), copy_max);
  uint64_t done = 0;
  while (done < want) {
    const ssize_t put = copy_file_range(from.io(), &from_at, to.io(), &to_at, want - done, 0);
    if (put < 0 && done == 0)
      return Status::last();
    if (put <= 0)
      break;
    done += static_cast<uint64_t>(put);
  }
  return done;
}

}  // namespace

Status op_copy(Call& call) {
  const auto body = call.take<qtfs_wire_copy>();
  if (!body || body->reserved || !call.body.done() || (le32toh(body->flags) & ~QTFS_COPY_CLONE))
    return Status::malformed();
  const auto from = call.open(body->from_open);
  if (!from)
    return from.status();
  const auto to = call.open(body->to_open);
  if (!to)
    return to.status();
  if (!((*from)->flags & QTFS_OPEN_READ) || !(*to)->writable())
    return Status::error(EBADF);
  if (!call.may_block)
    return Status::defer();
  if (Status status = call.act(**to); !status)
    return status;
  const bool clone = (le32toh(body->flags) & QTFS_COPY_CLONE) != 0;
  const auto done = clone ? clone_range(**from, **to, *body) : copy_range(**from, **to, *body);
  if (!done)
    return done.status();
  qtfs_wire_write_rep rep{};
  rep.count = htole32(static_cast<uint32_t>(std::min<uint64_t>(*done, UINT32_MAX)));
  rep.offset = htole64(le64toh(body->to) + *done);
  put_state(rep, (*to)->io());
  call.reply.put(rep);
  return {};
}

Status op_dedupe(Call& call) {
  const auto body = call.take<qtfs_wire_copy>();
  if (!body || body->reserved || body->flags || !call.body.done())
    return Status::malformed();
  const auto from = call.open(body->from_open);
  if (!from)
    return from.status();
  const auto to = call.open(body->to_open);
  if (!to)
    return to.status();
  if (!((*from)->flags & QTFS_OPEN_READ))
    return Status::error(EBADF);
  if (Status status = writable(*(*to)->node); !status)
    return status;
  if (!call.may_block)
    return Status::defer();
  // Who owns the other file need not have opened it for writing.
  if (Status status = call.act(*(*to)->node); !status)
    return status;
  // One target, behind the rest.
  alignas(file_dedupe_range) std::array<std::byte, dedupe_size> job{};
  auto* range = reinterpret_cast<file_dedupe_range*>(job.data());
  range->src_offset = le64toh(body->from);
  range->src_length = le64toh(body->length);
  range->dest_count = 1;
  range->info[0].dest_fd = (*to)->io();
  range->info[0].dest_offset = le64toh(body->to);
  if (ioctl((*from)->io(), FIDEDUPERANGE, range) < 0)
    return Status::last();
  const int32_t status = range->info[0].status;
  if (status < 0)
    return Status::error(-status);
  qtfs_wire_dedupe_rep rep{};
  if (status == FILE_DEDUPE_RANGE_DIFFERS)
    rep.differs = htole32(1);
  else
    rep.length = htole64(range->info[0].bytes_deduped);
  call.reply.put(rep);
  return {};
}

}  // namespace qtfs
