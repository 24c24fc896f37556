// SPDX-License-Identifier: GPL-2.0-only
// Arguments, signals, the exit status.
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>

#include "agent/agent.hh"
#include "lib/log.hh"

namespace {

constexpr const char* footer =
    "Needed where programs connect to unix sockets of the server; one for all mounts.\n"
    "See qtfs-agent(8).";

int fail(const std::string& error) {
  std::fprintf(stderr, "qtfs-agent: %s\n", error.c_str());
  return 1;
}

// Two descriptors a connection.
void raise_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int serve() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // Before any thread exists.
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const qtfs::UniqueFd stop(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!stop)
    return fail(std::string("signalfd: ") + std::strerror(qtfs::Status::last().err()));
  raise_descriptors();
  std::string error;
  auto agent = qtfs::agent::Agent::create(error);
  if (!agent)
    return fail(error);
  sd_notify(0, "READY=1");
  qtfs::log::info("listening for who connects to sockets of the server");
  if (qtfs::Status status = (*agent)->run(stop.get()); !status)
    return fail(std::strerror(status.err()));
  // Connections end with the process; their threads wait for programs that may never do anything.
  std::fflush(nullptr);
  _exit(0);
}

int run(int argc, char** argv) {
  CLI::App app{"Makes unix sockets of qtfs servers usable by programs of this machine."};
  std::string level = "info";
  app.name("qtfs-agent");
  app.footer(footer);
  app.set_version_flag("-V,--version", "qtfs-agent " QTFS_VERSION);
  app.add_option("--log-level", level, "debug, info, warning or error [info]")->type_name("LEVEL");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError& wrong) {
    fail(std::string(wrong.what()) + " (see qtfs-agent --help)");
    return 2;
  }
  if (!qtfs::log::set_level(level)) {
    fail("log level \"" + level + "\": not debug, info, warning or error");
    return 2;
  }
  return serve();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
