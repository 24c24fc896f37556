// SPDX-License-Identifier: GPL-2.0-only
#include "lib/rule.hh"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <vector>

#include "qtfs/wire.h"

namespace qtfs {

namespace {

constexpr struct {
  std::string_view word;
  RuleAction action;
} actions[] = {
    {"serve", RuleAction::serve},
    {"uncached", RuleAction::uncached},
    {"deny", RuleAction::deny},
    {"hide", RuleAction::hide},
};

constexpr struct {
  std::string_view word;
  uint32_t type;
} types[] = {
    {"file", QTFS_TYPE_REG},    {"directory", QTFS_TYPE_DIR}, {"symlink", QTFS_TYPE_LNK},
    {"char", QTFS_TYPE_CHR},    {"block", QTFS_TYPE_BLK},     {"fifo", QTFS_TYPE_FIFO},
    {"socket", QTFS_TYPE_SOCK},
};

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> names;
  for (size_t start = 0; start < path.size();) {
    const size_t slash = std::min(path.find('/', start), path.size());
    if (slash > start)
      names.emplace_back(path.substr(start, slash - start));
    start = slash + 1;
  }
  return names;
}

enum class Want : uint8_t {
  whole,  // the glob matches all names
  above,  // or the first of them
  begin,  // more names could be added that it matches
};

bool match(const std::vector<std::string>& glob, size_t g, const std::vector<std::string>& names,
           size_t n, Want want) {
  if (g == glob.size())
    return want == Want::above || (want == Want::whole && n == names.size());
  if (glob[g] == "**") {
    for (size_t skip = n; skip <= names.size(); skip++)
      if (match(glob, g + 1, names, skip, want))
        return true;
    return want == Want::begin;
  }
  if (n == names.size())
    return want == Want::begin;
  return fnmatch(glob[g].c_str(), names[n].c_str(), FNM_NOESCAPE) == 0 &&
         match(glob, g + 1, names, n + 1, want);
}

}  // namespace

Result<RuleAction> rule_action(std::string_view word) {
  for (const auto& known : actions)
    if (word == known.word)
      return known.action;
  return Status::error(EINVAL);
}

Result<uint32_t> rule_type(std::string_view word) {
  for (const auto& known : types)
    if (word == known.word)
      return known.type;
  return Status::error(EINVAL);
}

std::string_view rule_action_name(RuleAction action) {
  return actions[static_cast<size_t>(action)].word;
}

std::string_view rule_type_name(uint32_t type) {
  for (const auto& known : types)
    if (type == known.type)
      return known.word;
  return {};
}

std::string rule_problem(const Rule& rule) {
  if (rule.path.empty() && rule.fstype.empty() && !rule.type)
    return "a rule needs a \"path\", an \"fstype\" or a \"type\"";
  if (!rule.path.empty() && rule.path.front() != '/')
    return fmt::format("path \"{}\": not absolute", rule.path);
  for (const std::string& name : split(rule.path))
    if (name == "." || name == ".." || (name != "**" && name.find("**") != name.npos))
      return fmt::format("path \"{}\": \"{}\" is no name", rule.path, name);
  return {};
}

bool glob_matches(std::string_view glob, std::string_view path) {
  return match(split(glob), 0, split(path), 0, Want::whole);
}

bool glob_covers(std::string_view glob, std::string_view path) {
  return match(split(glob), 0, split(path), 0, Want::above);
}

bool glob_leads(std::string_view glob, std::string_view path) {
  return match(split(glob), 0, split(path), 0, Want::begin);
}

}  // namespace qtfs
