// SPDX-License-Identifier: GPL-2.0-only
#include "engine/mount_tree.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>

#include "engine/mounts.hh"
#include "engine/node.hh"
#include "lib/log.hh"

namespace qtfs {

namespace {

constexpr int retry_ms = 1000;
constexpr std::chrono::seconds settle_max(5);

// "." for the root.
std::string relative(const std::string& point) {
  return point == "/" ? "." : point.substr(1);
}

ptrdiff_t depth(const MountInfo& mount) {
  return std::count(mount.point.begin(), mount.point.end(), '/');
}

bool has_flag(const MountInfo& mount, std::string_view flag) {
  return ("," + mount.flags + ",").find(fmt::format(",{},", flag)) != std::string::npos;
}

// Whether an entry still means what it did; numbers are used again at once.
bool same(const MountInfo& a, const MountInfo& b) {
  return a.point == b.point && a.dev_major == b.dev_major && a.dev_minor == b.dev_minor &&
         a.root == b.root && a.type == b.type;
}

// A table without a root has not been read to its end.
Result<std::vector<MountInfo>> read_table(int fd) {
  auto text = read_whole(fd);
  if (!text)
    return text.status();
  auto mounts = parse_mountinfo(*text);
  if (std::none_of(mounts.begin(), mounts.end(), [](const auto& m) { return m.point == "/"; }))
    return Status::error(EAGAIN);
  return mounts;
}

UniqueFd open_point(int root, const std::string& point) {
  return UniqueFd(openat(root, relative(point).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

// The number in mountinfo of what a descriptor is on, from procfs's directory @fdinfo. Unlike statx
// it asks no filesystem, some of which answer their owners only.
std::optional<uint64_t> table_number(int fdinfo, int fd) {
  const UniqueFd info(openat(fdinfo, std::to_string(fd).c_str(), O_RDONLY | O_CLOEXEC));
  const auto text = info ? read_whole(info.get()) : Result<std::string>(Status::last());
  const std::string_view key = "mnt_id:";
  const size_t at = text ? text->find(key) : std::string::npos;
  if (at == std::string::npos)
    return std::nullopt;
  return std::strtoull(text->c_str() + at + key.size(), nullptr, 10);
}

// A copy of what @machines is, if it is what its place shows; errno is 0 if not: others are mounted
// over it, and nobody sees it, or it has gone meanwhile. From within the machine's table, of which
// nothing is held any more afterwards: umount(8) would find it in use.
UniqueFd copy_of(const MountInfo& machines, int machine_root, int fdinfo) {
  const UniqueFd root = open_point(machine_root, machines.point);
  const auto number = root ? table_number(fdinfo, root.get()) : std::nullopt;
  errno = 0;
  if (number != machines.id)
    return {};
  return UniqueFd(static_cast<int>(
      syscall(SYS_open_tree, root.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)));
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

bool below_qtfs(const std::vector<MountInfo>& mounts, const MountInfo& mount) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const auto& other) {
    return other.type == "qtfs" && is_below(mount.point, other.point);
  });
}

// Where the copies that the kernel made are not kept: qtfs, and what is mounted over something
// else, since only the topmost can be got hold of.
std::vector<std::string> contested(const std::vector<MountInfo>& mounts) {
  std::vector<std::string> points;
  for (const MountInfo& mount : mounts)
    if (mount.point != "/" && (mount.type == "qtfs" ||
                               std::count_if(mounts.begin(), mounts.end(), [&](const auto& other) {
                                 return other.point == mount.point;
                               }) > 1))
      points.push_back(mount.point);
  // From above: with the first goes what is below it.
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return points;
}

bool is_at_or_below(const std::string& point, const std::vector<std::string>& tops) {
  return std::any_of(tops.begin(), tops.end(),
                     [&](const std::string& top) { return point == top || is_below(point, top); });
}

}  // namespace

Result<std::unique_ptr<MountTree>> MountTree::enter() {
  std::unique_ptr<MountTree> tree(new MountTree);
  tree->machine_ns_.reset(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  tree->machine_root_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  tree->machine_table_.reset(::open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
  tree->own_fds_.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  tree->own_fdinfo_.reset(::open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC));
  tree->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!tree->machine_ns_ || !tree->machine_root_ || !tree->machine_table_ || !tree->own_fds_ ||
      !tree->own_fdinfo_ || !tree->wake_)
    return Status::last();
  const UniqueFd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before || unshare(CLONE_NEWNS) < 0)
    return Status::last();
  Status status = check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  if (status)
    status = tree->adopt();
  // Before anybody is served: what the kernel's copies were not kept of is there as well.
  const UniqueFd here(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (status)
    status = tree->take_over();
  if (status)
    status = check(fchdir(here.get()));
  if (status)
    return tree;
  // A table that nobody follows must not be served.
  if (setns(tree->machine_ns_.get(), CLONE_NEWNS) < 0 || fchdir(tree->machine_root_.get()) < 0 ||
      chroot(".") < 0 || fchdir(before.get()) < 0) {
    log::error("cannot go back to this machine's mounts: {}", std::strerror(errno));
    std::_Exit(EXIT_FAILURE);
  }
  return status;
}

// Which of the machine's mounts the kernel has copied. Nothing on qtfs is touched: a lost server
// would hold us up.
Status MountTree::adopt() {
  own_ns_.reset(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
  own_root_.reset(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd table(::open("/proc/thread-self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!own_ns_ || !own_root_ || !table)
    return Status::last();
  const auto own = read_table(table.get());
  const auto machines = read_table(machine_table_.get());
  if (!own || !machines)
    return own ? machines.status() : own.status();
  const std::vector<std::string> leave = contested(*own);
  for (const std::string& point : leave)  // one for each that is mounted there
    umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  for (const MountInfo& mount : *machines) {
    const auto copy = std::find_if(own->begin(), own->end(),
                                   [&](const auto& candidate) { return same(candidate, mount); });
    if (mount.point == "/" || copy == own->end() || is_at_or_below(mount.point, leave))
      continue;
    // Something may be mounted on a folder above it.
    UniqueFd root = open_point(own_root_.get(), mount.point);
    if (root && table_number(own_fdinfo_.get(), root.get()) == copy->id)
      keep(mount, std::move(root));
  }
  return {};
}

bool MountTree::stop() {
  over_ = true;
  if (!thread_.joinable())
    return true;
  eventfd_write(wake_.get(), 1);
  for (int i = 0; i < 100 && !ended_; i++)
    usleep(10000);
  if (!ended_) {
    thread_.detach();
    return false;
  }
  thread_.join();
  return true;
}

Status MountTree::follow(Changed changed) {
  changed_ = std::move(changed);
  std::promise<Status> started;
  auto result = started.get_future();
  ended_ = false;
  thread_ = std::thread([this, &started] {
    pthread_setname_np(pthread_self(), "qtfs-mounts");
    Status status = check(unshare(CLONE_FS));  // setns() wants it, and directories of its own
    if (status)
      status = take_over();
    started.set_value(status);
    if (status)
      run();
    ended_ = true;
  });
  return result.get();
}

void MountTree::run() {
  pollfd fds[] = {{machine_table_.get(), POLLPRI, 0}, {wake_.get(), POLLIN, 0}};
  while (!over_) {
    const int ready = poll(fds, 2, again_ ? retry_ms : -1);
    if (ready > 0 && !fds[1].revents && !(fds[0].revents & (POLLPRI | POLLERR)))
      continue;
    eventfd_t woken = 0;
    eventfd_read(wake_.get(), &woken);
    std::unique_lock lock(mutex_);
    const uint64_t asked = asked_;
    lock.unlock();
    const Status status = over_ ? Status() : take_over();
    if (!status) {
      // What the machine unmounts would stay in use for ever.
      log::error("cannot follow this machine's mounts any more: {}", std::strerror(status.err()));
      std::_Exit(EXIT_FAILURE);
    }
    lock.lock();
    followed_ = asked;
    settled_.notify_all();
  }
  const std::lock_guard lock(mutex_);
  settled_.notify_all();
}

void MountTree::settle() {
  std::unique_lock lock(mutex_);
  const uint64_t asked = ++asked_;
  eventfd_write(wake_.get(), 1);
  settled_.wait_for(lock, settle_max, [&] { return followed_ >= asked || over_; });
}

Status MountTree::in_machine(const std::function<void(int root)>& work) {
  const UniqueFd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!before)
    return Status::last();
  if (Status status = leave_for_machine(); !status)
    return status;
  Status status;
  if (fchdir(machine_root_.get()) < 0 || chroot(".") < 0)
    status = Status::last();
  else
    work(machine_root_.get());
  // Anything else that this thread did would be done in the wrong table.
  if (!come_back() || fchdir(before.get()) < 0) {
    log::error("cannot come back from this machine's mounts: {}", std::strerror(errno));
    std::_Exit(EXIT_FAILURE);
  }
  return status;
}

Status MountTree::leave_for_machine() {
  return check(setns(machine_ns_.get(), CLONE_NEWNS));
}

// Absolute paths are right afterwards.
Status MountTree::come_back() {
  if (setns(own_ns_.get(), CLONE_NEWNS) < 0 || fchdir(own_root_.get()) < 0 || chroot(".") < 0)
    return Status::last();
  return {};
}

void MountTree::tell(const Change& change) {
  if (changed_ && !over_ && !(change.gone.empty() && change.come.empty()))
    changed_(change);
}

// Takes away the copies of what is not there any more; whatever is mounted over them.
std::vector<uint64_t> MountTree::drop_ended(const std::map<uint64_t, const MountInfo*>& wanted) {
  std::vector<uint64_t> gone;
  if (fchdir(own_fds_.get()) < 0)
    return gone;
  std::vector<const Copy*> ended;
  for (const auto& [id, copy] : copies_) {
    const auto found = wanted.find(id);
    if (found == wanted.end() || !same(*found->second, copy.machines))
      ended.push_back(&copy);
  }
  // What has been mounted on one goes with it, and is made anew if the machine still has it: what
  // lay below it may have come to light before it was known to be gone.
  std::map<uint64_t, uint64_t, std::greater<>> lost;  // by order
  for (const auto& [id, copy] : copies_)
    for (const Copy* one : ended)
      if (one == &copy ||
          (copy.order > one->order && is_at_or_below(copy.machines.point, {one->machines.point})))
        lost.emplace(copy.order, id);
  // From the top: umount2() takes what is uppermost where a descriptor leads.
  for (const auto& [order, id] : lost) {
    const auto copy = copies_.find(id);
    umount2(std::to_string(copy->second.root.get()).c_str(), MNT_DETACH);
    gone.push_back(copy->second.number);
    copies_.erase(copy);
  }
  return gone;
}

// An error when the thread is lost between the tables.
Status MountTree::mount(const MountInfo& machines) {
  const std::string path = relative(machines.point);
  UniqueFd made;
  if (machines.type == "qtfs") {
    made = empty_mount();
  } else {
    if (Status status = leave_for_machine(); !status)
      return status;
    made = copy_of(machines, machine_root_.get(), own_fdinfo_.get());
    const int err = errno;
    if (Status status = come_back(); !status)
      return status;
    if (!made && !err)
      return {};
    errno = err;
  }
  mount_attr alone{};
  alone.propagation = MS_PRIVATE;
  if (made)
    syscall(SYS_mount_setattr, made.get(), "", AT_EMPTY_PATH, &alone, sizeof(alone));
  if (!made || syscall(SYS_move_mount, made.get(), "", own_root_.get(), path.c_str(),
                       MOVE_MOUNT_F_EMPTY_PATH) < 0) {
    again_ |= errno != ENOENT;
    log::info("{}, mounted on this machine, is not served: {}", machines.point,
              std::strerror(errno));
    return {};
  }
  keep(machines, std::move(made));
  return {};
}

void MountTree::keep(const MountInfo& machines, UniqueFd root) {
  const uint64_t number = mount_number(root.get());
  copies_.emplace(machines.id, Copy{machines, std::move(root), number, next_order_++});
}

void MountTree::set_flags(const Copy& copy, const MountInfo& machines) {
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
  if (machines.type != "qtfs" &&
      syscall(SYS_mount_setattr, copy.root.get(), "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
    log::info("{}: flags of the mount are not followed: {}", machines.point, std::strerror(errno));
}

Status MountTree::mount_new(const std::vector<MountInfo>& now) {
  Change change;
  std::vector<const MountInfo*> fresh;
  for (const MountInfo& mount : now) {
    const auto found = copies_.find(mount.id);
    if (mount.point == "/" || below_qtfs(now, mount))
      continue;
    if (found == copies_.end()) {
      fresh.push_back(&mount);
    } else if (found->second.machines.flags != mount.flags) {
      set_flags(found->second, mount);
      found->second.machines = mount;
    }
  }
  std::stable_sort(fresh.begin(), fresh.end(),
                   [](const auto* a, const auto* b) { return depth(*a) < depth(*b); });
  Status status;
  for (const MountInfo* mount : fresh) {
    status = this->mount(*mount);
    if (!status)
      break;
    if (const auto made = copies_.find(mount->id); made != copies_.end()) {
      change.come.push_back(made->second.number);
      change.points.push_back(mount->point);
    }
  }
  tell(change);
  return status;
}

Status MountTree::take_over() {
  again_ = false;
  const auto now = read_table(machine_table_.get());
  if (!now) {
    again_ = true;
    return {};
  }
  std::map<uint64_t, const MountInfo*> wanted;
  for (const MountInfo& mount : *now)
    wanted.emplace(mount.id, &mount);
  Change ended;
  ended.gone = drop_ended(wanted);
  tell(ended);
  return mount_new(*now);
}

}  // namespace qtfs
