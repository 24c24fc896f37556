// SPDX-License-Identifier: GPL-2.0-only
// What the rules say of a file: by where it is when it is asked for, in whichever of its places it
// is met, so that neither a bind mount nor ".." nor a renamed directory is a way round them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/mounts.hh"
#include "lib/rule.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

// In memory, where nobody can change it; null where there was no room for it.
using SealedText = std::shared_ptr<const UniqueFd>;

struct NumberedRule {
  uint64_t number = 0;  // what qtinfo calls it
  Rule rule;
  SealedText content{};
};

// What is to be done with something, and what is shown instead of it.
struct Verdict {
  RuleAction action = RuleAction::serve;
  SealedText content{};
  std::string target{};  // of redirect
};

class Rules {
 public:
  using List = std::vector<NumberedRule>;

  Rules(Mounts& mounts, const std::vector<Rule>& configured);

  // Whether there are any: without, nothing here costs anything.
  bool any() const { return any_.load(std::memory_order_acquire); }

  // The first that applies counts. @type: QTFS_TYPE_*; 0: unknown, which any type of a rule is.
  Verdict of(int fd, uint32_t type);
  Verdict of(int dir, const std::string& name, uint32_t type);
  // Whether the directory @name in @dir may get another name: not if the rules would then mean less
  // of what is below it.
  bool may_move(int dir, const std::string& name, int new_dir, const std::string& new_name);

  // In the order in which they are asked.
  std::shared_ptr<const List> list() const;
  // The number of the new one, which is the last to be asked; 0: there are too many.
  uint64_t add(const Rule& rule);
  bool remove(uint64_t number);

 private:
  Verdict at(const std::optional<Mounts::Sight>& sight, uint32_t type) const;
  void replace(List list);

  Mounts& mounts_;
  std::atomic<bool> any_{false};
  mutable std::mutex mutex_;  // protects what follows, not what it points to, which never changes
  std::shared_ptr<const List> rules_ = std::make_shared<List>();
  uint64_t next_ = 1;
};

}  // namespace qtfs
