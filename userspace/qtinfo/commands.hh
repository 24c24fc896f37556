// SPDX-License-Identifier: GPL-2.0-only
// The subcommands: each gives the value tree that render.hh shows. They throw
// netlink::Error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/rule.hh"

namespace qtfs::qtinfo {

using Tree = nlohmann::ordered_json;

Tree cmd_status();
Tree cmd_mounts();
// @mount: an id, a mount point, or empty for all mounts.
Tree cmd_stats(const std::string& mount);
// @level: a name, a number, or empty to ask only.
Tree cmd_log_level(const std::string& level);
Tree cmd_abort(const std::string& mount);

// Rules of the engine on this machine, asked at its socket @control.
Tree cmd_rules_list(const std::string& control);
Tree cmd_rules_add(const std::string& control, const RuleWords& words);
Tree cmd_rules_del(const std::string& control, uint64_t number);

}  // namespace qtfs::qtinfo
