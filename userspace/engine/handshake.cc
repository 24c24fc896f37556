// SPDX-License-Identifier: GPL-2.0-only
#include "engine/handshake.hh"

#include <algorithm>

namespace qtfs {

namespace {

constexpr uint32_t io_min = 4096;
constexpr uint32_t inflight_min = 1;
constexpr uint64_t served_features = QTFS_FEATURE_LOCKS | QTFS_FEATURE_PARK | QTFS_FEATURE_POLL |
                                     QTFS_FEATURE_SOCKETS | QTFS_FEATURE_MOUNTS |
                                     QTFS_FEATURE_RIGHTS;
constexpr uint32_t lease_ms = 30'000;

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Digest digest_of(const __u8 (&raw)[QTFS_PROOF_LEN]) {
  Digest digest;
  std::memcpy(digest.data(), raw, digest.size());
  return digest;
}

}  // namespace

Handshake::~Handshake() {
  if (session_)
    door_.sessions.leave(session_);
}

bool Handshake::expects(unsigned op) const {
  switch (phase_) {
    case Phase::hello:
      return op == QTFS_OP_HELLO;
    case Phase::auth:
      return op == QTFS_OP_AUTH;
    case Phase::session:
      return op == QTFS_OP_SESSION;
    case Phase::ready:
      break;
  }
  return false;
}

Status Handshake::run(Call& call, bool& log_auth_failure) {
  Status status;
  switch (phase_) {
    case Phase::hello:
      return hello(call, *Reader(call.body).take_bytes(call.body.left()));
    case Phase::auth:
      status = auth(call);
      log_auth_failure = status.err() == EACCES;
      return status;
    case Phase::session:
      status = session(call);
      log_auth_failure = status.err() == EACCES;
      return status;
    case Phase::ready:
      break;
  }
  return Status::malformed();
}

Status Handshake::hello(Call& call, Bytes raw) {
  const auto body = call.take<qtfs_wire_hello>();
  if (!body || le32toh(body->magic) != QTFS_WIRE_MAGIC)
    return Status::malformed();
  const auto name = call.body.take_name(le16toh(body->name_len));
  if (!name || !call.body.done() || name->size() > QTFS_NAME_MAX ||
      le16toh(body->version_min) > le16toh(body->version_max))
    return Status::malformed();

  const uint32_t wanted = door_.psk.empty() ? QTFS_AUTH_NONE : QTFS_AUTH_PSK;
  io_max_ = std::clamp(le32toh(body->io_max), io_min, std::min(door_.limits.io_max, QTFS_IO_MAX));
  inflight_ = std::clamp(le32toh(body->inflight), inflight_min, door_.limits.inflight_max);

  qtfs_wire_hello_rep rep{};
  rep.magic = htole32(QTFS_WIRE_MAGIC);
  rep.version = htole16(QTFS_WIRE_VERSION);
  features_ = le64toh(body->features) & served_features;
  rep.features = htole64(features_);
  rep.life = htole64(door_.sessions.life());
  rep.io_max = htole32(io_max_);
  rep.inflight = htole32(inflight_);
  rep.auth = htole32(wanted);
  fill_random(std::as_writable_bytes(std::span(rep.nonce)));
  call.reply.put(rep);
  transcript_ = sha256(raw, bytes_of(rep));

  if (le16toh(body->version_min) > QTFS_WIRE_VERSION ||
      le16toh(body->version_max) < QTFS_WIRE_VERSION)
    return Status::error(EPROTONOSUPPORT);
  if (!(le32toh(body->auth) & wanted))
    return Status::error(EACCES);
  if (le64toh(body->required) & ~features_)
    return Status::error(EOPNOTSUPP);
  phase_ = wanted == QTFS_AUTH_PSK ? Phase::auth : Phase::session;
  return {};
}

Status Handshake::auth(Call& call) {
  const auto body = call.take<qtfs_wire_auth>();
  if (!body || !call.body.done())
    return Status::malformed();
  const Digest want = proof_of(door_.psk, QTFS_LABEL_CLIENT, transcript_);
  if (!same_digest(want, digest_of(body->proof)))
    return Status::error(EACCES);
  const Digest own = proof_of(door_.psk, QTFS_LABEL_SERVER, transcript_);
  qtfs_wire_auth rep{};
  std::memcpy(rep.proof, own.data(), own.size());
  call.reply.put(rep);
  phase_ = Phase::session;
  return {};
}

Status Handshake::session(Call& call) {
  const auto body = call.take<qtfs_wire_session>();
  if (!body || !call.body.done() || body->reserved != 0)
    return Status::malformed();
  qtfs_wire_session_rep rep{};
  Status status;
  switch (le16toh(body->action)) {
    case QTFS_SESSION_NEW:
      status = new_session(*body, rep);
      break;
    case QTFS_SESSION_JOIN:
      status = join_session(*body, rep);
      break;
    case QTFS_SESSION_RESUME:
      // A session ends with its last connection: there is never one to come back to.
      return Status::error(ESTALE);
    default:
      return Status::malformed();
  }
  if (!status)
    return status;
  std::memcpy(rep.id, session_->id.data(), sizeof(rep.id));
  rep.epoch = htole16(session_->epoch);
  rep.lease_ms = htole32(lease_ms);
  call.reply.put(rep);
  phase_ = Phase::ready;
  return {};
}

Status Handshake::new_session(const qtfs_wire_session& body, qtfs_wire_session_rep& rep) {
  if (!all_zero(bytes_of(body.id)) || !all_zero(bytes_of(body.proof)))
    return Status::malformed();
  Digest secret;
  if (door_.psk.empty()) {
    fill_random(secret);
    std::memcpy(rep.secret, secret.data(), secret.size());
  } else {
    secret = proof_of(door_.psk, QTFS_LABEL_SECRET, transcript_);
  }
  auto made = door_.sessions.create(secret);
  if (!made)
    return made.status();
  session_ = std::move(*made);
  return {};
}

Status Handshake::join_session(const qtfs_wire_session& body, qtfs_wire_session_rep&) {
  SessionId id;
  std::memcpy(id.data(), body.id, id.size());
  auto found = door_.sessions.find(id);
  if (!found)
    return Status::error(ESTALE);
  const Digest want = proof_of(found->secret, QTFS_LABEL_RESUME, transcript_);
  if (!same_digest(want, digest_of(body.proof)))
    return Status::error(EACCES);
  if (Status status = door_.sessions.join(found); !status)
    return status;
  session_ = std::move(found);
  return {};
}

}  // namespace qtfs
