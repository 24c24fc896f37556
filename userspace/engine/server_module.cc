// SPDX-License-Identifier: GPL-2.0-only
#include "engine/server_module.hh"

#include <fmt/format.h>

#include "lib/log.hh"
#include "lib/qtfs_netlink.hh"

namespace qtfs {

namespace {

// The engine has no level below errors.
std::string level_name(uint64_t level) {
  static constexpr const char* names[] = {"error", "error", "warning", "info", "debug"};
  return level < std::size(names) ? names[level] : "info";
}

std::vector<std::string> addresses(const netlink::ServerStatus& status) {
  std::vector<std::string> out;
  if (status.ip) {
    const bool v6 = status.ip->find(':') != std::string::npos;
    out.push_back(fmt::format("{}{}{}:{}", v6 ? "[" : "", *status.ip, v6 ? "]" : "", status.port));
  }
  if (status.vsock_cid) {
    const bool any = *status.vsock_cid == UINT32_MAX;
    out.push_back(fmt::format("vsock:{}:{}", any ? "any" : std::to_string(*status.vsock_cid),
                              status.vsock_port));
  }
  for (uint64_t i = 0; i < status.devices; i++)
    out.push_back(fmt::format("pcie:{}", i));
  return out;
}

}  // namespace

struct ServerModule::Link {
  netlink::Server server;
  netlink::ServerStatus status;
};

ServerModule::ServerModule() {
  try {
    if (auto server = netlink::Server::find()) {
      auto status = server->status();
      link_ = std::make_unique<Link>(Link{std::move(*server), std::move(status)});
    }
  } catch (const netlink::Error& error) {
    log::warning("qtfs_server.ko: {}", error.what());
  }
}

ServerModule::~ServerModule() = default;

void ServerModule::complete(Config& config) const {
  if (!link_)
    return;
  if (config.listen.empty())
    config.listen = addresses(link_->status);
  if (config.log_level.empty())
    config.log_level = level_name(link_->status.log_level);
}

void ServerModule::report(const Engine& engine, const Config& config) {
  if (!link_)
    return;
  try {
    link_->server.report({.pid = 0,
                          .listen = fmt::format("{}", fmt::join(engine.addresses(), " ")),
                          .threads = config.threads,
                          .ring = engine.describe()});
  } catch (const netlink::Error& error) {
    log::warning("qtfs_server.ko: {}", error.what());
  }
}

}  // namespace qtfs
