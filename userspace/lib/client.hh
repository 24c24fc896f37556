// SPDX-License-Identifier: GPL-2.0-only
// The protocol's client side, blocking and simple: for tests, fuzzing and benchmarks of the engine
// without a kernel module.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/bytes.hh"
#include "lib/codec.hh"
#include "lib/crypto.hh"
#include "lib/result.hh"
#include "lib/unique_fd.hh"

namespace qtfs {

using SessionIdBytes = std::array<std::byte, QTFS_SESSION_ID_LEN>;

// A body under construction: structures and padded names.
class Body {
 public:
  template <typename T>
  Body& put(const T& part) {
    return raw(bytes_of(part));
  }
  Body& name(std::string_view text) {
    raw(bytes_of(text));
    bytes_.resize(QTFS_PAD(bytes_.size()));
    return *this;
  }
  Body& raw(Bytes part) {
    bytes_.insert(bytes_.end(), part.begin(), part.end());
    return *this;
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

struct Answer {
  qtfs_wire_rep header{};
  std::vector<std::byte> body;
  std::vector<std::byte> payload;

  int err() const { return qtfs_errno_from_wire(le32toh(header.status)); }
  template <typename T>
  T as(size_t offset = 0) const {
    T out{};
    if (body.size() >= offset + sizeof(T))
      std::memcpy(&out, body.data() + offset, sizeof(T));
    return out;
  }
  std::string text() const { return std::string(text_of(payload)); }
};

struct DirEntry {
  std::string name;
  uint64_t ino = 0;
  uint64_t cookie = 0;
  uint32_t type = 0;
  std::optional<qtfs_wire_entry> entry;
};

struct DirPage {
  std::vector<DirEntry> entries;
  uint64_t verifier = 0;
  bool eof = false;
};

struct CompoundResult {
  uint16_t op = 0;
  int err = 0;
  std::vector<std::byte> body;
};

struct CallerId {
  uint32_t id = 1;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};
  uint64_t caps = (1ull << QTFS_CAP_NR) - 1;
};

class Client {
 public:
  // --- connection

  Status connect(const std::string& host, uint16_t port);
  Status connect_vsock(unsigned cid, uint32_t port);
  // Through any stream socket that leads to an engine.
  void connect_by(UniqueFd fd);
  // HELLO, AUTH if @psk is given, SESSION new: everything up to ATTACH.
  Status start(std::string_view psk = {});
  // HELLO, AUTH, SESSION join of @other's session.
  Status join(const Client& other, std::string_view psk = {});
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

  // The steps of start(), for those who want to take them wrongly.
  qtfs_wire_hello hello_body() const;
  Result<Answer> hello(const qtfs_wire_hello& body, std::string_view name = "test");
  Result<Answer> auth(std::string_view psk);
  Result<Answer> session(uint16_t action, const SessionIdBytes* id = nullptr,
                         const Digest* secret = nullptr);
  // What proves @secret on this connection, after hello().
  Digest proof(const Digest& secret, std::string_view label) const {
    return proof_of(secret, label, transcript_);
  }

  // --- frames

  // Sends a request; the tag it got.
  Result<uint64_t> send(uint16_t op, Bytes body, Bytes payload = {}, uint16_t flags = 0);
  Status send_raw(Bytes bytes);
  // The answer to @tag, parked or not; others are kept until they are asked for. ECONNRESET when
  // the peer closed.
  Result<Answer> wait(uint64_t tag);
  Result<Answer> call(uint16_t op, Bytes body, Bytes payload = {});
  // The next push that is not the result of a request.
  Result<Answer> push();
  // Any next frame.
  Result<Answer> receive();
  // Blocks until the peer closes; false when it sends something instead.
  bool closed_by_peer();
  std::vector<std::byte> frame(uint16_t op, uint64_t tag, Bytes body, Bytes payload = {},
                               uint16_t flags = 0) const;

  // Credential of the following calls.
  uint32_t cred = 0;
  // That hello_body() offers.
  uint64_t features =
      QTFS_FEATURE_LOCKS | QTFS_FEATURE_PARK | QTFS_FEATURE_POLL | QTFS_FEATURE_SOCKETS;
  // Before each request. An engine that has gone to sleep does the same work for each.
  std::chrono::microseconds pause{0};

  // --- operations; a failure is the answer's error

  Status add_cred(const CallerId& caller);
  Status put_cred(uint32_t id);
  Result<qtfs_wire_entry> attach(std::string_view path, uint32_t flags = 0);
  Result<qtfs_wire_entry> lookup(uint64_t dir, std::string_view name);
  Result<qtfs_wire_entry> node(uint64_t node);
  Result<qtfs_wire_entry> parent(uint64_t node);
  Result<qtfs_wire_attr> getattr(uint64_t node, uint64_t open = 0);
  Result<qtfs_wire_attr> setattr(const qtfs_wire_setattr& body);
  Result<uint32_t> access(uint64_t node, uint32_t mask);
  Result<std::string> readlink(uint64_t node);
  Result<qtfs_wire_statfs> statfs(uint64_t node);
  Result<qtfs_wire_entry> mkdir(uint64_t dir, std::string_view name, uint32_t mode = 0755,
                                uint32_t umask = 022);
  Result<qtfs_wire_entry> mknod(uint64_t dir, std::string_view name, uint32_t type, uint32_t mode,
                                uint32_t major = 0, uint32_t minor = 0);
  Status unlink(uint64_t dir, std::string_view name);
  Status rmdir(uint64_t dir, std::string_view name);
  Status rename(uint64_t old_dir, std::string_view old_name, uint64_t new_dir,
                std::string_view new_name, uint32_t flags = 0);
  Result<qtfs_wire_entry> link(uint64_t node, uint64_t dir, std::string_view name);
  Result<qtfs_wire_entry> symlink(uint64_t dir, std::string_view name, std::string_view target);
  Result<qtfs_wire_created> create(uint64_t dir, std::string_view name, uint32_t flags,
                                   uint32_t mode = 0644, uint32_t umask = 022);
  Result<qtfs_wire_created> tmpfile(uint64_t dir, uint32_t flags, uint32_t mode = 0600);
  Result<qtfs_wire_opened> open(uint64_t node, uint32_t flags);
  Result<qtfs_wire_opened> open_at(uint64_t node, uint64_t dir, std::string_view name,
                                   uint32_t flags);
  Status release(uint64_t open);
  Result<std::string> read(uint64_t open, uint64_t offset, uint32_t count, uint32_t flags = 0);
  Result<qtfs_wire_write_rep> write(uint64_t open, uint64_t offset, std::string_view bytes,
                                    uint32_t flags = 0);
  Status fsync(uint64_t open, uint32_t flags = 0);
  Result<qtfs_wire_attr> fallocate(uint64_t open, uint64_t offset, uint64_t length, uint32_t mode);
  Result<uint64_t> seek(uint64_t open, uint64_t offset, uint32_t whence);
  Result<qtfs_wire_write_rep> copy(const qtfs_wire_copy& body);
  Result<qtfs_wire_dedupe_rep> dedupe(const qtfs_wire_copy& body);
  Result<std::vector<qtfs_wire_extent>> fiemap(const qtfs_wire_fiemap& body);
  Result<qtfs_wire_flags> getflags(uint64_t node, uint64_t open = 0);
  Result<qtfs_wire_attr> setflags(uint64_t node, const qtfs_wire_flags& set, uint64_t open = 0);
  Result<DirPage> readdir(uint64_t open, uint64_t cookie, uint32_t count = 65536,
                          uint32_t flags = 0);
  Result<qtfs_wire_attr> lock(const qtfs_wire_lock& body);
  Status unlock(const qtfs_wire_lock& body);
  Result<qtfs_wire_lock> getlock(const qtfs_wire_lock& body);
  // What it is ready for now.
  Result<uint32_t> poll(uint64_t open, uint32_t mask = QTFS_POLL_ALL);
  // How many bytes a FIFO has.
  Result<uint64_t> readable(uint64_t open);
  Status shutdown(uint64_t open, uint32_t how);
  Result<qtfs_wire_created> bind(uint64_t dir, std::string_view name, uint32_t kind,
                                 uint32_t mode = 0755);
  Result<qtfs_wire_accepted> accept(uint64_t open);
  Result<qtfs_wire_opened> give(const qtfs_wire_give& body);
  Result<qtfs_wire_taken> take(uint64_t open);
  Result<std::string> getxattr(uint64_t node, std::string_view name, uint32_t size = 65536);
  Result<uint32_t> xattr_size(uint64_t node, std::string_view name);
  Result<std::string> listxattr(uint64_t node, uint32_t size = 65536);
  Status setxattr(uint64_t node, std::string_view name, std::string_view value, uint16_t flags = 0);
  Status removexattr(uint64_t node, std::string_view name);
  Status forget(uint64_t node, uint64_t stamp);
  Status abandon(uint32_t action, uint64_t id, uint64_t arg = 0);
  Status ping();
  Result<uint32_t> cancel(uint64_t tag);

  // What @path below @dir is, component by component.
  Result<qtfs_wire_entry> walk(uint64_t dir, std::string_view path);
  // Opens, reads to the end, closes.
  Result<std::string> read_file(uint64_t dir, std::string_view path);

  const SessionIdBytes& session_id() const { return session_id_; }
  const Digest& secret() const { return secret_; }
  uint16_t epoch() const { return epoch_; }
  unsigned parked() const { return parked_; }  // requests that were answered so
  uint32_t io_max() const { return io_max_; }
  const qtfs_wire_hello_rep& hello_rep() const { return hello_rep_; }

 private:
  Status establish(std::string_view psk);
  // Whether it is for somebody who waits.
  bool sort(Answer& answer);
  Status receive_exactly(std::byte* to, size_t len);
  template <typename T>
  Result<T> typed(uint16_t op, const Body& body, Bytes payload = {});
  Status plain(uint16_t op, const Body& body, Bytes payload = {});

  UniqueFd fd_;
  uint64_t next_tag_ = 1;
  uint16_t epoch_ = 0;
  uint32_t io_max_ = 0;
  Digest transcript_{};
  Digest secret_{};
  SessionIdBytes session_id_{};
  qtfs_wire_hello_rep hello_rep_{};
  unsigned parked_ = 0;
  std::map<uint64_t, Answer> kept_;
  std::deque<Answer> pushes_;
};

// A compound under construction and its answer taken apart.
class Compound {
 public:
  Compound& add(uint16_t op, const Body& body);
  Compound& payload(std::string_view bytes) {
    payload_ = bytes;
    return *this;
  }
  // The whole answer is left in @answer, for its payload.
  Result<std::vector<CompoundResult>> run(Client& client, Answer* answer = nullptr) const;
  std::vector<std::byte> body() const;
  static Result<std::vector<CompoundResult>> results(const Answer& answer);

 private:
  uint16_t nr_ = 0;
  std::vector<std::byte> subs_;
  std::string payload_;
};

}  // namespace qtfs
