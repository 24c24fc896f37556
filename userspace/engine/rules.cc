// SPDX-License-Identifier: GPL-2.0-only
#include "engine/rules.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "lib/log.hh"
#include "qtfs/wire.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3
#endif

namespace qtfs {

namespace {

// Each open of it shares the one copy of the text.
SealedText seal(const Rule& rule) {
  if (rule.action != RuleAction::content)
    return nullptr;
  constexpr const char* name = "qtfs-content";
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(memfd_create(name, flags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL)
    fd.reset(memfd_create(name, flags));
  constexpr int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  const auto size = static_cast<ssize_t>(rule.text.size());
  if (!fd || write(fd.get(), rule.text.data(), rule.text.size()) != size ||
      fcntl(fd.get(), F_ADD_SEALS, seals) < 0) {
    log::error("no memory for the content of {}: {}", rule.path, std::strerror(errno));
    return nullptr;
  }
  return std::make_shared<const UniqueFd>(std::move(fd));
}

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

// Whether it keeps everybody from the thing itself.
bool forbids(RuleAction action) {
  return action != RuleAction::serve && action != RuleAction::uncached;
}

// What the rule says of something that it applies to. A link leads away from what is below.
Verdict verdict_of(const NumberedRule& numbered, const Mounts::Sight& sight) {
  const Rule& rule = numbered.rule;
  if (rule.action == RuleAction::content)
    return {.action = rule.action, .content = numbered.content};
  if (rule.action != RuleAction::redirect)
    return {.action = rule.action};
  const auto paths = paths_of(rule, sight);
  const bool itself = std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
    return glob_matches(rule.path, path);
  });
  if (!itself)
    return {.action = RuleAction::deny};
  return {.action = rule.action, .target = rule.text};
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
      // It means everything below.
      if (!rule.type && glob_covers(rule.path, path))
        all.back() = true;
    }
  };
  gather(less, wanted);
  gather(more, had);
  if (!rule.type && !had.empty() && had.back())
    return true;
  had.resize(std::max(wanted.size(), had.size()));
  for (size_t i = 0; i < wanted.size(); i++)
    if (wanted[i] && !had[i])
      return false;
  return true;
}

// What the kernel puts behind the path of a name that is gone.
constexpr std::string_view gone = " (deleted)";

bool has_link(int fd) {
  struct stat st {};
  return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

// The stricter of what is said of a path and of the one it had before its name was taken away.
Verdict stricter(const Verdict& now, const Verdict& before) {
  return forbids(before.action) ? before : now;
}

// The path before that, if it looks so: it may be a name.
std::optional<std::string> path_before(const std::string& path) {
  if (path.size() <= gone.size() || !path.ends_with(gone))
    return std::nullopt;
  return path.substr(0, path.size() - gone.size());
}

}  // namespace

Rules::Rules(Mounts& mounts, const std::vector<Rule>& configured) : mounts_(mounts) {
  for (const Rule& rule : configured)
    add(rule);
}

Verdict Rules::at(const std::optional<Mounts::Sight>& sight, uint32_t type) const {
  if (!sight)
    return {.action = RuleAction::deny};
  const auto rules = list();
  for (const NumberedRule& candidate : *rules)
    if (applies(candidate.rule, *sight, type))
      return verdict_of(candidate, *sight);
  return {};
}

Verdict Rules::of(int fd, uint32_t type) {
  if (!any())
    return {};
  const auto path = path_of(fd);
  // Only directories are there; what else the kernel says so of, it does not know the name of.
  if (!path || (*path == "/" && type != QTFS_TYPE_DIR))
    return {.action = RuleAction::deny};
  const auto before = path_before(*path);
  if (!before)
    return at(mounts_.sight_of(*path, fd), type);
  const Verdict then = at(mounts_.sight_of(*before, fd), type);
  return has_link(fd) ? stricter(at(mounts_.sight_of(*path, fd), type), then) : then;
}

Verdict Rules::of(int dir, const std::string& name, uint32_t type) {
  if (!any())
    return {};
  const auto path = path_of(dir);
  if (!path)
    return {.action = RuleAction::deny};
  Verdict now = at(mounts_.sight_of_name(path_below(*path, name), dir), type);
  const auto before = path_before(*path);
  if (!before)
    return now;
  return stricter(now, at(mounts_.sight_of_name(path_below(*before, name), dir), type));
}

bool Rules::may_move(int dir, const std::string& name, int new_dir, const std::string& new_name) {
  if (!any())
    return true;
  const auto from = path_of(dir);
  const auto to = path_of(new_dir);
  if (!from || !to || path_before(*from) || path_before(*to))
    return false;
  const auto old_sight = mounts_.sight_of_name(path_below(*from, name), dir);
  const auto new_sight = mounts_.sight_of_name(path_below(*to, new_name), new_dir);
  if (!old_sight || !new_sight)
    return false;
  const auto rules = list();
  const auto last = std::find_if(rules->rbegin(), rules->rend(),
                                 [](const NumberedRule& one) { return forbids(one.rule.action); });
  // An exception that it got there would be one from those that follow.
  return std::all_of(last, rules->rend(), [&](const NumberedRule& candidate) {
    return forbids(candidate.rule.action) ? means_as_much(candidate.rule, *old_sight, *new_sight)
                                          : means_as_much(candidate.rule, *new_sight, *old_sight);
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
  list.push_back({next_, rule, seal(rule)});
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
