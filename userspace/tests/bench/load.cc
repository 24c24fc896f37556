// SPDX-License-Identifier: GPL-2.0-only
#include "tests/bench/load.hh"

#include <endian.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace qtfs {

Status Load::send(size_t count) {
  out_.clear();
  for (size_t i = 0; i < count; i++) {
    const uint64_t tag = htole64(tag_++);
    if (tag_at_)
      std::memcpy(request_.data() + tag_at_, &tag, sizeof(tag));
    out_.insert(out_.end(), request_.begin(), request_.end());
  }
  Bytes rest = out_;
  while (!rest.empty()) {
    const ssize_t put = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (put < 0)
      return Status::last();
    rest = rest.subspan(static_cast<size_t>(put));
  }
  return {};
}

Status Load::run(size_t total, size_t depth) {
  size_t asked = std::min(depth, total);
  if (Status status = send(asked); !status)
    return status;
  size_t missing = total * reply_;
  size_t partial = 0;
  while (missing > 0) {
    const ssize_t got = recv(fd_, in_.data(), std::min(in_.size(), missing), 0);
    if (got <= 0)
      return got < 0 ? Status::last() : Status::error(ECONNRESET);
    missing -= static_cast<size_t>(got);
    partial += static_cast<size_t>(got);
    const size_t again = std::min(partial / reply_, total - asked);
    partial %= reply_;
    asked += again;
    if (again > 0)
      if (Status status = send(again); !status)
        return status;
  }
  return {};
}

}  // namespace qtfs
