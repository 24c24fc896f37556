// SPDX-License-Identifier: GPL-2.0-only
#include "engine/control.hh"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/log.hh"

namespace qtfs {

namespace {

using Json = nlohmann::ordered_json;

// What procfs needs whatever is configured; see procfs.cc.
struct BuiltIn {
  const char* path;
  const char* action;
};
constexpr BuiltIn built_in[] = {
    {"/self", "local"}, {"/thread-self", "local"}, {"/net", "machine"},     {"/mounts", "machine"},
    {"/kcore", "deny"}, {"/kpagecgroup", "deny"},  {"/kpagecount", "deny"}, {"/kpageflags", "deny"},
};

Json failure(const std::string& why) {
  return {{"error", why}};
}

Json rule_json(uint64_t number, const Rule& rule) {
  return {{"number", number},
          {"action", rule_action_name(rule.action)},
          {"path", rule.path},
          {"fstype", rule.fstype},
          {"type", rule_type_name(rule.type)}};
}

Json list(Rules& rules) {
  Json all = Json::array();
  for (const NumberedRule& numbered : *rules.list())
    all.push_back(rule_json(numbered.number, numbered.rule));
  for (const BuiltIn& rule : built_in)
    all.push_back({{"number", 0},
                   {"action", rule.action},
                   {"path", rule.path},
                   {"fstype", "proc"},
                   {"type", ""}});
  return {{"rules", all}};
}

Json add(Rules& rules, const Json& wanted) {
  Rule rule;
  rule.path = wanted.value("path", "");
  rule.fstype = wanted.value("fstype", "");
  const auto action = rule_action(wanted.value("action", ""));
  if (!action)
    return failure("the action is not serve, uncached, deny or hide");
  rule.action = *action;
  if (const std::string type = wanted.value("type", ""); !type.empty()) {
    const auto number = rule_type(type);
    if (!number)
      return failure(fmt::format("type \"{}\" does not exist", type));
    rule.type = *number;
  }
  if (const std::string wrong = rule_problem(rule); !wrong.empty())
    return failure(wrong);
  const uint64_t number = rules.add(rule);
  if (!number)
    return failure(fmt::format("there are {} rules already", rules_max));
  log::info("rule {} added: {}", number, rule_json(number, rule).dump());
  return {{"number", number}};
}

Json remove(Rules& rules, const Json& wanted) {
  const uint64_t number = wanted.value("number", uint64_t{0});
  if (!rules.remove(number))
    return failure(fmt::format("there is no rule {} to take away", number));
  log::info("rule {} removed", number);
  return {{"number", number}};
}

// The socket's own permissions are not what every kernel looks at.
bool is_root(int client) {
  ucred who{};
  socklen_t len = sizeof(who);
  return getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == 0;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Status::error(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Left by an engine that was killed: nobody answers there.
bool is_stale(const sockaddr_un& address) {
  struct stat st {};
  if (lstat(address.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
    return false;
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Control::~Control() {
  stop();
}

Status Control::start(const std::string& path, std::string& error) {
  const auto address = address_of(path);
  Status status = address.status();
  if (status) {
    listening_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (is_stale(*address))
      unlink(path.c_str());
    const auto* raw = reinterpret_cast<const sockaddr*>(&*address);
    const mode_t before = umask(S_IRWXG | S_IRWXO);
    if (!listening_ || bind(listening_.get(), raw, sizeof(*address)) < 0 ||
        listen(listening_.get(), 8) < 0)
      status = Status::last();
    umask(before);
  }
  if (status) {
    stop_.reset(eventfd(0, EFD_CLOEXEC));
    if (!stop_)
      status = Status::last();
  }
  if (!status) {
    error = fmt::format("control socket {}: {}", path, std::strerror(status.err()));
    listening_.reset();
    return status;
  }
  path_ = path;
  thread_ = std::thread([this] { serve(); });
  return {};
}

void Control::stop() {
  if (!thread_.joinable())
    return;
  const uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof(one)) < 0)
    return;
  thread_.join();
  unlink(path_.c_str());
}

void Control::serve() {
  std::array<pollfd, 2> wait{{{listening_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (poll(wait.data(), wait.size(), -1) >= 0 || errno == EINTR) {
    if (wait[1].revents)
      return;
    if (!wait[0].revents)
      continue;
    const UniqueFd client(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client)
      answer(client.get());
  }
}

void Control::answer(int client) {
  // Who says nothing holds up only the next who asks, and not for ever.
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (!is_root(client))
    return;
  constexpr size_t longest = 8192;
  std::string request;
  std::array<char, 1024> chunk;
  ssize_t len = 0;
  while ((len = recv(client, chunk.data(), chunk.size(), 0)) > 0 && request.size() < longest)
    request.append(chunk.data(), static_cast<size_t>(len));
  if (len != 0)
    return;
  const std::string reply = reply_to(request);
  for (size_t sent = 0; sent < reply.size(); sent += static_cast<size_t>(len)) {
    len = send(client, reply.data() + sent, reply.size() - sent, MSG_NOSIGNAL);
    if (len < 0)
      return;
  }
}

std::string Control::reply_to(const std::string& request) {
  const Json wanted = Json::parse(request, nullptr, false);
  if (!wanted.is_object())
    return failure("no JSON object").dump();
  try {
    const std::string command = wanted.value("command", "");
    if (command == "rules-list")
      return list(rules_).dump();
    if (command == "rules-add")
      return add(rules_, wanted).dump();
    if (command == "rules-del")
      return remove(rules_, wanted).dump();
    return failure(fmt::format("unknown command \"{}\"", command)).dump();
  } catch (const Json::exception& wrong) {  // a number where text belongs
    return failure(wrong.what()).dump();
  }
}

}  // namespace qtfs
