// SPDX-License-Identifier: GPL-2.0-only
// A client that costs next to nothing: the same request again and again, answers counted by their
// length, some under way at a time. The same for all servers that are compared.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/bytes.hh"
#include "lib/result.hh"

namespace qtfs {

class Load {
 public:
  // Sends @request, whose tag is at @tag_at if that is not 0, through @fd, which others own. Each
  // answer has @reply bytes.
  Load(int fd, std::vector<std::byte> request, size_t tag_at, size_t reply)
      : fd_(fd), request_(std::move(request)), tag_at_(tag_at), reply_(reply), in_(room) {}

  // @total requests, @depth of them under way.
  Status run(size_t total, size_t depth);

 private:
  static constexpr size_t room = 1u << 20;

  Status send(size_t count);

  int fd_;
  std::vector<std::byte> request_;
  size_t tag_at_;
  size_t reply_;
  uint64_t tag_ = 1u << 30;
  std::vector<std::byte> out_;
  std::vector<std::byte> in_;
};

}  // namespace qtfs
