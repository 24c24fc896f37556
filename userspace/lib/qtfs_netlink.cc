// SPDX-License-Identifier: GPL-2.0-only
#include "lib/qtfs_netlink.hh"

#include <uapi/linux/qtfs.h>
#include <uapi/linux/qtfs_server.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace qtfs::netlink {

const std::array<std::string_view, 5> log_levels = {"none", "error", "warn", "info", "debug"};
static_assert(std::tuple_size_v<decltype(log_levels)> == QTFS_VERBOSITY_MAX + 1);

namespace {

constexpr std::array<std::pair<int, std::string_view>, 11> counters = {{
    {QTFS_A_STATS_BYTES_SENT, "bytes_sent"},
    {QTFS_A_STATS_BYTES_RECEIVED, "bytes_received"},
    {QTFS_A_STATS_FRAMES_SENT, "frames_sent"},
    {QTFS_A_STATS_FRAMES_RECEIVED, "frames_received"},
    {QTFS_A_STATS_PUSHES, "pushes"},
    {QTFS_A_STATS_PROTOCOL_ERRORS, "protocol_errors"},
    {QTFS_A_STATS_CANCELS, "cancels"},
    {QTFS_A_STATS_ABANDONS, "abandons"},
    {QTFS_A_STATS_FORGETS, "forgets"},
    {QTFS_A_STATS_RELEASES, "releases"},
    {QTFS_A_STATS_INVALIDATIONS, "invalidations"},
}};

Family open_family() {
  try {
    return Family(QTFS_FAMILY_NAME);
  } catch (const Error& error) {
    if (error.err() == ENOENT)
      throw Error(ENOENT, "the module is not loaded (modprobe qtfs)");
    throw;
  }
}

// The one message that a command answers with.
const Bytes& only(const std::vector<Bytes>& messages) {
  if (messages.size() != 1)
    throw Error(EPROTO, "the module's answer is not understood");
  return messages.front();
}

uint32_t u32(const Attributes& from, int type) {
  return static_cast<uint32_t>(from.number(type).value_or(0));
}

std::string state_name(uint64_t state) {
  switch (state) {
    case QTFS_MOUNT_STATE_CONNECTED:
      return "connected";
    case QTFS_MOUNT_STATE_LOST:
      return "lost";
    case QTFS_MOUNT_STATE_ABORTED:
      return "aborted";
    default:
      return "state " + std::to_string(state);
  }
}

MountStatus parse_mount(const Attributes& from) {
  MountStatus mount;
  mount.id = u32(from, QTFS_A_MOUNT_ID);
  mount.dev_major = u32(from, QTFS_A_MOUNT_DEV_MAJOR);
  mount.dev_minor = u32(from, QTFS_A_MOUNT_DEV_MINOR);
  mount.source = from.string(QTFS_A_MOUNT_SOURCE).value_or("");
  mount.path = from.string(QTFS_A_MOUNT_PATH).value_or("");
  mount.channel = from.string(QTFS_A_MOUNT_CHANNEL).value_or("");
  mount.address = from.string(QTFS_A_MOUNT_ADDRESS).value_or("");
  mount.state = state_name(from.number(QTFS_A_MOUNT_STATE).value_or(0));
  if (const auto session = from.bytes(QTFS_A_MOUNT_SESSION))
    mount.session.assign(session->begin(), session->end());
  mount.protocol = u32(from, QTFS_A_MOUNT_PROTOCOL);
  mount.inflight = u32(from, QTFS_A_MOUNT_INFLIGHT);
  mount.waiting = u32(from, QTFS_A_MOUNT_WAITING);
  mount.connections = u32(from, QTFS_A_MOUNT_CONNECTIONS);
  return mount;
}

OperationStats parse_operation(const Attributes& from) {
  OperationStats op;
  op.op = from.number(QTFS_A_OP_STATS_OP).value_or(0);
  op.name = from.string(QTFS_A_OP_STATS_NAME).value_or("");
  op.calls = from.number(QTFS_A_OP_STATS_CALLS).value_or(0);
  op.errors = from.number(QTFS_A_OP_STATS_ERRORS).value_or(0);
  op.total_ns = from.number(QTFS_A_OP_STATS_TOTAL_NS).value_or(0);
  op.latency = from.numbers(QTFS_A_OP_STATS_LATENCY);
  return op;
}

}  // namespace

std::optional<uint32_t> parse_log_level(std::string_view text) {
  const auto name = std::ranges::find(log_levels, text);
  if (name != log_levels.end())
    return static_cast<uint32_t>(name - log_levels.begin());
  uint32_t level = 0;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), level);
  if (err != std::errc{} || end != text.data() + text.size() || level >= log_levels.size())
    return std::nullopt;
  return level;
}

std::string log_level_name(uint64_t level) {
  return level < log_levels.size() ? std::string(log_levels[level]) : std::to_string(level);
}

void add_stats(std::vector<MountStats>& mounts, const Attributes& message) {
  const uint32_t id = u32(message, QTFS_A_STATS_MOUNT);
  auto mount = std::ranges::find(mounts, id, &MountStats::mount);
  if (mount == mounts.end())
    mount = mounts.insert(mounts.end(), MountStats{.mount = id, .counters = {}, .operations = {}});
  for (const auto& [attribute, name] : counters)
    if (const auto value = message.number(attribute))
      mount->counters.push_back({name, *value});
  for (const auto& op : message.nests(QTFS_A_STATS_OP))
    mount->operations.push_back(parse_operation(op));
}

Qtfs::Qtfs() : family_(open_family()) {}

ModuleStatus Qtfs::status() {
  const auto messages = family_.call(QTFS_CMD_STATUS_GET);
  const Attributes from(only(messages));
  return {.version = from.string(QTFS_A_STATUS_VERSION).value_or(""),
          .protocol = from.number(QTFS_A_STATUS_PROTOCOL).value_or(0),
          .server_ip = from.string(QTFS_A_STATUS_SERVER_IP),
          .server_port = from.number(QTFS_A_STATUS_SERVER_PORT).value_or(0),
          .log_level = from.number(QTFS_A_STATUS_LOG_LEVEL).value_or(0),
          .mounts = from.number(QTFS_A_STATUS_MOUNTS).value_or(0),
          .channel = from.string(QTFS_A_STATUS_CHANNEL).value_or(""),
          .server_vsock_cid = from.number(QTFS_A_STATUS_SERVER_VSOCK_CID).value_or(0),
          .server_vsock_port = from.number(QTFS_A_STATUS_SERVER_VSOCK_PORT).value_or(0)};
}

std::vector<MountStatus> Qtfs::mounts() {
  std::vector<MountStatus> out;
  for (const auto& message : family_.dump(QTFS_CMD_MOUNT_GET))
    out.push_back(parse_mount(Attributes(message)));
  return out;
}

MountStatus Qtfs::mount(uint32_t id) {
  const auto messages = family_.call(QTFS_CMD_MOUNT_GET, Request().number(QTFS_A_MOUNT_ID, id));
  return parse_mount(Attributes(only(messages)));
}

std::vector<MountStats> Qtfs::stats() {
  std::vector<MountStats> out;
  for (const auto& message : family_.dump(QTFS_CMD_STATS_GET))
    add_stats(out, Attributes(message));
  return out;
}

MountStats Qtfs::stats(uint32_t id) {
  const auto messages = family_.call(QTFS_CMD_STATS_GET, Request().number(QTFS_A_STATS_MOUNT, id));
  std::vector<MountStats> out;
  add_stats(out, Attributes(only(messages)));
  return out.front();
}

uint32_t Qtfs::log_level() {
  const auto messages = family_.call(QTFS_CMD_LOG_LEVEL_GET);
  return u32(Attributes(only(messages)), QTFS_A_LOG_LEVEL);
}

void Qtfs::set_log_level(uint32_t level) {
  family_.call(QTFS_CMD_LOG_LEVEL_SET, Request().number(QTFS_A_LOG_LEVEL, level));
}

void Qtfs::abort(uint32_t id) {
  family_.call(QTFS_CMD_ABORT, Request().number(QTFS_A_MOUNT_ID, id));
}

std::optional<Server> Server::find() {
  try {
    return Server(Family(QTFS_SERVER_FAMILY_NAME));
  } catch (const Error& error) {
    if (error.err() == ENOENT)
      return std::nullopt;
    throw;
  }
}

ServerStatus Server::status() {
  const auto messages = family_.call(QTFS_SERVER_CMD_STATUS_GET);
  const Attributes from(only(messages));
  ServerStatus out{.version = from.string(QTFS_SERVER_A_STATUS_VERSION).value_or(""),
                   .log_level = u32(from, QTFS_SERVER_A_STATUS_LOG_LEVEL),
                   .ip = from.string(QTFS_SERVER_A_STATUS_SERVER_IP),
                   .port = u32(from, QTFS_SERVER_A_STATUS_SERVER_PORT),
                   .vsock_cid = from.number(QTFS_SERVER_A_STATUS_SERVER_VSOCK_CID),
                   .vsock_port = u32(from, QTFS_SERVER_A_STATUS_SERVER_VSOCK_PORT),
                   .devices = u32(from, QTFS_SERVER_A_STATUS_DEVICES),
                   .engine = std::nullopt};
  if (const auto pid = from.number(QTFS_SERVER_A_STATUS_ENGINE_PID))
    out.engine = {.pid = *pid,
                  .listen = from.string(QTFS_SERVER_A_STATUS_ENGINE_LISTEN).value_or(""),
                  .threads = u32(from, QTFS_SERVER_A_STATUS_ENGINE_THREADS),
                  .ring = from.string(QTFS_SERVER_A_STATUS_ENGINE_RING).value_or("")};
  return out;
}

void Server::set_log_level(uint32_t level) {
  family_.call(QTFS_SERVER_CMD_LOG_LEVEL_SET,
               Request().number(QTFS_SERVER_A_STATUS_LOG_LEVEL, level));
}

void Server::report(const EngineStatus& engine) {
  family_.call(
      QTFS_SERVER_CMD_ENGINE_REPORT,
      Request()
          .string(QTFS_SERVER_A_STATUS_ENGINE_LISTEN, engine.listen)
          .number(QTFS_SERVER_A_STATUS_ENGINE_THREADS, static_cast<uint32_t>(engine.threads))
          .string(QTFS_SERVER_A_STATUS_ENGINE_RING, engine.ring));
}

}  // namespace qtfs::netlink
