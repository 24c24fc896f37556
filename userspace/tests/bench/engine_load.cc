// SPDX-License-Identifier: GPL-2.0-only
// Gives an engine something to do that can be counted: engine_load PORT DIR FILE OPERATION COUNT
// [DEPTH], of getattr only. For userspace/tests/bench/costs, which counts what the engine does
// meanwhile.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <string_view>

#include "tests/bench/load.hh"
#include "tests/bench/requests.hh"

namespace qtfs {

namespace {

constexpr uint32_t page = 4096;
// Whether the engine finds the next request at once must not depend on who is faster: it never
// does.
constexpr std::chrono::microseconds pause(300);

struct Work {
  FileClient at;
  size_t count;
  size_t depth;

  void getattr() {
    if (depth > 1) {
      Load load(at.client.fd(), at.getattr(), offsetof(qtfs_wire_req, tag), getattr_answer);
      return must(load.run(count, depth));
    }
    for (size_t i = 0; i < count; i++)
      must(at.client.getattr(at.node));
  }
  void read() {
    for (size_t i = 0; i < count; i++)
      must(at.client.read(at.open, 0, page));
  }
  void write() {
    for (size_t i = 0; i < count; i++)
      must(at.client.write(at.open, 0, std::string(page, 'x')));
  }
  void open() {
    for (size_t i = 0; i < count; i++)
      must(at.client.release(le64toh(must(at.client.open(at.node, QTFS_OPEN_READ)).open)));
  }
  void lookup() {
    for (size_t i = 0; i < count; i++)
      must(at.client.lookup(at.dir, "file"));
  }
  void create() {
    for (size_t i = 0; i < count; i++) {
      const auto made = must(at.client.create(at.dir, "new", QTFS_OPEN_WRITE));
      must(at.client.write(le64toh(made.opened.open), 0, std::string(page, 'x')));
      must(at.client.release(le64toh(made.opened.open)));
      must(at.client.unlink(at.dir, "new"));
    }
  }
};

const std::map<std::string_view, void (Work::*)()> works = {
    {"getattr", &Work::getattr}, {"read", &Work::read},     {"write", &Work::write},
    {"open", &Work::open},       {"lookup", &Work::lookup}, {"create", &Work::create},
};

}  // namespace

}  // namespace qtfs

int main(int argc, char** argv) {
  const auto found = argc >= 6 ? qtfs::works.find(argv[4]) : qtfs::works.end();
  if (found == qtfs::works.end()) {
    std::fprintf(stderr, "usage: engine_load PORT DIR FILE OPERATION COUNT [DEPTH]\n");
    return 2;
  }
  try {
    qtfs::Work work{{static_cast<uint16_t>(std::atoi(argv[1])), argv[2], argv[3]},
                    std::strtoul(argv[5], nullptr, 10),
                    argc > 6 ? std::strtoul(argv[6], nullptr, 10) : 1};
    work.at.client.pause = qtfs::pause;
    (work.*found->second)();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "engine_load: %s: %s\n", argv[4], failure.what());
    return 1;
  }
  return 0;
}
