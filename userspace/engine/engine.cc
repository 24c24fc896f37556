// SPDX-License-Identifier: GPL-2.0-only
#include "engine/engine.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>

#include "engine/listener.hh"
#include "lib/crypto.hh"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace qtfs {

namespace {

// Descriptors for everything; the soft limit is meant for programs that use select().
uint64_t raise_nofile() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

Result<std::vector<std::byte>> read_psk(const std::string& path, std::string& error) {
  constexpr size_t longest = 4096;  // as the kernel module takes
  std::vector<std::byte> key(longest + 1);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat st {};
  if (!fd || fstat(fd.get(), &st) < 0) {
    error = fmt::format("psk file {}: {}", path, std::strerror(errno));
    return Status::last();
  }
  if (st.st_mode & (S_IRWXG | S_IRWXO)) {
    error = fmt::format("psk file {}: others may read or change it; chmod 600 it", path);
    return Status::error(EACCES);
  }
  const ssize_t len = read(fd.get(), key.data(), key.size());
  if (len < 0) {
    error = fmt::format("psk file {}: {}", path, std::strerror(errno));
    return Status::last();
  }
  if (static_cast<size_t>(len) > longest) {
    error = fmt::format("psk file {}: longer than {} bytes", path, longest);
    return Status::error(EFBIG);
  }
  key.resize(static_cast<size_t>(len));
  // One line: what ends it does not belong to the key.
  while (!key.empty() && (key.back() == std::byte{'\n'} || key.back() == std::byte{'\r'}))
    key.pop_back();
  if (key.empty()) {
    error = fmt::format("psk file {}: empty", path);
    return Status::error(EINVAL);
  }
  return key;
}

// Different in each life of the engine, so that old node ids are not taken for new ones.
uint16_t new_life() {
  uint16_t life = 0;
  while (life == 0 || life == UINT16_MAX)
    fill_random(std::as_writable_bytes(std::span(&life, 1)));
  return life;
}

void finished_call(Call& call) {
  call.conn->worker().finished(call);
}

}  // namespace

Engine::Engine(const Config& config, Exports exports, std::vector<std::byte> psk, uint16_t life)
    : config_(config),
      exports_(std::move(exports)),
      psk_(std::move(psk)),
      rules_(mounts_, config_.rules),
      sessions_(life, config_.limits, exports_),
      pool_(config_.limits.blocking_threads_max, mounts_, rules_, finished_call),
      shared_{.config = config_,
              .exports = exports_,
              .psk = psk_,
              .mounts = mounts_,
              .rules = rules_,
              .sessions = sessions_,
              .pool = pool_,
              .protocol_log = log::RateLimit(),
              .auth_log = log::RateLimit(),
              .peers = {}} {
  sessions_.locks().on_released = [this] { pool_.look_again(); };
  pool_.on_starved = [this] { sessions_.locks().try_all(); };
}

Result<std::unique_ptr<Engine>> Engine::create(const Config& given, std::string& error) {
  Config config = given;
  const uint64_t fds = raise_nofile();
  if (config.limits.fds_max == 0)
    config.limits.fds_max = fds / 2;
  if (config.exports.empty())
    config.exports.push_back({.path = "/", .name = "root"});
  if (config.listen.empty())
    config.listen.push_back(fmt::format("127.0.0.1:{}", QTFS_DEFAULT_PORT));
  std::vector<std::byte> psk;
  if (!config.psk_file.empty()) {
    auto key = read_psk(config.psk_file, error);
    if (!key)
      return key.status();
    psk = std::move(*key);
  }
  auto exports = Exports::open(config.exports, error);
  if (!exports)
    return exports.status();
  std::unique_ptr<Engine> engine(
      new Engine(config, std::move(*exports), std::move(psk), new_life()));
  if (Status status = engine->mounts_.open(); !status) {
    error = fmt::format("/proc/self/mountinfo: {}", std::strerror(status.err()));
    return status;
  }
  return engine;
}

Engine::~Engine() {
  stop();
}

Status Engine::listen(const std::string& address, std::string& error) {
  if (PcieDevice::names(address)) {
    auto device = PcieDevice::open(address, error);
    if (!device)
      return device.status();
    log::info("listening on {}", address);
    ports_.push_back(0);
    devices_.push_back(std::move(*device));
    return {};
  }
  auto made = open_listener(address, error);
  if (!made)
    return made.status();
  if (!made->guarded && psk_.empty() && !config_.insecure) {
    error = fmt::format(
        "refusing to listen on {} without authentication: give --psk-file, or --insecure to let "
        "anyone who can connect act as any user",
        address);
    return Status::error(EPERM);
  }
  if (!made->guarded && psk_.empty())
    log::warning("INSECURE: whoever can connect to {} can act as any user of this machine",
                 address);
  log::info("listening on {} (port {})", address, made->port);
  ports_.push_back(made->port);
  listening_.push_back(std::move(made->fd));
  return {};
}

Status Engine::serve(PcieDevice& device) {
  for (unsigned i = 0; i < device.queues(); i++)
    if (Status status = workers_[i % workers_.size()]->serve(std::make_unique<PcieLine>(device, i));
        !status)
      return status;
  return device.ready();
}

Status Engine::serve(std::unique_ptr<PcieDevice> device) {
  return serve(*devices_.emplace_back(std::move(device)));
}

Status Engine::start(std::string& error) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  // A client's terminal may be the one that the engine was started from.
  signal(SIGTTIN, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);  // memory for others' writeback must not wait for ours

  for (const std::string& address : config_.listen)
    if (Status status = listen(address, error); !status)
      return status;
  for (const Export& exported : exports_.list())
    log::info("export {}{}{}", exported.path.empty() ? "/" : exported.path,
              exported.readonly ? " (read-only)" : "",
              exported.ids ? " (ids squashed or mapped)" : "");
  for (unsigned i = 0; i < std::max(1u, config_.threads); i++) {
    workers_.push_back(std::make_unique<Worker>(shared_));
    if (Status status = workers_.back()->start(); !status) {
      error = fmt::format("io_uring: {}", std::strerror(status.err()));
      workers_.pop_back();
      return status;
    }
  }
  for (size_t i = 0; i < listening_.size(); i++)
    workers_[i % workers_.size()]->listen(std::move(listening_[i]), workers_);
  listening_.clear();
  for (auto& device : devices_)
    if (Status status = serve(*device); !status) {
      error = fmt::format("cannot listen on {}: {}", device->name(), std::strerror(status.err()));
      return status;
    }
  log::info("{} threads, {}", workers_.size(), workers_[0]->describe());
  return {};
}

Status Engine::keep_to(std::unique_ptr<MountTree> tree) {
  tree_ = std::move(tree);
  mounts_.set_tree(tree_.get());
  return tree_->follow([this](const MountTree::Change& change) { remounted(change); });
}

void Engine::remounted(const MountTree::Change& change) {
  exports_.remounted(change);  // first: a session that comes now starts from what is
  for (const auto& session : sessions_.all()) {
    if (!change.gone.empty())
      session->nodes.unmounted(change.gone);
    if (!change.come.empty())
      session->nodes.mounted(change.come);
  }
  for (auto& worker : workers_)
    worker->remounted();
}

bool Engine::all_stopped() const {
  return std::none_of(workers_.begin(), workers_.end(),
                      [](const auto& worker) { return worker->running(); });
}

void Engine::stop(std::chrono::milliseconds bound) {
  if (std::exchange(stopped_, true))
    return;
  if (tree_ && !tree_->stop())
    static_cast<void>(tree_.release());  // its thread still has it
  for (auto& worker : workers_)
    worker->drain();
  const auto deadline = std::chrono::steady_clock::now() + bound;
  while (!all_stopped() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (auto& worker : workers_)
    worker->abort();
  for (auto& worker : workers_)
    worker->join();
  // Its threads hand calls to workers until the last moment.
  pool_.stop();
}

void Engine::add_stats(Stats& sum) {
  for (auto& worker : workers_)
    worker->stats().add_to(sum);
  pool_.add_stats(sum);
}

}  // namespace qtfs
