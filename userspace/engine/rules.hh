// SPDX-License-Identifier: GPL-2.0-only
// What the rules say of a file: by where it is when it is asked for, in whichever of its places it
// is met, so that neither a bind mount nor ".." nor a renamed directory is a way round them.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "engine/mounts.hh"
#include "lib/rule.hh"

namespace qtfs {

struct NumberedRule {
  uint64_t number = 0;  // what qtinfo calls it
  Rule rule;
};

class Rules {
 public:
  static constexpr size_t most = 1024;

  Rules(Mounts& mounts, const std::vector<Rule>& configured);

  // Whether there are any: without, nothing here costs anything.
  bool any() const { return any_.load(std::memory_order_acquire); }

  // The first that applies counts. @type: QTFS_TYPE_*; 0: unknown, which any type of a rule is.
  RuleAction of(const std::string& path, uint32_t type);
  RuleAction of(int fd, uint32_t type);
  RuleAction of(int dir, const std::string& name, uint32_t type);
  // Whether a directory has to keep its name, since what denies or hides something below goes by
  // it.
  bool keeps_name(int dir, const std::string& name);

  std::vector<NumberedRule> list();
  // The number of the new one, which is the last to be asked; 0: there are too many.
  uint64_t add(const Rule& rule);
  bool remove(uint64_t number);

 private:
  Mounts& mounts_;
  std::atomic<bool> any_{false};
  std::mutex mutex_;  // protects what follows
  std::vector<NumberedRule> rules_;
  uint64_t next_ = 1;
};

}  // namespace qtfs
