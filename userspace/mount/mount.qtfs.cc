// SPDX-License-Identifier: GPL-2.0-only
// mount.qtfs: what mount(8) runs for "mount -t qtfs". It does what the kernel cannot:
// names become addresses, the key is read from its file, messages reach the terminal.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "lib/mount_failure.hh"
#include "lib/mount_options.hh"
#include "lib/unique_fd.hh"
#include "mount/kernel.hh"
#include "mount/key.hh"
#include "mount/remote.hh"
#include "mount/resolve.hh"
#include "mount/source.hh"

namespace {

using qtfs::mount::Failure;
using qtfs::mount::Plan;

constexpr char usage[] =
    "Usage: mount.qtfs SOURCE DIRECTORY [-fnsv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]\n"
    "       mount.qtfs SOURCE DIRECTORY -o remote,fstype=TYPE[,OPTIONS]\n"
    "       mount.qtfs -u DIRECTORY\n"
    "\n"
    "Mounts a directory of a qtfs server; usually called by mount(8). With -o remote: mounts\n"
    "SOURCE, which is the server's, on the server, on a directory that is mounted here.\n"
    "\n"
    "SOURCE is one of\n"
    "  /PATH                 of the server that the option server= or the module names\n"
    "  HOST:/PATH            HOST is a name or an IPv4 address\n"
    "  [ADDRESS]:/PATH       of an IPv6 address\n"
    "  tcp:HOST:/PATH        with the channel named\n"
    "  vsock:CID:/PATH       CID is a number, host or local\n"
    "  pcie:N:/PATH          N is the number of a shared-memory device\n"
    "\n"
    "  -f                    check everything, mount nothing\n"
    "  -n                    accepted and ignored\n"
    "  -s                    leave out options that the filesystem does not know\n"
    "  -v                    say what is done\n"
    "  -N NAMESPACE          mount in this mount namespace (a file, or a process id)\n"
    "  -o OPTIONS            see qtfs(5) and mount(8)\n"
    "  -t TYPE               accepted and ignored\n"
    "  -u                    unmount on the server what -o remote mounted there\n"
    "  -h, --help            this text\n"
    "  -V, --version         the version\n";

struct Arguments {
  std::vector<std::string> positional;
  std::string options;
  std::string mount_namespace;
  bool fake = false;
  bool sloppy = false;
  bool unmount = false;
  bool verbose = false;
};

// Options and arguments come in any order; mount(8) puts the arguments first.
Arguments parse_arguments(int argc, char** argv) {
  Arguments out;
  int flag = 0;
  // Keeps the order of what is no option: getopt's "-".
  while ((flag = getopt(argc, argv, "-fnsuvN:o:t:")) != -1) {
    switch (flag) {
      case 1:
        out.positional.emplace_back(optarg);
        break;
      case 'f':
        out.fake = true;
        break;
      case 's':
        out.sloppy = true;
        break;
      case 'u':
        out.unmount = true;
        break;
      case 'v':
        out.verbose = true;
        break;
      case 'N':
        out.mount_namespace = optarg;
        break;
      case 'o':
        out.options += (out.options.empty() ? "" : ",") + std::string(optarg);
        break;
      case 'n':
      case 't':
        break;
      default:
        throw Failure(qtfs::mount::exit_usage, "see mount.qtfs --help");
    }
  }
  for (; optind < argc; optind++)
    out.positional.emplace_back(argv[optind]);
  if (out.positional.size() != (out.unmount ? 1 : 2))
    throw Failure(qtfs::mount::exit_usage,
                  out.unmount ? "-u: a directory is needed; see mount.qtfs --help"
                              : "a source and a directory are needed; see mount.qtfs --help");
  return out;
}

void enter_namespace(const std::string& name) {
  const bool pid = std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
  const std::string path = pid ? "/proc/" + name + "/ns/mnt" : name;
  const qtfs::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || setns(fd.get(), CLONE_NEWNS) != 0)
    throw Failure(qtfs::mount::exit_system, path + ": " + std::strerror(errno));
}

void check_target(const std::string& target) {
  struct stat st {};
  if (stat(target.c_str(), &st) != 0)
    throw Failure(qtfs::mount::exit_failed, target + ": " + std::strerror(errno));
  if (!S_ISDIR(st.st_mode))
    throw Failure(qtfs::mount::exit_failed, target + ": not a directory");
}

// The numeric addresses to try; one empty one where the kernel's default is meant.
std::vector<std::string> addresses(Plan& plan) {
  const auto source = qtfs::mount::parse_source(plan.source);
  auto& options = plan.options;
  if (!source.host.empty() && !options.server.empty() && source.host != options.server)
    throw Failure(qtfs::mount::exit_usage,
                  "the source names " + source.host + ", the option server= " + options.server);
  if (!source.channel.empty() && !options.channel.empty() && source.channel != options.channel)
    throw Failure(qtfs::mount::exit_usage, "the source names channel " + source.channel +
                                               ", the option trans= " + options.channel);
  if (options.channel.empty())
    options.channel = source.channel;

  const std::string& host = source.host.empty() ? options.server : source.host;
  if (host.empty() || (!options.channel.empty() && options.channel != "tcp"))
    return {host};
  return qtfs::mount::resolve(host);
}

// A name may have several addresses: the next one is tried where one does not answer.
bool may_try_next(const Failure& failure) {
  switch (failure.err()) {
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return true;
    default:
      return false;
  }
}

void mount_first(Plan& plan, const std::vector<std::string>& candidates) {
  for (size_t i = 0; i < candidates.size(); i++) {
    plan.address = candidates[i];
    if (plan.verbose)
      std::printf("mount.qtfs: %s on %s, server %s\n", plan.source.c_str(), plan.target.c_str(),
                  plan.address.empty() ? "as the module says" : plan.address.c_str());
    try {
      qtfs::mount::make_mount(plan);
      return;
    } catch (const Failure& failure) {
      if (i + 1 == candidates.size() || !may_try_next(failure))
        throw;
      std::fprintf(stderr, "mount.qtfs: %s\n", failure.what());
    }
  }
}

void run_remote(const Arguments& arguments, const qtfs::mount::Remote& remote) {
  check_target(arguments.positional[1]);
  if (!arguments.fake)
    qtfs::mount::mount_remote(arguments.positional[0], arguments.positional[1], remote);
}

void run(const Arguments& arguments) {
  if (!arguments.mount_namespace.empty())
    enter_namespace(arguments.mount_namespace);
  if (arguments.unmount)
    return qtfs::mount::unmount_remote(arguments.positional[0]);
  if (const auto remote = qtfs::mount::parse_remote(arguments.options))
    return run_remote(arguments, *remote);

  Plan plan{.source = arguments.positional[0],
            .target = arguments.positional[1],
            .address = {},
            .options = qtfs::mount::parse_options(arguments.options),
            .key = {},
            .sloppy = arguments.sloppy,
            .verbose = arguments.verbose};
  if (plan.options.remount) {
    if (!arguments.fake)
      qtfs::mount::change_mount(plan);
    return;
  }

  const auto candidates = addresses(plan);
  if (!plan.options.key_file.empty())
    plan.key = qtfs::mount::read_key(plan.options.key_file);
  check_target(plan.target);
  if (!arguments.fake)
    mount_first(plan, candidates);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    const std::string_view arg = argv[i];
    if (arg == "--help" || arg == "-h")
      return std::fputs(usage, stdout) < 0 ? qtfs::mount::exit_system : 0;
    if (arg == "--version" || arg == "-V")
      return std::puts("mount.qtfs " QTFS_VERSION) < 0 ? qtfs::mount::exit_system : 0;
  }
  try {
    run(parse_arguments(argc, argv));
    return 0;
  } catch (const Failure& failure) {
    std::fprintf(stderr, "mount.qtfs: %s\n", failure.what());
    return failure.status();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mount.qtfs: %s\n", error.what());
    return qtfs::mount::exit_system;
  }
}
