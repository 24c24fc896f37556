// SPDX-License-Identifier: GPL-2.0-only
// qtinfo rules list|add|del: what the engine of this machine does not serve as it is.
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "lib/control_socket.hh"
#include "lib/unique_fd.hh"
#include "qtinfo/commands.hh"

namespace qtfs::qtinfo {

namespace {

[[noreturn]] void fail(const std::string& control, int err) {
  throw std::runtime_error("no engine answers at " + control + ": " + std::strerror(err));
}

UniqueFd connect_to(const std::string& control) {
  const auto address = control_address(control);
  if (!address)
    fail(control, address.err());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* raw = reinterpret_cast<const sockaddr*>(&*address);
  if (!fd || connect(fd.get(), raw, sizeof(*address)) < 0)
    fail(control, errno);
  return fd;
}

Tree ask(const std::string& control, const Tree& request) {
  const UniqueFd fd = connect_to(control);
  const std::string text = request.dump();
  if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0 || shutdown(fd.get(), SHUT_WR) < 0)
    fail(control, errno);
  std::string reply;
  std::array<char, 4096> chunk;
  ssize_t len = 0;
  while ((len = recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0)
    reply.append(chunk.data(), static_cast<size_t>(len));
  if (len < 0)
    fail(control, errno);
  Tree answer = Tree::parse(reply, nullptr, false);
  if (!answer.is_object())
    fail(control, reply.empty() ? EACCES : EPROTO);
  if (answer.contains("error"))
    throw std::runtime_error(answer["error"].get<std::string>());
  return answer;
}

}  // namespace

Tree cmd_rules_list(const std::string& control) {
  return ask(control, {{"command", "rules-list"}});
}

Tree cmd_rules_add(const std::string& control, const RuleWords& words) {
  return ask(control, {{"command", "rules-add"},
                       {"action", words.action},
                       {"path", words.path},
                       {"fstype", words.fstype},
                       {"type", words.type},
                       {"content", words.content},
                       {"target", words.target}});
}

Tree cmd_rules_del(const std::string& control, uint64_t number) {
  return ask(control, {{"command", "rules-del"}, {"number", number}});
}

}  // namespace qtfs::qtinfo
