// SPDX-License-Identifier: GPL-2.0-only
#include "engine/pipe.hh"

#include <fcntl.h>
#include <unistd.h>

namespace qtfs {

Result<Pipe> Pipe::open() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0)
    return Status::last();
  Pipe pipe;
  pipe.out_.reset(fds[0]);
  pipe.in_.reset(fds[1]);
  if (fcntl(pipe.in_.get(), F_SETPIPE_SZ, static_cast<int>(capacity)) < 0)
    return Status::last();
  return pipe;
}

Result<size_t> Pipe::fill(int fd, uint64_t offset, size_t len) {
  auto at = static_cast<off64_t>(offset);
  size_t done = 0;
  while (done < len) {
    const ssize_t got = splice(fd, &at, in_.get(), nullptr, len - done, SPLICE_F_NONBLOCK);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && done == 0)
      return Status::last();
    if (got <= 0)
      break;
    done += static_cast<size_t>(got);
  }
  size_ += done;
  return done;
}

Pipe PipePool::take() {
  if (!free_.empty()) {
    Pipe pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  auto pipe = Pipe::open();
  return pipe ? std::move(*pipe) : Pipe();
}

void PipePool::give(Pipe pipe) {
  if (pipe && pipe.size() == 0 && free_.size() < kept_max)
    free_.push_back(std::move(pipe));
}

}  // namespace qtfs
