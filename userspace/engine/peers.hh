// SPDX-License-Identifier: GPL-2.0-only
// How many connections each peer has, that none takes all there are.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace qtfs {

class Peers {
 public:
  // One more connection of @peer, a machine whatever port it comes from; false if it has @max.
  bool enter(std::string_view peer, uint32_t max);
  void leave(std::string_view peer);

 private:
  std::mutex mutex_;  // protects counts_
  std::unordered_map<std::string, uint32_t> counts_;
};

}  // namespace qtfs
