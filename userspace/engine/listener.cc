// SPDX-License-Identifier: GPL-2.0-only
#include "engine/listener.hh"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

namespace qtfs {

namespace {

constexpr int backlog = 512;

constexpr uint64_t vsock_buffer = 4 << 20;  // as the client has it

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_vm vm;
};

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, out);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

bool parse_cid(std::string_view text, unsigned& cid) {
  constexpr std::pair<std::string_view, unsigned> names[] = {
      {"any", VMADDR_CID_ANY}, {"local", VMADDR_CID_LOCAL}, {"host", VMADDR_CID_HOST}};
  for (const auto& [name, number] : names)
    if (text == name) {
      cid = number;
      return true;
    }
  return parse_number(text, cid);
}

// CID:PORT
std::optional<Address> parse_vsock(std::string_view text) {
  const size_t colon = text.rfind(':');
  Address out{};
  out.vm.svm_family = AF_VSOCK;
  if (colon == text.npos || !parse_cid(text.substr(0, colon), out.vm.svm_cid) ||
      !parse_number(text.substr(colon + 1), out.vm.svm_port))
    return std::nullopt;
  if (out.vm.svm_port == 0)
    out.vm.svm_port = VMADDR_PORT_ANY;
  return out;
}

std::optional<Address> parse(const std::string& text) {
  constexpr std::string_view vsock = "vsock:";
  if (text.starts_with(vsock))
    return parse_vsock(std::string_view(text).substr(vsock.size()));
  const size_t colon = text.rfind(':');
  if (colon == text.npos)
    return std::nullopt;
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  if (!parse_number(std::string_view(text).substr(colon + 1), port))
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
  switch (address.any.sa_family) {
    case AF_VSOCK:
      return sizeof(sockaddr_vm);
    case AF_INET6:
      return sizeof(sockaddr_in6);
    default:
      return sizeof(sockaddr_in);
  }
}

bool guarded(const Address& address) {
  switch (address.any.sa_family) {
    case AF_VSOCK:
      return true;
    case AF_INET6:
      return IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
    default:
      return ntohl(address.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
}

uint32_t port_of(const Address& address) {
  switch (address.any.sa_family) {
    case AF_VSOCK:
      return address.vm.svm_port;
    case AF_INET6:
      return ntohs(address.v6.sin6_port);
    default:
      return ntohs(address.v4.sin_port);
  }
}

bool set_option(int fd, int level, int name, const auto& value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

// Accepted sockets inherit all of this.
bool configure_vsock(int fd) {
  return set_option(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, vsock_buffer) &&
         set_option(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, vsock_buffer);
}

bool configure_tcp(int fd) {
  const int one = 1;
  const int idle = 30;  // seconds: a client that vanished holds things for about a minute
  const int interval = 10;
  const int probes = 3;
  return set_option(fd, SOL_SOCKET, SO_REUSEADDR, one) &&
         // Answers are sent when they are complete.
         set_option(fd, IPPROTO_TCP, TCP_NODELAY, one) &&
         set_option(fd, SOL_SOCKET, SO_KEEPALIVE, one) &&
         set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle) &&
         set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval) &&
         set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
}

}  // namespace

Result<Listening> open_listener(const std::string& text, std::string& error) {
  const auto address = parse(text);
  if (!address) {
    error = fmt::format("{}: neither ADDRESS:PORT nor vsock:CID:PORT", text);
    return Status::error(EINVAL);
  }
  Listening out;
  out.guarded = guarded(*address);
  out.fd.reset(socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int fd = out.fd.get();
  const bool vsock = address->any.sa_family == AF_VSOCK;
  Address bound{};
  socklen_t len = sizeof(bound);
  if (!out.fd || !(vsock ? configure_vsock(fd) : configure_tcp(fd)) ||
      bind(fd, &address->any, size_of(*address)) < 0 || ::listen(fd, backlog) < 0 ||
      getsockname(fd, &bound.any, &len) < 0) {
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
  if (address.any.sa_family == AF_VSOCK)
    return fmt::format("vsock:{}:{}", address.vm.svm_cid, address.vm.svm_port);
  if (address.any.sa_family == AF_INET)
    inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
  return fmt::format("{}:{}", host, port_of(address));
}

bool takes_waitall(int fd) {
  int family = 0;
  socklen_t len = sizeof(family);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) == 0 && family != AF_VSOCK;
}

}  // namespace qtfs
