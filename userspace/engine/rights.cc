// SPDX-License-Identifier: GPL-2.0-only
#include "engine/rights.hh"

#include "qtfs/wire.h"

namespace qtfs {

namespace {

constexpr uint32_t waiting_max = 4096;

}  // namespace

Rights::~Rights() {
  *waiting_ -= static_cast<uint32_t>(given_.size() + came_.size());
  for (UniqueFd& fd : came_)
    given_.push_back(std::move(fd));
  close_elsewhere(std::move(given_));
}

bool Rights::count(size_t more) {
  const auto n = static_cast<uint32_t>(more);
  if (waiting_->fetch_add(n) + n <= waiting_max)
    return true;
  *waiting_ -= n;
  return false;
}

Status Rights::give(UniqueFd fd) {
  const std::lock_guard guard(mutex_);
  if (given_.size() >= QTFS_RIGHTS_MAX || !count(1))
    return Status::error(ENFILE);
  given_.push_back(std::move(fd));
  return {};
}

void Rights::drop_given() {
  std::vector<UniqueFd> dropped;
  {
    const std::lock_guard guard(mutex_);
    *waiting_ -= static_cast<uint32_t>(given_.size());
    std::swap(dropped, given_);
  }
  close_elsewhere(std::move(dropped));
}

ssize_t Rights::send(const std::function<ssize_t(std::span<const UniqueFd>)>& send) {
  std::vector<UniqueFd> sent;  // let go of outside the lock
  const std::lock_guard guard(mutex_);
  const ssize_t put = send(given_);
  if (put >= 0 && !given_.empty()) {
    *waiting_ -= static_cast<uint32_t>(given_.size());
    std::swap(sent, given_);
  }
  return put;
}

Status Rights::came(std::vector<UniqueFd> fds, size_t at) {
  const std::lock_guard guard(mutex_);
  if (!count(fds.size())) {
    close_elsewhere(std::move(fds));
    return Status::error(ENFILE);
  }
  for (UniqueFd& fd : fds)
    came_.push_back(std::move(fd));
  at_ = at;
  return {};
}

bool Rights::any_came() {
  const std::lock_guard guard(mutex_);
  return !came_.empty();
}

UniqueFd Rights::take(size_t& at) {
  const std::lock_guard guard(mutex_);
  if (came_.empty())
    return {};
  UniqueFd fd = std::move(came_.front());
  came_.pop_front();
  at = at_;
  *waiting_ -= 1;
  return fd;
}

}  // namespace qtfs
