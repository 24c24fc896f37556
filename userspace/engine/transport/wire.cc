// SPDX-License-Identifier: GPL-2.0-only
#include "engine/transport/wire.hh"

#include <algorithm>

#include "engine/context.hh"

namespace qtfs {

void Outgoing::start(std::vector<Payload>& queue) {
  clear();
  parts_.swap(queue);
}

void Outgoing::clear() {
  parts_.clear();
  done_ = 0;
}

void Outgoing::consume(size_t len) {
  while (!empty()) {
    Payload& first = front();
    const size_t part = std::min(len, first.size());
    len -= part;
    if (first.pipe)
      first.pipe.consume(part);
    else
      first.buffer.consume(part);
    if (first.size() > 0)
      return;
    if (first.pipe)
      context_.pipes.give(std::move(first.pipe));
    else
      context_.buffers.give(std::move(first.buffer));
    done_++;
  }
}

}  // namespace qtfs
