// SPDX-License-Identifier: GPL-2.0-only
#include "mount/kernel.hh"

#include <fcntl.h>
#include <linux/mount.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "mount/failure.hh"

namespace qtfs::mount {

namespace {

// By number: the C library has wrappers for these only since glibc 2.36.
int sys_fsopen(const char* type, unsigned flags) {
  return static_cast<int>(syscall(SYS_fsopen, type, flags));
}

int sys_fspick(int dir, const char* path, unsigned flags) {
  return static_cast<int>(syscall(SYS_fspick, dir, path, flags));
}

int sys_fsconfig(int fd, unsigned cmd, const char* key, const void* value, int aux) {
  return static_cast<int>(syscall(SYS_fsconfig, fd, cmd, key, value, aux));
}

int sys_fsmount(int fd, unsigned flags, unsigned attributes) {
  return static_cast<int>(syscall(SYS_fsmount, fd, flags, attributes));
}

int sys_move_mount(int fd, const char* target) {
  return static_cast<int>(
      syscall(SYS_move_mount, fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH));
}

int sys_mount_setattr(const char* path, mount_attr* attr) {
  return static_cast<int>(syscall(SYS_mount_setattr, AT_FDCWD, path, 0, attr, sizeof(*attr)));
}

bool load_module() {
  char name[] = "modprobe";
  char quiet[] = "-q";
  char module[] = "qtfs";
  char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  char* const argv[] = {name, quiet, module, nullptr};
  char* const env[] = {path, nullptr};
  for (const char* program : {"/sbin/modprobe", "/usr/sbin/modprobe"}) {
    pid_t pid = 0;
    if (posix_spawn(&pid, program, nullptr, nullptr, argv, env) != 0)
      continue;
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return false;
}

// A filesystem context and its messages.
class Context {
 public:
  explicit Context(UniqueFd fd) : fd_(std::move(fd)) {}

  void set(const Option& option) {
    if (option.value)
      configure(FSCONFIG_SET_STRING, option.key, option.value->c_str(), 0);
    else
      configure(FSCONFIG_SET_FLAG, option.key, nullptr, 0);
  }

  void set_binary(const std::string& key, const std::string& value) {
    configure(FSCONFIG_SET_BINARY, key, value.data(), static_cast<int>(value.size()));
  }

  void run(unsigned command) {
    if (sys_fsconfig(fd_.get(), command, nullptr, nullptr, 0) != 0)
      fail(errno, "");
    show(take_messages());
  }

  UniqueFd mount(uint64_t attributes) {
    UniqueFd mnt(sys_fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!mnt)
      fail(errno, "");
    return mnt;
  }

 private:
  void configure(unsigned command, const std::string& key, const void* value, int aux) {
    if (sys_fsconfig(fd_.get(), command, key.c_str(), value, aux) != 0)
      fail(errno, "option " + key);
  }

  std::vector<std::string> take_messages() {
    std::vector<std::string> out;
    std::array<char, 4096> text{};
    for (;;) {
      const ssize_t n = read(fd_.get(), text.data(), text.size());
      if (n <= 0)
        return out;
      out.emplace_back(text.data(), static_cast<size_t>(n));
    }
  }

  static void show(const std::vector<std::string>& messages) {
    for (const auto& message : messages)
      std::fprintf(stderr, "mount.qtfs: %s\n", message_text(message).c_str());
  }

  // The kernel's words; where it has none, the error number's.
  [[noreturn]] void fail(int err, const std::string& about) {
    auto messages = take_messages();
    std::string text;
    if (messages.empty()) {
      text = (about.empty() ? "" : about + ": ") + std::strerror(err);
    } else {
      text = message_text(messages.back());
      messages.pop_back();
      show(messages);
    }
    throw Failure(exit_failed, text, err);
  }

  UniqueFd fd_;
};

Context open_context() {
  UniqueFd fd(sys_fsopen("qtfs", FSOPEN_CLOEXEC));
  if (!fd && errno == ENODEV) {
    if (!load_module())
      throw Failure(exit_failed,
                    "the kernel has no filesystem qtfs, and modprobe qtfs does not load it",
                    ENODEV);
    fd.reset(sys_fsopen("qtfs", FSOPEN_CLOEXEC));
  }
  if (!fd) {
    if (errno == EPERM)
      throw Failure(exit_usage, "only root can mount", EPERM);
    throw Failure(exit_system, std::string("fsopen: ") + std::strerror(errno), errno);
  }
  return Context(std::move(fd));
}

void set_options(Context& context, const Plan& plan) {
  for (const auto& option : plan.options.filesystem) {
    try {
      context.set(option);
    } catch (const Failure& failure) {
      if (!plan.sloppy || failure.err() != EINVAL)
        throw;
      std::fprintf(stderr, "mount.qtfs: left out: %s\n", failure.what());
    }
  }
}

}  // namespace

std::string message_text(const std::string& message) {
  std::string text = message;
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  if (text.size() > 2 && text[1] == ' ')
    text.erase(0, 2);
  constexpr std::string_view prefix = "qtfs: ";
  if (text.starts_with(prefix))
    text.erase(0, prefix.size());
  return text;
}

void make_mount(const Plan& plan) {
  Context context = open_context();
  context.set({"source", plan.source});
  if (!plan.address.empty())
    context.set({"server", plan.address});
  if (!plan.options.channel.empty())
    context.set({"trans", plan.options.channel});
  if (!plan.key.empty())
    context.set_binary("psk", plan.key);
  set_options(context, plan);
  context.run(FSCONFIG_CMD_CREATE);

  const UniqueFd mnt = context.mount(plan.options.attributes);
  if (sys_move_mount(mnt.get(), plan.target.c_str()) != 0)
    throw Failure(exit_failed, plan.target + ": " + std::strerror(errno), errno);
}

void change_mount(const Plan& plan) {
  Context context(UniqueFd(sys_fspick(AT_FDCWD, plan.target.c_str(), FSPICK_CLOEXEC)));
  set_options(context, plan);
  context.run(FSCONFIG_CMD_RECONFIGURE);

  mount_attr attr{};
  attr.attr_set = plan.options.attributes;
  attr.attr_clr = plan.options.attributes_clear;
  if ((attr.attr_set || attr.attr_clr) && sys_mount_setattr(plan.target.c_str(), &attr) != 0)
    throw Failure(exit_failed, plan.target + ": " + std::strerror(errno), errno);
}

}  // namespace qtfs::mount
