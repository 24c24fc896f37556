// SPDX-License-Identifier: GPL-2.0-only
// Status and Result<T>: an error number, or nothing; an error number, or a value.
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace qtfs {

class [[nodiscard]] Status {
 public:
  Status() = default;
  // A host error number, positive.
  static Status error(int err) {
    Status status;
    status.err_ = err;
    return status;
  }
  // What the last system call left in errno.
  static Status last() { return error(errno); }
  // The request breaks the protocol: it is answered with EPROTO and ends the connection.
  static Status malformed() {
    Status status = error(EPROTO);
    status.kind_ = Kind::malformed;
    return status;
  }
  // The operation would block here: run it again where it may.
  static Status defer() {
    Status status = error(EAGAIN);
    status.kind_ = Kind::defer;
    return status;
  }

  bool ok() const { return err_ == 0; }
  explicit operator bool() const { return ok(); }
  int err() const { return err_; }
  bool is_malformed() const { return kind_ == Kind::malformed; }
  bool is_deferred() const { return kind_ == Kind::defer; }

 private:
  enum class Kind : unsigned char { plain, malformed, defer };
  int err_ = 0;
  Kind kind_ = Kind::plain;
};

// Status of a system call that returns -1 and sets errno.
inline Status check(long ret) {
  return ret < 0 ? Status::last() : Status();
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(status) {}     // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  Status status() const { return status_; }
  int err() const { return status_.err(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace qtfs
