// SPDX-License-Identifier: GPL-2.0-only
#include "engine/rules.hh"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>

#include "qtfs/wire.h"

namespace qtfs {

namespace {

// The paths that a rule may mean.
std::vector<std::string> paths_of(const Rule& rule, const Mounts::Sight& sight) {
  if (rule.fstype.empty())
    return sight.places;
  return rule.fstype == sight.type ? std::vector{sight.within} : std::vector<std::string>();
}

bool applies(const Rule& rule, const Mounts::Sight& sight, uint32_t type) {
  if (rule.type && type && rule.type != type)
    return false;
  const auto paths = paths_of(rule, sight);
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    return rule.path.empty() ||
           (rule.type ? glob_matches(rule.path, path) : glob_covers(rule.path, path));
  });
}

bool forbids(const Rule& rule) {
  return rule.action == RuleAction::deny || rule.action == RuleAction::hide;
}

// Whether each path below @less that a rule means is meant below @more, too.
bool means_as_much(const Rule& rule, const Mounts::Sight& less, const Mounts::Sight& more) {
  if (rule.path.empty())
    return paths_of(rule, less).empty() || !paths_of(rule, more).empty();
  std::vector<bool> wanted, had;
  const auto gather = [&](const Mounts::Sight& sight, std::vector<bool>& all) {
    for (const std::string& path : paths_of(rule, sight)) {
      const auto states = glob_states(rule.path, path);
      all.resize(states.size());
      for (size_t i = 0; i < states.size(); i++)
        all[i] = all[i] || states[i];
    }
  };
  gather(less, wanted);
  gather(more, had);
  had.resize(std::max(wanted.size(), had.size()));
  for (size_t i = 0; i < wanted.size(); i++)
    if (wanted[i] && !had[i])
      return false;
  return true;
}

std::string below(const std::string& dir, const std::string& name) {
  return dir == "/" ? dir + name : dir + "/" + name;
}

// What the kernel puts behind the path of a name that is gone.
constexpr std::string_view gone = " (deleted)";

bool has_link(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

}  // namespace

Rules::Rules(Mounts& mounts, const std::vector<Rule>& configured) : mounts_(mounts) {
  for (const Rule& rule : configured)
    add(rule);
}

RuleAction Rules::at(const std::string& path, int fd, uint32_t type) {
  const Mounts::Sight sight = mounts_.sight_of(path, fd);
  const auto rules = list();
  for (const NumberedRule& candidate : *rules)
    if (applies(candidate.rule, sight, type))
      return candidate.rule.action;
  return RuleAction::serve;
}

RuleAction Rules::of(int fd, uint32_t type) {
  if (!any())
    return RuleAction::serve;
  auto path = path_of(fd);
  // Only directories are there; what else the kernel says so of, it does not know the name of.
  if (!path || (*path == "/" && type != QTFS_TYPE_DIR))
    return RuleAction::deny;
  if (path->size() <= gone.size() || !path->ends_with(gone))
    return at(*path, fd, type);
  // Its name is gone, or it is a name that looks so.
  const RuleAction before = at(path->substr(0, path->size() - gone.size()), fd, type);
  if (before == RuleAction::deny || before == RuleAction::hide || !has_link(fd))
    return before;
  return at(*path, fd, type);
}

RuleAction Rules::of(int dir, const std::string& name, uint32_t type) {
  if (!any())
    return RuleAction::serve;
  const auto path = path_of(dir);
  return path ? at(below(*path, name), dir, type) : RuleAction::deny;
}

bool Rules::may_move(int dir, const std::string& name, int new_dir, const std::string& new_name) {
  if (!any())
    return true;
  const auto from = path_of(dir);
  const auto to = path_of(new_dir);
  if (!from || !to)
    return false;
  const Mounts::Sight old_sight = mounts_.sight_of(below(*from, name), dir);
  const Mounts::Sight new_sight = mounts_.sight_of(below(*to, new_name), new_dir);
  const auto rules = list();
  const auto last = std::find_if(rules->rbegin(), rules->rend(),
                                 [](const NumberedRule& rule) { return forbids(rule.rule); });
  // An exception that it got there would be one from those that follow.
  return std::all_of(last, rules->rend(), [&](const NumberedRule& candidate) {
    return forbids(candidate.rule) ? means_as_much(candidate.rule, old_sight, new_sight)
                                   : means_as_much(candidate.rule, new_sight, old_sight);
  });
}

std::shared_ptr<const Rules::List> Rules::list() const {
  std::lock_guard guard(mutex_);
  return rules_;
}

void Rules::replace(List list) {
  any_.store(!list.empty(), std::memory_order_release);
  rules_ = std::make_shared<const List>(std::move(list));
}

uint64_t Rules::add(const Rule& rule) {
  std::lock_guard guard(mutex_);
  if (rules_->size() >= rules_max)
    return 0;
  List list = *rules_;
  list.push_back({next_, rule});
  replace(std::move(list));
  return next_++;
}

bool Rules::remove(uint64_t number) {
  std::lock_guard guard(mutex_);
  List list = *rules_;
  const size_t gone_rules = std::erase_if(
      list, [&](const NumberedRule& candidate) { return candidate.number == number; });
  replace(std::move(list));
  return gone_rules > 0;
}

}  // namespace qtfs
