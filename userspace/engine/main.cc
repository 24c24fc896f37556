// SPDX-License-Identifier: GPL-2.0-only
// Arguments to configuration to engine; signals; the exit status.
#include <signal.h>
#include <systemd/sd-daemon.h>

#include <cstdio>
#include <cstdlib>

#include "engine/engine.hh"

int main(int argc, char** argv) {
  qtfs::Config config;
  if (argc > 1)
    config.ring_entries = static_cast<unsigned>(std::atoi(argv[1]));
  if (argc > 2)
    config.threads = static_cast<unsigned>(std::atoi(argv[2]));
  for (int i = 3; i + 1 < argc; i += 2)
    if (std::string(argv[i]) == "--listen")
      config.listen.push_back(argv[i + 1]);
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGUSR1})
    sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::string error;
  auto engine = qtfs::Engine::create(config, error);
  if (!engine || !(*engine)->start(error)) {
    std::fprintf(stderr, "engine: %s\n", error.c_str());
    return 1;
  }
  sd_notify(0, "READY=1");
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGUSR1) {
    qtfs::Stats sum;
    (*engine)->add_stats(sum);
    qtfs::log::info("{}", sum.text());
  }
  sd_notify(0, "STOPPING=1");
  (*engine)->stop();
  return 0;
}
