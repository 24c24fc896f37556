// SPDX-License-Identifier: GPL-2.0-only
// Programs of the server, led to sockets that programs of this machine have bound.
#pragma once

#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs::agent {

// On a thread of its own, until the program closes its socket. @type: SOCK_*; @arrivals: where the
// server's programs arrive, as the module gives it; @place: the socket's own, O_PATH.
Status start_bound(int type, UniqueFd arrivals, UniqueFd place);

}  // namespace qtfs::agent
