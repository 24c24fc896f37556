// SPDX-License-Identifier: GPL-2.0-only
#include "engine/ring.hh"

#include "lib/log.hh"

namespace qtfs {

namespace {

// Seccomp profiles of containers, kernel.io_uring_disabled, kernels without it, locked memory that
// is short.
bool forbidden(int err) {
  return err == ENOSYS || err == EPERM || err == EACCES || err == ENOMEM;
}

}  // namespace

Result<std::unique_ptr<Ring>> Ring::open(const RingConfig& config) {
  if (config.io == Io::epoll)
    return open_epoll();
  auto ring = open_uring(config);
  if (ring.ok() || config.io == Io::uring || !forbidden(ring.err()))
    return ring;
  log::warning("io_uring: {}; going on with epoll, which is slower", std::strerror(ring.err()));
  return open_epoll();
}

}  // namespace qtfs
