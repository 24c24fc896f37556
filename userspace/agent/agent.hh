// SPDX-License-Identifier: GPL-2.0-only
// Joins, at the module's request, programs of this machine and of the server that use sockets of
// each other.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "agent/datagrams.hh"
#include "agent/listener.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"
#include "qtfs/agent.h"

namespace qtfs::agent {

class Agent {
 public:
  // Opens the device; tells in @error why that cannot be.
  static Result<std::unique_ptr<Agent>> create(std::string& error);
  // Serves until @stop, a descriptor, becomes readable.
  Status run(int stop);

 private:
  struct Key {
    uint64_t mount = 0;
    uint64_t node = 0;
    auto operator<=>(const Key&) const = default;
  };

  explicit Agent(UniqueFd device) : device_(std::move(device)) {}
  void take_events();
  void take_connect(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir);
  Status serve_connect(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir);
  Status serve_datagrams(const qtfs_agent_event& what, UniqueFd peer, UniqueFd dir);
  void look_after();
  Status wait(int stop);

  UniqueFd device_;
  std::map<Key, Listener> listeners_;
  std::map<Key, std::shared_ptr<Datagrams>> datagrams_;
  std::chrono::steady_clock::time_point next_look_;
  bool stopping_ = false;
};

}  // namespace qtfs::agent
