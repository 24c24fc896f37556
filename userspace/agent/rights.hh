// SPDX-License-Identifier: GPL-2.0-only
// Descriptors that programs of this machine and of the server pass each other (SCM_RIGHTS). Files
// of the server stay what they are; what pipes and sockets carry is copied, on threads of their
// own.
#pragma once

#include <vector>

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

// Nothing goes along with what is written next, after all.
void drop_rights(int peer);

// @fds go along with what is written to the connection @peer next. EOPNOTSUPP for what can only be
// used on this machine.
Status give_rights(int peer, std::vector<UniqueFd> fds);

// What came along with what was read from it, @at one of its bytes. An error for what can only be
// used on the server.
Result<std::vector<UniqueFd>> take_rights(int peer, size_t& at);

}  // namespace qtfs::agent
