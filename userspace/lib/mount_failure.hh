// SPDX-License-Identifier: GPL-2.0-only
// Why a mount did not come about: words for the user, and mount(8)'s exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace qtfs::mount {

// Exit statuses as mount(8) has them.
constexpr int exit_usage = 1;
constexpr int exit_system = 2;
constexpr int exit_failed = 32;

class Failure : public std::runtime_error {
 public:
  Failure(int status, const std::string& text, int err = 0)
      : std::runtime_error(text), status_(status), err_(err) {}
  int status() const { return status_; }
  // The kernel's error number, where it was the kernel that refused.
  int err() const { return err_; }

 private:
  int status_;
  int err_;
};

}  // namespace qtfs::mount
