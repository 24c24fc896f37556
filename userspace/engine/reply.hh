// SPDX-License-Identifier: GPL-2.0-only
// The answer to one request while it is made: a small body, and perhaps a payload.
#pragma once

#include <array>
#include <cstring>

#include "lib/bytes.hh"

namespace qtfs {

class Reply {
 public:
  // No body is longer: a compound's results are the longest.
  static constexpr size_t body_max = 4096;

  void reset() {
    size_ = 0;
    payload_ = Buffer();
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

  void set_payload(Buffer payload) { payload_ = std::move(payload); }
  Buffer take_payload() { return std::move(payload_); }
  size_t payload_size() const { return payload_.size(); }
  bool has_payload() const { return static_cast<bool>(payload_); }

 private:
  std::array<std::byte, body_max> body_;
  size_t size_ = 0;
  Buffer payload_;
};

}  // namespace qtfs
