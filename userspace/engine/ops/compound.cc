// SPDX-License-Identifier: GPL-2.0-only
// Several operations in one frame.
#include "engine/dispatch.hh"
#include "engine/ops/ops.hh"

namespace qtfs {

namespace {

// What later operations may call QTFS_PREV.
void remember(CompoundState& state, uint16_t op, Bytes reply) {
  Reader reader(reply);
  if (op != QTFS_OP_LOOKUP)
    state.prev_dir = {};
  switch (op) {
    case QTFS_OP_ATTACH:
    case QTFS_OP_LOOKUP:
    case QTFS_OP_MKDIR:
    case QTFS_OP_LINK:
    case QTFS_OP_SYMLINK:
    case QTFS_OP_MKNOD:
      if (const auto entry = reader.take<qtfs_wire_entry>())
        state.prev_node = le64toh(entry->node);
      return;
    case QTFS_OP_OPEN:
    case QTFS_OP_ACCEPT:  // begins with it
    case QTFS_OP_GIVE:
    case QTFS_OP_TAKE:
      if (const auto opened = reader.take<qtfs_wire_opened>())
        state.prev_open = le64toh(opened->open);
      return;
    case QTFS_OP_CREATE:
    case QTFS_OP_TMPFILE:
    case QTFS_OP_BIND:
      if (const auto created = reader.take<qtfs_wire_created>()) {
        state.prev_node = le64toh(created->entry.node);
        state.prev_open = le64toh(created->opened.open);
      }
      return;
    default:
      return;
  }
}

Status begin(Call& call) {
  const auto body = call.take<qtfs_wire_compound>();
  if (!body || body->reserved[0] || body->reserved[1] || body->reserved[2])
    return Status::malformed();
  const unsigned nr = le16toh(body->nr);
  if (nr == 0 || nr > QTFS_COMPOUND_MAX)
    return Status::malformed();
  call.compound.started = true;
  call.compound.nr = nr;
  call.compound.rest = call.body;
  call.reply.put(qtfs_wire_compound{});
  return {};
}

// One sub-operation; its result is in the reply. Not ok() only when it has to be run elsewhere or
// the compound is malformed.
Status step(Call& call, Status& outcome) {
  CompoundState& state = call.compound;
  Reader rest = state.rest;
  const auto sub = rest.take<qtfs_wire_sub>();
  if (!sub || sub->reserved || le32toh(sub->body) % QTFS_ALIGN != 0)
    return Status::malformed();
  const auto body = rest.take_bytes(le32toh(sub->body));
  const uint16_t op = le16toh(sub->op);
  const OpInfo& info = op_info(op);
  if (!body || op == QTFS_OP_COMPOUND || info.session ||
      (info.name && body->size() < info.body_min))
    return Status::malformed();
  const bool had_payload = call.reply.has_payload();
  if (info.takes_payload && (state.payload_used || had_payload))
    return Status::malformed();

  const size_t start = call.reply.size();
  call.reply.put(qtfs_wire_result{});
  const size_t before = call.reply.size();
  call.body = Reader(*body);
  outcome = info.run ? info.run(call) : Status::error(EOPNOTSUPP);
  if (outcome.is_deferred() || outcome.is_malformed()) {
    call.reply.truncate(start);
    return outcome;
  }
  if (call.reply.has_payload() && (had_payload || state.payload_used))
    return Status::malformed();
  state.payload_used |= info.takes_payload || call.reply.has_payload();
  if (!outcome)
    call.reply.truncate(before);

  qtfs_wire_result result{};
  result.op = sub->op;
  result.status = htole32(qtfs_errno_to_wire(outcome.err()));
  result.body = htole32(static_cast<uint32_t>(call.reply.size() - before));
  call.reply.put_at(start, result);
  if (outcome)
    remember(state, op, call.reply.body().subspan(before));
  state.rest = rest;
  state.next++;
  return {};
}

}  // namespace

void interrupt_compound(Call& call) {
  CompoundState& state = call.compound;
  const auto sub = Reader(state.rest).take<qtfs_wire_sub>();
  qtfs_wire_result result{};
  result.op = sub ? sub->op : 0;
  result.status = htole32(qtfs_errno_to_wire(EINTR));
  call.reply.put(result);
  state.next++;
  call.reply.put_at(0, qtfs_wire_compound{htole16(static_cast<uint16_t>(state.next)), {}});
}

Status op_compound(Call& call) {
  CompoundState& state = call.compound;
  if (!state.started)
    if (Status status = begin(call); !status)
      return status;
  Status outcome;
  while (state.next < state.nr && outcome.ok())
    if (Status status = step(call, outcome); !status)
      return status;
  if (outcome.ok() && !state.rest.done())
    return Status::malformed();
  call.reply.put_at(0, qtfs_wire_compound{htole16(static_cast<uint16_t>(state.next)), {}});
  return {};
}

}  // namespace qtfs
