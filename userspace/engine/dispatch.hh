// SPDX-License-Identifier: GPL-2.0-only
// From an operation's number to its handler, by the table made of qtfs/ops.h.
#pragma once

#include "engine/call.hh"

namespace qtfs {

struct OpInfo {
  const char* name = nullptr;  // nullptr: no such operation
  uint32_t body_min = 0;
  Handler run = nullptr;  // nullptr: known, not served
  bool takes_payload = false;
  bool session = false;  // of the connection itself: handled there, never in a compound
};

const OpInfo& op_info(unsigned op);

// Runs a request of an established session. A status that is_deferred() means: run it again, with
// may_block, on a thread that may; what was done so far is kept in the call.
Status run_call(Call& call);
// The answer to one that was deferred and is cancelled before it was run again.
void interrupt_call(Call& call);

}  // namespace qtfs
