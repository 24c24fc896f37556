// SPDX-License-Identifier: GPL-2.0-only
// Arguments to configuration to engine; signals; the exit status.
#include <pthread.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>

#include "engine/control.hh"
#include "engine/engine.hh"
#include "engine/server_module.hh"
#include "lib/config.hh"
#include "lib/log.hh"

namespace {

constexpr const char* default_config = "/etc/qtfs/engine.toml";

constexpr const char* footer =
    "Without options and configuration file, / is exported read-write to this machine only\n"
    "(127.0.0.1:12345). Other machines need --psk-file, or --insecure where the network is\n"
    "trusted.\n\n"
    "Signals: SIGTERM and SIGINT finish what runs and exit; SIGUSR1 logs counters.\n\n"
    "Examples:\n"
    "  engine 4096 16\n"
    "  engine --listen 192.168.100.1:12345 --psk-file /etc/qtfs/psk --export /srv,ro\n\n"
    "See qtfs-engine(8) and qtfs-engine.toml(5).";

// What was given on the command line; it goes over the file's settings.
struct Options {
  unsigned ring_entries = 0;
  unsigned threads = 0;
  std::vector<std::string> listen;
  std::vector<std::string> exports;
  std::string config_file;
  std::string psk_file;
  std::string log_level;
  std::optional<unsigned> spin_us;
  std::string io;
  std::optional<std::string> control;
  bool sqpoll = false;
  bool insecure = false;
  uint64_t nodes_max = 0;
  uint64_t fds_max = 0;
  uint32_t sessions_max = 0;
};

void describe(CLI::App& app, Options& options) {
  app.name("engine");
  app.footer(footer);
  app.set_version_flag("-V,--version", "qtfs engine " QTFS_VERSION);
  app.add_option("entries", options.ring_entries, "Entries of each thread's ring [4096]");
  app.add_option("threads", options.threads, "Threads, each with a ring of its own [4]");
  app.add_option("-l,--listen", options.listen, "Address to listen on; may be repeated")
      ->type_name("ADDR:PORT|vsock:CID:PORT|pcie:N")
      ->allow_extra_args(false);
  app.add_option("-e,--export", options.exports,
                 "Directory to export, ro: read-only, dev: devices may be opened, "
                 "nosock: unix sockets may not be connected to, squash=root: root of clients is "
                 "nobody here, squash=all: everybody is, allow-mount: clients may mount on this "
                 "machine; may be repeated")
      ->type_name("PATH[,ro][,dev][,nosock][,squash=WHO][,allow-mount][,name=NAME]")
      ->allow_extra_args(false);
  app.add_option("-k,--psk-file", options.psk_file,
                 "File with the key that clients must know, readable by root only")
      ->type_name("FILE");
  app.add_flag("--insecure", options.insecure,
               "Listen beyond loopback, vsock and PCIe without authentication: whoever can connect "
               "can act as "
               "any user");
  app.add_option("-c,--config", options.config_file,
                 std::string("Configuration file [") + default_config + ", if it exists]")
      ->type_name("FILE");
  app.add_option("--log-level", options.log_level, "debug, info, warning or error [info]")
      ->type_name("LEVEL");
  app.add_option("--spin-us", options.spin_us,
                 "How long to look at shared memory before sleeping [100]")
      ->type_name("MICROSECONDS");
  app.add_option("--io", options.io,
                 "How to wait: auto (io_uring unless it is forbidden), uring or epoll [auto]")
      ->type_name("KIND");
  app.add_option("--control", options.control,
                 std::string("Socket where qtinfo asks on this machine, \"\" for none [") +
                     qtfs::default_control + "]")
      ->type_name("PATH");
  app.add_flag("--sqpoll", options.sqpoll,
               "Let a kernel thread for each thread submit: fewer system calls, more processors");
  app.add_option("--nodes-max", options.nodes_max, "Files that a client may know at a time")
      ->type_name("N");
  app.add_option("--fds-max", options.fds_max,
                 "Descriptors kept open for files that clients know [half of RLIMIT_NOFILE]")
      ->type_name("N");
  app.add_option("--sessions-max", options.sessions_max, "Clients at a time")->type_name("N");
}

bool build(const Options& options, const qtfs::ServerModule& module, qtfs::Config& config,
           std::string& error) {
  std::string file = options.config_file;
  if (file.empty() && access(default_config, F_OK) == 0)
    file = default_config;
  if (!file.empty() && !qtfs::load_config(file, config, error))
    return false;
  if (options.ring_entries)
    config.ring_entries = options.ring_entries;
  if (options.threads)
    config.threads = options.threads;
  if (!options.listen.empty())
    config.listen = options.listen;
  if (!options.psk_file.empty())
    config.psk_file = options.psk_file;
  if (!options.log_level.empty())
    config.log_level = options.log_level;
  if (options.spin_us)
    config.spin_us = *options.spin_us;
  if (!options.io.empty())
    config.io = options.io;
  if (options.control)
    config.control = *options.control;
  config.sqpoll |= options.sqpoll;
  config.insecure |= options.insecure;
  if (options.nodes_max)
    config.limits.nodes_max = options.nodes_max;
  if (options.fds_max)
    config.limits.fds_max = options.fds_max;
  if (options.sessions_max)
    config.limits.sessions_max = options.sessions_max;
  if (!options.exports.empty())
    config.exports.clear();
  for (const std::string& text : options.exports) {
    auto made = qtfs::parse_export(text, error);
    if (!made)
      return false;
    config.exports.push_back(std::move(*made));
  }
  module.complete(config);
  if (config.log_level.empty())
    config.log_level = "info";
  if (!qtfs::log::set_level(config.log_level)) {
    error = "log level \"" + config.log_level + "\": not debug, info, warning or error";
    return false;
  }
  return qtfs::check_config(config, error).ok();
}

int fail(const std::string& error) {
  std::fprintf(stderr, "engine: %s\n", error.c_str());
  return 1;
}

int serve(const qtfs::Config& config, qtfs::ServerModule& module) {
  // Before any thread exists: only sigwait() below takes them.
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGUSR1})
    sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  // Likewise: threads have the mount table of the one that creates them.
  auto tree = qtfs::MountTree::enter();
  std::string error;
  auto engine = qtfs::Engine::create(config, error);
  if (!engine)
    return fail(error);
  if (!(*engine)->start(error))
    return fail(error);
  if (tree)
    if (qtfs::Status status = (*engine)->keep_to(std::move(*tree)); !status)
      return fail(std::string("cannot follow the mounts: ") + std::strerror(status.err()));
  if (!tree)
    qtfs::log::warning(
        "no mount table of its own ({}): what clients use cannot be unmounted on this machine",
        std::strerror(tree.err()));
  qtfs::Control control((*engine)->rules());
  if (!config.control.empty() && !control.start(config.control, error))
    qtfs::log::warning("{}", error);
  module.report(**engine, config);
  sd_notify(0, "READY=1");
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGUSR1) {
    qtfs::Stats sum;
    (*engine)->add_stats(sum);
    qtfs::log::info("{} sessions={} node-fds={}", sum.text(), (*engine)->sessions(),
                    (*engine)->node_fds());
  }
  sd_notify(0, "STOPPING=1");
  qtfs::log::info("signal {}: stopping", signal);
  (*engine)->stop();
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{"Serves directories of this machine to qtfs clients."};
  Options options;
  describe(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& wrong) {
    fail(std::string(wrong.what()) + " (see engine --help)");
    return 2;
  }
  qtfs::Config config;
  qtfs::ServerModule module;
  std::string error;
  if (!build(options, module, config, error))
    return fail(error);
  if (geteuid() != 0)
    return fail("must be started as root: it acts as the users of its clients");
  return serve(config, module);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine: %s\n", error.what());
    return 1;
  }
}
