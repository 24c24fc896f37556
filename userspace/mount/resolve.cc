// SPDX-License-Identifier: GPL-2.0-only
#include "mount/resolve.hh"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "lib/mount_failure.hh"

namespace qtfs::mount {

std::vector<std::string> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int err = getaddrinfo(host.c_str(), nullptr, &hints, &list); err != 0)
    throw Failure(exit_failed, host + ": " + gai_strerror(err));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(list, freeaddrinfo);

  std::vector<std::string> out;
  for (const addrinfo* one = list; one; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0 &&
        std::ranges::find(out, text.data()) == out.end())
      out.emplace_back(text.data());
  }
  if (out.empty())
    throw Failure(exit_failed, host + ": has no address");
  return out;
}

}  // namespace qtfs::mount
