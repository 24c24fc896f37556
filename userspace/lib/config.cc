// SPDX-License-Identifier: GPL-2.0-only
#include "lib/config.hh"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <limits>

#include "qtfs/wire.h"

namespace qtfs {

namespace {

// Collects the first thing that is wrong, as one line for the user.
class Problem {
 public:
  explicit Problem(std::string file) : file_(std::move(file)) {}
  template <typename... Args>
  void at(const toml::source_region& where, fmt::format_string<Args...> format, Args&&... args) {
    if (text_.empty())
      text_ = fmt::format("{}:{}: {}", file_, where.begin.line,
                          fmt::format(format, std::forward<Args>(args)...));
  }
  bool any() const { return !text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string file_;
  std::string text_;
};

void read_value(const std::string& key, const toml::node& node, bool& out, Problem& problem) {
  if (const auto value = node.value_exact<bool>())
    out = *value;
  else
    problem.at(node.source(), "\"{}\" must be true or false", key);
}

void read_value(const std::string& key, const toml::node& node, std::string& out,
                Problem& problem) {
  if (const auto value = node.value_exact<std::string>())
    out = *value;
  else
    problem.at(node.source(), "\"{}\" must be a string", key);
}

template <typename T>
requires std::is_unsigned_v<T>
void read_value(const std::string& key, const toml::node& node, T& out, Problem& problem) {
  const auto value = node.value_exact<int64_t>();
  if (!value || *value < 0 || static_cast<uint64_t>(*value) > std::numeric_limits<T>::max())
    problem.at(node.source(), "\"{}\" must be a whole number, not negative", key);
  else
    out = static_cast<T>(*value);
}

void read_value(const std::string& key, const toml::node& node, std::vector<std::string>& out,
                Problem& problem) {
  const toml::array* list = node.as_array();
  if (!list)
    return problem.at(node.source(), "\"{}\" must be a list of strings", key);
  out.clear();
  for (const toml::node& item : *list)
    read_value(key, item, out.emplace_back(), problem);
}

// Has tables itself: below.
void read_value(const std::string& key, const toml::node& node, std::vector<IdRange>& out,
                Problem& problem);

// One known key of a table.
template <typename T>
struct Key {
  const char* name;
  T* out;
};

template <typename... Ts>
void read_table(const toml::table& table, Problem& problem, Key<Ts>... keys) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    const toml::node& node = value;  // a lambda cannot have the binding itself
    bool known = false;
    auto offer = [&](const auto& candidate) {
      if (name == candidate.name) {
        known = true;
        read_value(name, node, *candidate.out, problem);
      }
    };
    (offer(keys), ...);
    if (!known)
      problem.at(key.source(), "unknown key \"{}\"", name);
  }
}

// Ranges that make no sense are the engine's to refuse (id_map.hh).
void read_value(const std::string& key, const toml::node& node, std::vector<IdRange>& out,
                Problem& problem) {
  const toml::array* list = node.as_array();
  if (!list)
    return problem.at(node.source(), "\"{}\" must be a list of {{ client, server, count }}", key);
  out.clear();
  for (const toml::node& item : *list) {
    const toml::table* table = item.as_table();
    if (!table)
      return problem.at(item.source(), "\"{}\" must be a list of {{ client, server, count }}", key);
    IdRange& range = out.emplace_back();
    read_table(*table, problem, Key<uint32_t>{"client", &range.client},
               Key<uint32_t>{"server", &range.server}, Key<uint32_t>{"count", &range.count});
    if (table->size() < 3)
      problem.at(item.source(), "each of \"{}\" needs client, server and count", key);
  }
}

void read_export(const toml::table& table, ExportConfig& out, Problem& problem) {
  std::string squash = "none";
  read_table(table, problem, Key<std::string>{"path", &out.path},
             Key<std::string>{"name", &out.name}, Key<bool>{"readonly", &out.readonly},
             Key<bool>{"devices", &out.devices}, Key<bool>{"sockets", &out.sockets},
             Key<bool>{"allow-mount", &out.allow_mount}, Key<std::string>{"squash", &squash},
             Key<uint32_t>{"anon-uid", &out.anon_uid}, Key<uint32_t>{"anon-gid", &out.anon_gid},
             Key<std::vector<IdRange>>{"uid-map", &out.uid_map},
             Key<std::vector<IdRange>>{"gid-map", &out.gid_map});
  if (out.path.empty())
    problem.at(table.source(), "an export needs a \"path\"");
  if (const auto known = squash_of(squash))
    out.squash = *known;
  else
    problem.at(table.source(), "squash \"{}\": not none, root or all", squash);
}

void read_exports(const toml::node& node, std::vector<ExportConfig>& out, Problem& problem) {
  const toml::array* list = node.as_array();
  if (!list)
    return problem.at(node.source(), "exports are written as [[export]]");
  out.clear();
  for (const toml::node& item : *list) {
    const toml::table* table = item.as_table();
    if (!table)
      return problem.at(item.source(), "exports are written as [[export]]");
    read_export(*table, out.emplace_back(), problem);
  }
}

void read_special(const toml::table& table, Rule& out, Problem& problem) {
  RuleWords words;
  read_table(table, problem, Key<std::string>{"path", &words.path},
             Key<std::string>{"fstype", &words.fstype}, Key<std::string>{"type", &words.type},
             Key<std::string>{"action", &words.action}, Key<std::string>{"content", &words.content},
             Key<std::string>{"target", &words.target});
  if (const std::string wrong = read_rule(words, out); !wrong.empty())
    problem.at(table.source(), "{}", wrong);
}

void read_rules(const toml::node& node, std::vector<Rule>& out, Problem& problem) {
  const toml::array* list = node.as_array();
  if (!list)
    return problem.at(node.source(), "rules are written as [[special]]");
  out.clear();
  for (const toml::node& item : *list) {
    const toml::table* table = item.as_table();
    if (!table)
      return problem.at(item.source(), "rules are written as [[special]]");
    read_special(*table, out.emplace_back(), problem);
  }
}

void read_limits(const toml::node& node, Limits& out, Problem& problem) {
  const toml::table* table = node.as_table();
  if (!table)
    return problem.at(node.source(), "\"limits\" is a table");
  read_table(*table, problem, Key<uint64_t>{"nodes-max", &out.nodes_max},
             Key<uint64_t>{"fds-max", &out.fds_max}, Key<uint64_t>{"opens-max", &out.opens_max},
             Key<uint64_t>{"locks-max", &out.locks_max},
             Key<uint32_t>{"sessions-max", &out.sessions_max},
             Key<uint32_t>{"connections-max", &out.connections_max},
             Key<uint32_t>{"peer-connections-max", &out.peer_connections_max},
             Key<uint32_t>{"session-connections-max", &out.session_connections_max},
             Key<uint32_t>{"inflight-max", &out.inflight_max}, Key<uint32_t>{"io-max", &out.io_max},
             Key<uint64_t>{"memory-max", &out.memory_max},
             Key<uint32_t>{"blocking-threads-max", &out.blocking_threads_max});
}

void read_root(toml::table& root, Config& config, Problem& problem) {
  if (const toml::node* node = root.get("export"))
    read_exports(*node, config.exports, problem);
  if (const toml::node* node = root.get("limits"))
    read_limits(*node, config.limits, problem);
  if (const toml::node* node = root.get("special"))
    read_rules(*node, config.rules, problem);
  root.erase("export");
  root.erase("special");
  root.erase("limits");
  read_table(root, problem, Key<std::vector<std::string>>{"listen", &config.listen},
             Key<unsigned>{"ring-entries", &config.ring_entries},
             Key<unsigned>{"threads", &config.threads}, Key<unsigned>{"spin-us", &config.spin_us},
             Key<bool>{"insecure", &config.insecure}, Key<bool>{"multishot", &config.multishot},
             Key<bool>{"sqpoll", &config.sqpoll}, Key<std::string>{"io", &config.io},
             Key<std::string>{"psk-file", &config.psk_file},
             Key<std::string>{"control", &config.control},
             Key<std::string>{"log-level", &config.log_level});
}

}  // namespace

std::optional<Squash> squash_of(std::string_view word) {
  static constexpr struct {
    std::string_view name;
    Squash squash;
  } known[] = {{"none", Squash::none}, {"root", Squash::root}, {"all", Squash::all}};
  for (const auto& one : known)
    if (one.name == word)
      return one.squash;
  return std::nullopt;
}

Status load_config(const std::string& path, Config& config, std::string& error) {
  toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const toml::parse_error& wrong = parsed.error();
    error = wrong.source().begin.line
                ? fmt::format("{}:{}: {}", path, wrong.source().begin.line, wrong.description())
                : fmt::format("{}: {}", path, wrong.description());
    return Status::error(EINVAL);
  }
  Problem problem(path);
  read_root(parsed.table(), config, problem);
  error = problem.text();
  return problem.any() ? Status::error(EINVAL) : Status();
}

namespace {

// Of "squash=WHO".
std::optional<Squash> squash_option(std::string_view part) {
  constexpr std::string_view key = "squash=";
  return part.starts_with(key) ? squash_of(part.substr(key.size())) : std::nullopt;
}

}  // namespace

Result<ExportConfig> parse_export(const std::string& text, std::string& error) {
  ExportConfig out;
  size_t start = 0;
  for (bool first = true; start <= text.size(); first = false) {
    const size_t comma = std::min(text.find(',', start), text.size());
    const std::string part = text.substr(start, comma - start);
    start = comma + 1;
    if (first) {
      out.path = part;
    } else if (part == "ro") {
      out.readonly = true;
    } else if (part == "rw") {
      out.readonly = false;
    } else if (part == "dev") {
      out.devices = true;
    } else if (part == "nosock") {
      out.sockets = false;
    } else if (part == "allow-mount") {
      out.allow_mount = true;
    } else if (const auto squash = squash_option(part)) {
      out.squash = *squash;
    } else if (part.rfind("name=", 0) == 0) {
      out.name = part.substr(5);
    } else {
      error = fmt::format(
          "export {}: unknown option \"{}\" (ro, rw, dev, nosock, squash=none|root|all, "
          "allow-mount, name=NAME)",
          out.path, part);
      return Status::error(EINVAL);
    }
  }
  return out;
}

Status check_config(const Config& config, std::string& error) {
  const Limits& limits = config.limits;
  if (config.threads < 1 || config.threads > 256)
    error = fmt::format("threads: {} is not between 1 and 256", config.threads);
  else if (config.ring_entries < 8 || config.ring_entries > 32768)
    error = fmt::format("ring entries: {} is not between 8 and 32768", config.ring_entries);
  else if (config.io != "auto" && config.io != "uring" && config.io != "epoll")
    error = fmt::format("io \"{}\": not auto, uring or epoll", config.io);
  else if (config.sqpoll && config.io == "epoll")
    error = "sqpoll: io is epoll, which has no such thread";
  else if (config.rules.size() > rules_max)
    error = fmt::format("special: {} rules are more than {}", config.rules.size(), rules_max);
  else if (config.spin_us > 10000)
    error = fmt::format("spin-us: {} is more than 10000", config.spin_us);
  else if (limits.io_max < 4096 || limits.io_max > QTFS_IO_MAX)
    error = fmt::format("io-max: {} is not between 4096 and {}", limits.io_max, QTFS_IO_MAX);
  else if (limits.inflight_max < 1 || limits.inflight_max > QTFS_INFLIGHT_MAX)
    error = fmt::format("inflight-max: {} is not between 1 and {}", limits.inflight_max,
                        QTFS_INFLIGHT_MAX);
  else if (limits.blocking_threads_max < 1 || limits.blocking_threads_max > 1024)
    error = fmt::format("blocking-threads-max: {} is not between 1 and 1024",
                        limits.blocking_threads_max);
  else if (limits.nodes_max < 1 || limits.opens_max < 1 || limits.sessions_max < 1 ||
           limits.connections_max < 1 || limits.peer_connections_max < 1 ||
           limits.session_connections_max < 1)
    error = "limits: nothing works with a limit of 0";
  return error.empty() ? Status() : Status::error(EINVAL);
}

}  // namespace qtfs
