// SPDX-License-Identifier: GPL-2.0-only
#include "engine/mount_tree.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <optional>

#include "engine/mounts.hh"
#include "engine/node.hh"
#include "lib/log.hh"

namespace qtfs {

namespace {

// "." for the root.
std::string relative(const std::string& point) {
  return point == "/" ? "." : point.substr(1);
}

bool is_below(const std::string& point, const std::string& top) {
  return top == "/" || point == top ||
         (point.size() > top.size() && point.compare(0, top.size(), top) == 0 &&
          point[top.size()] == '/');
}

ptrdiff_t depth(const MountInfo& mount) {
  return mount.point == "/" ? 0 : std::count(mount.point.begin(), mount.point.end(), '/');
}

// Whether an entry still means what it did; numbers are used again at once.
bool same(const MountInfo& a, const MountInfo& b) {
  return a.point == b.point && a.dev_major == b.dev_major && a.dev_minor == b.dev_minor &&
         a.root == b.root && a.type == b.type;
}

// The number of what is mounted on @path, of the kind that @mask asks for. No server is asked.
std::optional<uint64_t> mount_on(int dir, const std::string& path, unsigned mask) {
  struct statx stx {};
  if (statx(dir, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, mask,
            &stx) < 0)
    return std::nullopt;
  return stx.stx_mnt_id;
}

bool has_flag(const MountInfo& mount, std::string_view flag) {
  return ("," + mount.flags + ",").find(fmt::format(",{},", flag)) != std::string::npos;
}

int open_tree_clone(int dir, const char* path) {
  return static_cast<int>(
      syscall(SYS_open_tree, dir, path,
              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
}

// An empty directory in the place of what must not be entered.
UniqueFd empty_mount() {
  UniqueFd fs(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!fs ||
      syscall(SYS_fsconfig, fs.get(), FSCONFIG_SET_STRING, "source", Mounts::stand_in, 0) < 0 ||
      syscall(SYS_fsconfig, fs.get(), FSCONFIG_SET_FLAG, "ro", nullptr, 0) < 0 ||
      syscall(SYS_fsconfig, fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
    return {};
  return UniqueFd(
      static_cast<int>(syscall(SYS_fsmount, fs.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY)));
}

}  // namespace

Result<std::unique_ptr<MountTree>> MountTree::enter() {
  std::unique_ptr<MountTree> tree(new MountTree);
  tree->machine_ns_.reset(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  tree->machine_root_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  tree->machine_table_.reset(::open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
  tree->stop_.reset(eventfd(0, EFD_CLOEXEC));
  if (!tree->machine_ns_ || !tree->machine_root_ || !tree->machine_table_ || !tree->stop_)
    return Status::last();
  const auto before = parse_mountinfo(read_whole(tree->machine_table_.get()));
  if (unshare(CLONE_NEWNS) < 0)
    return Status::last();
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    const Status status = Status::last();
    if (setns(tree->machine_ns_.get(), CLONE_NEWNS) < 0 || fchdir(tree->machine_root_.get()) < 0 ||
        chroot(".") < 0)
      return Status::last();
    return status;
  }
  tree->own_ns_.reset(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  tree->own_root_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!tree->own_ns_ || !tree->own_root_)
    return Status::last();
  tree->adopt(before);
  return tree;
}

// Which of the machine's mounts the kernel has copied. Those of qtfs are not kept.
void MountTree::adopt(const std::vector<MountInfo>& before) {
  for (auto mount = before.rbegin(); mount != before.rend(); ++mount)
    if (mount->type == "qtfs")
      umount2(mount->point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  for (const MountInfo& mount : before)
    if (mount.type != "qtfs")
      copied_.emplace(mount.id, mount);
  // What was mounted meanwhile may have been copied, too.
  const UniqueFd table(::open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
  const auto own = parse_mountinfo(read_whole(table.get()));
  for (const MountInfo& mount : parse_mountinfo(read_whole(machine_table_.get())))
    if (std::any_of(own.begin(), own.end(), [&](const auto& copy) { return same(copy, mount); }))
      copied_.emplace(mount.id, mount);
}

MountTree::~MountTree() {
  if (!thread_.joinable())
    return;
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

Status MountTree::follow(Changed changed) {
  changed_ = std::move(changed);
  std::promise<Status> started;
  auto result = started.get_future();
  thread_ = std::thread([this, &started] {
    pthread_setname_np(pthread_self(), "qtfs-mounts");
    Status status = check(unshare(CLONE_FS));  // setns() wants it, and directories of its own
    if (status)
      status = check(fchdir(own_root_.get()));
    if (status)
      status = take_over(parse_mountinfo(read_whole(machine_table_.get())));
    started.set_value(status);
    if (status)
      run();
  });
  return result.get();
}

void MountTree::run() {
  pollfd fds[] = {{machine_table_.get(), POLLPRI, 0}, {stop_.get(), POLLIN, 0}};
  while (!fds[1].revents) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      break;
    if (!(fds[0].revents & (POLLPRI | POLLERR)))
      continue;
    if (Status status = take_over(parse_mountinfo(read_whole(machine_table_.get()))); !status) {
      log::error("the machine's mounts are not followed any more: {}", std::strerror(status.err()));
      break;
    }
  }
}

Status MountTree::leave_for_machine() {
  return check(setns(machine_ns_.get(), CLONE_NEWNS));
}

Status MountTree::come_back() {
  if (setns(own_ns_.get(), CLONE_NEWNS) < 0 || fchdir(own_root_.get()) < 0 || chroot(".") < 0)
    return Status::last();
  return {};
}

// Takes away what is mounted on @point and below.
void MountTree::unmount(const std::string& point, Change& change) {
  std::vector<MountInfo> there;
  for (const auto& [id, mount] : copied_)
    if (is_below(mount.point, point))
      there.push_back(mount);
  std::stable_sort(there.begin(), there.end(),
                   [](const auto& a, const auto& b) { return depth(a) > depth(b); });
  for (const MountInfo& mount : there) {
    const std::string path = relative(mount.point);
    copied_.erase(mount.id);
    const auto number = mount_on(own_root_.get(), path, node_mount_mask);
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 && number)
      change.gone.push_back(*number);
  }
}

// An error when the thread is lost between the tables.
Status MountTree::mount(const MountInfo& machines, Change& change) {
  const std::string path = relative(machines.point);
  // Others are mounted over it: nobody sees it.
  if (mount_on(machine_root_.get(), path, STATX_MNT_ID) != machines.id)
    return {};
  UniqueFd made;
  if (machines.type == "qtfs") {
    made = empty_mount();
  } else {
    if (Status status = leave_for_machine(); !status)
      return status;
    made.reset(open_tree_clone(machine_root_.get(), path.c_str()));
    const int err = errno;
    if (Status status = come_back(); !status)
      return status;
    errno = err;
  }
  // It may have gone meanwhile.
  if (!made ||
      syscall(SYS_move_mount, made.get(), "", own_root_.get(), path.c_str(),
              MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
      ::mount(nullptr, path.c_str(), nullptr, MS_PRIVATE, nullptr) < 0)
    log::debug("{}, mounted on this machine, is not served: {}", machines.point,
               std::strerror(errno));
  else if (const auto number = mount_on(own_root_.get(), path, node_mount_mask))
    change.come.push_back(*number);
  return {};
}

void MountTree::set_flags(const MountInfo& machines) {
  static constexpr struct {
    std::string_view name;
    uint64_t bit;
  } known[] = {{"ro", MOUNT_ATTR_RDONLY},
               {"nosuid", MOUNT_ATTR_NOSUID},
               {"nodev", MOUNT_ATTR_NODEV},
               {"noexec", MOUNT_ATTR_NOEXEC}};
  mount_attr attr{};
  for (const auto& flag : known)
    (has_flag(machines, flag.name) ? attr.attr_set : attr.attr_clr) |= flag.bit;
  if (syscall(SYS_mount_setattr, own_root_.get(), relative(machines.point).c_str(), 0, &attr,
              sizeof(attr)) < 0)
    log::debug("{}: flags of the mount not taken over: {}", machines.point, std::strerror(errno));
}

Status MountTree::take_over(const std::vector<MountInfo>& now) {
  std::map<uint64_t, const MountInfo*> wanted;
  for (const MountInfo& mount : now)
    wanted.emplace(mount.id, &mount);

  std::vector<std::string> ended;
  for (const auto& [id, mount] : copied_) {
    const auto found = wanted.find(id);
    if (mount.point == "/")
      continue;
    if (found == wanted.end() || !same(*found->second, mount))
      ended.push_back(mount.point);
  }
  Change change;
  for (const std::string& point : ended)
    unmount(point, change);

  std::vector<const MountInfo*> fresh;
  for (const MountInfo& mount : now) {
    const auto found = copied_.find(mount.id);
    if (mount.point == "/")
      continue;
    if (found == copied_.end())
      fresh.push_back(&mount);
    else if (found->second.flags != mount.flags)
      set_flags(mount);
  }
  std::stable_sort(fresh.begin(), fresh.end(),
                   [](const auto* a, const auto* b) { return depth(*a) < depth(*b); });
  for (const MountInfo* mount : fresh)
    if (Status status = this->mount(*mount, change); !status)
      return status;
  copied_.clear();
  for (const MountInfo& mount : now)
    copied_.emplace(mount.id, mount);
  changed_(change);
  return {};
}

}  // namespace qtfs
