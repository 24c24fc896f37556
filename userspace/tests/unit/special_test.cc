// SPDX-License-Identifier: GPL-2.0-only
// Synthetic files, FIFOs, requests that block, and their cancellation; listing; compounds.
#include <sys/mount.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/unit/fixture.hh"

namespace qtfs {

constexpr uint32_t rw = QTFS_OPEN_READ | QTFS_OPEN_WRITE;

class Synthetic : public EngineTest {
 protected:
  void configure(Config& config) override { config.exports = {{.path = "/", .name = "root"}}; }
  void SetUp() override {
    EngineTest::SetUp();
    if (engine_)
      slash_ = id_of(*client_.attach("/"));
  }
  uint64_t slash_ = 0;
};

TEST_F(Synthetic, ProcIsReadWhole) {
  const auto text = client_.read_file(slash_, "proc/cpuinfo");
  ASSERT_EQ(0, text.err());
  std::ifstream in("/proc/cpuinfo");
  const std::string own{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(std::count(own.begin(), own.end(), '\n'), std::count(text->begin(), text->end(), '\n'));
  const auto entry = client_.walk(slash_, "proc/cpuinfo");
  EXPECT_TRUE(le32toh(entry->attr.flags) & QTFS_ATTR_SYNTHETIC);
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ | QTFS_OPEN_PLAIN);
  ASSERT_EQ(0, opened.err());
  EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_DIRECT);
  EXPECT_EQ(EOPNOTSUPP, client_.read(id_of(*opened), 0, 10, QTFS_READ_CACHED).err());
}

TEST_F(Synthetic, ReadsKeepTheirBoundaries) {
  // What does not ask for more than a page gets what one read(2) gives.
  const UniqueFd own(::open("/proc/kallsyms", O_RDONLY));
  const auto entry = client_.walk(slash_, "proc/kallsyms");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  std::string buffer(65536, '\0');
  uint64_t offset = 0;
  for (int i = 0; i < 20; i++) {
    const ssize_t want = pread(own.get(), buffer.data(), 4096, static_cast<off_t>(offset));
    ASSERT_GT(want, 0);
    const auto got = client_.read(id_of(*opened), offset, 4096);
    ASSERT_EQ(0, got.err());
    ASSERT_EQ(std::string_view(buffer.data(), static_cast<size_t>(want)), *got);
    offset += static_cast<uint64_t>(want);
  }
}

TEST_F(Synthetic, LongFilesAreReadInFewAndWholeRecords) {
  // By itself the file gives less than a page to each read(2), and never a part of a line.
  const auto entry = client_.walk(slash_, "proc/kallsyms");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  std::ifstream in("/proc/kallsyms");
  const std::string own{std::istreambuf_iterator<char>(in), {}};
  ASSERT_LT(500'000u, own.size());
  std::string text;
  for (int reads = 1;; reads++) {
    const auto got = client_.read(id_of(*opened), text.size(), 65536);
    ASSERT_EQ(0, got.err());
    if (got->empty())
      break;
    ASSERT_EQ('\n', got->back());
    text += *got;
    ASSERT_GE(text.size() / 50'000 + 1, static_cast<size_t>(reads));
  }
  EXPECT_TRUE(own == text);
}

// It says once that there is something new, and can be read at any time.
TEST_F(Synthetic, ReadingDoesNotWaitForNews) {
  const auto entry = client_.walk(slash_, "proc/bus/input/devices");
  if (!entry)
    GTEST_SKIP() << "no input devices";
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  EXPECT_EQ(0, client_.read(id_of(*opened), 0, 4096).err());
  EXPECT_EQ(0, client_.read(id_of(*opened), 0, 4096, QTFS_READ_NOWAIT).err());
}

TEST_F(Synthetic, AnEndIsWhereTheFileHasOne) {
  const auto at_end = [&](const std::string& name) {
    const auto entry = client_.walk(slash_, name);
    const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
    return client_.seek(id_of(*opened), static_cast<uint64_t>(-4), QTFS_SEEK_END);
  };
  const auto own = [](const std::string& name) {
    const UniqueFd fd(::open(("/" + name).c_str(), O_RDONLY));
    return lseek(fd.get(), -4, SEEK_END);
  };
  const auto attribute = at_end("sys/kernel/uevent_seqnum");
  ASSERT_EQ(0, attribute.err());
  EXPECT_EQ(own("sys/kernel/uevent_seqnum"), static_cast<off_t>(*attribute));
  EXPECT_EQ(-1, own("proc/filesystems"));
  EXPECT_EQ(EINVAL, at_end("proc/filesystems").err());
}

TEST_F(Synthetic, LinksToWhoAsksAreNotTheEngines) {
  const struct {
    std::string name;
    std::string target;
    bool local;
  } links[] = {{"self", "/proc/self", true},
               {"thread-self", "/proc/thread-self", true},
               {"net", "1/net", false},
               {"mounts", "1/mounts", false}};
  for (const auto& link : links) {
    const auto entry = client_.walk(slash_, "proc/" + link.name);
    ASSERT_EQ(0, entry.err()) << link.name;
    EXPECT_EQ(link.local, (le32toh(entry->attr.flags) & QTFS_ATTR_LOCAL) != 0) << link.name;
    const auto attr = client_.getattr(id_of(*entry));
    ASSERT_EQ(0, attr.err());
    EXPECT_EQ(le32toh(entry->attr.flags), le32toh(attr->flags)) << link.name;
    const auto target = client_.readlink(id_of(*entry));
    ASSERT_EQ(0, target.err());
    EXPECT_EQ(link.target, *target);
  }
  // Of those names elsewhere nothing is special.
  ASSERT_EQ(0, symlink("somewhere", dir_.path("self").c_str()));
  const auto entry = client_.walk(slash_, dir_.path("self").substr(1));
  ASSERT_EQ(0, entry.err());
  EXPECT_FALSE(le32toh(entry->attr.flags) & QTFS_ATTR_LOCAL);
  EXPECT_EQ("somewhere", *client_.readlink(id_of(*entry)));
}

TEST_F(Synthetic, RulesAreAskedFirst) {
  engine_->rules().add({.path = "/version",
                        .fstype = "proc",
                        .type = QTFS_TYPE_REG,
                        .action = RuleAction::content,
                        .text = "none\n"});
  engine_->rules().add(
      {.path = "/self", .fstype = "proc", .action = RuleAction::redirect, .text = "/srv"});
  EXPECT_EQ("none\n", *client_.read_file(slash_, "proc/version"));
  const auto version = client_.walk(slash_, "proc/version");
  ASSERT_EQ(0, version.err());
  const auto opened = client_.open(id_of(*version), QTFS_OPEN_READ | QTFS_OPEN_PLAIN);
  ASSERT_EQ(0, opened.err());
  EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_DIRECT);
  EXPECT_EQ("ne\n", *client_.read(id_of(*opened), 2, 100));
  EXPECT_EQ(5u, *client_.seek(id_of(*opened), 0, QTFS_SEEK_END));
  const auto self = client_.walk(slash_, "proc/self");
  ASSERT_EQ(0, self.err());
  EXPECT_TRUE(le32toh(self->attr.flags) & QTFS_ATTR_LOCAL);
  EXPECT_EQ("/srv", *client_.readlink(id_of(*self)));
}

TEST_F(Synthetic, TheMachinesMemoryIsNotOpened) {
  for (const char* name : {"kcore", "kpagecount", "kpageflags", "kpagecgroup"}) {
    const auto entry = client_.walk(slash_, std::string("proc/") + name);
    if (entry.err() == ENOENT)
      continue;
    ASSERT_EQ(0, entry.err());
    EXPECT_EQ(EACCES, client_.open(id_of(*entry), QTFS_OPEN_READ).err()) << name;
    EXPECT_EQ(0, client_.getattr(id_of(*entry)).err());
  }
}

TEST_F(Synthetic, NorIsItByAnotherName) {
  dir_.write("memory", "");
  const std::string there = dir_.path("memory");
  if (mount("/proc/kpagecount", there.c_str(), nullptr, MS_BIND, nullptr) < 0)
    GTEST_SKIP() << "may not mount, or there is none";
  const auto entry = client_.walk(slash_, there.substr(1));
  EXPECT_EQ(EACCES, entry ? client_.open(id_of(*entry), QTFS_OPEN_READ).err() : entry.err());
  client_.close();
  umount2(there.c_str(), MNT_DETACH);
}

TEST_F(Synthetic, SysctlsAreWritten) {
  const auto entry = client_.walk(slash_, "proc/sys/vm/swappiness");
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), rw);
  ASSERT_EQ(0, opened.err());
  const auto value = client_.read(id_of(*opened), 0, 100);
  ASSERT_EQ(0, value.err());
  const auto written = client_.write(id_of(*opened), 0, *value);
  ASSERT_EQ(0, written.err());
  EXPECT_EQ(value->size(), le32toh(written->count));
  EXPECT_EQ(EINVAL, client_.write(id_of(*opened), 0, "nonsense\n").err());
}

// Files made of seq_file refuse pwrite(2).
TEST_F(Synthetic, FilesWithoutPwriteAreWritten) {
  const std::string name = "/proc/" + std::to_string(getpid()) + "/timerslack_ns";
  const auto entry = client_.walk(slash_, name.substr(1));
  ASSERT_EQ(0, entry.err());
  const auto opened = client_.open(id_of(*entry), rw);
  ASSERT_EQ(0, opened.err());
  for (const char* value : {"60000\n", "50000\n"}) {
    const auto written = client_.write(id_of(*opened), 0, value);
    ASSERT_EQ(0, written.err());
    EXPECT_EQ(6u, le32toh(written->count));
    std::ifstream in(name);
    const std::string now{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(value, now);
  }
  const auto version = client_.walk(slash_, "proc/version");
  const auto refused = client_.open(id_of(*version), QTFS_OPEN_WRITE);
  ASSERT_EQ(0, refused.err());
  EXPECT_EQ(EIO, client_.write(id_of(*refused), 0, "x").err());
}

TEST_F(Synthetic, MagicLinksAreOnlyRead) {
  const auto cwd = client_.walk(slash_, "proc/" + std::to_string(getpid()) + "/root");
  ASSERT_EQ(0, cwd.err());
  EXPECT_EQ(uint32_t{QTFS_TYPE_LNK}, le32toh(cwd->attr.type));
  EXPECT_EQ("/", *client_.readlink(id_of(*cwd)));
  EXPECT_EQ(ENOTDIR, client_.lookup(id_of(*cwd), "etc").err());
  EXPECT_EQ(ELOOP, client_.open(id_of(*cwd), QTFS_OPEN_READ).err());
}

TEST_F(Synthetic, PollableFilesSaySo) {
  const auto entry = client_.walk(slash_, "proc/" + std::to_string(getpid()) + "/mountinfo");
  const auto opened = client_.open(id_of(*entry), QTFS_OPEN_READ);
  ASSERT_EQ(0, opened.err());
  EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_POLLABLE);
  dir_.write("file", "");
  EXPECT_FALSE(le32toh(client_.open(lookup("file"), rw)->flags) & QTFS_OPENED_POLLABLE);
}

// --- FIFOs and cancellation

class Blocking : public EngineTest {
 protected:
  uint64_t fifo() {
    mkfifo(dir_.path("fifo").c_str(), 0600);
    return lookup("fifo");
  }
  // Both ends, so that reads block but opens do not.
  uint64_t open_both() {
    const auto opened = client_.open(fifo(), rw);
    EXPECT_EQ(0, opened.err());
    EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_STREAM);
    EXPECT_TRUE(le32toh(opened->flags) & QTFS_OPENED_POLLABLE);
    return id_of(*opened);
  }
  Result<uint64_t> send_read(uint64_t open, uint32_t flags = 0) {
    return client_.send(QTFS_OP_READ,
                        bytes_of(qtfs_wire_read{htole64(open), 0, htole32(100), htole32(flags)}));
  }
};

TEST_F(Blocking, AReadWaitsWithoutHoldingOthersUp) {
  const uint64_t pipe = open_both();
  const auto tag = send_read(pipe);
  EXPECT_EQ(0, client_.ping().err());
  ASSERT_EQ(0, client_.write(pipe, 0, "through").err());
  const auto answer = client_.wait(*tag);
  ASSERT_EQ(0, answer->err());
  EXPECT_EQ("through", answer->text());
  EXPECT_EQ(7u, le64toh(answer->as<qtfs_wire_read_rep>().offset));
}

TEST_F(Blocking, ACancelledReadHasNoEffect) {
  const uint64_t pipe = open_both();
  for (int i = 0; i < 50; i++) {
    const auto tag = send_read(pipe);
    const auto outcome = client_.cancel(*tag);
    ASSERT_EQ(0, outcome.err());
    EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *outcome);
    EXPECT_EQ(EINTR, client_.wait(*tag)->err());
  }
  ASSERT_EQ(0, client_.write(pipe, 0, "kept").err());
  EXPECT_EQ("kept", *client_.read(pipe, 0, 100));
}

TEST_F(Blocking, CancellingWhatIsDoneSaysSo) {
  EXPECT_EQ(uint32_t{QTFS_CANCEL_COMPLETED}, *client_.cancel(123456));
  const uint64_t pipe = open_both();
  ASSERT_EQ(0, client_.write(pipe, 0, "x").err());
  const auto tag = send_read(pipe);
  ASSERT_EQ(0, client_.wait(*tag)->err());
  EXPECT_EQ(uint32_t{QTFS_CANCEL_COMPLETED}, *client_.cancel(*tag));
}

TEST_F(Blocking, NowaitAnswersAtOnce) {
  const uint64_t pipe = open_both();
  EXPECT_EQ(EAGAIN, client_.read(pipe, 0, 10, QTFS_READ_NOWAIT).err());
  ASSERT_EQ(0, client_.write(pipe, 0, "now").err());
  EXPECT_EQ("now", *client_.read(pipe, 0, 10, QTFS_READ_NOWAIT));
}

TEST_F(Blocking, FifoOpensMeetAndAreCancelled) {
  const uint64_t node = fifo();
  const uint32_t nonblock = QTFS_OPEN_WRITE | QTFS_OPEN_NONBLOCK;
  EXPECT_EQ(ENXIO, client_.open(node, nonblock).err());
  const qtfs_wire_open reader{htole64(node), 0, htole32(QTFS_OPEN_READ), 0, 0};
  const auto tag = client_.send(QTFS_OP_OPEN, bytes_of(reader));
  EXPECT_EQ(0, client_.ping().err());
  const auto writer = client_.open(node, QTFS_OPEN_WRITE);
  ASSERT_EQ(0, writer.err());
  const auto answer = client_.wait(*tag);
  ASSERT_EQ(0, answer->err());
  ASSERT_EQ(0, client_.write(id_of(*writer), 0, "met").err());
  EXPECT_EQ("met", *client_.read(le64toh(answer->as<qtfs_wire_opened>().open), 0, 10));
  ASSERT_EQ(0, client_.release(id_of(*writer)).err());
  ASSERT_EQ(0, client_.release(le64toh(answer->as<qtfs_wire_opened>().open)).err());

  const auto alone = client_.send(QTFS_OP_OPEN, bytes_of(reader));
  EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(*alone));
  EXPECT_EQ(EINTR, client_.wait(*alone)->err());
}

TEST_F(Blocking, AConnectionThatGoesInterruptsItsRequests) {
  const uint64_t pipe = open_both();
  for (int i = 0; i < 20; i++)
    ASSERT_TRUE(send_read(pipe).ok());
  EXPECT_EQ(0, client_.ping().err());
  client_.close();
  while (engine_->sessions() != 0)
    usleep(1000);
}

// More that block than there are threads: they wait, and do not take the engine with them.
class FewThreads : public Blocking {
  void configure(Config& config) override { config.limits.blocking_threads_max = 2; }
};

TEST_F(FewThreads, BlockedOnesAreBounded) {
  const uint64_t pipe = open_both();
  std::vector<uint64_t> tags;
  for (int i = 0; i < 10; i++)
    tags.push_back(*send_read(pipe));
  dir_.write("file", "text");
  EXPECT_EQ("text", *client_.read_file(root_, "file"));
  // What does not wait for anybody still finds a thread.
  EXPECT_EQ(0, client_.fsync(open("file", rw)).err());
  for (uint64_t tag : tags) {
    EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(tag));
    EXPECT_EQ(EINTR, client_.wait(tag)->err());
  }
}

// Cancelled before its next step began: the reply tells what the steps before it gave.
TEST_F(FewThreads, ACancelledCompoundKeepsWhatItGot) {
  const uint64_t pipe = open_both();
  dir_.write("file", "text");
  const auto in_the_way = send_read(pipe);
  const auto compound =
      Compound()
          .add(QTFS_OP_LOOKUP,
               Body().put(qtfs_wire_lookup{htole64(root_), htole16(4), 0, 0}).name("file"))
          .add(QTFS_OP_OPEN, Body().put(qtfs_wire_open{QTFS_PREV, 0, htole32(rw), 0, 0}))
          .add(QTFS_OP_READ, Body().put(qtfs_wire_read{htole64(pipe), 0, htole32(4), 0}))
          .body();
  const auto tag = client_.send(QTFS_OP_COMPOUND, compound);
  EXPECT_EQ(uint32_t{QTFS_CANCEL_COMPLETED}, *client_.cancel(*tag));
  const auto answer = client_.wait(*tag);
  ASSERT_EQ(0, answer->err());
  const auto results = Compound::results(*answer);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(3u, results->size());
  EXPECT_EQ(0, results->at(0).err);
  EXPECT_EQ(0, results->at(1).err);
  EXPECT_EQ(uint16_t{QTFS_OP_READ}, results->at(2).op);
  EXPECT_EQ(EINTR, results->at(2).err);
  qtfs_wire_opened opened;
  ASSERT_EQ(sizeof(opened), results->at(1).body.size());
  std::memcpy(&opened, results->at(1).body.data(), sizeof(opened));
  EXPECT_EQ(0, client_.release(id_of(opened)).err());
  EXPECT_EQ(uint32_t{QTFS_CANCEL_CANCELLED}, *client_.cancel(*in_the_way));
}

// --- listing

class Listing : public EngineTest {
 protected:
  uint64_t open_root() { return id_of(*client_.open(root_, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY)); }
  std::set<std::string> list(uint64_t open, uint32_t count, uint32_t flags) {
    std::set<std::string> names;
    uint64_t cookie = 0;
    while (true) {
      const auto page = client_.readdir(open, cookie, count, flags);
      EXPECT_EQ(0, page.err());
      if (!page)
        return names;
      for (const DirEntry& entry : page->entries) {
        EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " twice";
        cookie = entry.cookie;
      }
      if (page->eof)
        return names;
      if (page->entries.empty()) {
        ADD_FAILURE() << "neither entries nor the end";
        return names;
      }
    }
  }
};

TEST_F(Listing, TenThousandNamesInSmallPieces) {
  std::set<std::string> want;
  for (int i = 0; i < 10000; i++) {
    const std::string name = "a-name-of-some-length-" + std::to_string(i);
    close(::open(dir_.path(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    want.insert(name);
  }
  const uint64_t open = open_root();
  EXPECT_EQ(want, list(open, 65536, 0));
  EXPECT_EQ(want, list(open, 1000, 0));
  EXPECT_EQ(want, list(open, 5000, QTFS_READDIR_PLUS));
  EXPECT_LT(engine_->node_fds(), 10u) << "listing opens files";
  EXPECT_EQ(EINVAL, client_.readdir(open, 0, 16).err());
}

TEST_F(Listing, EntriesAreNodesToWorkWith) {
  dir_.write("file", "text");
  mkdir(dir_.path("dir").c_str(), 0755);
  dir_.write("dir/below", "deep");
  const auto page = client_.readdir(open_root(), 0, 65536, QTFS_READDIR_PLUS);
  ASSERT_EQ(0, page.err());
  ASSERT_EQ(2u, page->entries.size());
  for (const DirEntry& entry : page->entries) {
    ASSERT_TRUE(entry.entry);
    const uint64_t node = id_of(*entry.entry);
    if (entry.name == "file") {
      EXPECT_EQ(4u, le64toh(entry.entry->attr.size));
      EXPECT_EQ("text", *client_.read(id_of(*client_.open(node, QTFS_OPEN_READ)), 0, 10));
    } else {
      EXPECT_TRUE(le32toh(entry.entry->access) & QTFS_MAY_KNOWN);
      EXPECT_EQ("deep", *client_.read_file(node, "below"));
    }
    EXPECT_EQ(node, lookup(entry.name));
  }
}

TEST_F(Listing, WhatChangesMeanwhileDoesNotDisturb) {
  std::set<std::string> stay;
  for (int i = 0; i < 2000; i++) {
    dir_.write("stay" + std::to_string(i), "");
    stay.insert("stay" + std::to_string(i));
    dir_.write("go" + std::to_string(i), "");
  }
  const uint64_t open = open_root();
  std::set<std::string> seen;
  uint64_t cookie = 0;
  int next = 0;
  bool eof = false;
  while (!eof) {
    const auto page = client_.readdir(open, cookie, 2000, QTFS_READDIR_PLUS);
    ASSERT_EQ(0, page.err());
    for (const DirEntry& entry : page->entries) {
      if (stay.contains(entry.name)) {
        EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
      }
      cookie = entry.cookie;
    }
    for (int i = 0; i < 20 && next < 2000; i++, next++)
      unlink(dir_.path("go" + std::to_string(next)).c_str());
    eof = page->eof;
  }
  EXPECT_EQ(stay, seen);
}

TEST_F(Listing, OfProcWorksToo) {
  config_.exports = {{.path = "/proc", .name = "proc"}};
  engine_->stop();
  start_engine();
  Client client;
  attach_path_ = "/proc";
  connect(client);
  const auto open = client.open(root_, QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY);
  ASSERT_EQ(0, open.err());
  std::set<std::string> names;
  uint64_t cookie = 0;
  bool eof = false;
  while (!eof) {
    const auto page = client.readdir(id_of(*open), cookie, 4096, QTFS_READDIR_PLUS);
    ASSERT_EQ(0, page.err());
    for (const DirEntry& entry : page->entries) {
      names.insert(entry.name);
      cookie = entry.cookie;
    }
    eof = page->eof;
  }
  EXPECT_TRUE(names.contains("cpuinfo"));
  EXPECT_TRUE(names.contains(std::to_string(getpid())));
  EXPECT_TRUE(names.contains("self"));
}

// --- compounds

class Compounds : public EngineTest {};

TEST_F(Compounds, ASmallFileInOneRoundTrip) {
  dir_.write("file", "all of it");
  Answer answer;
  const auto results =
      Compound()
          .add(QTFS_OP_LOOKUP,
               Body().put(qtfs_wire_lookup{htole64(root_), htole16(4), 0, 0}).name("file"))
          .add(QTFS_OP_OPEN,
               Body().put(qtfs_wire_open{QTFS_PREV, 0, htole32(QTFS_OPEN_READ), 0, 0}))
          .add(QTFS_OP_GETATTR, Body().put(qtfs_wire_getattr{QTFS_PREV, 0}))
          .add(QTFS_OP_READ, Body().put(qtfs_wire_read{QTFS_PREV, 0, htole32(100), 0}))
          .run(client_, &answer);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(4u, results->size());
  for (const CompoundResult& result : *results)
    EXPECT_EQ(0, result.err) << op_name(result.op);
  EXPECT_EQ("all of it", answer.text());
  EXPECT_EQ(sizeof(qtfs_wire_entry), (*results)[0].body.size());
}

TEST_F(Compounds, TheFirstFailureStopsIt) {
  dir_.write("file", "");
  chmod(dir_.path("file").c_str(), 0);
  const auto results =
      Compound()
          .add(QTFS_OP_LOOKUP,
               Body().put(qtfs_wire_lookup{htole64(root_), htole16(4), 0, 0}).name("file"))
          .add(QTFS_OP_OPEN,
               Body().put(qtfs_wire_open{QTFS_PREV, 0,
                                         htole32(QTFS_OPEN_READ | QTFS_OPEN_DIRECTORY), 0, 0}))
          .add(QTFS_OP_PING, Body())
          .run(client_);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(2u, results->size());
  EXPECT_EQ(0, (*results)[0].err);
  EXPECT_EQ(ENOTDIR, (*results)[1].err);
  EXPECT_TRUE((*results)[1].body.empty());
}

TEST_F(Compounds, WriteAndClose) {
  const auto made = client_.create(root_, "file", rw);
  ASSERT_EQ(0, made.err());
  const auto results =
      Compound()
          .add(QTFS_OP_WRITE, Body().put(qtfs_wire_write{made->opened.open, 0, htole32(4), 0}))
          .add(QTFS_OP_RELEASE,
               Body().put(qtfs_wire_release{made->opened.open, 0, htole32(QTFS_RELEASE_ATTR), 0}))
          .payload("text")
          .run(client_);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(2u, results->size());
  EXPECT_EQ("text", dir_.read("file"));
}

// The blocking step goes to another thread, and those before it are not run again.
TEST_F(Compounds, GoOnWhereTheyMayBlock) {
  const auto results =
      Compound()
          .add(QTFS_OP_CREATE,
               Body()
                   .put(qtfs_wire_create{htole64(root_), htole32(0644), 0,
                                         htole32(rw | QTFS_OPEN_EXCL), htole16(3), 0})
                   .name("new"))
          .add(QTFS_OP_WRITE, Body().put(qtfs_wire_write{QTFS_PREV, 0, htole32(6), 0}))
          .add(QTFS_OP_FSYNC, Body().put(qtfs_wire_fsync{QTFS_PREV, 0, 0}))
          .add(QTFS_OP_RELEASE, Body().put(qtfs_wire_release{QTFS_PREV, 0, 0, 0}))
          .payload("synced")
          .run(client_);
  ASSERT_EQ(0, results.err());
  ASSERT_EQ(4u, results->size());
  for (const CompoundResult& result : *results)
    EXPECT_EQ(0, result.err) << op_name(result.op);
  EXPECT_EQ("synced", dir_.read("new"));
}

TEST_F(Compounds, MalformedOnesEndTheConnection) {
  const auto nested =
      Compound().add(QTFS_OP_COMPOUND, Body().put(qtfs_wire_compound{})).run(client_);
  EXPECT_EQ(EPROTO, nested.err());
  EXPECT_TRUE(client_.closed_by_peer());
}

TEST_F(Compounds, TwoPayloadsAreTooMany) {
  dir_.write("file", "text");
  const uint64_t file = open("file", rw);
  const Body read = Body().put(qtfs_wire_read{htole64(file), 0, htole32(4), 0});
  EXPECT_EQ(EPROTO, Compound().add(QTFS_OP_READ, read).add(QTFS_OP_READ, read).run(client_).err());
}

TEST_F(Compounds, PrevWithoutAPredecessorIsStale) {
  const auto results =
      Compound().add(QTFS_OP_GETATTR, Body().put(qtfs_wire_getattr{QTFS_PREV, 0})).run(client_);
  ASSERT_EQ(0, results.err());
  EXPECT_EQ(ESTALE, results->at(0).err);
}

}  // namespace qtfs
