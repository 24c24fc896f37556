// SPDX-License-Identifier: GPL-2.0-only
#include "engine/listener.hh"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <charconv>
#include <optional>

namespace qtfs {

namespace {

constexpr int backlog = 512;

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

std::optional<Address> parse(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos)
    return std::nullopt;
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return std::nullopt;
  Address out{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(port);
    return inet_pton(AF_INET6, host.c_str(), &out.v6.sin6_addr) == 1 ? std::optional(out)
                                                                     : std::nullopt;
  }
  out.v4.sin_family = AF_INET;
  out.v4.sin_port = htons(port);
  return inet_pton(AF_INET, host.c_str(), &out.v4.sin_addr) == 1 ? std::optional(out)
                                                                 : std::nullopt;
}

socklen_t size_of(const Address& address) {
  return address.any.sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

bool loopback(const Address& address) {
  if (address.any.sa_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
  return ntohl(address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

uint16_t port_of(const Address& address) {
  return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

}  // namespace

bool is_loopback(const std::string& address) {
  const auto parsed = parse(address);
  return parsed && loopback(*parsed);
}

Result<Listening> open_listener(const std::string& text, std::string& error) {
  const auto address = parse(text);
  if (!address) {
    error = fmt::format("{}: not an ADDRESS:PORT", text);
    return Status::error(EINVAL);
  }
  Listening out;
  out.loopback = loopback(*address);
  out.fd.reset(socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  const int idle = 30;  // seconds: a client that vanished holds things for about a minute
  const int interval = 10;
  const int probes = 3;
  Address bound{};
  socklen_t len = sizeof(bound);
  if (!out.fd || setsockopt(out.fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
      // Accepted sockets inherit it: answers are sent when they are complete.
      setsockopt(out.fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
      setsockopt(out.fd.get(), SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) < 0 ||
      setsockopt(out.fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)) < 0 ||
      setsockopt(out.fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval)) < 0 ||
      setsockopt(out.fd.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes)) < 0 ||
      bind(out.fd.get(), &address->any, size_of(*address)) < 0 ||
      ::listen(out.fd.get(), backlog) < 0 || getsockname(out.fd.get(), &bound.any, &len) < 0) {
    error = fmt::format("cannot listen on {}: {}", text, std::strerror(errno));
    return Status::last();
  }
  out.port = port_of(bound);
  return out;
}

std::string peer_name(int fd) {
  Address address{};
  socklen_t len = sizeof(address);
  char host[INET6_ADDRSTRLEN] = "?";
  if (getpeername(fd, &address.any, &len) < 0)
    return host;
  if (address.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
    return fmt::format("[{}]:{}", host, port_of(address));
  }
  if (address.any.sa_family == AF_INET)
    inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
  return fmt::format("{}:{}", host, port_of(address));
}

}  // namespace qtfs
