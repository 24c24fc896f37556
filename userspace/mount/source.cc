// SPDX-License-Identifier: GPL-2.0-only
#include "mount/source.hh"

#include "lib/mount_failure.hh"

namespace qtfs::mount {

namespace {

[[noreturn]] void wrong(std::string_view text, const std::string& why) {
  throw Failure(exit_usage, std::string(text) + ": " + why);
}

}  // namespace

Source parse_source(std::string_view text) {
  constexpr size_t longest = 255;  // of a string for fsconfig(2)
  if (text.size() > longest)
    wrong(text.substr(0, 40), "too long: a source has 255 bytes at most");
  Source source;
  std::string_view rest = text;
  // A host may be called like a channel: then the path follows at once.
  for (const std::string_view channel : {"tcp", "vsock", "pcie"}) {
    if (!text.starts_with(channel))
      continue;
    const auto after = text.substr(channel.size());
    if (!after.starts_with(':') || after.starts_with(":/"))
      continue;
    source.channel = channel;
    rest = after.substr(1);
  }

  if (rest.starts_with('[')) {
    const auto end = rest.find("]:");
    if (end == rest.npos)
      wrong(text, "an address in brackets is followed by ]:/path");
    source.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 2);
    if (source.host.empty())
      wrong(text, "no address between the brackets");
  } else if (!rest.starts_with('/')) {
    const auto end = rest.find(":/");
    if (end == rest.npos)
      wrong(text, "give what to mount as /path or HOST:/path");
    source.host = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (source.host.empty())
      wrong(text, "no host before the colon");
    if (source.host.find(':') != std::string::npos && source.channel == "vsock")
      wrong(text, "vsock takes one number before the path; the port is an option, port=");
    if (source.host.find_first_not_of("0123456789") != std::string::npos &&
        source.channel == "pcie")
      wrong(text, "pcie takes one number before the path: that of a device");
    if (source.host.find(':') != std::string::npos)
      wrong(text, "write an IPv6 address in brackets: [" + source.host + "]:" + std::string(rest));
  } else if (!source.channel.empty()) {
    wrong(text, "no host");
  }

  if (!rest.starts_with('/'))
    wrong(text, "the path has to be absolute");
  source.path = rest;
  return source;
}

}  // namespace qtfs::mount
