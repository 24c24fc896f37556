// SPDX-License-Identifier: GPL-2.0-only
// Mounts that clients make on this machine: the mirror of kmod/remote.c.
//
// They are made in the machine's own table, where its programs see them, and reach ours as any
// other does. Whatever the kernel says of it goes to the user.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "engine/mount_tree.hh"
#include "engine/ops/ops.hh"
#include "lib/fs_context.hh"
#include "lib/log.hh"
#include "lib/mount_failure.hh"

namespace qtfs {

namespace {

struct Request {
  std::string type;
  std::string source;
  std::string options;
};

struct Outcome {
  int err = 0;
  std::string said;
};

// A directory as both tables have it.
struct Place {
  std::string path;
  struct statx stx {};
};

// Three strings, each with its end.
std::optional<Request> request_of(Bytes payload) {
  std::string_view rest(reinterpret_cast<const char*>(payload.data()), payload.size());
  Request request;
  if (payload.size() > QTFS_MOUNT_TEXT_MAX)
    return std::nullopt;
  for (std::string* part : {&request.type, &request.source, &request.options}) {
    const size_t end = rest.find('\0');
    if (end == rest.npos)
      return std::nullopt;
    *part = rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  return rest.empty() ? std::optional(std::move(request)) : std::nullopt;
}

Outcome failed(int err) {
  return {err, std::strerror(err)};
}

bool same_object(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
         a.stx_dev_minor == b.stx_dev_minor;
}

MadeMount made_mount(const struct statx& stx) {
  return {stx.stx_mnt_id, makedev(stx.stx_dev_major, stx.stx_dev_minor)};
}

// O_PATH on a directory of the machine, on the topmost mount there.
UniqueFd open_in(int root, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

Result<Place> place_of(int fd) {
  auto path = path_of(fd);
  auto stx = stat_fd(fd);
  if (!path || !stx)
    return path ? stx.status() : Status::error(ESTALE);
  return Place{std::move(*path), *stx};
}

// Where a new mount belongs has to be what the client meant.
Outcome mount_at(int root, const Place& place, const Request& request, MadeMount& made) {
  const UniqueFd at = open_in(root, place.path);
  const auto found = at ? stat_fd(at.get()) : Result<struct statx>(Status::last());
  if (!found || !same_object(*found, place.stx))
    return failed(ESTALE);
  try {
    auto context = mount::FsContext::open(request.type.c_str());
    if (!context && errno == ENODEV)
      return {ENODEV, fmt::format("the server's kernel has no filesystem \"{}\"", request.type)};
    if (!context)
      return failed(errno);
    const auto options = mount::parse_options(request.options, mount::For::any);
    context.set({"source", request.source});
    for (const auto& option : options.filesystem)
      context.set(option);
    context.run(FSCONFIG_CMD_CREATE);
    const UniqueFd mnt = context.mount(options.attributes);
    const auto stx = stat_fd(mnt.get());
    if (!stx)
      return failed(stx.err());
    made = made_mount(*stx);
    return mount::move_mount_to(mnt.get(), at.get(), "") < 0 ? failed(errno) : Outcome{};
  } catch (const mount::Failure& failure) {
    return {failure.err() ? failure.err() : EINVAL, failure.what()};
  }
}

// By its name: a descriptor of it would keep it busy. What somebody mounts there between the look
// and the call would be taken for it.
Outcome unmount_at(int root, const Place& place, RemoteMounts& mine) {
  const size_t slash = place.path.rfind('/');
  const std::string name = place.path.substr(slash + 1);
  const UniqueFd parent = open_in(root, place.path.substr(0, std::max<size_t>(slash, 1)));
  if (name.empty() || !parent || fchdir(parent.get()) < 0)
    return failed(name.empty() ? EINVAL : errno);
  const auto stx = stat_name(parent.get(), name.c_str());
  if (!stx || !same_object(*stx, place.stx))
    return failed(ESTALE);
  if (!mine.has(made_mount(*stx)))
    return {EPERM, "only what was mounted by this mount of qtfs is unmounted for it"};
  if (umount2(name.c_str(), UMOUNT_NOFOLLOW) < 0)
    return {errno, fmt::format("{} on the server: {}", place.path, std::strerror(errno))};
  mine.remove(made_mount(*stx));
  return {};
}

Outcome allowed_to_mount(const Call& call, const Node& node) {
  const Export& exported = *node.domain.exported;
  const std::string path = exported.path.empty() ? "/" : exported.path;
  if (!exported.allow_mount)
    return {EPERM, fmt::format("the server's export {} does not allow it (allow-mount)", path)};
  if (Status status = writable(node); !status)
    return failed(status.err());
  if (exported.ids)
    return {EPERM, fmt::format("nobody is root in the server's export {} (squash, uid-map)", path)};
  if (!(call.cred->caps & uint64_t{1} << CAP_SYS_ADMIN))
    return failed(EPERM);
  if (!call.context->mounts.tree())
    return {EOPNOTSUPP, "the server's engine has no mount table of its own"};
  return {};
}

Status answer(Call& call, const Outcome& outcome) {
  qtfs_wire_mount_rep rep{};
  rep.error = htole32(qtfs_errno_to_wire(outcome.err));
  call.reply.put(rep);
  const size_t len = std::min<size_t>(outcome.said.size(), QTFS_MOUNT_SAID_MAX);
  if (len == 0)
    return {};
  auto text = call.take_payload_buffer(len);
  if (!text)
    return text.status();
  std::memcpy(text->data(), outcome.said.data(), len);
  text->grow(len);
  call.reply.set_payload(std::move(*text));
  return {};
}

// @work is done in the machine's table; both have it when this returns.
template <typename Work>
Status change_machine(Call& call, uint64_t wire_node, Work work) {
  if (!call.may_block) {
    call.patient = true;  // some server may not answer
    return Status::defer();
  }
  const auto node = call.node(wire_node);
  if (!node)
    return node.status();
  if ((*node)->key.type != QTFS_TYPE_DIR)
    return Status::error(ENOTDIR);
  const auto fd = call.fd_of(*node);
  if (!fd)
    return fd.status();
  if (Status status = call.act(**node); !status)
    return status;
  if (const Outcome refused = allowed_to_mount(call, **node); refused.err)
    return answer(call, refused);
  const auto place = place_of((*fd)->get());
  if (!place)
    return place.status();
  // Whoever has it as his root would not see what lies over it.
  if (place->path == "/" || place->path == (*node)->domain.exported->path)
    return answer(
        call, {EBUSY, fmt::format("{} on the server is the root of what it exports", place->path)});
  const Privileged privileged(call.context->creds);
  if (!privileged.status())
    return privileged.status();
  // Filesystems without owners take theirs from it.
  call.context->creds.umask(022);
  MountTree& tree = *call.context->mounts.tree();
  Outcome outcome;
  if (Status status = tree.in_machine([&](int root) { outcome = work(root, *place); }); !status)
    return status;
  if (!outcome.err)
    tree.settle();
  return answer(call, outcome);
}

}  // namespace

Status op_mount(Call& call) {
  const auto body = call.take<qtfs_wire_mount>();
  const auto request = request_of(call.payload);
  if (!body || body->flags || body->reserved || !call.body.done() || !request)
    return Status::malformed();
  return change_machine(call, body->node, [&](int root, const Place& place) {
    MadeMount made{};
    Outcome outcome = mount_at(root, place, *request, made);
    if (!outcome.err) {
      call.session->made.add(made);
      log::info("mounted {} ({}) on {} for a client", request->source, request->type, place.path);
    }
    return outcome;
  });
}

Status op_umount(Call& call) {
  const auto body = call.take<qtfs_wire_mount>();
  if (!body || body->flags || body->reserved || !call.body.done() || !call.payload.empty())
    return Status::malformed();
  return change_machine(call, body->node, [&](int root, const Place& place) {
    Outcome outcome = unmount_at(root, place, call.session->made);
    if (!outcome.err)
      log::info("unmounted {} for a client", place.path);
    return outcome;
  });
}

}  // namespace qtfs
