// SPDX-License-Identifier: GPL-2.0-only
// File contents on their way to a socket without passing through the engine's memory: a pipe
// holds references to the page cache's pages.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

class Pipe {
 public:
  static constexpr size_t capacity = 1 << 20;  // bytes, of whole pages

  Pipe() = default;
  // An error where pipes are short, or may not be as large.
  static Result<Pipe> open();

  explicit operator bool() const { return static_cast<bool>(out_); }
  // What it holds.
  size_t size() const { return size_; }
  int out() const { return out_.get(); }

  // Takes @len bytes of a file at @offset, without waiting for room; short at the file's end.
  Result<size_t> fill(int fd, uint64_t offset, size_t len);
  // @len bytes left it by other means.
  void consume(size_t len) { size_ -= len; }

 private:
  UniqueFd out_;
  UniqueFd in_;
  size_t size_ = 0;
};

// Empty pipes of one thread, kept for the next use.
class PipePool {
 public:
  // Not a pipe when there are none to be had.
  Pipe take();
  // Closes it if something is left in it.
  void give(Pipe pipe);

 private:
  static constexpr size_t kept_max = 8;
  std::vector<Pipe> free_;
};

}  // namespace qtfs
