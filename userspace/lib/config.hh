// SPDX-License-Identifier: GPL-2.0-only
// The engine's settings: defaults, the TOML file, and what options may override.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/control_socket.hh"
#include "lib/result.hh"
#include "lib/rule.hh"

namespace qtfs {

// Whose ids become those of nobody in particular, in the order of how many that are.
enum class Squash : uint8_t { none, root, all };

// "none", "root", "all".
std::optional<Squash> squash_of(std::string_view word);

// So many ids, one after the other, of the client and of the server.
struct IdRange {
  uint32_t client = 0;
  uint32_t server = 0;
  uint32_t count = 0;

  bool operator==(const IdRange&) const = default;
};

// The kernel's for ids that have no number where somebody asks.
inline constexpr uint32_t overflow_id = 65534;

struct ExportConfig {
  std::string path;
  std::string name = {};
  bool readonly = false;
  bool devices = false;      // device nodes may be opened
  bool sockets = true;       // unix sockets may be connected to
  bool allow_mount = false;  // clients may mount on this machine
  Squash squash = Squash::none;
  uint32_t anon_uid = overflow_id;  // of the server: who is squashed, or not in the map
  uint32_t anon_gid = overflow_id;
  std::vector<IdRange> uid_map = {};  // empty: each id is itself
  std::vector<IdRange> gid_map = {};
};

struct Limits {
  uint64_t nodes_max = 1u << 20;  // of a session
  uint64_t fds_max = 0;           // of nodes, in the engine; 0: half of RLIMIT_NOFILE
  uint64_t opens_max = 65536;     // of a session
  uint64_t locks_max = 65536;     // ranges, of a session
  uint32_t sessions_max = 1024;
  uint32_t connections_max = 4096;
  uint32_t peer_connections_max = 1024;
  uint32_t session_connections_max = 64;
  uint32_t inflight_max = 256;      // of a connection
  uint32_t io_max = 1u << 20;       // bytes of a payload
  uint64_t memory_max = 64u << 20;  // bytes that a connection may have waiting for its peer
  uint32_t blocking_threads_max = 64;
};

struct Config {
  std::vector<std::string> listen;  // ADDRESS:PORT, vsock:CID:PORT, pcie:NUMBER
  unsigned ring_entries = 4096;
  unsigned threads = 4;
  unsigned spin_us = 100;  // how long to look at shared memory before sleeping
  bool insecure = false;
  std::string io = "auto";  // or uring, epoll
  bool multishot = true;
  bool sqpoll = false;
  std::string psk_file;
  std::string log_level;                  // empty: info
  std::string control = default_control;  // where qtinfo asks; empty: nowhere
  std::vector<ExportConfig> exports;
  std::vector<Rule> rules;
  Limits limits;
};

// Reads a TOML file over what @config holds. @error is one line that names file, line and key.
Status load_config(const std::string& path, Config& config, std::string& error);
// PATH[,ro][,rw][,dev][,nosock][,squash=WHO][,allow-mount][,name=NAME]
Result<ExportConfig> parse_export(const std::string& text, std::string& error);
// Numbers that make no sense.
Status check_config(const Config& config, std::string& error);

}  // namespace qtfs
