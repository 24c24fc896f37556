// SPDX-License-Identifier: GPL-2.0-only
// Copies between a program of this machine and one of the server.
#pragma once

#include <cstddef>

#include "lib/message.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

// Longer messages are not passed on.
constexpr size_t message_max = 262144;

// Until both directions have ended, on a thread of its own: who is slow holds up nobody else.
// @local is a connected socket of @type, SOCK_STREAM or SOCK_SEQPACKET; @peer what the module gave;
// @speaker has its other end. EAGAIN where there can be no more threads.
Status start_relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker = {});

}  // namespace qtfs::agent
