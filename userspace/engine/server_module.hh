// SPDX-License-Identifier: GPL-2.0-only
// qtfs_server.ko, where it is loaded: what it tells an engine that is told nothing else, and what
// it is told of the engine.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.hh"
#include "lib/config.hh"

namespace qtfs {

class ServerModule {
 public:
  ServerModule();
  ~ServerModule();

  // Fills in what the configuration leaves open: addresses, and how much is logged.
  void complete(Config& config) const;
  // For `qtinfo status`; holds as long as this object.
  void report(const Engine& engine, const Config& config);

 private:
  struct Link;
  std::unique_ptr<Link> link_;  // nothing where the module is not loaded
};

}  // namespace qtfs
