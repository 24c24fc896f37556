// SPDX-License-Identifier: GPL-2.0-only
// Requests about the session itself: attach, credentials, what the client lets go.
#include "engine/ops/ops.hh"

namespace qtfs {

Status op_attach(Call& call) {
  const auto body = call.take<qtfs_wire_attach>();
  if (!body || body->reserved || (le32toh(body->flags) & ~QTFS_ATTACH_RDONLY))
    return Status::malformed();
  const auto path = call.body.take_name(le16toh(body->path_len));
  if (!path || !call.body.done() || path->find('\0') != path->npos)
    return Status::malformed();
  if (path->size() > QTFS_PATH_MAX)
    return Status::error(ENAMETOOLONG);
  // The mounter is not known here, and need not be: what is inside is checked for each caller.
  if (Status status = call.context->creds.privileged(); !status)
    return status;
  auto found = call.session->exports.resolve(*path, call.context->mounts);
  if (!found)
    return found.status();
  const bool readonly = (le32toh(body->flags) & QTFS_ATTACH_RDONLY) != 0;
  const auto domain = call.session->domain(*found->exported, readonly);
  if (!domain)
    return domain.status();
  auto child = grant_entry(call, **domain, std::move(found->dir), {}, -1);
  if (!child)
    return child.status();
  if (call.cred_id == 0 || (*domain)->ids())
    child->entry.access = 0;  // the engine's own
  call.reply.put(child->entry);
  return {};
}

Status op_cred(Call& call) {
  const auto body = call.take<qtfs_wire_cred>();
  if (!body || !call.body.done() || body->id == 0)
    return Status::malformed();
  const uint32_t count = le32toh(body->ngroups);
  if (count > QTFS_GROUPS_MAX || call.payload.size() != size_t{count} * sizeof(uint32_t))
    return Status::malformed();
  const uint32_t uid = le32toh(body->uid);
  const uint32_t gid = le32toh(body->gid);
  if (uid == ~0u || gid == ~0u)
    return Status::error(EINVAL);
  std::vector<gid_t> groups(count);
  if (count > 0)
    std::memcpy(groups.data(), call.payload.data(), call.payload.size());
  for (gid_t& group : groups) {
    group = le32toh(group);
    if (group == ~0u)
      return Status::error(EINVAL);
  }
  return call.session->creds.put(
      le32toh(body->id), make_ref<const Cred>(uid, gid, std::move(groups), le64toh(body->caps)));
}

Status op_cred_put(Call& call) {
  const auto body = call.take<qtfs_wire_cred_put>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  call.session->creds.remove(le32toh(body->id));
  return {};
}

Status op_forget(Call& call) {
  const auto body = call.take<qtfs_wire_forget>();
  if (!body || body->reserved || le32toh(body->nr) > QTFS_FORGET_MAX)
    return Status::malformed();
  for (uint32_t i = 0; i < le32toh(body->nr); i++) {
    const auto item = call.take<qtfs_wire_forget_item>();
    if (!item)
      return Status::malformed();
    call.session->nodes.forget(le64toh(item->node), le64toh(item->stamp));
  }
  return call.body.done() ? Status() : Status::malformed();
}

Status op_abandon(Call& call) {
  const auto body = call.take<qtfs_wire_abandon>();
  if (!body || body->reserved || !call.body.done())
    return Status::malformed();
  switch (le32toh(body->action)) {
    case QTFS_ABANDON_OPEN:
      call.session->opens.remove(le64toh(body->id));
      return {};
    case QTFS_ABANDON_NODE:
      call.session->nodes.forget(le64toh(body->id), le64toh(body->arg));
      return {};
    default:
      return Status::error(EOPNOTSUPP);
  }
}

Status op_ping(Call& call) {
  return call.body.done() ? Status() : Status::malformed();
}

Status op_push_ack(Call& call) {
  const auto body = call.take<qtfs_wire_push_ack>();
  return body && call.body.done() ? Status() : Status::malformed();
}

}  // namespace qtfs
