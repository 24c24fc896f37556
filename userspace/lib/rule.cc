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
    {"serve", RuleAction::serve},     {"uncached", RuleAction::uncached},
    {"deny", RuleAction::deny},       {"hide", RuleAction::hide},
    {"content", RuleAction::content}, {"redirect", RuleAction::redirect},
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

// Where in the glob what follows a path may go on: one flag for each of its names, and one more
// for its end. Linear in both: paths are the clients'.
using States = std::vector<bool>;

bool is_any(const std::string& name) {
  return name == "**";
}

// "**" may be no name at all, but at the end: what is below a directory is not the directory.
void skip_any(const std::vector<std::string>& glob, States& states) {
  for (size_t at = 0; at + 1 < glob.size(); at++)
    if (states[at] && is_any(glob[at]))
      states[at + 1] = true;
}

// @each sees the states after each name, and before the first.
template <typename Each>
States walk(const std::vector<std::string>& glob, std::string_view path, Each each) {
  States states(glob.size() + 1);
  states[0] = true;
  skip_any(glob, states);
  each(states);
  for (const std::string& name : split(path)) {
    States next(glob.size() + 1);
    for (size_t at = 0; at < glob.size(); at++) {
      if (states[at] && is_any(glob[at]))
        next[at] = next[at + 1] = true;
      else if (states[at] && fnmatch(glob[at].c_str(), name.c_str(), FNM_NOESCAPE) == 0)
        next[at + 1] = true;
    }
    skip_any(glob, next);
    states = std::move(next);
    each(states);
  }
  return states;
}

std::string path_problem(const std::string& path) {
  if (!path.empty() && path.front() != '/')
    return fmt::format("path \"{}\": not absolute", path);
  for (const std::string& name : split(path))
    if (name == "." || name == ".." || (name != "**" && name.find("**") != name.npos))
      return fmt::format("path \"{}\": \"{}\" is no name", path, name);
  return {};
}

std::string content_problem(const RuleWords& words) {
  if (words.path.empty())
    return "action \"content\" needs a \"path\"";
  if (!words.type.empty() && words.type != "file")
    return fmt::format("type \"{}\": only files have content", words.type);
  if (words.content.size() > content_max)
    return fmt::format("content: {} bytes are more than {}", words.content.size(), content_max);
  return {};
}

// With a type, what is below a directory would not be meant.
std::string redirect_problem(const RuleWords& words) {
  if (words.path.empty())
    return "action \"redirect\" needs a \"path\"";
  if (!words.type.empty())
    return fmt::format("type \"{}\": redirect is for all types", words.type);
  if (!words.target.starts_with('/') || words.target.size() > QTFS_PATH_MAX ||
      words.target.find('\0') != words.target.npos)
    return fmt::format("target \"{}\": not an absolute path", words.target);
  return {};
}

std::string text_problem(const RuleWords& words, RuleAction action) {
  if (!words.content.empty() && action != RuleAction::content)
    return fmt::format("action \"{}\" has no \"content\"", words.action);
  if (!words.target.empty() && action != RuleAction::redirect)
    return fmt::format("action \"{}\" has no \"target\"", words.action);
  if (action == RuleAction::content)
    return content_problem(words);
  return action == RuleAction::redirect ? redirect_problem(words) : std::string();
}

}  // namespace

std::string read_rule(const RuleWords& words, Rule& rule) {
  const auto* action = std::find_if(std::begin(actions), std::end(actions),
                                    [&](const auto& known) { return known.word == words.action; });
  if (action == std::end(actions))
    return fmt::format("action \"{}\": not serve, uncached, deny, hide, content or redirect",
                       words.action);
  const auto* type = std::find_if(std::begin(types), std::end(types),
                                  [&](const auto& known) { return known.word == words.type; });
  if (!words.type.empty() && type == std::end(types))
    return fmt::format("type \"{}\": not file, directory, symlink, char, block, fifo or socket",
                       words.type);
  if (words.path.empty() && words.fstype.empty() && words.type.empty())
    return "a rule needs a \"path\", an \"fstype\" or a \"type\"";
  if (std::string wrong = text_problem(words, action->action); !wrong.empty())
    return wrong;
  const bool content = action->action == RuleAction::content;
  rule = {words.path, words.fstype, words.type.empty() ? 0 : type->type, action->action,
          content ? words.content : words.target};
  if (content)
    rule.type = QTFS_TYPE_REG;
  return path_problem(words.path);
}

RuleWords words_of(const Rule& rule) {
  RuleWords words{.path = rule.path, .fstype = rule.fstype};
  if (rule.action == RuleAction::content)
    words.content = rule.text;
  if (rule.action == RuleAction::redirect)
    words.target = rule.text;
  for (const auto& known : actions)
    if (known.action == rule.action)
      words.action = known.word;
  for (const auto& known : types)
    if (known.type == rule.type)
      words.type = known.word;
  return words;
}

bool glob_matches(std::string_view glob, std::string_view path) {
  return walk(split(glob), path, [](const States&) {}).back();
}

bool glob_covers(std::string_view glob, std::string_view path) {
  bool covers = false;
  walk(split(glob), path, [&](const States& states) { covers |= states.back(); });
  return covers;
}

std::vector<bool> glob_states(std::string_view glob, std::string_view path) {
  return walk(split(glob), path, [](const States&) {});
}

}  // namespace qtfs
