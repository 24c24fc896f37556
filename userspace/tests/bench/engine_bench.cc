// SPDX-License-Identifier: GPL-2.0-only
// The engine over loopback, without any kernel module, against a bare echo server on the same ring
// and against sendfile(2). selftests/bench/native runs it and computes ratios.
#include <benchmark/benchmark.h>

#include <optional>
#include <stdexcept>

#include "engine/engine.hh"
#include "lib/log.hh"
#include "tests/bench/echo_server.hh"
#include "tests/bench/load.hh"
#include "tests/bench/requests.hh"
#include "tests/temp_dir.hh"

namespace qtfs {

namespace {

constexpr uint32_t big = 1u << 20;

// A file, an engine that serves it, and a client that has looked it up.
struct Served {
  explicit Served(Config config = {}) {
    log::set_level("error");
    dir.write("file", std::string(big, 'x'));
    config.listen = {"127.0.0.1:0"};
    config.threads = 1;
    config.exports = {{.path = dir.path(), .name = "bench"}};
    std::string error;
    engine = must(Engine::create(config, error));
    must(engine->start(error));
    file.emplace(static_cast<uint16_t>(engine->ports().at(0)), dir.path(), "file");
  }
  int fd() const { return file->client.fd(); }
  TempDir dir;
  std::unique_ptr<Engine> engine;
  std::optional<FileClient> file;
};

// Requests of one measured step: enough that starting and ending them is nothing.
constexpr size_t batch(size_t depth) {
  return 64 * depth;
}

void measure(benchmark::State& state, Load& load, size_t bytes_each = 0) {
  const auto depth = static_cast<size_t>(state.range(0));
  must(load.run(batch(depth), depth));
  for ([[maybe_unused]] auto step : state)
    must(load.run(batch(depth), depth));
  const auto requests = static_cast<int64_t>(state.iterations() * batch(depth));
  state.SetItemsProcessed(requests);
  if (bytes_each)
    state.SetBytesProcessed(requests * static_cast<int64_t>(bytes_each));
}

void getattr(benchmark::State& state, const Config& config) {
  Served served(config);
  // What is counted by its length alone below must be what it should be.
  if (must(served.file->client.getattr(served.file->node)).size != htole64(big))
    throw std::runtime_error("GETATTR: wrong answer");
  Load load(served.fd(), served.file->getattr(), offsetof(qtfs_wire_req, tag), getattr_answer);
  measure(state, load);
}

void getattr_engine(benchmark::State& state) {
  getattr(state, {});
}

void getattr_epoll(benchmark::State& state) {
  Config config;
  config.io = "epoll";
  getattr(state, config);
}

void getattr_sqpoll(benchmark::State& state) {
  Config config;
  config.sqpoll = true;
  getattr(state, config);
}

void getattr_echo(benchmark::State& state) {
  TempDir dir;
  dir.write("file", "x");
  constexpr size_t request = sizeof(qtfs_wire_req) + sizeof(qtfs_wire_getattr);
  Client client;
  EchoServer server(dir.path("file"), request, getattr_answer);
  must(client.connect("127.0.0.1", server.port()));
  Load load(client.fd(), std::vector<std::byte>(request), 0, getattr_answer);
  measure(state, load);
  client.close();
}

void read_engine(benchmark::State& state) {
  Served served;
  if (must(served.file->client.read(served.file->open, 0, big)) != std::string(big, 'x'))
    throw std::runtime_error("READ: wrong answer");
  Load load(served.fd(), served.file->read(big), offsetof(qtfs_wire_req, tag), read_answer(big));
  measure(state, load, big);
}

void read_sendfile(benchmark::State& state) {
  TempDir dir;
  dir.write("file", std::string(big, 'x'));
  constexpr size_t request = sizeof(qtfs_wire_req) + sizeof(qtfs_wire_read);
  Client client;
  SendfileServer server(dir.path("file"), request, big);
  must(client.connect("127.0.0.1", server.port()));
  Load load(client.fd(), std::vector<std::byte>(request), 0, big);
  measure(state, load, big);
  client.close();
}

BENCHMARK(getattr_echo)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(getattr_engine)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(getattr_epoll)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(getattr_sqpoll)->Arg(1)->Arg(32)->UseRealTime();
BENCHMARK(read_sendfile)->Arg(1)->Arg(4)->UseRealTime();
BENCHMARK(read_engine)->Arg(1)->Arg(4)->UseRealTime();

}  // namespace

}  // namespace qtfs

BENCHMARK_MAIN();
