// SPDX-License-Identifier: GPL-2.0-only
#include "engine/session.hh"

namespace qtfs {

namespace {
constexpr size_t domains_max = 256;
}

Status CredTable::put(uint32_t id, Ref<const Cred> cred) {
  std::lock_guard guard(mutex_);
  if (!creds_.contains(id) && creds_.size() >= QTFS_CREDS_MAX)
    return Status::error(ENFILE);
  creds_[id] = Registered{std::move(cred), {}};
  return {};
}

void CredTable::remove(uint32_t id) {
  std::lock_guard guard(mutex_);
  creds_.erase(id);
}

Ref<const Cred> CredTable::find(uint32_t id, const IdMap* ids) {
  std::lock_guard guard(mutex_);
  const auto found = creds_.find(id);
  if (found == creds_.end())
    return {};
  Registered& registered = found->second;
  if (!ids)
    return registered.cred;
  for (const auto& [of, mapped] : registered.mapped)
    if (of == ids)
      return mapped;
  return registered.mapped.emplace_back(ids, ids->cred(*registered.cred)).second;
}

void RemoteMounts::add(const MadeMount& mount) {
  std::lock_guard guard(mutex_);
  made_.insert(mount);
}

void RemoteMounts::remove(const MadeMount& mount) {
  std::lock_guard guard(mutex_);
  made_.erase(mount);
}

bool RemoteMounts::has(const MadeMount& mount) {
  std::lock_guard guard(mutex_);
  return made_.contains(mount);
}

Session::Session(uint16_t life, const Limits& limits, const Exports& exports_, FdBudget& budget,
                 LockTable& locks_)
    : exports(exports_),
      locks(locks_),
      nodes(life, limits.nodes_max, budget),
      opens(life, limits.opens_max) {
  lock_quota.max = limits.locks_max;
}

Session::~Session() {
  locks.end_session(this);
}

Result<const Domain*> Session::domain(const Export& exported, bool readonly) {
  readonly |= exported.readonly;
  std::lock_guard guard(mutex_);
  for (const Domain& domain : domains_)
    if (domain.exported == &exported && domain.readonly == readonly)
      return &domain;
  if (domains_.size() >= domains_max)
    return Status::error(ENFILE);
  domains_.push_back({&exported, readonly, static_cast<uint32_t>(domains_.size())});
  return &domains_.back();
}

SessionTable::SessionTable(uint16_t life, const Limits& limits, const Exports& exports)
    : life_(life), limits_(limits), exports_(exports) {
  budget_.max = limits.fds_max;
}

Result<std::shared_ptr<Session>> SessionTable::create(const Digest& secret) {
  auto session = std::make_shared<Session>(life_, limits_, exports_, budget_, locks_);
  fill_random(session->id);
  session->secret = secret;
  session->connections = 1;
  std::lock_guard guard(mutex_);
  if (sessions_.size() >= limits_.sessions_max)
    return Status::error(ENFILE);
  sessions_.emplace(session->id, session);
  return session;
}

std::shared_ptr<Session> SessionTable::find(const SessionId& id) {
  std::lock_guard guard(mutex_);
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

Status SessionTable::join(const std::shared_ptr<Session>& session) {
  std::lock_guard guard(mutex_);
  if (session->connections == 0)
    return Status::error(ESTALE);
  if (session->connections >= limits_.session_connections_max)
    return Status::error(EMFILE);
  session->connections++;
  return {};
}

void SessionTable::leave(const std::shared_ptr<Session>& session) {
  std::lock_guard guard(mutex_);
  if (--session->connections == 0)
    sessions_.erase(session->id);
}

std::vector<std::shared_ptr<Session>> SessionTable::all() {
  std::lock_guard guard(mutex_);
  std::vector<std::shared_ptr<Session>> sessions;
  for (const auto& [id, session] : sessions_)
    sessions.push_back(session);
  return sessions;
}

size_t SessionTable::size() {
  std::lock_guard guard(mutex_);
  return sessions_.size();
}

}  // namespace qtfs
