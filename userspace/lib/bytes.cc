// SPDX-License-Identifier: GPL-2.0-only
#include "lib/bytes.hh"

#include <algorithm>

namespace qtfs {

namespace {

constexpr size_t kept_bytes = size_t{8} << 20;  // of one class at most
constexpr size_t kept_pieces = 64;

}  // namespace

size_t BufferPool::class_of(size_t capacity) {
  size_t cls = 0;
  while ((size_t{1} << (cls + min_shift)) < capacity)
    cls++;
  return cls;
}

Buffer BufferPool::take(size_t capacity) {
  const size_t cls = class_of(capacity);
  if (cls >= classes)
    return Buffer(capacity);
  if (free_[cls].empty())
    return Buffer(size_t{1} << (cls + min_shift));
  Buffer out = std::move(free_[cls].back());
  free_[cls].pop_back();
  out.reset();
  return out;
}

void BufferPool::give(Buffer buffer) {
  const size_t cls = class_of(buffer.capacity());
  const bool exact = cls < classes && buffer.capacity() == size_t{1} << (cls + min_shift);
  if (exact && free_[cls].size() < std::min(kept_pieces, kept_bytes >> (cls + min_shift)))
    free_[cls].push_back(std::move(buffer));
}

}  // namespace qtfs
