// SPDX-License-Identifier: GPL-2.0-only
// The program: what it refuses, with which words and which exit status; how it ends.
#include "tests/unit/program.hh"

namespace qtfs {

TEST_F(Program, HelpIsCompleteAndVersionIsTold) {
  EXPECT_EQ(0, run({"--help"}).status);
  const std::string help = dir_.read("stdout");
  for (const char* word : {"entries", "threads", "--listen", "--insecure", "--psk-file", "--export",
                           "--config", "--log-level", "squash=root", "--nodes-max", "--fds-max",
                           "--sessions-max", "--version", "12345", "SIGTERM"})
    EXPECT_NE(help.npos, help.find(word)) << word;
  EXPECT_EQ(0, run({"--version"}).status);
  EXPECT_NE(std::string::npos, dir_.read("stdout").find(QTFS_VERSION));
}

TEST_F(Program, RefusesWhatIsWrong) {
  expect_refusal({"--frobnicate"}, "frobnicate");
  expect_refusal({"4096", "many"}, "threads");
  expect_refusal({"4096", "1000"}, "threads");
  expect_refusal({"--listen", "nonsense"}, "nonsense");
  expect_refusal({"--listen", "127.0.0.1:99999"}, "99999");
  for (const char* address : {"vsock:", "vsock:12345", "vsock:any", "vsock:some:12345",
                              "vsock:2:4294967296", "vsock:-1:12345"})
    expect_refusal({"--listen", address}, address);
  expect_refusal({"--export", "/does/not/exist"}, "/does/not/exist");
  expect_refusal({"--export", "/etc/passwd"}, "Not a directory");
  expect_refusal({"--export", "relative"}, "absolute");
  expect_refusal({"--export", "/,rx"}, "rx");
  expect_refusal({"--export", "/", "--export", "/usr,ro"}, "inside /, which is writable");
  expect_refusal({"--log-level", "loud"}, "loud");
  expect_refusal({"--config", "/does/not/exist"}, "/does/not/exist");
}

TEST_F(Program, RefusesToListenOpenly) {
  expect_refusal({"--listen", "0.0.0.0:0"}, "--psk-file");
  expect_refusal({"--listen", "[::]:0"}, "--insecure");
}

TEST_F(Program, RefusesAPortInUse) {
  Config config;
  config.listen = {"127.0.0.1:0"};
  std::string error;
  auto engine = Engine::create(config, error);
  ASSERT_TRUE(engine.ok() && (*engine)->start(error).ok()) << error;
  expect_refusal({"--listen", "127.0.0.1:" + std::to_string((*engine)->ports()[0])}, "in use");
}

TEST_F(Program, RefusesBadKeys) {
  dir_.write("psk", "secret");
  chmod(dir_.path("psk").c_str(), 0644);
  expect_refusal({"--psk-file", dir_.path("psk")}, "chmod 600");
  dir_.write("empty", "\n");
  chmod(dir_.path("empty").c_str(), 0600);
  expect_refusal({"--psk-file", dir_.path("empty")}, "empty");
  expect_refusal({"--psk-file", dir_.path("absent")}, "No such file");
}

TEST_F(Program, RefusesBadConfiguration) {
  expect_refusal({"-c", config("threads = 2\nthreds = 3\n")},
                 "engine.toml:2: unknown key \"threds\"");
  expect_refusal({"-c", config("threads = \"two\"\n")}, "engine.toml:1");
  expect_refusal({"-c", config("listen = \n")}, "engine.toml:1");
  expect_refusal({"-c", config("[[export]]\nname = \"x\"\n")}, "path");
  expect_refusal({"-c", config("[limits]\n\nnodes = 1\n")}, "engine.toml:3");
  expect_refusal({"-c", config("[special]\n")}, "[[special]]");
  expect_refusal({"-c", config("[[special]]\npath = \"/a\"\naction = \"forbid\"\n")},
                 "engine.toml:1: action");
  expect_refusal({"-c", config("[[special]]\ntype = \"door\"\naction = \"deny\"\n")}, "door");
  expect_refusal({"-c", config("[[special]]\naction = \"deny\"\n")}, "needs a");
  expect_refusal({"-c", config("[[special]]\npaths = \"/a\"\naction = \"deny\"\n")}, "paths");
  expect_refusal({"-c", config("[[special]]\npath = \"/a\"\naction = \"redirect\"\n")},
                 "engine.toml:1: target");
  expect_refusal({"-c", config("[[special]]\npath = \"/a\"\ncontent = 7\naction = \"content\"\n")},
                 "engine.toml:3: \"content\"");
  expect_refusal({"-c", config("[[special]]\ncontent = \"x\"\naction = \"content\"\n")},
                 "needs a \"path\"");
  expect_refusal({"-c", config("[limits]\nio-max = 1\n")}, "io-max");
}

TEST_F(Program, RefusesBadIds) {
  const auto refused = [&](std::string_view lines, std::string_view words) {
    expect_refusal({"-c", config("[[export]]\npath = \"/usr\"\n" + std::string(lines))}, words);
  };
  refused("squash = \"some\"\n", "engine.toml:1: squash \"some\"");
  refused("squash = true\n", "engine.toml:3");
  refused("squash = \"root\"\nanon-uid = -2\n", "engine.toml:4: \"anon-uid\"");
  refused("squash = \"root\"\nanon-gid = 4294967295\n", "anon-gid: 4294967295 is no id");
  refused("uid-map = 5\n", "engine.toml:3: \"uid-map\" must be a list");
  refused("uid-map = [[0, 1, 2]]\n", "engine.toml:3: \"uid-map\" must be a list");
  refused("gid-map = [{ client = 0, server = 1 }]\n", "needs client, server and count");
  refused("gid-map = [{ client = 0, server = 1, number = 2 }]\n", "unknown key \"number\"");
  refused("gid-map = [{ client = 0, server = 1, count = 0 }]\n", "gid-map: 0 to 1: a count of 0");
  refused("uid-map = [{ client = 0, server = 4294967290, count = 6 }]\n", "go over 4294967294");
  refused(
      "uid-map = [{ client = 0, server = 100, count = 10 }, "
      "{ client = 9, server = 200, count = 1 }]\n",
      "the client's ids 0-9 and 9-9 overlap");
  refused(
      "uid-map = [{ client = 0, server = 100, count = 10 }, "
      "{ client = 50, server = 91, count = 10 }]\n",
      "the server's ids 91-100 and 100-109 overlap");
  expect_refusal({"--export", "/,squash=some"}, "squash=some");
  expect_refusal({"--export", "/", "--export", "/usr,squash=root"}, "squashes or maps ids");
  expect_refusal({"--export", "/,squash=root", "--export", "/usr,squash=all"},
                 "squashes or maps ids");
}

TEST_F(Program, EndsCleanlyOnSigterm) {
  const std::string file = config(
      "listen = [\"127.0.0.1:0\"]\nthreads = 2\n[[export]]\npath = \"/\"\nreadonly = true\n");
  const pid_t pid = spawn({"-c", file});
  while (dir_.read("stderr").find("threads") == std::string::npos)
    usleep(5000);
  kill(pid, SIGUSR1);
  while (dir_.read("stderr").find("accepted=0") == std::string::npos)
    usleep(5000);
  kill(pid, SIGTERM);
  const Outcome outcome = wait_for(pid);
  EXPECT_EQ(0, outcome.status) << outcome.err;
}

}  // namespace qtfs
