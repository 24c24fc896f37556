// SPDX-License-Identifier: GPL-2.0-only
// The answer to one request while it is made: a small body, and perhaps a payload.
#pragma once

#include <array>
#include <cstring>

#include "engine/pipe.hh"
#include "lib/bytes.hh"

namespace qtfs {

// Bytes to be sent: in memory, or in a pipe.
struct Payload {
  Payload() = default;
  Payload(Buffer buffer_) : buffer(std::move(buffer_)) {}  // NOLINT(google-explicit-constructor)
  Payload(Pipe pipe_) : pipe(std::move(pipe_)) {}          // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return buffer || pipe; }
  size_t size() const { return pipe ? pipe.size() : buffer.size(); }

  Buffer buffer;
  Pipe pipe;
};

class Reply {
 public:
  // No body is longer: a compound's results are the longest.
  static constexpr size_t body_max = 4096;

  void reset() {
    size_ = 0;
    payload_ = Payload();
  }
  // Takes back what was put after @size.
  void truncate(size_t size) { size_ = size; }

  template <typename T>
  void put(const T& part) {
    put_bytes(bytes_of(part));
  }
  void put_bytes(Bytes part) {
    if (part.size() > body_max - size_)
      std::abort();  // a handler's mistake, never the peer's
    std::memcpy(body_.data() + size_, part.data(), part.size());
    size_ += part.size();
  }
  template <typename T>
  void put_at(size_t offset, const T& part) {
    std::memcpy(body_.data() + offset, &part, sizeof(part));
  }

  size_t size() const { return size_; }
  Bytes body() const { return {body_.data(), size_}; }

  void set_payload(Payload payload) { payload_ = std::move(payload); }
  Payload take_payload() { return std::exchange(payload_, Payload()); }
  bool has_payload() const { return static_cast<bool>(payload_); }

 private:
  std::array<std::byte, body_max> body_;
  size_t size_ = 0;
  Payload payload_;
};

}  // namespace qtfs
