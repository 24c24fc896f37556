// SPDX-License-Identifier: GPL-2.0-only
// Frames of any shape through the parser and the handlers, as a caller without privileges, on an
// export of its own. What would block is not run.
//
// The first word of a body that is small stands for a node or an open that the session knows: ids
// are different in each run.
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/dispatch.hh"
#include "engine/frame.hh"
#include "engine/session.hh"

namespace qtfs {
namespace {

constexpr uint32_t caller = 1;

struct World {
  std::string path = "/var/tmp/qtfs-fuzz-XXXXXX";
  Mounts mounts;
  Exports exports;
  Limits limits;
  std::unique_ptr<SessionTable> sessions;
  std::unique_ptr<Rules> rules;
  std::unique_ptr<Context> context;

  World() {
    if (!mkdtemp(path.data()) || chmod(path.c_str(), 0777) < 0)
      std::abort();
    std::string error;
    auto opened = Exports::open({{.path = path, .name = "fuzz"}}, error);
    if (!opened || !mounts.open())
      std::abort();
    exports = std::move(*opened);
    limits.fds_max = 64;
    limits.nodes_max = 1000;
    limits.opens_max = 100;
    sessions = std::make_unique<SessionTable>(uint16_t{1}, limits, exports);
    rules = std::make_unique<Rules>(mounts, std::vector<Rule>{});
    context = std::make_unique<Context>(mounts, *rules);
    if (!context->creds.enter_thread())
      std::abort();
  }
};

class Run {
 public:
  explicit Run(World& world) : world_(world), session_(*world.sessions->create(Digest{})) {
    session_->creds.put(caller, make_ref<const Cred>(1000u, 1000u, std::vector<gid_t>{}, 0u)).ok();
    Call call;
    prepare(call, QTFS_OP_ATTACH);
    const qtfs_wire_attach body{0, htole16(static_cast<uint16_t>(world.path.size())), 0};
    std::vector<std::byte> raw(sizeof(body) + QTFS_PAD(world.path.size()));
    std::memcpy(raw.data(), &body, sizeof(body));
    std::memcpy(raw.data() + sizeof(body), world.path.data(), world.path.size());
    call.body = Reader(raw);
    if (!run_call(call))
      std::abort();
    learn(call);
  }
  ~Run() {
    world_.sessions->leave(session_);
    // LeakSanitizer looks at this thread in the end, which takes the rights to.
    if (!world_.context->creds.privileged())
      std::abort();
  }

  void frames(Bytes input) {
    while (input.size() >= sizeof(qtfs_wire_req)) {
      FrameHeader header;
      if (parse_header(input, 65536, header) || header.len > input.size())
        return;
      std::vector<std::byte> frame(input.begin(), input.begin() + header.len);
      input = input.subspan(header.len);
      one(header, frame);
    }
  }

 private:
  void prepare(Call& call, uint16_t op) {
    call.context = world_.context.get();
    call.session = session_.get();
    call.io_max = 65536;
    call.op = op;
    call.cred_id = caller;
  }

  void one(const FrameHeader& header, std::vector<std::byte>& frame) {
    const OpInfo& info = op_info(header.op);
    if (!info.name || info.session || header.body < info.body_min || header.op == QTFS_OP_CRED)
      return;
    std::byte* body = frame.data() + sizeof(qtfs_wire_req);
    uint64_t first = 0;
    if (header.body >= sizeof(first) && header.op != QTFS_OP_COMPOUND) {
      std::memcpy(&first, body, sizeof(first));
      if (first < known_.size())
        std::memcpy(body, &known_[first], sizeof(first));
    }
    Call call;
    prepare(call, header.op);
    call.body = Reader({body, header.body});
    call.payload = {body + header.body, header.payload()};
    call.status = run_call(call);
    if (call.status)
      learn(call);
  }

  // Ids that a reply begins with.
  void learn(const Call& call) {
    uint64_t id = 0;
    if (call.reply.size() < sizeof(id) || known_.size() >= 64)
      return;
    std::memcpy(&id, call.reply.body().data(), sizeof(id));
    if (id >> 48 == 1)
      known_.push_back(id);
  }

  World& world_;
  std::shared_ptr<Session> session_;
  std::vector<uint64_t> known_;
};

}  // namespace
}  // namespace qtfs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static qtfs::World world;
  qtfs::Run(world).frames(std::as_bytes(std::span(data, size)));
  return 0;
}
