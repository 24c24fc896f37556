// SPDX-License-Identifier: GPL-2.0-only
// The engine as a program of its own.
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "tests/unit/fixture.hh"

namespace qtfs {

struct Outcome {
  int status = -1;
  std::string err;
};

class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0)
      GTEST_SKIP() << "needs root";
  }
  // In the new process, before it becomes the program; false ends it.
  virtual bool prepare() { return true; }
  // Starts it; stdout and stderr go to files.
  pid_t spawn(std::vector<std::string> args) {
    args.insert(args.begin(), QTFS_ENGINE);
    const pid_t pid = fork();
    if (pid == 0) {
      const int out = ::open(dir_.path("stdout").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
      const int err = ::open(dir_.path("stderr").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
      dup2(out, 1);
      dup2(err, 2);
      if (!prepare())
        _exit(126);
      std::vector<char*> argv;
      for (std::string& arg : args)
        argv.push_back(arg.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return pid;
  }
  Outcome wait_for(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), dir_.read("stderr")};
  }
  Outcome run(std::vector<std::string> args) { return wait_for(spawn(std::move(args))); }
  // One line, that names what is wrong.
  void expect_refusal(std::vector<std::string> args, std::string_view word) {
    const Outcome outcome = run(std::move(args));
    EXPECT_GT(outcome.status, 0) << outcome.err;
    EXPECT_LT(outcome.status, 126) << outcome.err;
    EXPECT_NE(outcome.err.npos, outcome.err.find(word)) << outcome.err;
    EXPECT_EQ(1, std::count(outcome.err.begin(), outcome.err.end(), '\n')) << outcome.err;
  }
  std::string config(std::string_view text) {
    dir_.write("engine.toml", text);
    return dir_.path("engine.toml");
  }
  TempDir dir_;
};

}  // namespace qtfs
