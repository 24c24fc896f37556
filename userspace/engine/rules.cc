// SPDX-License-Identifier: GPL-2.0-only
#include "engine/rules.hh"

#include <algorithm>

namespace qtfs {

namespace {

// @holds of each path that the rule may mean.
template <typename Holds>
bool any_path(const Rule& rule, const Mounts::Sight& sight, Holds holds) {
  if (!rule.fstype.empty())
    return rule.fstype == sight.type && (rule.path.empty() || holds(sight.within));
  return rule.path.empty() || std::any_of(sight.places.begin(), sight.places.end(), holds);
}

bool applies(const Rule& rule, const Mounts::Sight& sight, uint32_t type) {
  if (rule.type && type && rule.type != type)
    return false;
  return any_path(rule, sight, [&](const std::string& path) {
    return rule.type ? glob_matches(rule.path, path) : glob_covers(rule.path, path);
  });
}

// Whether what is denied or hidden is told by the names of directories above it.
bool goes_by_names(const Rule& rule) {
  const bool forbids = rule.action == RuleAction::deny || rule.action == RuleAction::hide;
  return forbids && !rule.path.empty() && rule.path.rfind("/**", 0) != 0;
}

std::string below(const std::string& dir, const std::string& name) {
  return dir == "/" ? dir + name : dir + "/" + name;
}

}  // namespace

Rules::Rules(Mounts& mounts, const std::vector<Rule>& configured) : mounts_(mounts) {
  for (const Rule& rule : configured)
    add(rule);
}

RuleAction Rules::of(const std::string& path, uint32_t type) {
  const Mounts::Sight sight = mounts_.sight_of(path);
  std::lock_guard guard(mutex_);
  for (const NumberedRule& candidate : rules_)
    if (applies(candidate.rule, sight, type))
      return candidate.rule.action;
  return RuleAction::serve;
}

RuleAction Rules::of(int fd, uint32_t type) {
  if (!any())
    return RuleAction::serve;
  const auto path = path_of(fd);
  return path ? of(*path, type) : RuleAction::deny;
}

RuleAction Rules::of(int dir, const std::string& name, uint32_t type) {
  if (!any())
    return RuleAction::serve;
  const auto path = path_of(dir);
  return path ? of(below(*path, name), type) : RuleAction::deny;
}

bool Rules::keeps_name(int dir, const std::string& name) {
  if (!any())
    return false;
  const auto path = path_of(dir);
  if (!path)
    return true;
  const Mounts::Sight sight = mounts_.sight_of(below(*path, name));
  std::lock_guard guard(mutex_);
  return std::any_of(rules_.begin(), rules_.end(), [&](const NumberedRule& candidate) {
    const Rule& rule = candidate.rule;
    return goes_by_names(rule) &&
           any_path(rule, sight, [&](const auto& place) { return glob_leads(rule.path, place); });
  });
}

std::vector<NumberedRule> Rules::list() {
  std::lock_guard guard(mutex_);
  return rules_;
}

uint64_t Rules::add(const Rule& rule) {
  std::lock_guard guard(mutex_);
  if (rules_.size() >= most)
    return 0;
  rules_.push_back({next_, rule});
  any_.store(true, std::memory_order_release);
  return next_++;
}

bool Rules::remove(uint64_t number) {
  std::lock_guard guard(mutex_);
  const size_t gone = std::erase_if(
      rules_, [&](const NumberedRule& candidate) { return candidate.number == number; });
  any_.store(!rules_.empty(), std::memory_order_release);
  return gone > 0;
}

}  // namespace qtfs
