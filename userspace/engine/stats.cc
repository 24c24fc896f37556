// SPDX-License-Identifier: GPL-2.0-only
#include "engine/stats.hh"

#include <fmt/format.h>

#include "lib/codec.hh"

namespace qtfs {

namespace {

struct Named {
  const char* name;
  Counter Stats::*counter;
};

constexpr Named named[] = {
    {"errors", &Stats::errors},
    {"unknown-ops", &Stats::unknown_ops},
    {"deferred", &Stats::deferred},
    {"parked", &Stats::parked},
    {"opening", &Stats::opening},
    {"cancelled", &Stats::cancelled},
    {"accepted", &Stats::accepted},
    {"closed", &Stats::closed},
    {"refused", &Stats::refused},
    {"protocol-errors", &Stats::protocol_errors},
    {"auth-failures", &Stats::auth_failures},
    {"out-of-buffers", &Stats::out_of_buffers},
    {"spliced", &Stats::spliced},
    {"paused", &Stats::paused},
    {"looks", &Stats::looks},
};

}  // namespace

void Stats::add_to(Stats& sum) const {
  for (size_t i = 0; i < ops.size(); i++)
    sum.ops[i].add(ops[i].get());
  for (const Named& entry : named)
    (sum.*entry.counter).add((this->*entry.counter).get());
}

std::string Stats::text() const {
  std::string out;
  for (const Named& entry : named)
    out += fmt::format("{}={} ", entry.name, (this->*entry.counter).get());
  for (size_t i = 0; i < ops.size(); i++)
    if (const uint64_t count = ops[i].get())
      out += fmt::format("{}={} ", op_name(static_cast<unsigned>(i)), count);
  if (!out.empty())
    out.pop_back();
  return out;
}

}  // namespace qtfs
