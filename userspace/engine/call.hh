// SPDX-License-Identifier: GPL-2.0-only
// One request under way: what a handler gets, and where it leaves its answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/context.hh"
#include "engine/reply.hh"
#include "engine/session.hh"
#include "lib/bytes.hh"
#include "lib/codec.hh"
#include "lib/result.hh"

namespace qtfs {

class Conn;
struct Limits;

// How far a compound came; kept when its rest goes to a blocking thread.
struct CompoundState {
  bool started = false;
  unsigned nr = 0;
  unsigned next = 0;
  Reader rest;
  uint64_t prev_node = 0;  // what the operation before gave; 0 nothing
  uint64_t prev_open = 0;
  Ref<NodeFd> prev_dir;  // where it found that, if it was a LOOKUP
  std::string prev_name;
  bool payload_used = false;  // by one of them; there is only one
};

struct Call {
  // Set for every run: the thread that executes it.
  Context* context = nullptr;
  bool may_block = false;

  Session* session = nullptr;
  Conn* conn = nullptr;
  uint32_t io_max = 0;  // of the connection

  uint16_t op = 0;
  uint16_t frame_flags = 0;
  uint64_t tag = 0;
  uint32_t cred_id = 0;
  uint64_t received = 0;
  Reader body;
  Bytes payload;
  Buffer frame;  // when the request had to be kept

  Ref<const Cred> cred;             // of cred_id, once looked up
  const IdMap* cred_ids = nullptr;  // of the export where that is who he is
  CompoundState compound;
  Reply reply;
  Status status;

  // Below: of the blocking pool, protected by its lock.
  enum class Stage : uint8_t { idle, queued, running };
  Stage stage = Stage::idle;
  bool cancelled = false;
  bool patient = false;               // it may wait for somebody for ever: not on the last threads
  std::vector<uint64_t> cancel_tags;  // CANCELs to answer when it is out
  std::unique_ptr<LockWait> lock_wait;
  // It waits for a peer to open the FIFO: on a thread that does nothing else.
  bool opener = false;

  // With Status::defer(): to be run again by the loop when this open is ready for that (poll(2)).
  Ref<Open> wait_open;
  short wait_events = 0;
  bool interrupted = false;  // it waits no longer
  size_t written = 0;        // bytes of a WRITE that are gone already

  bool parks = false;    // it may wait for ever
  bool parked = false;   // answered so; the result goes by push
  bool counted = false;  // in Session::opening

  // For the next request.
  void reset();

  // --- for handlers

  // The structure that a body begins with.
  template <typename T>
  std::optional<T> take() {
    return body.take<T>();
  }
  // A directory entry's name at the end of the body.
  Result<std::string> take_name(size_t len, bool last = true);

  Result<Ref<Node>> node(uint64_t wire_id) const;
  Result<Ref<Open>> open(uint64_t wire_id) const;
  // EACCES where the node shows something else than its object.
  Result<Ref<NodeFd>> fd_of(const Ref<Node>& node) {
    if (node->key.shown != Shown::itself)
      return Status::error(EACCES);
    return fd_behind(node);
  }
  // The object's in any case: to look at it, nothing else.
  Result<Ref<NodeFd>> fd_behind(const Ref<Node>& node) {
    return session->nodes.fd(*node, *context);
  }
  Result<Ref<NodeFd>> fd_of(uint64_t wire_node);

  // From here on the thread is the caller, as the export of @node has him.
  Status act(const Node& node);
  // The caller, or where none is named, whoever opened it.
  Status act(const Open& open);
  // To be run again when @open is ready; EINTR where it must not wait.
  Status wait_for(const Ref<Open>& open, short events);
  // A payload buffer, placed so that the payload is page aligned.
  Result<Buffer> take_payload_buffer(size_t size);
};

using Handler = Status (*)(Call& call);

}  // namespace qtfs
