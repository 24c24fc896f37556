// SPDX-License-Identifier: GPL-2.0-only
#include "mount/kernel.hh"

#include <fcntl.h>
#include <linux/mount.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lib/fs_context.hh"
#include "lib/mount_failure.hh"

namespace qtfs::mount {

namespace {

// By number: the C library has a wrapper only since glibc 2.36.
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

void show(const std::string& message) {
  std::fprintf(stderr, "mount.qtfs: %s\n", message.c_str());
}

FsContext open_context() {
  FsContext context = FsContext::open("qtfs", show);
  if (!context && errno == ENODEV) {
    if (!load_module())
      throw Failure(exit_failed,
                    "the kernel has no filesystem qtfs, and modprobe qtfs does not load it",
                    ENODEV);
    context = FsContext::open("qtfs", show);
  }
  if (!context) {
    if (errno == EPERM)
      throw Failure(exit_usage, "only root can mount", EPERM);
    throw Failure(exit_system, std::string("fsopen: ") + std::strerror(errno), errno);
  }
  return context;
}

void set_options(FsContext& context, const Plan& plan) {
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

void make_mount(const Plan& plan) {
  FsContext context = open_context();
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
  if (move_mount_to(mnt.get(), AT_FDCWD, plan.target.c_str()) != 0)
    throw Failure(exit_failed, plan.target + ": " + std::strerror(errno), errno);
}

void change_mount(const Plan& plan) {
  FsContext context = FsContext::pick(plan.target.c_str(), show);
  if (!context)
    throw Failure(exit_failed, plan.target + ": " + std::strerror(errno), errno);
  set_options(context, plan);
  context.run(FSCONFIG_CMD_RECONFIGURE);

  mount_attr attr{};
  attr.attr_set = plan.options.attributes;
  attr.attr_clr = plan.options.attributes_clear;
  if ((attr.attr_set || attr.attr_clr) && sys_mount_setattr(plan.target.c_str(), &attr) != 0)
    throw Failure(exit_failed, plan.target + ": " + std::strerror(errno), errno);
}

}  // namespace qtfs::mount
