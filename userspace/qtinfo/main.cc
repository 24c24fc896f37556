// SPDX-License-Identifier: GPL-2.0-only
// qtinfo: look into the qtfs client of this machine, and tune it. Here is only
// the command line; each subcommand has a file of its own.
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

#include "lib/control_socket.hh"
#include "qtinfo/commands.hh"
#include "qtinfo/render.hh"

namespace {

using qtfs::qtinfo::Tree;

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

size_t output_width() {
  constexpr size_t width_of_files = 160;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return width_of_files;
}

int print(const Tree& tree, bool json) {
  std::cout << (json ? qtfs::qtinfo::render_json(tree)
                     : qtfs::qtinfo::render_text(tree, output_width()))
            << std::flush;
  if (std::cout)
    return 0;
  std::cerr << "qtinfo: cannot write the output\n";
  return exit_failure;
}

struct RulesOptions {
  std::string control = qtfs::default_control;
  qtfs::RuleWords words;
  uint64_t number = 0;
};

void add_rules(CLI::App& app, RulesOptions& options, std::function<Tree()>& command) {
  auto* rules =
      app.add_subcommand("rules", "What the engine of this machine does not serve as it is");
  rules->require_subcommand(1);
  rules->fallthrough();
  rules->add_option("--control", options.control,
                    std::string("The engine's socket [") + qtfs::default_control + "]");
  rules->add_subcommand("list", "Show them, in the order in which they are asked")->callback([&] {
    command = [&] { return qtfs::qtinfo::cmd_rules_list(options.control); };
  });
  auto* add = rules->add_subcommand("add", "Add one behind the others");
  add->callback([&] {
    command = [&] { return qtfs::qtinfo::cmd_rules_add(options.control, options.words); };
  });
  add->add_option("ACTION", options.words.action,
                  "serve, uncached, deny, hide, content or redirect")
      ->required();
  add->add_option("--path", options.words.path, "A glob: of the tree, or in the filesystem");
  add->add_option("--fstype", options.words.fstype, "Filesystems of that type only");
  add->add_option("--type", options.words.type,
                  "file, directory, symlink, char, block, fifo or socket");
  add->add_option("--content", options.words.content, "With content: what is read");
  add->add_option("--target", options.words.target, "With redirect: the client's path");
  auto* del = rules->add_subcommand("del", "Take one away");
  del->callback([&] {
    command = [&] { return qtfs::qtinfo::cmd_rules_del(options.control, options.number); };
  });
  del->add_option("NUMBER", options.number, "As the list has it")->required();
}

int run(int argc, char** argv) {
  CLI::App app{"Looks into the qtfs client of this machine, and tunes it.", "qtinfo"};
  app.set_version_flag("--version", "qtinfo " QTFS_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  bool json = false;
  app.add_flag("--json", json, "Write JSON, for programs");

  std::function<Tree()> command;
  std::string mount, level;
  const auto add = [&](const char* name, const char* what, const std::function<Tree()>& action) {
    auto* sub = app.add_subcommand(name, what);
    sub->callback([&command, action] { command = action; });
    return sub;
  };

  add("status", "The module and its defaults", qtfs::qtinfo::cmd_status);
  add("mounts", "The mounts of this network namespace and how they fare", qtfs::qtinfo::cmd_mounts);
  add("stats", "Counters and latencies of one mount, or of all", [&] {
    return qtfs::qtinfo::cmd_stats(mount);
  })->add_option("MOUNT", mount, "Its id or its mount point");
  add("log-level", "Show or set how much the module writes to the kernel log", [&] {
    return qtfs::qtinfo::cmd_log_level(level);
  })->add_option("LEVEL", level, "none, error, warn, info, debug, or 0 to 4");
  add("abort", "Fail everything under way on a mount, and what comes later",
      [&] { return qtfs::qtinfo::cmd_abort(mount); })
      ->add_option("MOUNT", mount, "Its id or its mount point")
      ->required();

  RulesOptions rules;
  add_rules(app, rules, command);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  return print(command(), json);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "qtinfo: " << error.what() << "\n";
    return exit_failure;
  }
}
