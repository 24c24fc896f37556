// SPDX-License-Identifier: GPL-2.0-only
// The first exchange of a connection: HELLO, perhaps AUTH, SESSION.
#pragma once

#include <memory>
#include <vector>

#include "engine/call.hh"
#include "engine/session.hh"

namespace qtfs {

// What the exchange needs of the engine.
struct Door {
  SessionTable& sessions;
  const Limits& limits;
  const std::vector<std::byte>& psk;  // empty: no authentication
};

class Handshake {
 public:
  enum class Phase : uint8_t { hello, auth, session, ready };

  explicit Handshake(Door door) : door_(door) {}
  ~Handshake();

  // HELLO, AUTH or SESSION; a failure ends the connection after its answer.
  Status run(Call& call, bool& log_auth_failure);
  bool ready() const { return phase_ == Phase::ready; }
  bool expects(unsigned op) const;
  const std::shared_ptr<Session>& session() const { return session_; }
  uint32_t io_max() const { return io_max_; }
  uint32_t inflight() const { return inflight_; }
  uint64_t features() const { return features_; }

 private:
  Status hello(Call& call, Bytes raw);
  Status auth(Call& call);
  Status session(Call& call);
  Status new_session(const qtfs_wire_session& body, qtfs_wire_session_rep& rep);
  Status join_session(const qtfs_wire_session& body, qtfs_wire_session_rep& rep);

  Door door_;
  Phase phase_ = Phase::hello;
  Digest transcript_{};
  uint32_t io_max_ = 0;
  uint32_t inflight_ = 1;
  uint64_t features_ = 0;  // QTFS_FEATURE_*, of both
  std::shared_ptr<Session> session_;
};

}  // namespace qtfs
