// SPDX-License-Identifier: GPL-2.0-only
// The engine as a whole: owns workers, exports and sessions; starts, drains, stops.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/mount_tree.hh"
#include "engine/worker.hh"

namespace qtfs {

class Engine {
 public:
  // Opens what the configuration names; the error text is one line for the user.
  static Result<std::unique_ptr<Engine>> create(const Config& config, std::string& error);
  ~Engine();

  Status start(std::string& error);
  // Serves shared memory, besides what the configuration names. After start().
  Status serve(std::unique_ptr<PcieDevice> device);
  // Keeps to a mount table of its own, which the calling thread entered before create(). After
  // start().
  Status keep_to(std::unique_ptr<MountTree> tree);
  // Stops accepting, finishes what runs, flushes answers; within @bound, then by force.
  void stop(std::chrono::milliseconds bound = std::chrono::seconds(5));

  const std::vector<uint32_t>& ports() const { return ports_; }
  // As they were configured.
  const std::vector<std::string>& addresses() const { return config_.listen; }
  Rules& rules() { return rules_; }
  // What its threads wait with.
  std::string describe() const { return workers_.at(0)->describe(); }
  void add_stats(Stats& sum);
  size_t sessions() { return sessions_.size(); }
  uint64_t node_fds() { return sessions_.budget().used.load(); }

 private:
  Engine(const Config& config, Exports exports, std::vector<std::byte> psk, uint16_t life);
  bool all_stopped() const;
  void remounted(const MountTree::Change& change);
  Status listen(const std::string& address, std::string& error);
  Status serve(PcieDevice& device);

  Config config_;
  Exports exports_;
  std::vector<std::byte> psk_;
  Mounts mounts_;
  Rules rules_;
  SessionTable sessions_;
  Pool pool_;
  Shared shared_;
  std::vector<std::unique_ptr<PcieDevice>> devices_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<UniqueFd> listening_;  // until workers have them
  std::vector<uint32_t> ports_;
  std::unique_ptr<MountTree> tree_;
  bool stopped_ = false;
};

}  // namespace qtfs
