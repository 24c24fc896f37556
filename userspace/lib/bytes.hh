// SPDX-License-Identifier: GPL-2.0-only
// Reading what a peer sent, checked; and memory for frames, recycled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "qtfs/wire.h"

namespace qtfs {

using Bytes = std::span<const std::byte>;

template <typename T>
Bytes bytes_of(const T& object) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span<const T, 1>(&object, 1));
}

inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Takes structures and names off the front of a body; never reads behind it.
class Reader {
 public:
  Reader() = default;
  explicit Reader(Bytes rest) : rest_(rest) {}

  template <typename T>
  std::optional<T> take() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (rest_.size() < sizeof(T))
      return std::nullopt;
    T out;
    std::memcpy(&out, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return out;
  }

  std::optional<Bytes> take_bytes(size_t len) {
    if (rest_.size() < len)
      return std::nullopt;
    Bytes out = rest_.first(len);
    rest_ = rest_.subspan(len);
    return out;
  }

  // A name of @len bytes and the zeros that pad it.
  std::optional<std::string_view> take_name(size_t len) {
    const size_t padded = QTFS_PAD(len);
    if (rest_.size() < padded)
      return std::nullopt;
    for (size_t i = len; i < padded; i++)
      if (rest_[i] != std::byte{0})
        return std::nullopt;
    std::string_view out = text_of(rest_.first(len));
    rest_ = rest_.subspan(padded);
    return out;
  }

  bool done() const { return rest_.empty(); }
  size_t left() const { return rest_.size(); }
  // What it reads from was copied from @before to @after.
  void rebase(const std::byte* before, const std::byte* after) {
    if (!rest_.empty())
      rest_ = {after + (rest_.data() - before), rest_.size()};
  }

 private:
  Bytes rest_;
};

// Memory of one frame or a part of it, page aligned, of a fixed capacity.
class Buffer {
 public:
  static constexpr size_t align = 4096;

  Buffer() = default;
  explicit Buffer(size_t capacity)
      : capacity_((capacity + align - 1) & ~(align - 1)),
        data_(static_cast<std::byte*>(std::aligned_alloc(align, capacity_))) {
    if (!data_)
      capacity_ = 0;
  }
  Buffer(Buffer&& other) noexcept
      : capacity_(std::exchange(other.capacity_, 0)),
        begin_(std::exchange(other.begin_, 0)),
        size_(std::exchange(other.size_, 0)),
        data_(std::move(other.data_)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    capacity_ = std::exchange(other.capacity_, 0);
    begin_ = std::exchange(other.begin_, 0);
    size_ = std::exchange(other.size_, 0);
    data_ = std::move(other.data_);
    return *this;
  }

  explicit operator bool() const { return data_ != nullptr; }
  size_t capacity() const { return capacity_; }
  size_t size() const { return size_; }
  // Room behind the content.
  size_t room() const { return capacity_ - begin_ - size_; }
  std::byte* data() { return data_.get() + begin_; }
  const std::byte* data() const { return data_.get() + begin_; }
  std::byte* tail() { return data() + size_; }
  Bytes bytes() const { return {data(), size_}; }

  // Empties it; the content will start at @begin.
  void reset(size_t begin = 0) {
    begin_ = begin;
    size_ = 0;
  }
  // @len bytes behind the content were filled in by other means.
  void grow(size_t len) { size_ += len; }
  void shrink_to(size_t len) { size_ = len; }
  void append(Bytes bytes) {
    if (bytes.empty())
      return;
    std::memcpy(tail(), bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  // Drops @len bytes from the front.
  void consume(size_t len) {
    begin_ += len;
    size_ -= len;
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t size_ = 0;
  std::unique_ptr<std::byte[], Free> data_;
};

// Buffers of one thread, kept for the next use: a bounded list per power of two.
class BufferPool {
 public:
  // Empty (no memory) when the allocation fails.
  Buffer take(size_t capacity);
  void give(Buffer buffer);

 private:
  static constexpr size_t min_shift = 12;
  static constexpr size_t classes = 12;  // 4 KiB to 8 MiB

  static size_t class_of(size_t capacity);

  std::vector<Buffer> free_[classes];
};

}  // namespace qtfs
