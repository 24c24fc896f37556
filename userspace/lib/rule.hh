// SPDX-License-Identifier: GPL-2.0-only
// Rules for files that are not served as they are: as the configuration and qtinfo write them.
#pragma once

#include <string>
#include <string_view>

#include "lib/result.hh"

namespace qtfs {

enum class RuleAction : uint8_t {
  serve,     // as it is: an exception from what follows
  uncached,  // clients keep nothing of it, as of procfs
  deny,      // it can be seen, not opened nor changed: EACCES
  hide,      // it is not there: ENOENT
};

struct Rule {
  // A glob: "*", "?" and "[...]" within a name, "**" for any number of names. An absolute path of
  // the server's tree; with @fstype, of each filesystem of that type, from its root.
  std::string path{};
  std::string fstype{};
  uint32_t type = 0;  // QTFS_TYPE_*; 0: any, and what is below a directory
  RuleAction action = RuleAction::serve;

  bool operator==(const Rule&) const = default;
};

// The words of a rule; unknown ones are EINVAL.
Result<RuleAction> rule_action(std::string_view word);
Result<uint32_t> rule_type(std::string_view word);
std::string_view rule_action_name(RuleAction action);
std::string_view rule_type_name(uint32_t type);  // "" for 0

// What is wrong with a rule, in words; empty if nothing is.
std::string rule_problem(const Rule& rule);

// Of a path, absolute and without "." or "..": whether a glob matches it; or it or what it is
// below; or something below it, be it there or not.
bool glob_matches(std::string_view glob, std::string_view path);
bool glob_covers(std::string_view glob, std::string_view path);
bool glob_leads(std::string_view glob, std::string_view path);

}  // namespace qtfs
