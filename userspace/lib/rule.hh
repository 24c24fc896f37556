// SPDX-License-Identifier: GPL-2.0-only
// Rules for files that are not served as they are: as the configuration and qtinfo write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qtfs {

enum class RuleAction : uint8_t {
  serve,     // as it is: an exception from what follows
  uncached,  // clients keep nothing of it, as of procfs
  deny,      // it can be seen, not opened nor changed: EACCES
  hide,      // it is not there: ENOENT
  content,   // a regular file that has another text instead of its own, and is not changed
  redirect,  // a link to something of the client's machine instead; what is below it is denied
};

struct Rule {
  // A glob: "*", "?" and "[...]" within a name, "**" for any number of names, at the
  // end for one or more. An absolute path of the server's tree; with @fstype, of each filesystem of
  // that type, from its root.
  std::string path{};
  std::string fstype{};
  uint32_t type = 0;  // QTFS_TYPE_*; 0: any, and what is below a directory
  RuleAction action = RuleAction::serve;
  std::string text{};  // of content; of redirect: where the link leads, an absolute path

  bool operator==(const Rule&) const = default;
};

// A rule as it is written; what is empty says nothing.
struct RuleWords {
  std::string action{};
  std::string path{};
  std::string fstype{};
  std::string type{};
  std::string content{};
  std::string target{};
};

// Makes @rule what @words say. Returns what is wrong with them, in words; empty if nothing is.
std::string read_rule(const RuleWords& words, Rule& rule);
RuleWords words_of(const Rule& rule);

// More are refused.
inline constexpr size_t rules_max = 1024;
// Bytes of a content.
inline constexpr size_t content_max = 65536;

// Of a path, absolute and without "." or "..": whether a glob matches it; or it or what it is
// below.
bool glob_matches(std::string_view glob, std::string_view path);
bool glob_covers(std::string_view glob, std::string_view path);
// With which of its names, from the first on, a glob may go on below a path; the last flag says
// that it matches the path itself. What is below two paths that have the same flags is told apart
// by nothing else.
std::vector<bool> glob_states(std::string_view glob, std::string_view path);

}  // namespace qtfs
