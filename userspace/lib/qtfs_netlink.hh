// SPDX-License-Identifier: GPL-2.0-only
// The modules' families as a few typed calls; docs/netlink describes them.
// Only qtfs_netlink.cc names commands and attributes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/netlink.hh"

namespace qtfs::netlink {

struct ModuleStatus {
  std::string version;
  uint64_t protocol = 0;
  std::optional<std::string> server_ip;
  uint64_t server_port = 0;
  uint64_t log_level = 0;
  uint64_t mounts = 0;
  std::string channel;
  uint64_t server_vsock_cid = 0;
  uint64_t server_vsock_port = 0;
};

struct MountStatus {
  uint32_t id = 0;
  uint32_t dev_major = 0;
  uint32_t dev_minor = 0;
  std::string source;
  std::string path;
  std::string channel;
  std::string address;  // with the port, in the channel's notation
  std::string state;
  std::vector<std::byte> session;
  uint64_t protocol = 0;
  uint64_t inflight = 0;
  uint64_t waiting = 0;
  uint64_t connections = 0;
};

struct OperationStats {
  uint64_t op = 0;
  std::string name;
  uint64_t calls = 0;
  uint64_t errors = 0;
  uint64_t total_ns = 0;
  // Element n: calls of less than 2^n and at least 2^(n-1) microseconds.
  std::vector<uint64_t> latency;
};

struct Counter {
  std::string_view name;
  uint64_t value = 0;
};

struct MountStats {
  uint32_t mount = 0;
  std::vector<Counter> counters;
  std::vector<OperationStats> operations;
};

class Qtfs {
 public:
  // Throws where the module is not loaded, with words that say so.
  Qtfs();

  ModuleStatus status();
  std::vector<MountStatus> mounts();
  MountStatus mount(uint32_t id);
  std::vector<MountStats> stats();
  MountStats stats(uint32_t id);
  uint32_t log_level();
  void set_log_level(uint32_t level);
  void abort(uint32_t id);

 private:
  Family family_;
};

struct EngineStatus {
  uint64_t pid = 0;
  std::string listen;  // addresses, separated by spaces
  uint64_t threads = 0;
  std::string ring;
};

struct ServerStatus {
  std::string version;
  uint64_t log_level = 0;
  std::optional<std::string> ip;
  uint64_t port = 0;
  std::optional<uint64_t> vsock_cid;
  uint64_t vsock_port = 0;
  uint64_t devices = 0;  // of shared memory
  std::optional<EngineStatus> engine;
};

// The server's module.
class Server {
 public:
  // Nothing where it is not loaded.
  static std::optional<Server> find();

  ServerStatus status();
  void set_log_level(uint32_t level);
  // From the engine, of itself; holds as long as this object.
  void report(const EngineStatus& engine);

 private:
  explicit Server(Family family) : family_(std::move(family)) {}
  Family family_;
};

// Names of the log levels, from 0 on.
extern const std::array<std::string_view, 5> log_levels;

// A name or a number from 0 on.
std::optional<uint32_t> parse_log_level(std::string_view text);
std::string log_level_name(uint64_t level);

// What a STATS_GET message says, added to the mounts gathered so far: a mount may be
// spread over several messages.
void add_stats(std::vector<MountStats>& mounts, const Attributes& message);

}  // namespace qtfs::netlink
