// SPDX-License-Identifier: GPL-2.0-only
// Copies between a program of this machine and one of the server.
#pragma once

#include <cstddef>
#include <memory>

#include "lib/message.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

// Longer messages are not passed on.
constexpr size_t message_max = 262144;

// How many descriptors that programs passed are copied; see rights.cc.
using Counted = std::shared_ptr<const void>;

// A program that passed its end of something may have kept it: only what both ends of the copy do
// is done to it, and closing the copy is not one of that.
enum class Passed { none, by_local, by_peer };

// Until both directions have ended, on a thread of its own: who is slow holds up nobody else.
// @local is a connected socket of @type, SOCK_STREAM or SOCK_SEQPACKET; @peer what the module gave;
// @speaker has its other end. EAGAIN where there can be no more threads.
Status start_relay(UniqueFd local, UniqueFd peer, int type, Speaker speaker = {},
                   Passed passed = Passed::none, Counted counted = {});

// Copies what can be read from @from to @to, until either is closed; on a thread of its own, too.
Status start_pipe(UniqueFd from, UniqueFd to, Counted counted);

}  // namespace qtfs::agent
