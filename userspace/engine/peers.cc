// SPDX-License-Identifier: GPL-2.0-only
#include "engine/peers.hh"

namespace qtfs {

namespace {

// "10.0.0.1" of "10.0.0.1:4242".
std::string machine(std::string_view peer) {
  return std::string(peer.substr(0, peer.rfind(':')));
}

}  // namespace

bool Peers::enter(std::string_view peer, uint32_t max) {
  std::lock_guard guard(mutex_);
  uint32_t& count = counts_[machine(peer)];
  if (count >= max)
    return false;
  count++;
  return true;
}

void Peers::leave(std::string_view peer) {
  std::lock_guard guard(mutex_);
  const auto found = counts_.find(machine(peer));
  if (found != counts_.end() && --found->second == 0)
    counts_.erase(found);
}

}  // namespace qtfs
