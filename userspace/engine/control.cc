// SPDX-License-Identifier: GPL-2.0-only
#include "engine/control.hh"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/control_socket.hh"
#include "lib/log.hh"

namespace qtfs {

namespace {

using Json = nlohmann::ordered_json;

// What procfs needs whatever is configured; see procfs.cc.
const RuleWords built_in[] = {
    {"local", "/self", "proc"},      {"local", "/thread-self", "proc"},
    {"machine", "/net", "proc"},     {"machine", "/mounts", "proc"},
    {"deny", "/kcore", "proc"},      {"deny", "/kpagecgroup", "proc"},
    {"deny", "/kpagecount", "proc"}, {"deny", "/kpageflags", "proc"},
};

Json failure(const std::string& why) {
  return {{"error", why}};
}

Json rule_json(uint64_t number, const RuleWords& words) {
  return {{"number", number},        {"action", words.action}, {"path", words.path},
          {"fstype", words.fstype},  {"type", words.type},     {"target", words.target},
          {"content", words.content}};
}

Json list(Rules& rules) {
  Json all = Json::array();
  for (const NumberedRule& numbered : *rules.list())
    all.push_back(rule_json(numbered.number, words_of(numbered.rule)));
  for (const RuleWords& words : built_in)
    all.push_back(rule_json(0, words));
  return {{"rules", all}};
}

Json add(Rules& rules, const Json& wanted) {
  RuleWords words{.action = wanted.value("action", ""),
                  .path = wanted.value("path", ""),
                  .fstype = wanted.value("fstype", ""),
                  .type = wanted.value("type", ""),
                  .content = wanted.value("content", ""),
                  .target = wanted.value("target", "")};
  Rule rule;
  if (const std::string wrong = read_rule(words, rule); !wrong.empty())
    return failure(wrong);
  const uint64_t number = rules.add(rule);
  if (!number)
    return failure(fmt::format("there are {} rules already", rules_max));
  words.content.clear();  // too long for the log
  log::info("rule {} added: {}", number, rule_json(number, words).dump());
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
  const auto address = control_address(path);
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
  constexpr size_t longest = 8192 + 6 * content_max;  // as JSON may write a byte
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
