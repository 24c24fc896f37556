// SPDX-License-Identifier: GPL-2.0-only
#include "engine/call.hh"

#include <linux/capability.h>

namespace qtfs {

void Call::reset() {
  may_block = false;
  session = nullptr;
  conn = nullptr;
  payload = {};
  body = Reader();
  frame = Buffer();
  cred = {};
  cred_ids = nullptr;
  compound = CompoundState();
  reply.reset();
  status = Status();
  stage = Stage::idle;
  cancelled = false;
  patient = false;
  cancel_tags.clear();
  lock_wait.reset();
  opener = false;
  wait_open = {};
  wait_events = 0;
  interrupted = false;
  written = 0;
  parks = false;
  parked = false;
  counted = false;
}

Result<std::string> Call::take_name(size_t len, bool last) {
  const auto name = body.take_name(len);
  if (!name || (last && !body.done()))
    return Status::malformed();
  if (name->size() > QTFS_NAME_MAX)
    return Status::error(ENAMETOOLONG);
  if (!valid_name(*name))
    return Status::malformed();
  return std::string(*name);
}

Result<Ref<Node>> Call::node(uint64_t wire_id) const {
  uint64_t id = le64toh(wire_id);
  if (id == QTFS_PREV)
    id = compound.prev_node;
  Ref<Node> found = session->nodes.find(id);
  if (!found)
    return Status::error(ESTALE);
  if (found->traits.guard == Guard::guarded) {
    const Ref<const Cred> caller = session->creds.find(cred_id, found->domain.ids());
    if (!caller || !(caller->caps & uint64_t{1} << CAP_SYS_PTRACE))
      return Status::error(EACCES);
  }
  return found;
}

Result<Ref<Open>> Call::open(uint64_t wire_id) const {
  uint64_t id = le64toh(wire_id);
  if (id == QTFS_PREV)
    id = compound.prev_open;
  Ref<Open> found = session->opens.find(id);
  if (!found)
    return Status::error(EBADF);
  return found;
}

Result<Ref<NodeFd>> Call::fd_of(uint64_t wire_node) {
  auto found = node(wire_node);
  if (!found)
    return found.status();
  return fd_of(*found);
}

Status Call::act(const Node& node) {
  const IdMap* ids = node.domain.ids();
  if (!cred || cred_ids != ids) {
    cred = session->creds.find(cred_id, ids);
    if (!cred)
      return Status::error(ENOKEY);
    cred_ids = ids;
  }
  return context->creds.assume(cred);
}

Status Call::act(const Open& open) {
  if (cred_id == 0)
    return context->creds.assume(open.opener);
  return act(*open.node);
}

Status Call::wait_for(const Ref<Open>& open, short events) {
  if (interrupted)
    return Status::error(EINTR);
  wait_open = open;
  wait_events = events;
  parks = true;
  return Status::defer();
}

Result<Buffer> Call::take_payload_buffer(size_t size) {
  Buffer buffer = context->buffers.take(size);
  if (!buffer)
    return Status::error(ENOMEM);
  return buffer;
}

}  // namespace qtfs
