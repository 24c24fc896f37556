// SPDX-License-Identifier: GPL-2.0-only
#include "tests/random/world.hh"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace qtfs {

namespace {

// A number where there is no name: the kernel's own, which nobody should see.
std::string error_name() {
  const char* name = strerrorname_np(errno);
  return name ? name : std::to_string(errno);
}

std::string outcome(long result) {
  return result < 0 ? error_name() : std::to_string(result);
}

std::string data_of(const Operation& op) {
  std::string data(op.length, '\0');
  for (size_t i = 0; i < data.size(); i++)
    data[i] = static_cast<char>(op.value + i / 512);
  return data;
}

// Enough to tell data from other data.
std::string digest(std::string_view data) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : data)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("{} bytes, {:016x}", data.size(), hash);
}

std::string words(const struct stat& st) {
  const std::string size = S_ISDIR(st.st_mode) ? "" : fmt::format(" size {}", st.st_size);
  return fmt::format("mode {:o} links {}{}", st.st_mode, st.st_nlink, size);
}

std::string xattr_name(const Operation& op) {
  static constexpr const char* names[] = {"user.x", "user.yy", "trusted.z", "user.", "nonsense"};
  return names[op.choice % std::size(names)];
}

std::string sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names)
    text += name + " ";
  return text;
}

std::string contents(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd)
    return error_name();
  std::string all;
  std::array<char, 65536> chunk;
  ssize_t got = 0;
  while ((got = ::read(fd.get(), chunk.data(), chunk.size())) > 0)
    all.append(chunk.data(), static_cast<size_t>(got));
  return got < 0 ? error_name() : digest(all);
}

}  // namespace

World::World(const std::string& root)
    : root_(root), dir_(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

std::string World::open(const Operation& op) {
  static constexpr int flags[] = {O_RDONLY,
                                  O_RDWR,
                                  O_RDWR | O_CREAT,
                                  O_RDWR | O_CREAT,
                                  O_RDWR | O_CREAT,
                                  O_RDWR | O_CREAT | O_EXCL,
                                  O_RDWR | O_CREAT | O_TRUNC,
                                  O_WRONLY | O_CREAT | O_APPEND,
                                  O_RDWR | O_APPEND,
                                  O_RDWR | O_TRUNC,
                                  O_RDONLY | O_DIRECTORY,
                                  O_RDONLY | O_NOFOLLOW,
                                  O_WRONLY | O_CREAT | O_NOFOLLOW};
  static constexpr mode_t modes[] = {0644, 0600, 0444, 04755};
  const int chosen = flags[op.choice % std::size(flags)];
  const mode_t mode = modes[op.value % std::size(modes)];
  UniqueFd made(op.kind == Kind::tmpfile
                    ? openat(dir_.get(), op.path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode)
                    : openat(dir_.get(), op.path.c_str(), chosen | O_CLOEXEC, mode));
  std::string said = made ? "opened" : error_name();
  if (made)
    handles_[op.handle] = std::move(made);
  return said;
}

std::string World::transfer(const Operation& op) {
  const off_t offset = static_cast<off_t>(op.offset);
  if (op.kind == Kind::read) {
    std::string data(op.length, '\0');
    const ssize_t got = pread(fd(op.handle), data.data(), data.size(), offset);
    return got < 0 ? error_name() : digest({data.data(), static_cast<size_t>(got)});
  }
  const std::string data = data_of(op);
  if (op.kind == Kind::append)
    return outcome(::write(fd(op.handle), data.data(), data.size()));
  return outcome(pwrite(fd(op.handle), data.data(), data.size(), offset));
}

std::string World::seek(const Operation& op) {
  static constexpr int from[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  struct stat st {};
  // Where a directory's offsets lead is its filesystem's own affair.
  if (fstat(fd(op.handle), &st) == 0 && S_ISDIR(st.st_mode))
    return "a directory";
  return outcome(lseek(fd(op.handle), static_cast<off_t>(op.offset) - 1000,
                       from[op.choice % std::size(from)]));
}

std::string World::allocate(const Operation& op) {
  static constexpr int modes[] = {0,
                                  FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_ZERO_RANGE,
                                  FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                  FALLOC_FL_COLLAPSE_RANGE,
                                  FALLOC_FL_INSERT_RANGE};
  return outcome(fallocate(fd(op.handle), modes[op.choice % std::size(modes)],
                           static_cast<off_t>(op.offset), static_cast<off_t>(op.length)));
}

std::string World::copy(const Operation& op) {
  off64_t from = static_cast<off64_t>(op.offset);
  off64_t to = static_cast<off64_t>(op.value * 100);
  return outcome(copy_file_range(fd(op.handle), &from, fd(op.other), &to, op.length, 0));
}

// Inside the file: past its end there is SIGBUS, and what is stored there is lost.
std::string World::map(const Operation& op) {
  struct stat st {};
  if (fstat(fd(op.handle), &st) < 0 || !S_ISREG(st.st_mode))
    return "no file";
  const off_t page = static_cast<off_t>(op.offset & ~uint64_t{4095});
  if (page >= st.st_size || op.length == 0)
    return "nothing there";
  const size_t len = std::min(op.length, static_cast<uint64_t>(st.st_size - page));
  void* at = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd(op.handle), page);
  if (at == MAP_FAILED)
    return error_name();
  std::string before = digest({static_cast<const char*>(at), len});
  std::memcpy(at, data_of(op).data(), len);
  if (op.choice % 2)
    msync(at, len, MS_SYNC);
  munmap(at, len);
  return before;
}

std::string World::names(const Operation& op) {
  static constexpr unsigned renames[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
  const int dir = dir_.get();
  const char* const path = op.path.c_str();
  const char* const to = op.to.c_str();
  switch (op.kind) {
    case Kind::mkdir:
      return outcome(mkdirat(dir, path, op.choice % 2 ? 0755 : 02770));
    case Kind::rmdir:
      return outcome(unlinkat(dir, path, AT_REMOVEDIR));
    case Kind::unlink:
      return outcome(unlinkat(dir, path, 0));
    case Kind::rename:
      return outcome(renameat2(dir, path, dir, to, renames[op.choice % std::size(renames)]));
    case Kind::link: {
      const int flags = op.choice % 2 ? AT_SYMLINK_FOLLOW : 0;
      std::string said = outcome(linkat(dir, path, dir, to, flags));
      struct stat st {};
      // Two things are wrong, and either may be said.
      const bool directory =
          fstatat(dir, path, &st, flags ? 0 : AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
      return directory && said == "EEXIST" ? "EPERM" : said;
    }
    case Kind::linkfd: {
      const std::string from = fmt::format("/proc/self/fd/{}", fd(op.handle));
      std::string said = outcome(linkat(AT_FDCWD, from.c_str(), dir, path, AT_SYMLINK_FOLLOW));
      struct stat st {};
      if (said != "EEXIST" || fstat(fd(op.handle), &st) < 0)
        return said;
      return S_ISDIR(st.st_mode) ? "EPERM" : st.st_nlink == 0 ? "ENOENT" : said;
    }
    default:
      return outcome(symlinkat(path, dir, to));
  }
}

std::string World::list(const std::string& path) const {
  const UniqueFd opened(openat(dir_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* listing = opened ? fdopendir(dup(opened.get())) : nullptr;
  if (!listing)
    return error_name();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing))
    names.push_back(fmt::format("{}:{}", entry->d_name, static_cast<int>(entry->d_type)));
  closedir(listing);
  return sorted(std::move(names));
}

std::string World::attributes(const Operation& op) {
  const int dir = dir_.get();
  const char* const path = op.path.c_str();
  struct stat st {};
  switch (op.kind) {
    case Kind::stat:
      return fstatat(dir, path, &st, op.choice % 2 ? AT_SYMLINK_NOFOLLOW : 0) < 0 ? error_name()
                                                                                  : words(st);
    case Kind::fstat:
      return fstat(fd(op.handle), &st) < 0 ? error_name() : words(st);
    case Kind::chmod: {
      static constexpr mode_t modes[] = {0644, 0, 0777, 06755, 01777, 02755};
      return outcome(fchmodat(dir, path, modes[op.value % std::size(modes)], 0));
    }
    case Kind::readlink: {
      std::array<char, 4096> target;
      const ssize_t len = readlinkat(dir, path, target.data(), target.size());
      return len < 0 ? error_name() : std::string(target.data(), static_cast<size_t>(len));
    }
    default: {
      const timespec times[2] = {{1000000 + static_cast<time_t>(op.value), 5},
                                 {2000000 + static_cast<time_t>(op.value), 123456789}};
      if (utimensat(dir, path, times, AT_SYMLINK_NOFOLLOW) < 0 ||
          fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_name();
      return fmt::format("{}.{}", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    }
  }
}

std::string World::xattrs(const Operation& op) {
  const std::string path = full(op.path);
  const std::string name = xattr_name(op);
  std::string value = data_of(op).substr(0, op.length % 300);
  static constexpr int flags[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
  std::array<char, 65536> room;
  ssize_t len = 0;
  switch (op.kind) {
    case Kind::setxattr:
      return outcome(lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(),
                               flags[op.value % std::size(flags)]));
    case Kind::getxattr:
      len = lgetxattr(path.c_str(), name.c_str(), room.data(), op.value % 2 ? room.size() : 0);
      if (len >= 0 && op.value % 2)
        return digest({room.data(), static_cast<size_t>(len)});
      return outcome(len);
    case Kind::removexattr:
      return outcome(lremovexattr(path.c_str(), name.c_str()));
    default:
      len = llistxattr(path.c_str(), room.data(), room.size());
      if (len < 0)
        return error_name();
      std::vector<std::string> names;
      for (const char* at = room.data(); at < room.data() + len; at += std::strlen(at) + 1)
        names.emplace_back(at);
      return sorted(std::move(names));
  }
}

std::string World::apply(const Operation& op) {
  switch (op.kind) {
    case Kind::open:
    case Kind::tmpfile:
      return open(op);
    case Kind::close:
      handles_[op.handle].reset();
      return "";
    case Kind::read:
    case Kind::write:
    case Kind::append:
      return transfer(op);
    case Kind::seek:
      return seek(op);
    case Kind::truncate:
      return outcome(truncate(full(op.path).c_str(), static_cast<off_t>(op.offset)));
    case Kind::ftruncate:
      return outcome(ftruncate(fd(op.handle), static_cast<off_t>(op.offset)));
    case Kind::fallocate:
      return allocate(op);
    case Kind::copy:
      return copy(op);
    case Kind::map:
      return map(op);
    case Kind::fsync:
      return outcome(op.choice % 2 ? fsync(fd(op.handle)) : fdatasync(fd(op.handle)));
    case Kind::readdir:
      return list(op.path);
    case Kind::stat:
    case Kind::fstat:
    case Kind::chmod:
    case Kind::readlink:
    case Kind::utimens:
      return attributes(op);
    case Kind::setxattr:
    case Kind::getxattr:
    case Kind::removexattr:
    case Kind::listxattr:
      return xattrs(op);
    case Kind::forget: {
      const UniqueFd caches(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
      if (caches)
        static_cast<void>(!::write(caches.get(), "3", 1));
      return "";
    }
    default:
      return names(op);
  }
}

std::string World::describe(const std::string& path) const {
  struct stat st {};
  if (lstat(full(path).c_str(), &st) < 0)
    return error_name();
  std::string text = words(st);
  if (S_ISREG(st.st_mode))
    text += " " + contents(full(path));
  return text;
}

std::string World::tree() {
  std::string text;
  std::vector<std::string> todo = {"."};
  while (!todo.empty()) {
    const std::string dir = todo.back();
    todo.pop_back();
    const std::string entries = list(dir);
    text += fmt::format("{}: {}\n", dir, entries);
    size_t at = 0;
    for (size_t end = 0; (end = entries.find(' ', at)) != entries.npos; at = end + 1) {
      const std::string entry = entries.substr(at, end - at);
      const std::string name = entry.substr(0, entry.rfind(':'));
      if (name == "." || name == "..")
        continue;
      const std::string path = fmt::format("{}/{}", dir, name);
      text += fmt::format("{}: {}\n", path, describe(path));
      if (entry.ends_with(fmt::format(":{}", static_cast<int>(DT_DIR))))
        todo.push_back(path);
    }
  }
  return text;
}

}  // namespace qtfs
