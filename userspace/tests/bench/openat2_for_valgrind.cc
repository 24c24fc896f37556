// SPDX-License-Identifier: GPL-2.0-only
// Debian 12's valgrind does not know openat2(2), which the engine opens names by. Preloaded, this
// makes it openat(2): enough to count instructions, but without the limits that make it safe.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdarg>

extern "C" long syscall(long number, ...) noexcept {
  using Syscall = long (*)(long, ...);
  static const auto next = reinterpret_cast<Syscall>(dlsym(RTLD_NEXT, "syscall"));
  std::array<long, 6> a{};
  va_list list;
  va_start(list, number);
  for (long& argument : a)
    argument = va_arg(list, long);
  va_end(list);
  if (number != SYS_openat2)
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is how they come
  const auto* name = reinterpret_cast<const char*>(a[1]);
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  const auto* how = reinterpret_cast<const open_how*>(a[2]);
  return openat(static_cast<int>(a[0]), name, static_cast<int>(how->flags),
                static_cast<mode_t>(how->mode));
}
